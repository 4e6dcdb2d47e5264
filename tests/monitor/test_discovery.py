"""Which files are streams."""

from __future__ import annotations

from pathlib import Path

from sigma.pyeval.monitor.sources.discovery import Discovery


def found(folder: Path, *patterns: str, known: tuple[str, ...] = ()) -> tuple[list[str], list[str]]:
    """Return the names of the new files, and what was told."""
    told: list[str] = []
    discovery = Discovery([str(folder / pattern) for pattern in patterns], told.append)
    names = [path for path, _ in discovery.new_files({str(folder / name) for name in known})]
    return [str(Path(path).relative_to(folder)) for path in names], told


def test_rotated_and_compressed_files_are_no_streams(tmp_path: Path) -> None:
    """A pattern that matches them reads them only as predecessors."""
    for name in (
        "auth.log",
        "auth.log.1",
        "auth.log.2.gz",
        "auth.log-20261122",
        "auth.1.log",
        "other.log.gz",
        "auth.log.old",
    ):
        (tmp_path / name).touch()
    assert found(tmp_path, "*") == (["auth.log"], [])
    assert found(tmp_path, "auth*", known=("auth.log",)) == ([], [])


def test_a_rotated_file_is_none_while_its_base_is_away(tmp_path: Path) -> None:
    """Between rename and create only the rotated file is there."""
    (tmp_path / "auth.log.1").touch()
    (tmp_path / "auth.log-20261122").touch()
    assert found(tmp_path, "auth*", known=("auth.log",)) == ([], [])
    (tmp_path / "auth.log.1").unlink()
    (tmp_path / "auth.log-20261122").unlink()
    assert found(tmp_path, "auth*", known=("auth.log",)) == ([], [])


def test_a_number_without_a_base_is_left_out_and_told(tmp_path: Path) -> None:
    """It looks like a rotated file; one that is named by an address does not."""
    (tmp_path / "node.7").touch()
    (tmp_path / "10.0.0.7").touch()
    names, told = found(tmp_path, "*")
    assert names == ["10.0.0.7"]
    assert told == [f"{tmp_path}/node.7: looks like a rotated node, and is left out; name it to have it read"]


def test_dated_names_without_a_base_are_streams(tmp_path: Path) -> None:
    """Programs that put the date in the name of the file they write to."""
    (tmp_path / "app-20261121.log").touch()
    (tmp_path / "app-20261122.log").touch()
    assert found(tmp_path, "app-*.log") == (["app-20261121.log", "app-20261122.log"], [])


def test_a_path_that_is_given_is_a_stream_whatever_its_name(tmp_path: Path) -> None:
    """Only patterns leave files out."""
    (tmp_path / "trace.1").touch()
    assert found(tmp_path, "trace.1") == (["trace.1"], [])


def test_folders_links_and_doubles(tmp_path: Path) -> None:
    """Folders and broken links are left out; a file with several names is read once; ** looks into folders."""
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "a.log").touch()
    (tmp_path / "b.log").symlink_to(tmp_path / "sub" / "a.log")
    (tmp_path / "c.log").symlink_to(tmp_path / "nothing")
    (tmp_path / "d.log").mkdir()
    assert found(tmp_path, "*.log") == (["b.log"], [])
    assert found(tmp_path, "*.log", "**/*.log") == (["b.log"], [])
    assert found(tmp_path, "**/*.log", known=("b.log",)) == ([], [])


def test_what_names_nothing_is_told_once(tmp_path: Path) -> None:
    """A path without a file, a folder, a pattern without matches; again after there was one in between."""
    told: list[str] = []
    (tmp_path / "folder").mkdir()
    discovery = Discovery([str(tmp_path / name) for name in ("none", "folder", "*.x")], told.append)
    for _ in range(3):
        assert list(discovery.new_files(())) == []
    assert [line.removeprefix(str(tmp_path)) for line in told] == [
        "/none: No such file or directory; it is looked for again",
        "/folder: not a regular file; name the files in it, as with '/*.log'",
        "/*.x: no file matches yet",
    ]
    (tmp_path / "none").touch()
    assert [path for path, _ in discovery.new_files(())] == [str(tmp_path / "none")]
    (tmp_path / "none").unlink()
    assert list(discovery.new_files(())) == []
    assert len(told) == 4


def test_folders_to_watch(tmp_path: Path) -> None:
    """Those of files, of their targets and of patterns, as far as they are there."""
    (tmp_path / "real").mkdir()
    (tmp_path / "links").mkdir()
    (tmp_path / "real" / "a.log").touch()
    link = tmp_path / "links" / "a.log"
    link.symlink_to(tmp_path / "real" / "a.log")
    discovery = Discovery([str(tmp_path / "links" / "*.log"), str(tmp_path / "none" / "x.log")], lambda told: None)
    assert discovery.folders([str(link)]) == {str(tmp_path / "real"), str(tmp_path / "links")}


def test_pattern_of(tmp_path: Path) -> None:
    """A path belongs to what names it."""
    discovery = Discovery(["/var/log/auth.log", "/var/log/*.log"], lambda told: None)
    assert discovery.pattern_of("/var/log/auth.log") == "/var/log/auth.log"
    assert discovery.pattern_of("/var/log/kern.log") == "/var/log/*.log"
    assert discovery.pattern_of("/var/log/syslog") is None
