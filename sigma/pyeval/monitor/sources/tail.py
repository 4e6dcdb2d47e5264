"""One stream of log lines: a path and its files through all rotations, and the checkpoints behind the lines."""

from __future__ import annotations

import math
import os
import time
from typing import Final

from sigma.pyeval.monitor.batches import Batch, Json

from .fingerprint import Mark
from .generation import Generation, Rewritten
from .opening import Opener
from .outflow import Outflow, Reading
from .rotation import Family, FolderChanging
from .succession import Found, find, following, short_copy, unread, written_since

LINGER_SECONDS: Final = 60.0
"""How long a file that was left is still looked at for lines that come late, and a path that is gone for its return."""

_FILLS: Final = 64
"""Chunks that are read on end for one line that is too long, before others get their turn."""


class Tail:
    """Reads one path. Nothing here waits; ``read`` is called in a thread, never two calls at once.

    Args:
        path: The stream's name and place.
        how: How it is read.
        state: What its checkpoint said.

    Attributes:
        path: The stream's name and place.
        more: Whether ``read`` should be called again soon.
        lag: Bytes that are there and have not been read.
    """

    def __init__(self, path: str, how: Reading, state: Json) -> None:
        self.path = path
        self.more = False
        self.lag = 0
        self._grace = how.grace
        self._opener = Opener(path, how.max_line_bytes)
        self._mark = Mark.from_json(state["current"])
        self._previous = None if state["previous"] is None else Mark.from_json(state["previous"])
        self._out = Outflow(path, how, self._mark.position, state)
        self._current: Generation | None = None
        self._late: Generation | None = None
        self._late_until = 0.0
        self._late_wanted: bool = state["late"]
        self._ended: bool = state.get("ended", False)
        self._was_gone: bool = state["gone"]
        self._parked = False
        self._signature: tuple[int, ...] | None = ()
        self._missing_since: float | None = None
        self._left_since: float | None = None
        self._nothing_after: tuple[Family, int] | None = None
        self._unsaved = True
        self._again = False

    # What the source asks.

    @property
    def told(self) -> list[str]:
        """What went wrong since the list was emptied, for people."""
        return self._opener.told

    @property
    def is_open(self) -> bool:
        """Whether its file is open."""
        return self._current is not None

    @property
    def is_over(self) -> bool:
        """Whether the path has been gone for so long that nothing will come any more."""
        since = self._missing_since
        return since is not None and time.monotonic() - max(since, self._out.used) > LINGER_SECONDS

    @property
    def is_pausing(self) -> bool:
        """Whether no line has come for so long that the parser should give out what it holds back."""
        return self._out.is_pausing

    @property
    def used(self) -> float:
        """When lines were read last (``time.monotonic``)."""
        return self._out.used

    def look(self) -> bool:
        """Look at the path; return whether ``read`` should be called."""
        signature: tuple[int, ...] | None = None
        try:
            found = os.stat(self.path)
            signature = (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns)
            self._missing_since = None
        except FileNotFoundError:
            self._missing_since = self._missing_since or time.monotonic()
        except OSError as error:
            self._opener.tell(self.path, f"cannot be read: {error.strerror}; it is tried again")
        changed = signature != self._signature
        self._signature = signature
        wanted = changed or self.more or self._is_restless()
        if wanted:
            self._count_lag()
        return wanted

    def read(self) -> Batch | None:
        """Return the next lines as a batch, if there are any."""
        self.more = self._again = False
        batch = None
        try:
            if self._late is not None or self._late_wanted:
                batch = self._read_late()
            batch = batch or self._read_on()
        except FolderChanging:
            self._again = True
        except OSError as error:
            self._opener.tell(self.path, f"cannot be read: {error.strerror}; it is tried again")
            self.park()
            self._parked = False
        self._count_lag()
        return batch

    def pause(self) -> Batch:
        """Return as a batch what the parser holds back."""
        self._out.pause()
        return self._batch()

    def retire(self) -> Batch:
        """End the stream, as its path is gone; return its last batch."""
        if self._current is not None:
            self._end(self._current)
        self._drop_late()
        self._out.pause()
        return self._batch(gone=True)

    def park(self) -> None:
        """Close the file until the path changes."""
        if self._current is not None:
            self._mark = self._current.mark()
            self._current.close()
            self._current = None
            self._parked = True

    def close(self) -> None:
        """Close all files."""
        self.park()
        if self._late is not None:
            self._late.close()
            self._late = None

    # The current file.

    def _read_on(self) -> Batch | None:
        for _ in range(_FILLS):
            current = self._current or self._resumed()
            if current is None:
                break
            try:
                read = current.has_lines or self._fill(current)
            except Rewritten:
                self._follow_rewritten(current)
                continue
            if read:
                if self._out.feed(current):
                    self.more = True
                    return self._batch()
            elif not self._go_on(current):
                break
        else:
            self.more = True
        return self._batch() if self._unsaved else None

    def _fill(self, current: Generation) -> bool:
        """Read on; a compressed file that is damaged ends where its damage begins."""
        try:
            return current.fill()
        except OSError as error:
            if not current.file.packed:
                raise
            self._opener.tell(current.file.path, f"{error.strerror}; the rest of it is left out")
            return False

    def _resumed(self) -> Generation | None:
        """Find the file that was read when the stream was read last, or what comes after it; open it."""
        family = self._opener.family()
        if not family.files():
            return None  # perhaps its file system is not mounted yet
        mark = self._mark
        if mark.offset and not self._ended:
            found = self._opener.found(mark, family)
            if found is not None:
                return self._open_at(mark, found)
            if not self._was_gone and short_copy(family, mark, self._opener.tell) is None:
                what = f"the file that was read up to byte {mark.offset} is gone, or was truncated"
                self._opener.tell_event(f"{what}; lines written to it after that, if any, are lost")
            self._has_ended()
        number = mark.generation + (mark.offset > 0)
        files = unread(family, (mark, self._previous), self._opener.tell)
        opened = self._opener.first_of(files, number, family)
        if opened is None:
            self._parked = family.current is not None  # an empty file, until it changes
            return None
        if mark.offset:
            self._previous = mark
        return self._open(opened)

    def _open(self, generation: Generation) -> Generation:
        self._current = generation
        self._ended = self._was_gone = self._parked = False
        self._left_since = self._nothing_after = None
        self._unsaved = True
        self._opener.is_right()
        return generation

    def _open_at(self, mark: Mark, found: Found) -> Generation:
        """Go on at *mark* in the file that was found."""
        generation = self._open(self._opener.at(mark, found))
        if not found.seen.is_file(mark.device, mark.inode):
            self._left_since = -math.inf  # a copy: nobody writes to it any more
        return generation

    def _go_on(self, current: Generation) -> bool:
        """At the end of a file: open what comes after it, if it was rotated; return whether there is something to read."""
        if not current.file.packed and self._is_named():
            return False
        family = self._opener.family()
        if self._nothing_after == (family, current.read_to):
            return False
        mark = current.mark()
        own = current.file.device, current.file.inode
        files = following(family, (mark, self._previous), own, self._opener.tell)
        files = tuple(seen for seen in files if seen.packed or seen.size)
        if files == (family.current,) and not current.file.packed and self._is_in_grace():
            return False
        number = current.number + (current.read_to > 0)
        opened = self._opener.first_of(files, number, family)
        if opened is None:
            self._nothing_after = family, current.read_to
            return False
        self._leave(current)
        self._open(opened)
        return True

    def _is_in_grace(self) -> bool:
        """Return whether the writer may not have noticed the rotation yet."""
        if self._left_since is None:
            self._left_since = time.monotonic()
        return time.monotonic() - self._left_since < self._grace

    def _follow_rewritten(self, current: Generation) -> None:
        """Go on in the copy that was made before the file was truncated; without one, in the file from its beginning."""
        family = self._opener.family()
        mark = current.mark()
        found = find(family.rotated, mark, self._opener.tell)
        if found is not None:
            current.close()
            self._open_at(mark, found)
            return
        if short_copy(family, mark, self._opener.tell) is None:
            what = f"truncated after {current.read_to} bytes were read, and there is no copy"
            self._opener.tell_event(f"{what}; lines written in between, if any, are lost")
        self._end(current)
        self._has_ended()

    def _has_ended(self) -> None:
        """Note, also for the next start, that the mark's file is nowhere any more."""
        self._ended = self._unsaved = True

    def _end(self, current: Generation) -> None:
        """Close a file that is over; its last line needs no newline."""
        self._out.finish(current)
        self._mark = current.mark()
        current.close()
        self._current = None

    # The file before, while its writer may still have it open.

    def _leave(self, current: Generation) -> None:
        """Keep a file that was rotated for lines that come late."""
        self._drop_late()
        self._out.finish(current)
        self._previous = current.mark()
        self._unsaved = True
        if current.file.packed:
            current.close()
        else:
            self._late = current
            self._late_until = time.monotonic() + LINGER_SECONDS

    def _read_late(self) -> Batch | None:
        late = self._late or self._found_late()
        if late is None:
            return None
        try:
            read = late.has_lines or late.fill()
        except (Rewritten, OSError) as error:
            why = error.strerror if isinstance(error, OSError) else "it was truncated"
            self._opener.tell(late.file.path, f"cannot be read to its end: {why}")
            read = False
            self._late_until = -math.inf
        if read:
            self._late_until = time.monotonic() + LINGER_SECONDS
            # Positions of these lines lie before those that the parser may hold, whose checkpoint would pass over them.
            self._out.pause()
            self._out.feed(late)
            self._out.pause()
            self._previous = late.mark()
            self.more = True
            return self._batch()
        if time.monotonic() > self._late_until:
            self._drop_late()
        return None

    def _found_late(self) -> Generation | None:
        """Find the file before the current one again after a restart."""
        mark = self._previous
        if mark is None:
            self._late_wanted = False
            return None
        rotated = self._opener.family().rotated
        found = find((seen for seen in rotated if written_since(seen, mark.modified)), mark, self._opener.tell)
        self._late_wanted = False
        if found is not None:
            self._late = self._opener.at(mark, found)
            self._late_until = time.monotonic() + LINGER_SECONDS
        return self._late

    def _drop_late(self) -> None:
        late, self._late = self._late, None
        if late is not None:
            self._out.pause()
            self._out.finish(late)
            self._out.pause()
            self._previous = late.mark()
            self._unsaved = True
            late.close()

    def _batch(self, *, gone: bool = False) -> Batch:
        if self._current is not None:
            self._mark = self._current.mark()
        late = self._late is not None or self._late_wanted
        self._unsaved = False
        kept = state(self._mark, self._previous, late=late, gone=gone, ended=self._ended)
        return self._out.batch(self._mark.position, kept)

    # Looking at files.

    def _is_restless(self) -> bool:
        """Return whether the files have to be looked at though the path has not changed."""
        if self._again or self._late is not None or self._late_wanted:
            return True
        if self._current is None:
            return not self._parked
        return self._current.file.packed or not self._is_named()

    def _is_named(self) -> bool:
        """Return whether the path named the file that is being read when it was looked at."""
        file = self._current and self._current.file
        return bool(self._signature and file and self._signature[:2] == (file.device, file.inode))

    def _count_lag(self) -> None:
        size = self._signature[2] if self._signature else 0
        current = self._current
        if current is None:
            self.lag = max(0, size - (0 if self._ended else self._mark.offset))
            return
        rest = 0 if current.file.packed else max(0, current.file.status().st_size - current.read_to)
        self.lag = rest + (0 if self._is_named() else size)


def state(
    current: Mark, previous: Mark | None = None, *, late: bool = False, gone: bool = False, ended: bool = False
) -> Json:
    """Return what a checkpoint says.

    Args:
        current: Where reading goes on.
        previous: The end of the generation before.
        late: Whether lines may still come to that one.
        gone: Whether the path was gone, and everything had been read.
        ended: Whether the file of *current* was looked for in vain: it was truncated, or is gone.
    """
    before = None if previous is None else previous.to_json()
    return {"current": current.to_json(), "previous": before, "late": late, "gone": gone, "ended": ended}
