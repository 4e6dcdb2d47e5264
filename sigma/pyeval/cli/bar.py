"""A progress bar on stderr for what takes long before there is anything to show."""

from __future__ import annotations

from typing import Self

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, MofNCompleteColumn, Progress, ProgressColumn, TextColumn


class Bar:
    """A bar that comes up with the first step, where stderr is a terminal, and leaves nothing behind.

    Args:
        title: What is going on.
        as_bytes: Whether steps are bytes.
    """

    def __init__(self, title: str, *, as_bytes: bool = False) -> None:
        self._console = Console(stderr=True)
        self._title = title
        self._amount: ProgressColumn = DownloadColumn() if as_bytes else MofNCompleteColumn()
        self._progress: Progress | None = None

    def __enter__(self) -> Self:
        return self

    def show(self, done: int, steps: int | None) -> None:
        """Show that so many of so many steps are done; ``None`` where nobody knows how many there are."""
        if not self._console.is_terminal:
            return
        if self._progress is None:
            self._progress = Progress(
                TextColumn("{task.description}"), BarColumn(), self._amount, console=self._console, transient=True
            )
            self._progress.add_task(self._title)
            self._progress.start()
        self._progress.update(self._progress.task_ids[0], completed=done, total=steps)

    def __exit__(self, *_: object) -> None:
        if self._progress is not None:
            self._progress.stop()
