"""``sigma-pyeval bench``: how many of one's own events a second one's own rules judge."""

from __future__ import annotations

import lzma
import zlib
from pathlib import Path

import click
from rich.table import Table

from sigma.pyeval.benchmark import Throughput, event_lines, measure_throughput, pin
from sigma.pyeval.logs.inputs import CompressionUnavailableError, open_log
from sigma.pyeval.output import json_line
from sigma.pyeval.reports.console import output_console

from .messages import fail, warn
from .rule_options import EXIT_NOTHING_LOADED, EXIT_STRICT, RuleOptions, rule_options

_PROBLEMS_SHOWN = 10
_MEANINGS = {
    "first": "nothing learned yet",
    "warm": "the same events again",
    "unique": "no text seen before",
}


@click.command("bench")
@click.argument("events", type=click.Path(path_type=Path))
@click.option(
    "-r", "--rules", "rules", multiple=True, required=True, type=click.Path(path_type=Path),
    help="Rule file or directory; repeatable.",
)  # fmt: skip
@click.option(
    "--runs", type=click.IntRange(1), default=3, show_default=True, help="Passes of each kind; the median counts."
)
@click.option(
    "--route/--no-route", default=False, show_default=True, help="Hold against an event only rules for its log source."
)
@click.option("--format", "format_", type=click.Choice(["table", "json"]), default="table", show_default=True)
@rule_options
def command(
    events: Path,
    rules: tuple[Path, ...],
    runs: int,
    route: bool,
    format_: str,
    options: RuleOptions,
) -> None:
    """Measure how many EVENTS (JSON lines, compressed or not) a second the rules judge.

    On one core, in CPU time, JSON decoding included: beside decoding alone, and beside evaluating rule by rule the
    first events of the file.
    """
    ruleset = options.load(rules)
    lines = _read_events(events, options.strict)
    pin()
    measured = measure_throughput(ruleset, lines, runs=runs, routed=route)
    if format_ == "json":
        click.echo(json_line(_as_dict(measured)))
    else:
        _print_table(measured)


def _read_events(path: Path, strict: bool) -> list[bytes]:
    try:
        with open_log(path) as stream:
            lines, others = event_lines(stream)
    except (OSError, EOFError, lzma.LZMAError, zlib.error, CompressionUnavailableError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        fail(f"{path}: cannot be read: {reason}", EXIT_NOTHING_LOADED)
    for number in others[:_PROBLEMS_SHOWN]:
        message = f"{path}:{number}: not a JSON object"
        if strict:
            fail(message, EXIT_STRICT)
        warn(f"{message}; left out")
    if len(others) > _PROBLEMS_SHOWN:
        warn(f"{path}: {len(others) - _PROBLEMS_SHOWN} more lines that are no JSON object")
    if not lines:
        fail(f"{path}: no event in it", EXIT_NOTHING_LOADED)
    return lines


def _as_dict(measured: Throughput) -> dict[str, object]:
    passes = measured.passes()
    rates = {name: rate for name, (rate, _, _) in passes.items()}
    others = {name: getattr(measured, name) for name in ("decode", "decode_unique", "scan")}
    return {
        **{name: getattr(measured, name) for name in ("rules", "events", "scanned", "runs", "routed")},
        "events_per_second": rates | others,
        "share_of_decoding": {name: share for name, (_, share, _) in passes.items()},
        "times_scan": {name: times for name, (_, _, times) in passes.items()},
    }


def _print_table(measured: Throughput) -> None:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("pass", "events/s", "of decoding", "times scan"):
        table.add_column(title, justify="left" if title == "pass" else "right", no_wrap=True)
    table.add_column("")
    for name, (rate, share, times) in measured.passes().items():
        table.add_row(name, f"{rate:,.0f}", f"{share:.1%}", f"{times:,.1f}", _MEANINGS[name])
    decode, scan = measured.decode, measured.scan
    table.add_row("decode", f"{decode:,.0f}", f"{1:.1%}", f"{decode / scan:,.1f}", "orjson alone, the same lines")
    table.add_row(
        "scan", f"{scan:,.0f}", f"{scan / decode:.1%}", "1.0", f"rule by rule, the first {measured.scanned:,}"
    )
    routed = ", routed by log source" if measured.routed else ""
    output_console().print(table)
    click.echo(
        f"{measured.rules:,} rules, {measured.events:,} events, median of {measured.runs} runs on one core{routed}",
        err=True,
    )
