"""A place in a log file, and what the file can be told by when it has been renamed, copied or compressed since."""

from __future__ import annotations

from hashlib import sha256
from typing import Any, NamedTuple

from .pathnames import path_text, text_path

HEAD_BYTES = 1024
"""So many of a file's first bytes tell it from others."""

TAIL_BYTES = 256
"""So many bytes before the place have to be the same too."""

OFFSET_BITS = 48
"""Positions are ``generation << OFFSET_BITS | offset``: they grow from line to line through all rotations."""

_OFFSETS = (1 << OFFSET_BITS) - 1


class Digest(NamedTuple):
    """Some bytes of a file.

    Attributes:
        length: How many.
        sha256: Their hash, in hexadecimal.
    """

    length: int
    sha256: str

    @classmethod
    def of(cls, data: bytes) -> Digest:
        """Return the digest of *data*."""
        return cls(len(data), sha256(data).hexdigest())

    def fits(self, data: bytes) -> bool:
        """Return whether *data* begins with these bytes."""
        return len(data) >= self.length and Digest.of(data[: self.length]) == self


class Mark(NamedTuple):
    """A place in one generation of a log file: everything before it has been read.

    Attributes:
        generation: How many files of the path came before, counted from the one that was read first.
        offset: Bytes before the place, uncompressed.
        head: The first bytes of the file, at most those before the place.
        tail: The bytes just before the place.
        device: The file system it lay on, and
        inode: its number there: a hint only, as numbers are used again.
        modified: When the file was last written to, as far as known then; nanoseconds since 1970.
        at: Where it lay, links followed.
    """

    generation: int
    offset: int
    head: Digest
    tail: Digest
    device: int
    inode: int
    modified: int
    at: str

    @property
    def position(self) -> int:
        """The position of the line that begins here."""
        return self.generation << OFFSET_BITS | self.offset

    def to_json(self) -> dict[str, Any]:
        """Return it for a checkpoint."""
        return {**self._asdict(), "head": list(self.head), "tail": list(self.tail), "at": path_text(self.at)}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Mark:
        """Return what ``to_json`` made, read back from JSON."""
        digests = {"head": Digest(*value["head"]), "tail": Digest(*value["tail"])}
        return cls(**{**value, **digests, "at": text_path(value["at"])})

    @classmethod
    def at_beginning(cls, path: str, modified: int, generation: int = 0) -> Mark:
        """Return the mark before a file of which nothing is known but that it is not older than *modified*."""
        nothing = Digest.of(b"")
        return cls(generation, 0, nothing, nothing, 0, 0, modified, path)


def generation_and_offset(position: int) -> tuple[int, int]:
    """Return what a position was made of."""
    return position >> OFFSET_BITS, position & _OFFSETS
