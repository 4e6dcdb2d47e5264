"""Log files to records: the format told from the content, damage named, memory bounded, files closed."""

from __future__ import annotations

import bz2
import gc
import gzip
import io
import json
import lzma
import sys
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from sigma.pyeval.logs import reading
from sigma.pyeval.logs.reading import LogError, read_log, read_stream
from sigma.pyeval.logs.records import Problem, Record

SYSLOG = b"Feb  5 17:32:18 box sshd[1]: Failed password\n"
ACCESS = b'192.0.2.7 - - [10/Oct/2000:13:55:36 -0700] "GET / HTTP/1.1" 200 5\n'
AUDITD = b'type=CWD msg=audit(1.002:3): cwd="/srv"\n'
JSON = b'{"a": 1}\n'


def write(folder: Path, content: bytes) -> Path:
    path = folder / "some.log"
    path.write_bytes(content)
    return path


def events(items: Iterable[Record | Problem]) -> list[dict[str, Any]]:
    """The events, where nothing else may be."""
    found = list(items)
    assert [item for item in found if isinstance(item, Problem)] == []
    return [item.event for item in found if isinstance(item, Record)]


def problems(items: Iterable[Record | Problem]) -> list[tuple[int, str]]:
    return [(item.line, item.reason) for item in items if isinstance(item, Problem)]


FORMATS: list[tuple[bytes, dict[str, Any]]] = [
    (JSON, {"a": 1}),
    (b'{\n  "a": [1,\n  2]\n}\n', {"a": [1, 2]}),
    (SYSLOG, {"SYSLOG_IDENTIFIER": "sshd", "MESSAGE": "Failed password"}),
    (ACCESS, {"c-ip": "192.0.2.7", "sc-status": 200}),
    (AUDITD, {"type": "CWD", "cwd": "/srv"}),
    (b'level=info msg="a b" x=1\n', {"level": "info", "msg": "a b", "x": "1"}),
    (b"CEF:0|vendor|product|1|id|name|5|src=192.0.2.7\n", {"src": "192.0.2.7"}),
]


@pytest.mark.parametrize(("content", "part"), FORMATS, ids=lambda value: str(value)[:30])
@pytest.mark.parametrize("compress", [bytes, gzip.compress, bz2.compress, lzma.compress])
def test_the_format_is_told_from_the_content(
    content: bytes, part: dict[str, Any], compress: Any, tmp_path: Path
) -> None:
    """Whatever the file's name is, compressed or not."""
    for items in (read_log(write(tmp_path, compress(content))), read_stream(io.BytesIO(content))):
        assert any(part.items() <= event.items() for event in events(items))


@pytest.mark.parametrize("content", [b"", b"\n", b" \r\n\n\t\n"])
def test_an_empty_log_is_an_empty_log(content: bytes, tmp_path: Path) -> None:
    """Of whatever format it would be."""
    for input_format in ("auto", "jsonl", "syslog", "auditd"):
        assert problems(read_log(write(tmp_path, content), input_format)) == []
    assert list(read_log(write(tmp_path, content))) == []


REFUSED: list[tuple[bytes, str, dict[str, Any], str]] = [
    (b"some text\nmore\n", "auto", {}, "format unknown: none of the first 2 lines is of a known format; name it; see --input-format"),
    (SYSLOG * 2 + ACCESS + SYSLOG, "auto", {}, "format unknown: the first 4 lines are mixed: syslog (3 lines, first 1), access (1 lines, first 3)"),
    ("{}".encode("utf-16"), "auto", {}, "format unknown: UTF-16 text; convert it to UTF-8"),
    (JSON, "jsnol", {}, "unknown log format 'jsnol'; did you mean 'jsonl'"),
    (JSON, "jsonl", {"colour": 1}, "the format 'jsonl' has no option 'colour'"),
    (JSON, "regex", {"pattern": "("}, "pattern"),
]  # fmt: skip


@pytest.mark.parametrize(("content", "input_format", "options", "reason"), REFUSED, ids=lambda value: str(value)[:30])
def test_a_log_that_cannot_be_read_at_all(
    content: bytes, input_format: str, options: dict[str, Any], reason: str, tmp_path: Path
) -> None:
    """One error that says why, before anything is read from it."""
    with pytest.raises(LogError) as raised:
        read_log(write(tmp_path, content), input_format, options)
    assert reason in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(LogError, match="cannot be read: No such file or directory"):
        read_log(tmp_path / "none.log")
    with pytest.raises(LogError, match="cannot be read: Is a directory"):
        read_log(tmp_path)


def test_a_missing_package_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "zstandard", None)
    monkeypatch.setitem(sys.modules, "evtx", None)
    with pytest.raises(LogError, match="pip install zstandard"):
        read_log(write(tmp_path, b"\x28\xb5\x2f\xfdrest"))
    with pytest.raises(LogError, match="pip install evtx"):
        read_log(write(tmp_path, b"ElfFile\0rest"))


@pytest.mark.parametrize("input_format", ["auto", "evtx"])
def test_a_damaged_event_log(input_format: str, tmp_path: Path) -> None:
    """It is known by its magic, and what the package cannot read is a problem."""
    [(line, reason)] = problems(read_log(write(tmp_path, b"ElfFile\0 and no header"), input_format))
    assert line == 0
    assert reason.startswith("not a readable .evtx file: ")


def test_an_event_log_needs_a_file() -> None:
    """From a stream it is refused, and the message says what to do instead."""
    for input_format in ("auto", "evtx"):
        with pytest.raises(LogError, match="evtx"):
            read_stream(io.BytesIO(b"ElfFile\0" + bytes(5000)), input_format)


def noise(size: int) -> bytes:
    """JSON lines that do not compress well, so that a cut file still gives its beginning."""
    return b"".join(b'{"a": %d}\n' % (number * 2654435761 % 2**32) for number in range(size))


@pytest.mark.parametrize("compress", [gzip.compress, bz2.compress, lzma.compress], ids=["gzip", "bzip2", "xz"])
@pytest.mark.parametrize("harm", ["cut", "changed"])
def test_a_damaged_file_gives_what_comes_before(compress: Any, harm: str, tmp_path: Path) -> None:
    """Then one problem, which says where; nothing raises."""
    whole = noise(100_000) if compress is bz2.compress else noise(10_000)  # bzip2 reads blocks of 900 kB
    data = bytearray(compress(whole))
    if harm == "cut":
        del data[-100:]
    else:
        data[-3000:-2000] = bytes(1000)
    found = list(read_log(write(tmp_path, bytes(data))))
    # What is changed may decompress to something that is no JSON, before the damage is noticed.
    *other, (line, reason) = problems(found)
    assert "the log is damaged from here on: " in reason
    assert (line > 5000, other == []) == (True, True) or harm == "changed"
    before = [item.event for item in found if isinstance(item, Record)][:1000]
    assert before == [json.loads(line) for line in whole.splitlines()[:1000]]


def test_damage_at_the_very_beginning(tmp_path: Path) -> None:
    """Where the format cannot be told, because nothing can be read."""
    with pytest.raises(LogError, match="damaged"):
        read_log(write(tmp_path, b"\x1f\x8b\x08" + bytes(100)))
    assert problems(read_log(write(tmp_path, b"\x1f\x8b\x08" + bytes(100)), "jsonl")) != []


class Counted(io.RawIOBase):
    """A long line without an end to it in sight, made while it is read."""

    def __init__(self, total: int) -> None:
        self.left = total

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        count = min(len(buffer), self.left)
        buffer[:count] = b"x" * count
        self.left -= count
        return count


def test_a_very_long_line_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is named, and the lines around it are read; at most a part of it is held."""
    monkeypatch.setattr(reading, "LONGEST_LINE", 64)
    long = b'{"a": "' + b"x" * 1000 + b'"}\n'
    for content, where in (
        (JSON + long + JSON, [2]),
        (long * 3 + JSON * 2, [1, 2, 3]),
        (JSON * 2 + long[:-1], [3]),
        (JSON + b" " * 63 + b"\n" + JSON, [2]),
        (JSON + b'{"a": "%s"}\n' % (b"x" * (62 - 9)) + JSON, []),
    ):
        found = list(read_stream(io.BytesIO(content), "jsonl"))
        assert [line for line, _ in problems(found)] == where
        assert sum(isinstance(item, Record) for item in found) == content.count(b"\n") - len(
            [line for line in where if content.endswith(b"\n") or line < 3]
        )
        assert all("is left out" in reason for _, reason in problems(found))
        assert all(len(item.excerpt) <= 200 for item in found if isinstance(item, Problem))
    endless = Counted(10_000_000)
    with io.BufferedReader(endless, 1024) as stream:
        longest = max(len(line) for line in reading._lines(stream))
    assert (longest, endless.left) == (64, 0)


def test_what_is_held_back_comes_at_the_end(tmp_path: Path) -> None:
    """An audit event waits for its other records; the end of the log lets go of it."""
    [event] = events(read_log(write(tmp_path, AUDITD)))
    assert event["cwd"] == "/srv"
    cut = gzip.compress(AUDITD + AUDITD.replace(b"CWD", b"PATH").replace(b"cwd", b"name"))[:-8]
    found = list(read_log(write(tmp_path, cut), "auditd"))
    [(line, reason)] = problems(found)
    assert (line, "damaged from here on" in reason) == (3, True)
    assert sorted(item.event["type"] for item in found if isinstance(item, Record)) == ["CWD", "PATH"]


def test_progress_is_told_in_bytes_of_the_file(tmp_path: Path) -> None:
    """Never falling, never beyond the file's size, of the compressed file too."""
    for content in (noise(5000), gzip.compress(noise(5000))):
        path = write(tmp_path, content)
        told: list[int] = []
        assert len(events(read_log(path, progress=told.append))) == 5000
        assert told == sorted(told)
        assert len(told) == 5
        assert told[-1] <= len(content)
    told = []
    assert len(events(read_log(write(tmp_path, JSON), progress=told.append))) == 1
    assert told == []


def test_lines_are_numbered_from_one_and_newlines_removed(tmp_path: Path) -> None:
    """However they end, also those that the format was told from."""
    content = b'{"a": 1}\r\n\n{"b": 2}\nnonsense\r\n{"c": 3}'
    found = list(read_log(write(tmp_path, content)))
    assert [item.line for item in found] == [1, 3, 4, 5]
    assert [line for line, _ in problems(found)] == [4]
    assert not any("\\r" in item.excerpt for item in found if isinstance(item, Problem))


def all_of(path: Path) -> None:
    list(read_log(path))


def the_first(path: Path) -> None:
    records = read_log(path)
    next(records)
    records.close()


def refused(path: Path) -> None:
    with pytest.raises(LogError):
        read_log(path, "no such format")


def abandoned(path: Path) -> None:
    records: Iterator[Record | Problem] | None = read_log(path)
    assert records is not None
    next(records)
    records = None


@pytest.mark.parametrize("read", [all_of, the_first, refused, abandoned])
@pytest.mark.parametrize("content", [JSON * 5000, gzip.compress(JSON * 5000)], ids=["plain", "gzip"])
def test_files_are_closed(read: Any, content: bytes, tmp_path: Path) -> None:
    """At the end, when the reader stops early, and when the log is refused: no file is left for the collector."""
    path = write(tmp_path, content)
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        read(path)
        gc.collect()
    assert [str(warning.message) for warning in warned] == []
