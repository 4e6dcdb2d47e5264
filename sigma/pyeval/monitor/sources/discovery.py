"""Which files are streams of a source: what its paths and patterns name, without rotated files, and each file once."""

from __future__ import annotations

import fnmatch
import glob
import os
import re
import stat
from collections.abc import Callable, Collection, Iterator, Sequence

from sigma.pyeval.output import printable

from .rotation import bases_of, is_compressed_name


class Discovery:
    """Finds the files.

    Args:
        patterns: Paths, or patterns of glob(7), with ``**`` for any folders.
        tell: Told once about a path that names nothing to read.
    """

    def __init__(self, patterns: Sequence[str], tell: Callable[[str], None]) -> None:
        self._literal = [pattern for pattern in patterns if not glob.has_magic(pattern)]
        self._patterns = [pattern for pattern in patterns if glob.has_magic(pattern)]
        self._names = [(pattern, re.compile(fnmatch.translate(os.path.abspath(pattern)))) for pattern in self._patterns]
        self._tell = tell
        self._told: set[str] = set()

    def pattern_of(self, path: str) -> str | None:
        """Return the path or pattern that *path* is a file of by its name, or ``None``."""
        if path in self._literal:
            return path
        whole = os.path.abspath(path)
        return next((pattern for pattern, name in self._names if name.match(whole)), None)

    def new_files(self, known: Collection[str]) -> Iterator[tuple[str, str]]:
        """Yield each file that is not among *known*, with its path or pattern.

        Rotated files of a stream are none of their own, nor are compressed ones, unless the path itself is given; of several
        names of one file (links) only the first is.
        """
        taken = None
        for path, pattern in self._candidates(known):
            if taken is None:
                taken = {os.path.realpath(one) for one in known}
            if os.path.realpath(path) not in taken:
                taken.add(os.path.realpath(path))
                yield path, pattern

    def folders(self, paths: Collection[str]) -> frozenset[str]:
        """Return the folders in which something may happen: those of *paths*, of their links' targets, and of patterns."""
        found = {os.path.dirname(path) for path in (*paths, *self._literal)}
        found |= {os.path.dirname(os.path.realpath(path)) for path in paths}
        for pattern in self._patterns:
            folder = os.path.dirname(pattern)
            while glob.has_magic(folder):
                folder = os.path.dirname(folder)
            found.add(folder)
        return frozenset(os.path.abspath(folder) for folder in found if os.path.isdir(folder or "."))

    def _candidates(self, known: Collection[str]) -> Iterator[tuple[str, str]]:
        for path in self._literal:
            if path not in known and self._is_readable(path):
                yield path, path
        for pattern in self._patterns:
            found = False
            for path in sorted(glob.iglob(pattern, recursive=True)):
                found = True
                if path not in known and self._is_stream(path, known):
                    yield path, pattern
            found = found or any(self.pattern_of(path) == pattern for path in known)  # it may be away for its rotation
            self._tell_missing(pattern, "" if found else "no file matches yet")

    def _is_readable(self, path: str) -> bool:
        """Return whether there is something at a path that was given; tell once if there is not."""
        try:
            regular = stat.S_ISREG(os.stat(path).st_mode)
        except OSError as error:
            self._tell_missing(path, f"{error.strerror}; it is looked for again")
            return False
        self._tell_missing(path, "" if regular else "not a regular file; name the files in it, as with '/*.log'")
        return regular

    def _tell_missing(self, path: str, finding: str) -> None:
        if not finding:
            self._told.discard(path)
        elif path not in self._told:
            self._told.add(path)
            self._tell(f"{printable(path)}: {finding}")

    def _is_stream(self, path: str, known: Collection[str]) -> bool:
        folder, name = os.path.split(path)
        if is_compressed_name(name):
            return False
        bases, sure = bases_of(name)
        if any((base := os.path.join(folder, one)) in known or os.path.lexists(base) for one in bases):
            return False
        if sure:
            self._tell_missing(
                path, f"looks like a rotated {printable(bases[0])}, and is left out; name it to have it read"
            )
            return False
        try:
            return stat.S_ISREG(os.stat(path).st_mode)
        except FileNotFoundError:
            return False  # gone again, or a link to nothing
        except OSError:
            return True  # reading it tells what is wrong
