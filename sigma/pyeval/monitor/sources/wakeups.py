"""When to look at files: at once where the system tells of changes, and every now and then in any case."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from types import TracebackType
from typing import Final, Self

from sigma.pyeval.logs.text import without_surrogates

_STEP_MILLISECONDS: Final = 20
_DEBOUNCE_MILLISECONDS: Final = 100
"""Changes are told together: until none comes for a step, at most so long."""

_AGAIN_SECONDS: Final = 60.0
"""After watching has failed."""

_UNDECODABLE: Final = "Unable to decode path"
_UNDECODABLE_SECONDS: Final = 1.0
"""watchfiles gives up with such words at a file whose name is not UTF-8; after so long it is begun anew."""


class WakeUps:
    """Wakes its owner when something happens in the folders it watches; used as a context.

    Args:
        stopping: Ends every wait when it is set.
        tell: Told when folders cannot be watched; the owner looks at files without being woken then.
    """

    def __init__(self, stopping: asyncio.Event, tell: Callable[[str], None]) -> None:
        self._stopping = stopping
        self._tell = tell
        self._woken = asyncio.Event()
        self._changed: set[str] = set()
        self._folders: frozenset[str] = frozenset()
        self._watcher: asyncio.Task[None] | None = None
        self._stopper: asyncio.Task[None] | None = None
        self._again_at = 0.0

    async def __aenter__(self) -> Self:
        self._stopper = asyncio.create_task(self._wake_on_stop())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await _ended(self._stopper)
        await _ended(self._watcher)

    async def watch(self, folders: frozenset[str]) -> None:
        """Watch these folders from now on, not what is in folders in them; those whose names are not UTF-8 cannot be."""
        folders = frozenset(folder for folder in folders if without_surrogates(folder) == folder)
        running = self._watcher is not None and not self._watcher.done()
        if folders == self._folders and (running or time.monotonic() < self._again_at):
            return
        await _ended(self._watcher)
        self._folders = folders
        self._watcher = asyncio.create_task(self._watch(folders)) if folders else None

    async def wait(self, seconds: float) -> set[str]:
        """Wait at most so long; return the paths of which something was told."""
        if seconds > 0:
            try:
                async with asyncio.timeout(seconds):
                    await self._woken.wait()
            except TimeoutError:
                pass
        else:
            await asyncio.sleep(0)
        if not self._stopping.is_set():
            self._woken.clear()
        changed, self._changed = self._changed, set()
        return changed

    async def _wake_on_stop(self) -> None:
        await self._stopping.wait()
        self._woken.set()

    async def _watch(self, folders: frozenset[str]) -> None:
        while True:
            try:
                await self._notice_changes(folders)
                break
            except Exception as error:  # noqa: BLE001 - whatever it is, looking every now and then goes on
                cause = _first_cause(error)
                self._woken.set()
                if _UNDECODABLE not in str(cause):
                    self._tell(f"folders cannot be watched, files are looked at every now and then: {cause}")
                    break
            await asyncio.sleep(_UNDECODABLE_SECONDS)
        self._again_at = time.monotonic() + _AGAIN_SECONDS

    async def _notice_changes(self, folders: frozenset[str]) -> None:
        from watchfiles import awatch

        async for changes in awatch(
            *folders,
            watch_filter=None,
            debounce=_DEBOUNCE_MILLISECONDS,
            step=_STEP_MILLISECONDS,
            recursive=False,
            ignore_permission_denied=True,
        ):
            self._changed.update(path for _, path in changes)
            self._woken.set()


def _first_cause(error: Exception) -> Exception:
    """Return what a group of exceptions holds: watchfiles' are in one of a task group."""
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    return error


async def _ended(task: asyncio.Task[None] | None) -> None:
    """End *task*, and wait until it has."""
    if task is not None:
        task.cancel()
        await asyncio.wait([task])
