"""``sigma-pyeval fields``: which fields rules ask for that logs don't have, and the other way round."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterable
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from sigma.pyeval.field_report import FieldCounter, FieldReport
from sigma.pyeval.logs.formats import FORMATS
from sigma.pyeval.logs.reading import AUTO, LogError, Records, read_log, read_stream
from sigma.pyeval.logs.records import Problem
from sigma.pyeval.output import json_line, printable
from sigma.pyeval.rules import LogSource
from sigma.pyeval.scanning import STDIN, log_files

from .messages import fail, warn
from .rule_options import EXIT_NOTHING_LOADED, EXIT_STRICT, load_ruleset, rule_options

PROBLEMS_SHOWN = 10
UNREAD_SHOWN = 10


@click.command("fields")
@click.argument("logs", nargs=-1, required=True)
@click.option(
    "-r", "--rules", "rules", multiple=True, required=True, type=click.Path(path_type=Path),
    help="Rule file or directory; repeatable.",
)  # fmt: skip
@click.option(
    "--input-format", type=click.Choice([AUTO, *FORMATS, "evtx"]), default=AUTO, show_default=True,
    help="The logs' format; told from their content unless given.",
)  # fmt: skip
@click.option("--format", "format_", type=click.Choice(["table", "json"]), default="table", show_default=True)
@rule_options
def command(
    logs: tuple[str, ...],
    rules: tuple[Path, ...],
    input_format: str,
    format_: str,
    pipelines: tuple[str, ...],
    placeholders: tuple[str, ...],
    restrictiveness: str | None,
    cache: bool,
    strict: bool,
) -> None:
    """Show which fields the rules ask for that LOGS never have, and which fields of the logs no rule reads.

    LOGS are files and directories; ``-`` is standard input.
    """
    ruleset = load_ruleset(rules, pipelines, placeholders, restrictiveness, strict, cache=cache)
    counter = FieldCounter(ruleset.rules)
    problems = _Problems(strict)
    if not _count(counter, logs, input_format, problems):
        fail("no log could be read", EXIT_NOTHING_LOADED)
    report = counter.report()
    if format_ == "json":
        sys.stdout.buffer.write(json_line(report.as_dict()) + b"\n")
    else:
        _write_tables(report)
    sys.stdout.flush()
    if report.missing and not pipelines:
        warn("no --pipeline was given: the rules' fields keep Sigma's names")
    click.echo(
        f"{report.events} events, {len(ruleset.rules)} rules ({report.keyword_rules} search all values): "
        f"{report.asked} fields asked for, {len(report.missing)} of them missing, "
        f"{len(report.unread)}{'' if report.complete else ' or more'} fields unread, "
        f"{problems.count} problems, {len(ruleset.errors)} rules left out",
        err=True,
    )


class _Problems:
    """Names the first problems on stderr and counts all of them; ends the program under ``--strict``."""

    def __init__(self, strict: bool) -> None:
        self._strict = strict
        self.count = 0

    def report(self, path: str, line: int, reason: str) -> None:
        """Take one problem; *line* is 0 where it is about the whole log."""
        message = f"{path}:{line}: {reason}" if line else f"{path}: {reason}"
        if self._strict:
            fail(message, EXIT_STRICT)
        self.count += 1
        if self.count <= PROBLEMS_SHOWN:
            warn(message)


def _count(counter: FieldCounter, logs: Iterable[str], input_format: str, problems: _Problems) -> int:
    """Count the fields of all *logs*; return how many logs could be opened."""
    opened = 0
    for path in log_files(logs):
        try:
            records = _records(path, input_format)
        except (LogError, ImportError) as error:
            problems.report(path, 0, str(error))
            continue
        opened += 1
        with contextlib.closing(records):
            for record in records:
                if isinstance(record, Problem):
                    problems.report(path, record.line, record.reason)
                else:
                    counter.add(record.event)
    if problems.count > PROBLEMS_SHOWN:
        warn(f"{problems.count - PROBLEMS_SHOWN} more problems")
    return opened


def _records(path: str, input_format: str) -> Records:
    if path == STDIN:
        return read_stream(sys.stdin.buffer, input_format)
    return read_log(Path(path), input_format)


def _write_tables(report: FieldReport) -> None:
    console = Console()
    if report.missing:
        console.print("Rules ask for these fields, which no event has:")
        table = _table("field", "rules", "for log source", "nearest in the logs")
        for field in report.missing:
            sources = "; ".join(f"{_describe(source)} ({count})" for source, count in field.logsources.items())
            table.add_row(*map(_text, (field.name, str(field.rules), sources, field.nearest or "-")))
        console.print(table)
    else:
        console.print("Every field that rules ask for occurs in the logs.")
    if report.unread:
        console.print("No rule reads these fields:")
        table = _table("field", "events")
        for name, events in list(report.unread.items())[:UNREAD_SHOWN]:
            table.add_row(_text(name), _text(str(events)))
        console.print(table)
        if len(report.unread) > UNREAD_SHOWN:
            console.print(f"and {len(report.unread) - UNREAD_SHOWN} more; --format json lists them")


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def _text(text: str) -> Text:
    return Text(printable(text))


def _describe(source: LogSource) -> str:
    return ", ".join(source.as_dict().values()) or "any"
