"""``sigma-pyeval rules update`` and ``rollback``: installed whole or not at all, nothing lost unseen, changes told."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trustme
from click.testing import Result

from sigma.pyeval import load_rules
from sigma.pyeval.releases import installation

from ..releases.packing import LICENCE, VERSION, packed, rule
from ..releases.serving import pem_of, served
from .running import run as command

LICENSE = ("LICENSE", LICENCE)
OLD = [LICENSE, ("version.txt", VERSION), *((f"rules/{number}.yml", rule(number)) for number in range(1, 6))]
NEW = [
    LICENSE,
    ("version.txt", VERSION.replace("-11-", "-12-")),
    ("rules/1.yml", rule(1)),
    ("rules/2.yml", rule(2, "y")),  # finds something else
    ("rules/moved/3.yml", rule(3, extra="author: Ann\n")),  # says something else, and lies elsewhere
    ("rules/4.yml", rule(4).replace("A:", "A|nonsense:")),  # cannot be used any more
    ("rules/6.yml", rule(6)),  # new; 5 is gone
]


run = partial(command, "rules", columns=160)


def update(source: object, folder: Path, *options: object) -> Result:
    return run("update", source, "--into", folder, "--format", "json", *options)


def report(result: Result) -> dict[str, Any]:
    assert result.exit_code == 0, result.output
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def tree(folder: Path) -> dict[str, bytes]:
    files = (file for file in folder.rglob("*") if file.is_file() and file.name != ".manifest.json")
    return {file.relative_to(folder).as_posix(): file.read_bytes() for file in files}


def texts(members: list[tuple[str, str]]) -> dict[str, bytes]:
    return {name: text.encode() for name, text in members}


@pytest.fixture
def old(tmp_path: Path) -> Path:
    return packed(tmp_path / "old.zip", OLD)


@pytest.fixture
def new(tmp_path: Path) -> Path:
    return packed(tmp_path / "new.tar.gz", [(f"sigma-r2026/{name}", text) for name, text in NEW])


@pytest.fixture
def folder(tmp_path: Path, old: Path) -> Path:
    """The directory, with the old rules installed."""
    path = tmp_path / "etc" / "rules"
    assert update(old, path).exit_code == 0
    return path


def test_the_first_time(tmp_path: Path, old: Path) -> None:
    path = tmp_path / "a" / "b"
    result = update(old, path)
    assert report(result)["counts"] == {
        "added": 5, "removed": 0, "detection": 0, "metadata": 0, "unusable": 0, "usable": 0, "rules": 5, "errors": 0
    }  # fmt: skip
    assert tree(path) == texts(OLD)
    assert result.stderr == f"5 files installed in {path}\n"
    assert sorted(os.listdir(path.parent)) == [".b.lock", "b"]
    assert {file.stat().st_mode & 0o777 for file in path.rglob("*")} == {0o644, 0o755}
    manifest = json.loads((path / ".manifest.json").read_bytes())
    assert (manifest["sha256"], manifest["version"]) == (hashlib.sha256(old.read_bytes()).hexdigest(), VERSION)


def test_what_changes_is_told(folder: Path, new: Path) -> None:
    found = report(update(new, folder))
    kinds = ("added", "removed", "detection", "metadata", "unusable", "usable")
    assert {kind: [one["id"][7] for one in found[kind]] for kind in kinds if kind != "unusable"} == {
        "added": ["6"], "removed": ["5"], "detection": ["2"], "metadata": ["3"], "usable": []
    }  # fmt: skip
    [unusable] = found["unusable"]
    assert (unusable["title"], unusable["path"]) == ("Rule 4", "rules/4.yml")
    assert "modifier 'nonsense' is unknown" in unusable["reason"]
    assert found["counts"]["rules"] == 4
    assert tree(folder) == texts(NEW)
    assert tree(installation.previous_of(folder)) == texts(OLD)
    assert load_rules(folder.parent, on_error="collect").rules == load_rules(folder, on_error="collect").rules
    again = report(update(new, folder))
    assert not any(again[kind] for kind in kinds)


def test_for_people(folder: Path, new: Path) -> None:
    result = run("update", new, "--into", folder)
    assert result.exit_code == 0
    assert "1 rule changed in what they find:\n  Rule 2 (no level, rules/2.yml)\n" in result.stdout
    assert (
        "1 rule no longer usable:\n  Rule 4 (no level, rules/4.yml): field 'A': modifier 'nonsense' is unknown"
        in result.stdout
    )
    assert "4 rules, 1 that cannot be used\n" in result.stdout
    again = run("update", new, "--into", folder)
    assert "none is different" in again.stdout


def test_a_dry_run_changes_nothing(folder: Path, new: Path) -> None:
    before = sorted(os.listdir(folder.parent))
    result = update(new, folder, "--dry-run")
    assert report(result)["counts"]["added"] == 1
    assert result.stderr == "nothing was done (--dry-run)\n"
    assert tree(folder) == texts(OLD)
    assert sorted(os.listdir(folder.parent)) == before
    assert report(update(new, folder.parent / "none", "--dry-run"))["counts"]["added"] == 4
    assert not (folder.parent / "none").exists()


def test_rollback_and_forward_again(folder: Path, new: Path) -> None:
    refused = run("rollback", "--into", folder)
    assert (refused.exit_code, refused.stderr) == (2, f"error: no rules before those in {folder} are kept\n")
    update(new, folder)
    back = run("rollback", "--into", folder)
    assert (back.exit_code, tree(folder)) == (0, texts(OLD))
    assert "Label: r2026-11-01" in back.stderr
    assert run("rollback", "--into", folder).exit_code == 0
    assert tree(folder) == texts(NEW)


def test_local_changes_are_not_lost(folder: Path, new: Path) -> None:
    """What was added stays; what was modified stops the update, or is kept with the rules before."""
    (folder / "rules" / "mine.yml").write_text(rule(77))
    assert report(update(new, folder))["local"] == {"modified": [], "added": ["rules/mine.yml"], "deleted": []}
    assert tree(folder) == {**texts(NEW), "rules/mine.yml": rule(77).encode()}
    (folder / "rules" / "1.yml").write_text(rule(1, "mine"))
    (folder / "rules" / "6.yml").unlink()
    refused = update(new, folder)
    assert refused.exit_code == 4
    assert refused.stderr.splitlines() == [
        "warning: 1 file changed here since they were installed: rules/1.yml",
        "warning: 1 file added here; kept: rules/mine.yml",
        "warning: 1 file removed here; installed again where the release has them: rules/6.yml",
        "error: 1 installed file changed since: rules/1.yml; nothing was done; see --replace-local",
    ]
    assert (folder / "rules" / "1.yml").read_text() == rule(1, "mine")
    assert update(new, folder, "--replace-local").exit_code == 0
    assert tree(folder) == {**texts(NEW), "rules/mine.yml": rule(77).encode()}
    assert (installation.previous_of(folder) / "rules" / "1.yml").read_text() == rule(1, "mine")


def test_an_added_file_that_the_release_has_too(folder: Path, new: Path) -> None:
    (folder / "rules" / "6.yml").write_text("mine")
    assert update(new, folder).exit_code == 4
    assert (folder / "rules" / "6.yml").read_text() == "mine"


REFUSED: list[tuple[str, list[tuple[str, str]], list[str], str]] = [
    ("without a licence", NEW[1:], [], "the archive has no licence file; give it by --license-file, or say --without-license"),
    ("with a wrong checksum", NEW, ["--sha256", "0" * 64], "the archive's SHA-256 is "),
    ("with a checksum file for nothing", NEW, ["--checksum-file", "/dev/null"], "the checksum file holds no SHA-256 for 'x.zip'"),
    ("with a checksum file that is not there", NEW, ["--checksum-file", "/nowhere"], "/nowhere: No such file or directory"),
    ("with a checksum by http", NEW, ["--checksum-file", "http://127.0.0.1:1/x"], "a checksum fetched without https proves nothing"),
    ("with a traversal", [*NEW, ("../../x.yml", "x")], [], "is no path within the archive"),
    ("with a pipeline that is none", NEW, ["-p", "nonsense"], "pipeline: "),
]  # fmt: skip


@pytest.mark.parametrize(("members", "options", "words"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED])
def test_what_is_refused_changes_nothing(
    folder: Path, tmp_path: Path, members: list[tuple[str, str]], options: list[str], words: str
) -> None:
    result = update(packed(tmp_path / "x.zip", members), folder, *options)
    assert (result.exit_code, result.stdout) == (2, "")
    assert words in result.stderr
    assert tree(folder) == texts(OLD)
    assert not [name for name in os.listdir(folder.parent) if ".new-" in name]


def test_licences_from_elsewhere(tmp_path: Path, folder: Path) -> None:
    """As SigmaHQ's packages need it, which have none."""
    package = packed(tmp_path / "sigma_core.zip", NEW[1:])
    (tmp_path / "DRL.md").write_text("DRL 1.1")
    assert update(package, folder, "--license-file", tmp_path / "DRL.md").exit_code == 0
    assert (folder / "LICENSE").read_text() == "DRL 1.1"
    assert update(package, folder, "--without-license").exit_code == 0
    assert not (folder / "LICENSE").exists()


def test_foreign_directories_are_left_alone(tmp_path: Path, old: Path) -> None:
    path = tmp_path / "mine"
    path.mkdir()
    assert update(old, path).exit_code == 0  # empty
    (path / ".manifest.json").unlink()
    result = update(old, path)
    assert result.exit_code == 2
    assert "it holds files that were not installed by this command" in result.stderr


def test_one_update_at_a_time(folder: Path, new: Path) -> None:
    with (folder.parent / ".rules.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        result = update(new, folder)
    assert result.exit_code == 2
    assert result.stderr == f"error: another update of {folder} is at work\n"
    assert tree(folder) == texts(OLD)


def test_where_directories_cannot_be_exchanged(folder: Path, new: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By renaming twice, as on file systems that cannot do it in one step."""

    class Without:
        @staticmethod
        def syncfs(file: int) -> int:
            return 0

    monkeypatch.setattr(installation.ctypes, "CDLL", lambda *_, **__: Without())
    assert update(new, folder).exit_code == 0
    assert tree(folder) == texts(NEW)
    assert tree(installation.previous_of(folder)) == texts(OLD)


def test_from_a_server(tmp_path: Path, folder: Path, new: Path) -> None:
    """By https with a checksum, given or from a file beside the archive; without one only on demand."""
    authority = trustme.CA()
    data = new.read_bytes()
    digest = hashlib.sha256(data).hexdigest()
    answers = {"/r/new.tar.gz": data, "/r/SHA256SUMS": f"{'0' * 64}  other\n{digest}  new.tar.gz\n".encode()}
    with served(answers, authority) as url:
        source, ca = f"{url}/r/new.tar.gz", ("--ca", pem_of(authority, tmp_path))
        result = update(source, folder, *ca)
        assert (result.exit_code, result.stderr) == (
            2, "error: a URL needs --sha256 or --checksum-file (or --insecure-no-checksum)\n"
        )  # fmt: skip
        assert "is 0000" not in update(source, folder, *ca, "--sha256", "0" * 64).output
        assert tree(folder) == texts(OLD)
        found = report(
            update(source.replace("//", "//u:hunter2@"), folder, *ca, "--checksum-file", f"{url}/r/SHA256SUMS")
        )
        assert (found["source"], found["sha256"]) == (source, digest)
        assert tree(folder) == texts(NEW)
        assert update(source, folder, *ca, "--sha256", digest.upper()).exit_code == 0
        assert update(source, folder, *ca, "--insecure-no-checksum").exit_code == 0
        assert update(source, folder, "--sha256", digest).exit_code == 2  # an authority that nobody knows
    assert "hunter2" not in (folder / ".manifest.json").read_text()
