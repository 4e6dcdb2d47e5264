"""Which file is the one that was being read, and which come after it: by content, by name, at last by time."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

from .fingerprint import Digest, Mark
from .logfiles import LogFile, open_seen
from .rotation import Family, FolderChanging, Seen

_SECOND = 1_000_000_000

Tell = Callable[[str, str], None]
"""Tells what is wrong with a path."""


class Found(NamedTuple):
    """A mark's file, open at its place.

    Attributes:
        file: Open; the caller closes it.
        seen: As it was in its folder.
        head: Its first bytes, as far as they are before the place.
        tail: The bytes before the place.
    """

    file: LogFile
    seen: Seen
    head: bytes
    tail: bytes


def find(files: Iterable[Seen], mark: Mark, tell: Tell) -> Found | None:
    """Return the one of *files* (the oldest first) that *mark* is about, or ``None``; bytes before it have been read.

    Only content tells, since numbers of files are used again, and copies and compressed files have others. Where several have
    the content, it is the one with the file's number; else the oldest that was written to since, so that none is missed.

    Raises:
        FolderChanging: Files were renamed meanwhile.
        OSError: The file with the mark's number cannot be read.
    """
    for seen in _likely_first(files, mark):
        found = open_at(seen, mark, tell)
        if found is not None:
            return found
    return None


def _likely_first(files: Iterable[Seen], mark: Mark) -> list[Seen]:
    candidates = [seen for seen in files if seen.packed or seen.size >= mark.offset]
    same = [seen for seen in candidates if seen.is_file(mark.device, mark.inode)]
    others = [seen for seen in candidates if seen not in same]
    later = [seen for seen in others if written_since(seen, mark.modified)]
    return [*same, *later, *(seen for seen in reversed(others) if seen not in later)]


def open_at(seen: Seen, mark: Mark, tell: Tell) -> Found | None:
    """Return the file at the mark's place if it is the mark's; one that cannot be read is told and is not.

    Raises:
        FolderChanging: It was renamed meanwhile.
        OSError: It cannot be read, and its number is that of the mark's file.
    """
    try:
        file = open_seen(seen)
    except FolderChanging:
        raise
    except OSError as error:
        if seen.is_file(mark.device, mark.inode):
            raise
        tell(seen.path, f"cannot be read: {error.strerror}")
        return None
    try:
        read = file.before(mark)
    except OSError as error:
        tell(seen.path, f"cannot be read: {error.strerror}")
        read = None
    if read is None:
        file.close()
        return None
    return Found(file, seen, *read)


def short_copy(family: Family, mark: Mark, tell: Tell) -> Seen | None:
    """Return the copy with less than was read of the mark's file: what was written after the copy was made was read in time.

    It begins as the mark's file does, of which more has to be known than the beginning. It was written to no later than that
    file; a second is allowed for clocks that tick and for times that are looked at before the bytes are read.

    Raises:
        FolderChanging: Files were renamed meanwhile.
        OSError: The file with the mark's number cannot be read.
    """
    if not 0 < mark.head.length < mark.offset:
        return None
    beginning = mark._replace(offset=mark.head.length, tail=Digest.of(b""))
    for seen in reversed(family.rotated):
        is_short = seen.packed or mark.head.length <= seen.size < mark.offset
        if is_short and seen.modified <= mark.modified + _SECOND:
            found = open_at(seen, beginning, tell)
            if found is not None:
                found.file.close()
                return seen
    return None


Ends = tuple[Mark, Mark | None]
"""The end of what was read of a generation, and the end of the generation before."""


def unread(family: Family, ends: Ends, tell: Tell) -> tuple[Seen, ...]:
    """Return the files that come after a generation that does not go on in any, the oldest first.

    Those are the files written to since, and the current one. What was read to its end has been read whatever its time says,
    and so have older ones.

    Raises:
        FolderChanging: Files were renamed meanwhile.
    """
    rotated = family.rotated
    for end in ends:
        if end is not None and end.offset and (found := find(rotated, end, tell)) is not None:
            found.file.close()
            rotated = rotated[rotated.index(found.seen) + 1 :]
            break
    else:
        copy = short_copy(family, ends[0], tell)
        if copy is not None:
            rotated = rotated[rotated.index(copy) + 1 :]
    later = tuple(seen for seen in rotated if written_since(seen, ends[0].modified))
    return later if family.current is None else (*later, family.current)


def following(family: Family, ends: Ends, own: tuple[int, int], tell: Tell) -> tuple[Seen, ...]:
    """Return the files that come after the one that was read to its end, the oldest first.

    Args:
        family: What lies there.
        ends: The end of that file, and of the one before.
        own: Device and inode of the file, which is open: nothing else can have them.
        tell: Told about files that cannot be read.

    Raises:
        FolderChanging: Files were renamed meanwhile.
    """
    files = family.files()
    for number, seen in enumerate(files):
        if seen.is_file(*own):
            return files[number + 1 :]
    found = find(family.rotated, ends[0], tell) if ends[0].offset else None
    if found is None:
        return unread(family, ends, tell)
    found.file.close()
    return files[files.index(found.seen) + 1 :]


def written_since(seen: Seen, moment: int) -> bool:
    """Return whether the file was written to at *moment* or later; some programs that compress keep whole seconds only."""
    if seen.modified >= moment:
        return True
    return seen.modified % _SECOND == 0 and seen.modified // _SECOND == moment // _SECOND
