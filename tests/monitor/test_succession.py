"""Which file was being read, and which come after it."""

from __future__ import annotations

import gzip
import os
from pathlib import Path

import pytest

from sigma.pyeval.monitor.sources.fingerprint import Mark
from sigma.pyeval.monitor.sources.generation import Generation
from sigma.pyeval.monitor.sources.logfiles import PlainFile, open_seen
from sigma.pyeval.monitor.sources.rotation import FolderChanging, family_of
from sigma.pyeval.monitor.sources.succession import find, following, short_copy, unread


def mark_of(path: Path) -> Mark:
    """Return the mark behind the last line of a file."""
    generation = Generation(0, PlainFile(str(path)), 1000)
    while generation.has_lines or generation.fill():
        generation.feed(lambda position, line: None)
    mark = generation.mark()
    generation.close()
    return mark


def tell(path: str, finding: str) -> None:
    """Nothing is to be told."""
    raise AssertionError(path, finding)


def found_name(path: Path, mark: Mark) -> str | None:
    """Return the name of the mark's file."""
    found = find(family_of(str(path)).files(), mark, tell)
    if found is None:
        return None
    found.file.close()
    return os.path.basename(found.seen.path)


def test_a_renamed_a_copied_and_a_compressed_file_are_found(tmp_path: Path) -> None:
    """Whatever happened to it, its content tells."""
    path = tmp_path / "app.log"
    path.write_text("one\n")
    mark = mark_of(path)
    assert found_name(path, mark) == "app.log"
    path.rename(tmp_path / "app.log.1")
    path.write_text("two\n")
    assert found_name(path, mark) == "app.log.1"
    (tmp_path / "app.log.2.gz").write_bytes(gzip.compress(b"one\nmore\n"))
    (tmp_path / "app.log.1").write_text("three\n")
    assert found_name(path, mark) == "app.log.2.gz"
    (tmp_path / "app.log.2.gz").unlink()
    assert found_name(path, mark) is None


def test_a_number_that_is_used_again_is_no_proof(tmp_path: Path) -> None:
    """The file with the mark's number but other content is another one."""
    path = tmp_path / "app.log"
    path.write_text("one\n")
    mark = mark_of(path)
    with path.open("r+") as file:
        file.truncate(0)
        file.write("two\nthree\n")
    assert os.stat(path).st_ino == mark.inode
    assert found_name(path, mark) is None


def test_of_several_with_the_content_the_number_tells(tmp_path: Path) -> None:
    """A copy that somebody made does not take the place of the file."""
    path = tmp_path / "app.log"
    path.write_text("one\n")
    mark = mark_of(path)
    (tmp_path / "app.log.1").write_text("one\n")
    assert found_name(path, mark) == "app.log"


def test_without_the_number_the_oldest_written_since(tmp_path: Path) -> None:
    """Files that all begin alike: those from before the mark are known, the first after it may hold unread lines."""
    path = tmp_path / "app.log"
    path.write_text("#header\n")
    mark = mark_of(path)._replace(inode=0, modified=1000_000_000_000)
    for name, seconds in (("app.log.3", 900), ("app.log.2", 1000), ("app.log.1", 1100)):
        (tmp_path / name).write_text("#header\n" + name)
        os.utime(tmp_path / name, (seconds, seconds))
    assert found_name(path, mark) == "app.log.2"


def test_what_follows_an_open_file(tmp_path: Path) -> None:
    """Everything that is younger by its name, then the current file."""
    path = tmp_path / "app.log"
    for name in ("app.log.3", "app.log.2", "app.log.1", "app.log"):
        (tmp_path / name).write_text(name + "\n")
    mark = mark_of(tmp_path / "app.log.2")
    family = family_of(str(path))
    files = following(family, (mark, None), (mark.device, mark.inode), tell)
    assert [os.path.basename(seen.path) for seen in files] == ["app.log.1", "app.log"]
    # It has been compressed, which gives it another number.
    (tmp_path / "app.log.2.gz").write_bytes(gzip.compress(b"app.log.2\n"))
    (tmp_path / "app.log.2").unlink()
    files = following(family_of(str(path)), (mark, None), (mark.device, mark.inode), tell)
    assert [os.path.basename(seen.path) for seen in files] == ["app.log.1", "app.log"]


def test_what_is_unread_of_a_file_that_is_gone(tmp_path: Path) -> None:
    """Files written to since are, and none that was read to its end, whatever its time says."""
    path = tmp_path / "app.log"
    for name, seconds in (("app.log.4", 800), ("app.log.3", 1200), ("app.log.2", 1100), ("app.log.1", 1150)):
        (tmp_path / name).write_text(name + "\n")
        os.utime(tmp_path / name, (seconds, seconds))
    path.write_text("current\n")
    gone = Mark.at_beginning(str(path), 1000_000_000_000)
    family = family_of(str(path))
    names = [os.path.basename(seen.path) for seen in unread(family, (gone, None), tell)]
    assert names == ["app.log.3", "app.log.2", "app.log.1", "app.log"]
    previous = mark_of(tmp_path / "app.log.3")
    names = [os.path.basename(seen.path) for seen in unread(family, (gone, previous), tell)]
    assert names == ["app.log.2", "app.log.1", "app.log"]


def test_a_short_copy_has_been_read(tmp_path: Path) -> None:
    """It begins as the file did and is not younger; one that is younger, or longer, is another file with the same beginning."""
    path = tmp_path / "app.log"
    path.write_text("#" * 1024 + "one\ntwo\n")
    mark = mark_of(path)._replace(modified=1000_000_000_000)
    path.write_text("new\n")
    copy = tmp_path / "app.log.1"
    for text, seconds, found in (
        ("#" * 1024 + "one\n", 1000, True),
        ("#" * 1024 + "one\n", 1002, False),
        ("#" * 1024 + "six\nten\nmore\n", 1000, False),
        ("+" * 1024 + "one\n", 1000, False),
    ):
        copy.write_text(text)
        os.utime(copy, (seconds, seconds))
        family = family_of(str(path))
        assert (short_copy(family, mark, tell) is not None) is found
        names = [os.path.basename(seen.path) for seen in unread(family, (mark, None), tell)]
        assert names == (["app.log"] if found else ["app.log.1", "app.log"])


def test_whole_seconds_are_enough(tmp_path: Path) -> None:
    """A program that compresses may cut the time of the file to seconds."""
    path = tmp_path / "app.log"
    (tmp_path / "app.log.1").write_text("x\n")
    os.utime(tmp_path / "app.log.1", (1000, 1000))
    gone = Mark.at_beginning(str(path), 1000_700_000_000)
    assert len(unread(family_of(str(path)), (gone, None), tell)) == 1
    os.utime(tmp_path / "app.log.1", ns=(0, 1000_600_000_000))
    assert unread(family_of(str(path)), (gone, None), tell) == ()


def test_a_file_renamed_since_it_was_seen_is_not_opened(tmp_path: Path) -> None:
    """What is opened is what was seen, or nothing."""
    path = tmp_path / "app.log"
    path.write_text("one\n")
    seen = family_of(str(path)).files()[0]
    path.rename(tmp_path / "app.log.1")
    with pytest.raises(FolderChanging):
        open_seen(seen)
    path.write_text("two\n")
    with pytest.raises(FolderChanging):
        open_seen(seen)
