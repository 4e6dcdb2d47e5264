"""A table for people at a terminal: level, rule with the event's beginning, and where it was found."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table
from rich.text import Text

from sigma.pyeval.entities import LONGEST_EXCERPT, excerpt
from sigma.pyeval.findings import Finding
from sigma.pyeval.output import printable

from .console import UNWRAPPED, output_console

STYLES = {"critical": "bold red", "high": "red", "medium": "yellow", "low": "cyan", "informational": "dim"}


class TableWriter:
    """Prints each finding when it comes; the columns' widths depend on the console alone, so nothing is held.

    Args:
        console: Where to print; standard output, unless given.
    """

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or output_console()
        self._begun = False

    def write(self, finding: Finding) -> None:
        """Print the finding's rows, under the column titles if it is the first."""
        level = finding.match.rule.level or "none"
        what = Text(printable(finding.match.rule.title), style="bold")
        what.append("\n" + printable(excerpt(finding.match)), style="not bold dim")
        where = Text(printable(f"{finding.path}:{finding.line}"))
        table = _table(self._console.width < UNWRAPPED, show_header=not self._begun)
        shown = "info" if level == "informational" else printable(level)
        table.add_row(Text(shown, style=STYLES.get(level, "")), what, where)
        self._console.print(table)
        self._begun = True

    def close(self) -> None:
        """Flush the console's stream."""
        self._console.file.flush()


def _table(is_bounded: bool, *, show_header: bool) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold", expand=is_bounded, show_header=show_header)
    table.add_column("level", no_wrap=True, width=len("critical"))
    table.add_column("rule, event", overflow="fold", ratio=8, min_width=None if is_bounded else LONGEST_EXCERPT)
    table.add_column("where", overflow="fold", ratio=5)
    return table
