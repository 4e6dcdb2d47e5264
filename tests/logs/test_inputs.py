"""Opening files, and reading .evtx."""

from __future__ import annotations

import bz2
import gzip
import lzma
import random
import sys
from pathlib import Path

import pytest
import zstandard

from sigma.pyeval.logs.evtx import EvtxUnavailableError, read_evtx
from sigma.pyeval.logs.inputs import CompressionUnavailableError, open_log
from sigma.pyeval.logs.records import Problem

TEXT = b"first line\nsecond line\n" * 1000
COMPRESSED = {
    "plain": TEXT,
    "empty": b"",
    "gzip": gzip.compress(TEXT),
    "gzip members": gzip.compress(TEXT[:100]) + gzip.compress(TEXT[100:]),
    "bzip2": bz2.compress(TEXT),
    "bzip2 streams": bz2.compress(TEXT[:100]) + bz2.compress(TEXT[100:]),
    "xz": lzma.compress(TEXT),
}
ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"


@pytest.mark.parametrize("kind", COMPRESSED)
def test_content_tells_the_compression(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "some.log"
    path.write_bytes(COMPRESSED[kind])
    with open_log(path) as file:
        assert file.read() == (b"" if kind == "empty" else TEXT)


def test_lines_of_a_compressed_file(tmp_path: Path) -> None:
    path = tmp_path / "some.log"
    path.write_bytes(gzip.compress(TEXT))
    with open_log(str(path)) as file:
        assert file.readline() == b"first line\n"


@pytest.mark.parametrize("cut", [5, 100, 40_000])
def test_zstd_that_is_cut_off(tmp_path: Path, cut: int) -> None:
    """What is there is read, then it is said that more was there."""
    path = tmp_path / "log.zst"
    text = random.Random(1).randbytes(100_000)
    path.write_bytes(zstandard.compress(TEXT) + zstandard.compress(text)[:cut])
    with open_log(path) as log:
        found = b""
        with pytest.raises(EOFError, match="within a zstd frame"):  # noqa: PT012 - the lines before are read
            while piece := log.read1():
                found += piece
    assert found.startswith(TEXT)


def test_zstd(tmp_path: Path) -> None:
    path = tmp_path / "some.log"
    path.write_bytes(zstandard.compress(TEXT[:100]) + zstandard.compress(TEXT[100:]))
    with open_log(path) as file:
        assert file.read() == TEXT


def test_missing_packages_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "some.log"
    path.write_bytes(ZSTD_MAGIC + b"rest")
    monkeypatch.setitem(sys.modules, "zstandard", None)
    monkeypatch.setitem(sys.modules, "evtx", None)
    with pytest.raises(CompressionUnavailableError, match="pip install zstandard"):
        open_log(path)
    with pytest.raises(EvtxUnavailableError, match="pip install evtx"):
        list(read_evtx(path))


def test_a_cut_file_gives_its_beginning(tmp_path: Path) -> None:
    path = tmp_path / "some.log"
    path.write_bytes(gzip.compress(TEXT)[:-20])
    with open_log(path) as file:
        assert file.readline() == b"first line\n"
        with pytest.raises(EOFError):
            file.read()


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        open_log(tmp_path / "none")


@pytest.mark.parametrize("content", [b"", b"text", b"ElfFile\0" + bytes(5000)])
def test_files_that_are_no_event_logs(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "some.evtx"
    path.write_bytes(content)
    assert all(isinstance(item, Problem) and item.reason for item in read_evtx(path))
    assert list(read_evtx(tmp_path / "none.evtx"))
