"""One file's lines: whole ones at their places, long ones left out, holes passed over, changes noticed."""

from __future__ import annotations

import gzip
import json
import os
from pathlib import Path

import pytest

from sigma.pyeval.logs.records import Problem
from sigma.pyeval.monitor.sources.fingerprint import OFFSET_BITS, Digest, Mark
from sigma.pyeval.monitor.sources.generation import MAX_LINES, Generation, Rewritten
from sigma.pyeval.monitor.sources.logfiles import CHUNK_BYTES, PackedFile, PlainFile


class Reader:
    """A generation, and what it has fed."""

    def __init__(self, path: Path, limit: int = 1000, mark: Mark | None = None) -> None:
        file = PackedFile(str(path)) if path.suffix == ".gz" else PlainFile(str(path))
        head = tail = b""
        if mark is not None:
            found = file.before(mark)
            assert found is not None
            head, tail = found
        self.generation = Generation(3, file, limit, 0 if mark is None else mark.offset, head, tail)
        self.lines: list[tuple[int, bytes]] = []
        self.problems: list[Problem] = []
        self.most = 0

    def read(self) -> None:
        """Read to the end."""
        generation = self.generation
        while generation.has_lines or generation.fill():
            before = len(self.lines)
            generation.feed(self.feed)
            self.most = max(self.most, len(self.lines) - before)
            self.problems += generation.take()[2]

    def feed(self, position: int, line: bytes) -> None:
        """Keep a line by its offset."""
        assert position >> OFFSET_BITS == 3
        self.lines.append((position & ((1 << OFFSET_BITS) - 1), line))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return where a log may be."""
    return tmp_path / "app.log"


def test_lines_and_their_places(path: Path) -> None:
    """A line has the place of its first byte; one without a newline waits for it, or for the end of the file."""
    path.write_bytes(b"one\r\n\ntwo\nthr")
    reader = Reader(path)
    reader.read()
    assert reader.lines == [(0, b"one"), (5, b""), (6, b"two")]
    with path.open("ab") as file:
        file.write(b"ee\nfour")
    reader.read()
    assert reader.lines[3:] == [(10, b"three")]
    assert reader.generation.mark().offset == 16
    reader.generation.finish(reader.feed)
    assert reader.lines[4:] == [(16, b"four")]
    assert reader.generation.mark().offset == reader.generation.read_to == 20
    reader.generation.close()


def test_many_short_lines_are_fed_in_parts(path: Path) -> None:
    """However short lines are, only so many are fed at once; none is lost between the parts."""
    path.write_bytes(b"a\n" * 100_000)
    reader = Reader(path)
    reader.read()
    assert reader.lines == [(number * 2, b"a") for number in range(100_000)]
    assert reader.most == MAX_LINES
    reader.generation.close()


@pytest.mark.parametrize("ending", ["", ".gz"])
def test_a_line_over_several_chunks(path: Path, ending: str) -> None:
    """A line may be longer than what is read at once."""
    long = os.urandom(CHUNK_BYTES * 3).replace(b"\n", b"").replace(b"\r", b"")
    text = b"first\n" + long + b"\nlast\n"
    path = path.with_name(path.name + ending)
    path.write_bytes(gzip.compress(text) if ending else text)
    reader = Reader(path, limit=1 << 20)
    reader.read()
    assert reader.lines == [(0, b"first"), (6, long), (7 + len(long), b"last")]
    reader.generation.close()


@pytest.mark.parametrize("length", [1_001, 5_000, CHUNK_BYTES * 5])
def test_long_lines_are_left_out(path: Path, length: int) -> None:
    """A line beyond the limit is one problem at its place, and never held; those around it are read."""
    path.write_bytes(b"first\n" + b"x" * length + b"\n" + b"y" * 1000 + b"\nlast\n")
    reader = Reader(path)
    reader.read()
    assert reader.lines == [(0, b"first"), (7 + length, b"y" * 1000), (1008 + length, b"last")]
    assert [(problem.line, problem.reason) for problem in reader.problems] == [
        (3 << OFFSET_BITS | 6, "a line longer than 1000 bytes is left out")
    ]
    assert len(reader.generation._buffer) < CHUNK_BYTES
    reader.generation.close()


def test_a_long_line_without_end_is_not_held(path: Path) -> None:
    """The mark stays before it, so that the problem is found at the same place again; what follows is found too."""
    path.write_bytes(b"first\n" + b"x" * 5_000_000)
    reader = Reader(path)
    reader.read()
    assert len(reader.generation._buffer) == 0
    assert reader.generation.mark().offset == 6
    with path.open("ab") as file:
        file.write(b"x\nlast\n")
    reader.read()
    assert reader.lines == [(0, b"first"), (5_000_008, b"last")]
    assert len(reader.problems) == 1
    again = Reader(path, mark=reader.generation.mark())
    again.read()
    assert again.lines == []
    again.generation.close()
    reader.generation.close()


@pytest.mark.parametrize("hole", [1, 300, 5000, CHUNK_BYTES + 7])
def test_a_hole_at_the_beginning_is_passed_over(path: Path, hole: int) -> None:
    """A writer that goes on at its old place in a truncated file leaves NUL bytes before its first line."""
    with path.open("wb") as file:
        file.seek(hole)
        file.write(b"one\ntwo\n")
    reader = Reader(path)
    reader.read()
    assert reader.lines == [(hole, b"one"), (hole + 4, b"two")]
    assert reader.problems == []
    reader.generation.close()


@pytest.mark.parametrize(
    "text",
    [b"", b"one\n", b"other\nlines\n", b"one\ntwo\nthrXe", b"XXX\ntwo\nthree and more\n"],
    ids=["empty", "shorter", "same length", "unfinished line changed", "beginning changed"],
)
def test_a_file_written_anew_is_noticed(path: Path, text: bytes) -> None:
    """Neither size nor number tell alone: what was read is compared whenever more is read."""
    path.write_bytes(b"one\ntwo\nthree")
    reader = Reader(path)
    reader.read()
    with path.open("r+b") as file:
        file.truncate(0)
        file.write(text)
    with pytest.raises(Rewritten):
        reader.generation.fill()
    reader.generation.close()


def test_a_mark_finds_its_place_again(path: Path) -> None:
    """Wherever reading stopped, in plain or compressed text, it goes on with the same places; JSON keeps all of it."""
    lines = [b"line %d %s" % (number, b"x" * (number % 90)) for number in range(3000)]
    path.write_bytes(b"\n".join(lines) + b"\n")
    packed = path.with_name("app.log.1.gz")
    packed.write_bytes(gzip.compress(path.read_bytes()))
    whole = Reader(path)
    marks = [whole.generation.mark()]
    while whole.generation.has_lines or whole.generation.fill():
        whole.generation.feed(whole.feed)
        marks.append(whole.generation.mark())
    assert len(marks) > 2
    for mark in marks:
        kept = Mark.from_json(json.loads(json.dumps(mark.to_json())))
        assert kept == mark
        for file in (path, packed):
            rest = Reader(file, mark=kept)
            rest.read()
            assert rest.lines == [line for line in whole.lines if line[0] >= mark.offset]
            rest.generation.close()
    whole.generation.close()


def test_another_file_is_not_the_marks(path: Path) -> None:
    """The same beginning is not enough, nor is the same length."""
    path.write_bytes(b"h" * 2000 + b"\none\n")
    reader = Reader(path, limit=5000)
    reader.read()
    mark = reader.generation.mark()
    reader.generation.close()
    for text in (b"h" * 2000 + b"\ntwo\n", b"h" * 2000, b"x" + b"h" * 1999 + b"\none\n"):
        for name, data in (("other", text), ("other.gz", gzip.compress(text))):
            other = path.with_name(name)
            other.write_bytes(data)
            file = PackedFile(str(other)) if name.endswith("gz") else PlainFile(str(other))
            assert file.before(mark) is None
            file.close()


def test_digests() -> None:
    """A digest fits what begins with its bytes, and nothing shorter."""
    digest = Digest.of(b"abc")
    assert digest.fits(b"abcd")
    assert not digest.fits(b"ab")
    assert not digest.fits(b"abd")
    assert Digest.of(b"").fits(b"anything")


def test_damage_takes_nothing_before_it_along(path: Path) -> None:
    """A compressed file that is cut off is read up to there; then it is an error, every time."""
    text = b"".join(b"line %d\n" % number for number in range(100_000))
    packed = path.with_name("app.log.1.gz")
    packed.write_bytes(gzip.compress(text)[:-5000])
    reader = Reader(packed)
    with pytest.raises(OSError, match=r"damaged after \d+ bytes"):
        reader.read()
    with pytest.raises(OSError, match="damaged after"):
        reader.read()
    assert len(reader.lines) > 50_000
    reader.generation.close()
