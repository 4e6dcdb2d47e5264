"""A progress bar on stderr for what takes long before there is anything to show."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, Self

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from sigma.pyeval.output import printable
from sigma.pyeval.scanning import STDIN

QUIET_SECONDS: Final = 0.3


class Bar:
    """A bar that comes up where stderr is a terminal and nothing was printed for a while, and leaves nothing behind.

    Whoever prints to standard output calls ``hide`` first: that may be the same terminal.

    Args:
        title: What is going on.
        as_bytes: Whether steps are bytes.
    """

    def __init__(self, title: str = "", *, as_bytes: bool = False) -> None:
        self._console = Console(stderr=True)
        self._title = title
        self._columns = (DownloadColumn(), TimeRemainingColumn()) if as_bytes else (MofNCompleteColumn(),)
        self._progress: Progress | None = None
        self._printed = time.monotonic()

    def __enter__(self) -> Self:
        return self

    def show(self, done: int, steps: int | None, title: str | None = None) -> None:
        """Show that so many of so many steps are done; ``None`` where nobody knows how many there are."""
        if not self._console.is_terminal:
            return
        description = self._title if title is None else title
        if self._progress is not None:
            [task] = self._progress.task_ids
            self._progress.update(task, description=description, completed=done, total=steps)
        elif time.monotonic() - self._printed >= QUIET_SECONDS:
            columns = (TextColumn("{task.description}", markup=False), BarColumn(), *self._columns)
            self._progress = Progress(*columns, console=self._console, transient=True, redirect_stdout=False)
            self._progress.add_task(description, completed=done, total=steps)
            self._progress.start()

    def reading(self, path: str) -> Callable[[int], None] | None:
        """Return what shows how many bytes of a log are read; ``None`` for standard input, whose end nobody knows."""
        if path == STDIN:
            return None
        file = Path(path)
        size = file.stat().st_size if file.is_file() else None
        return lambda done: self.show(done, size, printable(file.name))

    def hide(self) -> None:
        """Take the bar away, as something is printed now."""
        if self._progress is not None:
            self._progress.stop()
            self._progress = None
        self._printed = time.monotonic()

    def __exit__(self, *_: object) -> None:
        self.hide()
