"""Archives: what is taken from SigmaHQ's two layouts, and what is refused before anything is written."""

from __future__ import annotations

import gzip
import io
import stat
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from sigma.pyeval.releases import archive as module
from sigma.pyeval.releases.archive import ReleaseError, read_release

from .packing import LICENCE, VERSION, packed, rule

PACKAGE = [("rules/linux/a.yml", rule(1)), ("rules-emerging-threats/2026/b.yml", rule(2)), ("version.txt", VERSION)]
REPOSITORY = [
    ("sigma-r2026/LICENSE", LICENCE),
    ("sigma-r2026/rules/linux/a.yml", rule(1)),
    ("sigma-r2026/filters/f.yml", "filter"),
    ("sigma-r2026/deprecated/old.yml", rule(3)),
    ("sigma-r2026/tests/thor.yml", "no rule"),
    ("sigma-r2026/.github/workflows/x.yml", "no rule"),
    ("sigma-r2026/rules/README.md", "text"),
    ("sigma-r2026/tools/LICENSE", "another"),
]
LOOSE = [("a.yml", rule(1)), ("b/c.yaml", rule(2)), ("COPYING.txt", LICENCE), ("x.py", "print()")]
LAYOUTS = [
    ("a release package", "x.zip", PACKAGE, {"rules/linux/a.yml", "rules-emerging-threats/2026/b.yml"}, set(), VERSION),
    ("a repository", "x.tar.gz", REPOSITORY, {"rules/linux/a.yml", "filters/f.yml"}, {"LICENSE"}, ""),
    ("a repository, zip", "x.zip", REPOSITORY, {"rules/linux/a.yml", "filters/f.yml"}, {"LICENSE"}, ""),
    ("a folder of rules", "x.tar", LOOSE, {"a.yml", "b/c.yaml"}, {"COPYING.txt"}, ""),
    ("rules alone", "x.zip", PACKAGE[:1], {"rules/linux/a.yml"}, set(), ""),
    (
        "names with ./",
        "x.tar.gz",
        [("./rules/a.yml", rule(1)), ("./LICENSE", LICENCE)],
        {"rules/a.yml"},
        {"LICENSE"},
        "",
    ),
]


@pytest.mark.parametrize(
    ("name", "members", "rules", "licences", "version"), [row[1:] for row in LAYOUTS], ids=[row[0] for row in LAYOUTS]
)
def test_layouts(
    tmp_path: Path, name: str, members: list[tuple[str, str]], rules: set[str], licences: set[str], version: str
) -> None:
    release = read_release(packed(tmp_path / name, members))
    assert (set(release.rules), set(release.licences), release.version) == (rules, licences, version)
    assert release.rules[min(rules)] in [text.encode() for _, text in members]


OUTSIDE = [
    "../a.yml",
    "/etc/a.yml",
    "rules/../../a.yml",
    "rules\\..\\a.yml",
    "C:/a.yml",
    "rules/a\n.yml",
    "rules/\u202ea.yml",
    "x/..",
]


@pytest.mark.parametrize("name", OUTSIDE)
@pytest.mark.parametrize("kind", ["x.zip", "x.tar.gz"])
def test_names_outside_are_refused(tmp_path: Path, name: str, kind: str) -> None:
    with pytest.raises(ReleaseError, match="is no path within the archive"):
        read_release(packed(tmp_path / kind, [*PACKAGE, (name, rule(9))]))


def tar_with(path: Path, name: str, kind: bytes) -> Path:
    with tarfile.open(path, "w") as archive:
        info = tarfile.TarInfo(name)
        info.type, info.linkname = kind, "/etc/passwd"
        archive.addfile(info)
        good = tarfile.TarInfo("rules/good.yml")
        good.size = 1
        archive.addfile(good, io.BytesIO(b"x"))
    return path


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE])
def test_links_and_devices_are_refused(tmp_path: Path, kind: bytes) -> None:
    """Where they would be rules; elsewhere they are passed over as all else is."""
    with pytest.raises(ReleaseError, match="is a link or a device"):
        read_release(tar_with(tmp_path / "x.tar", "rules/a.yml", kind))
    assert set(read_release(tar_with(tmp_path / "y.tar", "docs/a", kind)).rules) == {"rules/good.yml"}


def zip_link(path: Path) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        info = zipfile.ZipInfo("rules/a.yml")
        info.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(info, "/etc/passwd")
    return path


def encrypted(path: Path) -> Path:
    packed(path, PACKAGE)
    data = bytearray(path.read_bytes())
    place = data.index(b"PK\x01\x02")
    data[place + 8] |= 1
    path.write_bytes(data)
    return path


def cut_off(path: Path) -> Path:
    packed(path, [*PACKAGE, ("rules/z.yml", rule(5) * 500)])
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    return path


def broken(path: Path) -> Path:
    packed(path, [("rules/z.yml", "".join(map(chr, range(32, 127))) * 100)])
    data = bytearray(path.read_bytes())
    data[60:64] = b"\xff\xff\xff\xff"
    path.write_bytes(data)
    return path


def twice(path: Path) -> Path:
    with pytest.warns(UserWarning, match="Duplicate name"):
        return packed(path, [*PACKAGE, PACKAGE[0]])


REFUSED: list[tuple[str, str, Callable[[Path], Path], str]] = [
    ("a link", "x.zip", zip_link, "is a link or a device"),
    ("encrypted", "x.zip", encrypted, "is encrypted"),
    ("cut off zip", "x.zip", cut_off, "is damaged"),
    ("cut off tar", "x.tar.gz", cut_off, "is damaged"),
    ("damaged", "x.zip", broken, "is damaged"),
    ("a name twice", "x.zip", twice, "is there twice"),
    ("no archive", "x.zip", lambda path: [path.write_text("hello"), path][1], "neither a zip nor a tar.gz archive"),  # type: ignore[list-item,return-value]
    ("gzip of something else", "x.gz", lambda path: [path.write_bytes(gzip.compress(b"x" * 2000)), path][1], "is damaged"),  # type: ignore[list-item,return-value]
    ("without rules", "x.zip", lambda path: packed(path, [("LICENSE", LICENCE)]), "holds no rules"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "make", "words"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED])
def test_what_is_refused(tmp_path: Path, name: str, make: Callable[[Path], Path], words: str) -> None:
    with pytest.raises(ReleaseError, match=words):
        read_release(make(tmp_path / name))


@pytest.mark.parametrize("kind", ["x.zip", "x.tar.gz"])
def test_bounds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    """One file, all files, and their number; also what is passed over counts in a tar, since it is unpacked on the way."""
    path = packed(tmp_path / kind, [("rules/a.yml", "a" * 3000), ("rules/b.yml", "b" * 3000), ("rules/c.yml", "c")])
    assert len(read_release(path).rules) == 3
    for name, bound, words in [
        ("MOST_FILE_BYTES", 2999, "is longer than 2,999 bytes"),
        ("MOST_BYTES", 5000, "larger than"),
        ("MOST_MEMBERS", 2, "more than 2 members"),
    ]:
        with monkeypatch.context() as patch:
            patch.setattr(module, name, bound)
            with pytest.raises(ReleaseError, match=words):
                read_release(path)


def test_a_bomb_is_not_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Much of nothing: in a rule it is refused after the first megabytes, beside rules after the bound of all."""
    monkeypatch.setattr(module, "MOST_BYTES", 8 << 20)
    path = tmp_path / "x.tar.gz"
    with gzip.open(path, "wb", compresslevel=1) as stream, tarfile.open(fileobj=stream, mode="w|") as archive:
        info = tarfile.TarInfo("docs/zeros.bin")
        info.size = module.MOST_BYTES + (1 << 20)

        class Zeros(io.RawIOBase):
            def read(self, size: int = -1) -> bytes:
                return bytes(size)

        archive.addfile(info, Zeros())
    with pytest.raises(ReleaseError, match="unpacked, it is larger than"):
        read_release(path)
    small = packed(tmp_path / "y.zip", [("rules/a.yml", "\0" * (50 << 20))])
    with pytest.raises(ReleaseError, match="is longer than"):
        read_release(small)
