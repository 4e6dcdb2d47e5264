"""Where a file begins whose older lines are not wanted."""

from __future__ import annotations

from pathlib import Path

import pytest

from sigma.pyeval.monitor.sources.logfiles import CHUNK_BYTES, PlainFile
from sigma.pyeval.monitor.sources.starting import mark_at_end


@pytest.mark.parametrize(
    ("text", "offset"),
    [
        (b"", 0),
        (b"half", 0),
        (b"one\ntwo\n", 8),
        (b"one\ntwo\nhalf", 8),
        (b"one\n" + b"x" * (CHUNK_BYTES * 2), 4),
        (b"one\n" + b"x" * (CHUNK_BYTES * 8), 4 + CHUNK_BYTES * 8),
    ],
    ids=["empty", "half a line", "whole lines", "whole and half", "a long line", "a line that is too long"],
)
def test_behind_the_last_newline(text: bytes, offset: int, tmp_path: Path) -> None:
    """A line that is being written is read whole, unless it is too long for one."""
    path = tmp_path / "app.log"
    path.write_bytes(text)
    mark = mark_at_end(str(path), 1, CHUNK_BYTES * 4)
    assert (mark.generation, mark.offset, mark.modified) == (0, offset, 1)
    file = PlainFile(str(path))
    assert file.before(mark) is not None
    file.close()


def test_what_cannot_be_read_is_all_new(tmp_path: Path) -> None:
    """It is told when it is read."""
    assert mark_at_end(str(tmp_path / "none"), 1, 1000).offset == 0
