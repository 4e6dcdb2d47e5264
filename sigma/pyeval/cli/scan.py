"""``sigma-pyeval scan``: rules held against log files."""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

import click
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from sigma.pyeval.codegen import rule_record
from sigma.pyeval.json_events import JsonProblem, parse_json_line
from sigma.pyeval.output import json_line, printable
from sigma.pyeval.restrictiveness import LEVELS
from sigma.pyeval.rules import Match
from sigma.pyeval.ruleset import Ruleset

from .messages import fail, warn
from .rule_options import EXIT_NOTHING_LOADED, EXIT_STRICT, load_ruleset, rule_options

EXIT_FAIL_ON = 1
_STYLES = {"critical": "bold red", "high": "red", "medium": "yellow", "low": "cyan", "informational": "dim"}


@click.command("scan")
@click.argument("logs", nargs=-1, required=True, type=click.Path(path_type=Path, allow_dash=True))
@click.option(
    "-r", "--rules", "rules", multiple=True, required=True, type=click.Path(path_type=Path),
    help="Rule file or directory; repeatable.",
)  # fmt: skip
@click.option("--input-format", type=click.Choice(["auto", "jsonl"]), default="auto", show_default=True)
@click.option("--format", "format_", type=click.Choice(["jsonl", "table"]), default="jsonl", show_default=True)
@click.option("--fail-on", type=click.Choice(LEVELS), help="Exit with 1 where a rule of this level or above matched.")
@rule_options
def command(
    logs: tuple[Path, ...],
    rules: tuple[Path, ...],
    input_format: str,  # noqa: ARG001 - one format so far
    format_: str,
    fail_on: str | None,
    pipelines: tuple[str, ...],
    placeholders: tuple[str, ...],
    restrictiveness: str | None,
    strict: bool,
) -> None:
    """Hold rules against LOGs (files; ``-`` is standard input) and print each match."""
    ruleset = load_ruleset(rules, pipelines, placeholders, restrictiveness, strict)
    scan = _Scan(ruleset, strict)
    writer = _write_table if format_ == "table" else _write_json
    writer(scan.matches(logs))
    scan.summarise()
    if scan.files_read == 0:
        fail("no log could be read", EXIT_NOTHING_LOADED)
    if fail_on is not None and scan.reached(fail_on):
        raise SystemExit(EXIT_FAIL_ON)


class _Scan:
    """One run over all logs, and what is counted on the way."""

    def __init__(self, ruleset: Ruleset, strict: bool) -> None:
        self._ruleset = ruleset
        self._strict = strict
        self._started = time.monotonic()
        self._events = 0
        self._problems = 0
        self._by_level: Counter[str] = Counter()
        self.files_read = 0

    def matches(self, logs: Iterable[Path]) -> Iterator[tuple[Match, str, int]]:
        """Yield (match, path, line) for every match in the logs; what cannot be read is named on stderr."""
        for path in logs:
            if str(path) == "-":
                self.files_read += 1
                yield from self._lines(sys.stdin.buffer, "-")
                continue
            try:
                with path.open("rb") as stream:
                    stream.peek(1)
                    self.files_read += 1
                    yield from self._lines(_with_progress(stream, path), str(path))
            except OSError as error:
                self._problem(f"{path}: cannot be read: {error.strerror}")

    def _lines(self, lines: Iterable[bytes], name: str) -> Iterator[tuple[Match, str, int]]:
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            event = parse_json_line(line)
            if isinstance(event, JsonProblem):
                self._problem(f"{name}:{number}: {event.reason}")
                continue
            self._events += 1
            for match in self._ruleset.match(event):
                self._by_level[match.rule.level or "none"] += 1
                yield match, name, number

    def _problem(self, message: str) -> None:
        self._problems += 1
        if self._strict:
            fail(message, EXIT_STRICT)
        warn(message)

    def reached(self, level: str) -> bool:
        """Return whether a rule of *level* or above matched."""
        return any(self._by_level[name] for name in LEVELS[LEVELS.index(level) :])

    def summarise(self) -> None:
        """Write the counts on stderr."""
        levels = ", ".join(
            f"{self._by_level[name]} {name}" for name in (*reversed(LEVELS), "none") if self._by_level[name]
        )
        matched = sum(self._by_level.values())
        click.echo(
            f"{self._events} events in {time.monotonic() - self._started:.1f} s, {len(self._ruleset.rules)} rules: "
            f"{matched} matches{f' ({levels})' if levels else ''}, {self._problems} problems, "
            f"{len(self._ruleset.errors)} rules left out",
            err=True,
        )


def _write_json(matches: Iterable[tuple[Match, str, int]]) -> None:
    write = sys.stdout.buffer.write
    for match, path, line in matches:
        record = {
            "rule": rule_record(match.rule),
            "event": match.event,
            "logsource": match.rule.logsource.as_dict(),
            "source": {"path": path, "line": line},
        }
        write(json_line(record) + b"\n")
    sys.stdout.buffer.flush()


def _write_table(matches: Iterable[tuple[Match, str, int]]) -> None:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("level", no_wrap=True)
    table.add_column("rule, event", overflow="fold")
    table.add_column("where", overflow="fold")
    for match, path, line in matches:
        level = match.rule.level or "none"
        what = Text(printable(match.rule.title), style="bold")
        what.append("\n" + printable(_excerpt(match)), style="not bold dim")
        table.add_row(Text(level, style=_STYLES.get(level, "")), what, Text(printable(f"{path}:{line}")))
    if table.row_count:
        Console().print(table)


def _excerpt(match: Match) -> str:
    """Return the beginning of what a person would look at first in the event."""
    for field in (*match.rule.fields, "_CMDLINE", "CommandLine", "MESSAGE", "_TARGET_FILE"):
        value = match.event.get(field)
        if isinstance(value, str) and value:
            return value[:120]
    return json_line(match.event).decode()[:120]


def _with_progress(stream: BinaryIO, path: Path) -> Iterator[bytes]:
    """Yield the lines of *stream*, with a progress bar where stderr is a terminal."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield from stream
        return
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task(printable(path.name), total=path.stat().st_size or None)
        for line in stream:
            progress.advance(task, len(line))
            yield line
