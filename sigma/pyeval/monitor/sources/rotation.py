"""What a log file's rotated predecessors are called, in which order they were written, and which lie beside it now."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from typing import NamedTuple

_DATE = r"\d{4}-?\d\d-?\d\d(?:-\d{10}|[-T_.]?\d\d(?:[-:.]?\d\d){0,2})?|\d{10}"
_MIDDLE = rf"\.(?P<number>\d{{1,3}}|old)|[-._](?P<date>{_DATE})"
_PACKED = r"\.(?:gz|bz2|xz|zst)"
_MARKED = re.compile(rf"(?:{_MIDDLE})?(?P<packed>{_PACKED})?")
_AT_END = re.compile(rf"(?P<base>.+?)(?:(?P<rotated>{_MIDDLE})(?P<packed>{_PACKED})?|(?P<only_packed>{_PACKED}))")
_INSIDE = re.compile(rf"(?P<stem>.+?)(?:{_MIDDLE})(?P<ending>\.[A-Za-z]\w*)")
_ADDRESS = re.compile(r"(?:\d{1,3}\.){3}\d{1,3}")

_SNAPSHOTS = 8
"""Times that a folder is listed until two lists in a row are the same; files are renamed while it is looked at."""


class RotatedName(NamedTuple):
    """What the end of a rotated file's name says: ``.1``, ``.old``, ``-20261122``, ``.2.gz``.

    Attributes:
        number: How many rotations ago (``.old`` and a name that is only packed: 0), or ``None`` where there is a date.
        date: The digits of the date, or ``""``.
        packed: Whether the name says that it is compressed.
    """

    number: int | None
    date: str
    packed: bool


class Seen(NamedTuple):
    """A file as it was when the folder was looked at.

    Attributes:
        path: Where it lay.
        device: The file system it is on, and
        inode: its number there (stat(2)).
        size: Bytes, as they lie there.
        modified: Nanoseconds since 1970.
        packed: Whether its name says that it is compressed.
    """

    path: str
    device: int
    inode: int
    size: int
    modified: int
    packed: bool

    def is_file(self, device: int, inode: int) -> bool:
        """Return whether it is the file with this number."""
        return self.inode == inode and self.device == device


class Family(NamedTuple):
    """A path's file and its rotated predecessors at one moment.

    Attributes:
        rotated: The predecessors, the oldest first.
        current: What the path itself names, or ``None``.
    """

    rotated: tuple[Seen, ...]
    current: Seen | None

    def files(self) -> tuple[Seen, ...]:
        """Return all, the oldest first."""
        return self.rotated if self.current is None else (*self.rotated, self.current)

    def names(self) -> tuple[tuple[str, int, int], ...]:
        """Return which file has which name: path, device and inode of each."""
        return tuple((seen.path, seen.device, seen.inode) for seen in self.files())


class FolderChanging(OSError):
    """Files are being renamed at this moment; look again a little later."""


def rotated_name(base: str, name: str) -> RotatedName | None:
    """Return what *name* says if it is that of a rotated file of *base*: ``app.log.1``, ``app-20261122.log.gz``."""
    if name == base:
        return None
    if name.startswith(base):
        found = _MARKED.fullmatch(name, len(base))
        return None if found is None else _said(found)
    stem, ending = os.path.splitext(base)
    if not ending or not name.startswith(stem):
        return None
    plain = re.sub(rf"{_PACKED}\Z", "", name)
    if not plain.endswith(ending):
        return None
    found = _MARKED.fullmatch(plain[len(stem) : -len(ending)] + name[len(plain) :])
    return None if found is None else _said(found)


def _said(found: re.Match[str]) -> RotatedName:
    number, date = found["number"], found["date"]
    packed = found["packed"] is not None
    if date is not None:
        return RotatedName(None, re.sub(r"\D", "", date), packed)
    return RotatedName(int(number) if number not in (None, "old") else 0, "", packed)


def is_compressed_name(name: str) -> bool:
    """Return whether the name says that the file is compressed."""
    return re.search(rf"{_PACKED}\Z", name) is not None


def bases_of(name: str) -> tuple[tuple[str, ...], bool]:
    """Return the names that *name* may be a rotated file of, and whether it is surely one of some file.

    A number at the end (``.1``) is what rotation writes and hardly anything else; a date may as well be part of the name that
    a program writes to, and so may a number before the ending.
    """
    found = _AT_END.fullmatch(name)
    bases = []
    sure = False
    if found is not None:
        bases.append(found["base"])
        sure = found["number"] is not None and _ADDRESS.fullmatch(name) is None  # hosts' logs may be named by address
    inside = _INSIDE.fullmatch(re.sub(rf"{_PACKED}\Z", "", name))
    if inside is not None:
        bases.append(inside["stem"] + inside["ending"])
    return tuple(bases), sure


def family_of(path: str) -> Family:
    """Return the file at *path* and its rotated predecessors, as they lie there at one moment.

    Beside a file that is being compressed its unfinished copy is left out.

    Raises:
        OSError: The folder cannot be read.
        FolderChanging: Files are being renamed.
    """
    before = None
    for _ in range(_SNAPSHOTS):
        found = list(_look(path))
        names = [(seen.path, seen.device, seen.inode) for _, seen in found]
        if names == before:
            break
        before = names
    else:
        raise FolderChanging(f"{path}: its files are being renamed")
    rotated = [(said, seen) for said, seen in found if said is not None]
    plain = {said[:2] for said, _ in rotated if not said.packed}
    kept = [(said, seen) for said, seen in rotated if not (said.packed and said[:2] in plain)]
    current = next((seen for said, seen in found if said is None), None)
    return Family(_in_order(kept), current)


def seen_at(path: str) -> Seen | None:
    """Return the file at *path*, or ``None`` if there is no regular file.

    Raises:
        OSError: It cannot be looked at.
    """
    where = os.path.realpath(path)
    try:
        found = os.stat(where)
    except FileNotFoundError:
        return None
    if not stat.S_ISREG(found.st_mode):
        return None
    packed = is_compressed_name(where)
    return Seen(where, found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, packed)


def _look(path: str) -> Iterator[tuple[RotatedName | None, Seen]]:
    """Yield the files in *path*'s folder that belong to it, by name."""
    folder, base = os.path.split(os.path.realpath(path))
    try:
        names = sorted(os.listdir(folder))
    except FileNotFoundError:
        return
    for name in names:
        said = rotated_name(base, name)
        if said is None and name != base:
            continue
        where = os.path.join(folder, name)
        found = seen_at(where)
        if found is not None:  # else gone again, or a link to nothing
            yield said, found


def _in_order(rotated: list[tuple[RotatedName, Seen]]) -> tuple[Seen, ...]:
    """Return the oldest first: by number, by date, or by time of the last change where names are of both kinds."""
    if all(said.number is not None for said, _ in rotated):
        rotated.sort(key=lambda one: (-(one[0].number or 0), one[1].modified))
    elif all(said.number is None for said, _ in rotated):
        rotated.sort(key=lambda one: (one[0].date.ljust(18, "0"), one[1].modified))
    else:
        rotated.sort(key=lambda one: one[1].modified)
    return tuple(seen for _, seen in rotated)
