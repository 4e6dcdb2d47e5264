"""Opens the files of one path as generations, and keeps what is wrong with any of them."""

from __future__ import annotations

import os
from collections.abc import Sequence

from sigma.pyeval.output import printable

from .fingerprint import Mark
from .generation import Generation, Rewritten
from .logfiles import open_seen
from .rotation import Family, FolderChanging, Seen, family_of, seen_at
from .succession import Found, find


class Opener:
    """Opens the files of a path.

    Args:
        path: The stream's path.
        max_line_bytes: Longest line.

    Attributes:
        told: What went wrong since the list was emptied, for people.
    """

    def __init__(self, path: str, max_line_bytes: int) -> None:
        self.told: list[str] = []
        self._path = path
        self._limit = max_line_bytes
        self._said: dict[str, str] = {}

    def tell(self, path: str, finding: str) -> None:
        """Tell what is wrong with a path once, until it is right again or something else is wrong."""
        if self._said.get(path) != finding:
            self._said[path] = finding
            self.told.append(f"{printable(path)}: {finding}")

    def tell_event(self, finding: str) -> None:
        """Tell what has happened to the stream."""
        self.told.append(f"{printable(self._path)}: {finding}")

    def is_right(self) -> None:
        """Forget what was wrong with the path, as it is read again."""
        self._said.pop(self._path, None)

    def family(self) -> Family:
        """Return the path's file and its predecessors.

        Raises:
            OSError: They cannot be looked at.
        """
        try:
            return family_of(self._path)
        except PermissionError:
            self.tell(os.path.dirname(self._path), "cannot be listed; rotated files are not found there")
            return Family((), seen_at(self._path))

    def found(self, mark: Mark, family: Family) -> Found | None:
        """Return the mark's file, open at its place, wherever it lies now.

        Raises:
            OSError: See ``find``.
        """
        files = family.files()
        if mark.at != os.path.realpath(self._path):  # the path was a link to another place
            files = (*family_of(mark.at).files(), *files)
        return find(files, mark, self.tell)

    def at(self, mark: Mark, found: Found) -> Generation:
        """Return the generation that goes on at *mark*."""
        return Generation(mark.generation, found.file, self._limit, mark.offset, found.head, found.tail)

    def first_of(self, files: Sequence[Seen], number: int, family: Family) -> Generation | None:
        """Return the first of *files* with anything in it; rotated ones that cannot be read are told and left out.

        A file without a byte is no generation, so that numbers are the same whether it was seen or not.

        Args:
            files: The oldest first.
            number: Of the generation.
            family: What *files* are of. Its current file is not left out, but tried again.

        Raises:
            OSError: The current file cannot be read.
            FolderChanging: Files were renamed.
        """
        generation = self._first_of(files, number, family.current)
        # Nothing is known of what such a file holds, and numbers of files are used again at once: another one may have had
        # this name and number when it was opened. Then there were rotations since, which other names show.
        try:
            if self.family().names() != family.names():
                raise FolderChanging(f"{self._path}: its files are being renamed")
        except BaseException:
            if generation is not None:
                generation.close()
            raise
        return generation

    def _first_of(self, files: Sequence[Seen], number: int, last: Seen | None) -> Generation | None:
        for seen in files:
            if not seen.packed and not seen.size:
                continue
            generation = None
            try:
                generation = Generation(number, open_seen(seen), self._limit)
                if generation.fill():
                    return generation
            except Rewritten:
                pass  # nothing was read of it yet, so it is empty by now
            except FolderChanging:
                raise
            except OSError as error:
                if seen is last:
                    if generation is not None:
                        generation.close()
                    raise
                self.tell(seen.path, f"cannot be read: {error.strerror}; it is left out")
            if generation is not None:
                generation.close()
        return None
