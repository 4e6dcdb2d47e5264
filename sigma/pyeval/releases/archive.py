"""What a release archive holds: its rules and filters, its licence and its version; nothing is written to disk here.

SigmaHQ's release packages are zip files of ``rules/...``, ``rules-emerging-threats/...`` and ``version.txt``; archives of a
repository (``archive/refs/tags/r2025-10-01.tar.gz``) have all in one folder, with the licence and much that is no rule.
"""

from __future__ import annotations

import gzip
import io
import re
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Final

MOST_MEMBERS: Final = 100_000
"""An archive with more members is refused."""

MOST_BYTES: Final = 256 << 20
"""All members of an archive may take so much together, unpacked."""

MOST_FILE_BYTES: Final = 4 << 20
"""A rule, a licence or a version file may take so much, unpacked."""

_RULE_SUFFIXES = (".yml", ".yaml")
_RULE_FOLDER = re.compile(r"(?:rules|filters)(?:[-_].*)?")
_LICENCE = re.compile(r"(?:licen[cs]e|copying|notice)(?:[._-].*)?", re.IGNORECASE)
_VERSION = re.compile(r"version(?:\.txt)?", re.IGNORECASE)
_OUT_OF_PLACE = re.compile(r"(?:^/|^[A-Za-z]:|\\|(?:^|/)\.\.(?:/|$))")


class ReleaseError(ValueError):
    """A release cannot be used; the message says why."""


@dataclass(frozen=True)
class Release:
    """What is taken from an archive; paths are relative, with ``/``.

    Attributes:
        rules: Path -> file, of rules and filters.
        licences: Path -> file.
        version: The version file's text, or empty.
    """

    rules: dict[str, bytes] = field(default_factory=dict)
    licences: dict[str, bytes] = field(default_factory=dict)
    version: str = ""


def read_release(path: Path) -> Release:
    """Return what the archive at *path* (zip, tar or tar.gz) holds.

    Raises:
        ReleaseError: It is no such archive, is damaged, names places outside, has a link or a device for a rule, or is larger
            than the bounds.
        OSError: It cannot be read.
    """
    with path.open("rb") as stream:
        start = stream.read(512)
        stream.seek(0)
        try:
            if start.startswith(b"PK\x03\x04"):
                members = dict(_zip_members(stream))
            elif start.startswith(b"\x1f\x8b"):
                with gzip.GzipFile(fileobj=stream) as unpacked:
                    members = dict(_tar_members(unpacked))
            elif start[257:262] == b"ustar":
                members = dict(_tar_members(stream))
            else:
                raise ReleaseError("neither a zip nor a tar.gz archive")
        except (
            zipfile.BadZipFile,
            tarfile.TarError,
            zlib.error,
            EOFError,
            NotImplementedError,
            gzip.BadGzipFile,
        ) as error:
            raise ReleaseError(f"the archive is damaged: {error}") from error
    return _chosen(_without_common_folder(members))


def _zip_members(stream: BinaryIO) -> Iterator[tuple[str, bytes]]:
    budget = _Budget()
    with zipfile.ZipFile(stream) as archive:
        for info in archive.infolist():
            name = budget.name(info.filename)
            if info.is_dir() or not _is_wanted(name):
                continue
            kind = (info.external_attr >> 28) & 0xF  # the file type of stat.h, where the archive was made on Unix
            if kind not in (0, 8):
                raise ReleaseError(f"{name!r} is a link or a device")
            if info.flag_bits & 1:
                raise ReleaseError(f"{name!r} is encrypted")
            with archive.open(info) as member:
                yield name, budget.read(name, member)


def _tar_members(stream: io.BufferedIOBase | BinaryIO) -> Iterator[tuple[str, bytes]]:
    budget = _Budget()
    with tarfile.open(fileobj=_Bounded(stream), mode="r|") as archive:
        for info in archive:
            name = budget.name(info.name)
            if info.isdir() or not _is_wanted(name):
                continue
            member = archive.extractfile(info) if info.isreg() else None
            if member is None:
                raise ReleaseError(f"{name!r} is a link or a device")
            yield name, budget.read(name, member)


class _Budget:
    """What one archive may still take, and that its names are names, each once."""

    def __init__(self) -> None:
        self._left = MOST_BYTES
        self._names: set[str] = set()

    def name(self, written: str) -> str:
        name = written.removeprefix("./").rstrip("/")
        if _OUT_OF_PLACE.search(written) or not written.isprintable():
            raise ReleaseError(f"{written!r} is no path within the archive")
        if name in self._names and _is_wanted(name):
            raise ReleaseError(f"{name!r} is there twice")
        self._names.add(name)
        if len(self._names) > MOST_MEMBERS:
            raise ReleaseError(f"more than {MOST_MEMBERS:,} members")
        return name

    def read(self, name: str, member: object) -> bytes:
        data: bytes = member.read(MOST_FILE_BYTES + 1)  # type: ignore[attr-defined]
        if len(data) > MOST_FILE_BYTES:
            raise ReleaseError(f"{name!r} is longer than {MOST_FILE_BYTES:,} bytes")
        self._left -= len(data)
        if self._left < 0:
            raise ReleaseError(_TOO_LARGE)
        return data


_TOO_LARGE = f"unpacked, it is larger than {MOST_BYTES:,} bytes"


class _Bounded(io.RawIOBase):
    """A stream of which no more than ``MOST_BYTES`` can be read: what is passed over is unpacked as well."""

    def __init__(self, stream: io.BufferedIOBase | BinaryIO) -> None:
        super().__init__()
        self._stream = stream
        self._left = MOST_BYTES

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        data = self._stream.read(size if 0 <= size <= self._left else self._left + 1)
        self._left -= len(data)
        if self._left < 0:
            raise ReleaseError(_TOO_LARGE)
        return data


def _is_wanted(name: str) -> bool:
    last = name.rpartition("/")[2]
    hidden = any(part.startswith(".") for part in name.split("/"))
    return not hidden and (last.endswith(_RULE_SUFFIXES) or bool(_LICENCE.fullmatch(last) or _VERSION.fullmatch(last)))


def _without_common_folder(members: dict[str, bytes]) -> dict[str, bytes]:
    """Return *members* without the one folder that all are in, as archives of repositories have it."""
    tops = {name.partition("/")[0] for name in members}
    if len(tops) != 1 or any("/" not in name for name in members) or _RULE_FOLDER.fullmatch(next(iter(tops))):
        return members
    return {name.partition("/")[2]: data for name, data in members.items()}


def _chosen(members: dict[str, bytes]) -> Release:
    """Return what is taken: of rules those in folders for rules and filters, or all where there is no such folder."""
    rules = {name: data for name, data in members.items() if name.endswith(_RULE_SUFFIXES)}
    of_folders = {
        name: data for name, data in rules.items() if "/" in name and _RULE_FOLDER.fullmatch(name.split("/")[0])
    }
    rules = of_folders or rules
    if not rules:
        raise ReleaseError("holds no rules (*.yml)")
    folders = {name.rpartition("/")[0] for name in rules}
    licences: dict[str, bytes] = {}
    version = ""
    for name, data in members.items():
        folder, _, last = name.rpartition("/")
        if name not in rules and _LICENCE.fullmatch(last) and (not folder or folder in folders):
            licences[name] = data
        elif not folder and _VERSION.fullmatch(last):
            version = data.decode("utf-8", "replace")
    return Release(rules, licences, version)
