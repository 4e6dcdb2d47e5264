"""``sigma-pyeval fields``: which fields rules ask for that logs don't have, and the other way round."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path

import click
from rich.table import Table
from rich.text import Text

from sigma.pyeval.field_report import FieldCounter, FieldReport
from sigma.pyeval.output import counted, json_line, printable
from sigma.pyeval.reports.console import output_console
from sigma.pyeval.rules import LogSource
from sigma.pyeval.scanning import Scan, log_files

from .bar import Bar
from .log_options import Problems, log_options, parser_options
from .messages import fail, warn
from .rule_options import EXIT_NOTHING_LOADED, RuleOptions, left_out, rule_options

UNREAD_SHOWN = 10


@click.command("fields")
@log_options
@click.option("--format", "format_", type=click.Choice(["table", "json"]), default="table", show_default=True)
@rule_options
def command(
    logs: tuple[str, ...],
    rules: tuple[Path, ...],
    input_format: str,
    input_options: tuple[str, ...],
    format_: str,
    options: RuleOptions,
) -> None:
    """Show which fields the rules, correlation rules too, ask for that LOGS never have, and which fields no rule reads.

    LOGS are files and directories; ``-`` is standard input.
    """
    ruleset = options.load(rules)
    counter = FieldCounter(ruleset.all_rules)
    with Problems(None, options.strict) as problems, Bar(as_bytes=True) as bar:
        scan = Scan(ruleset, problems.report, input_format, parser_options(input_options), reading=bar.reading)
        _count(counter, scan, logs)
    if scan.logs == 0:
        fail("no log could be read", EXIT_NOTHING_LOADED)
    report = counter.report()
    if format_ == "json":
        sys.stdout.buffer.write(json_line(report.as_dict()) + b"\n")
    else:
        _write_tables(report)
    sys.stdout.flush()
    if report.missing and not options.pipelines:
        warn("no --pipeline was given: the rules' fields keep Sigma's names")
    unread = counted(len(report.unread), "field") if report.complete else f"{len(report.unread)} or more fields"
    search = f"{report.keyword_rules} search{'es' if report.keyword_rules == 1 else ''} all values"
    click.echo(
        f"{counted(report.events, 'event')}, {counted(len(ruleset.all_rules), 'rule')} ({search}): "
        f"{counted(report.asked, 'field')} asked for, {len(report.missing)} of them missing, {unread} unread, "
        f"{counted(scan.problems, 'problem')}, {left_out(ruleset)}",
        err=True,
    )


def _count(counter: FieldCounter, scan: Scan, logs: Iterable[str]) -> None:
    for path in log_files(logs):
        for record in scan.records(path):
            counter.add(record.event)


def _write_tables(report: FieldReport) -> None:
    console = output_console(highlight=True)
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
