"""``sigma-pyeval scan``: rules held against log files."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack
from pathlib import Path
from typing import Literal

import click

from sigma.pyeval import reports
from sigma.pyeval.findings import Finding
from sigma.pyeval.log_correlation import CorrelationOptions
from sigma.pyeval.output import counted
from sigma.pyeval.parallel import scan_logs
from sigma.pyeval.restrictiveness import LEVELS
from sigma.pyeval.ruleset import Ruleset
from sigma.pyeval.scanning import STDIN, Scan, log_files

from .bar import Bar
from .log_options import FILE, Problems, check_outputs, log_options, parser_options, replaced
from .messages import fail, warn
from .rule_options import EXIT_NOTHING_LOADED, RuleOptions, left_out, rule_options

EXIT_FAIL_ON = 1


@click.command("scan")
@log_options
@click.option(
    "--format", "format_", type=click.Choice([*reports.FORMATS, "table"]), default="jsonl", show_default=True,
    help="How matches are written to standard output.",
)  # fmt: skip
@click.option("--report", type=FILE, help="Write a page about all matches here, one HTML file that loads nothing.")
@click.option("--navigator", type=FILE, help="Write a layer for the ATT&CK Navigator here.")
@click.option(
    "--jobs", type=click.IntRange(min=1), default=1, show_default=True, help="Read and match in this many processes."
)
@click.option(
    "--route/--no-route", default=True, show_default=True, help="Hold against an event only rules for its log source."
)
@click.option(
    "--refire", type=click.Choice(["each", "once"]), default="each", show_default=True,
    help="Correlation rules: every event that makes one true, or once a timespan and group.",
)  # fmt: skip
@click.option(
    "--lateness", type=click.FloatRange(min=0), metavar="SECONDS",
    help="Correlate as records come, which may be so late. Else, at the end, in order of time; standard input at once.",
)  # fmt: skip
@click.option("--problems", type=FILE, help="Keep what cannot be read here, as JSON lines.")
@click.option("--fail-on", type=click.Choice(LEVELS), help="Exit with 1 where a rule of this level or above matched.")
@rule_options
def command(
    logs: tuple[str, ...],
    rules: tuple[Path, ...],
    input_format: str,
    input_options: tuple[str, ...],
    format_: str,
    report: Path | None,
    navigator: Path | None,
    jobs: int,
    route: bool,
    refire: Literal["each", "once"],
    lateness: float | None,
    problems: Path | None,
    fail_on: str | None,
    options: RuleOptions,
) -> None:
    """Hold rules against LOGS (files, directories; ``-`` is standard input) and print each match."""
    parsing = parser_options(input_options)
    check_outputs((report, navigator, problems), log_files(logs))
    ruleset = options.load(rules)
    options.tell_without_pipeline()
    if lateness is None and logs == (STDIN,):
        lateness = 0  # whoever pipes a live log in does not wait for its end
    started = time.monotonic()
    with ExitStack() as files:
        reporter = files.enter_context(Problems(problems, options.strict))
        correlation = CorrelationOptions(refire, lateness)
        bar = files.enter_context(Bar(as_bytes=True))
        scan = Scan(
            ruleset, reporter.report, input_format, parsing, route=route, correlation=correlation, reading=bar.reading
        )
        writers = _writers(format_, report, navigator, files)
        findings = _all_findings(scan, logs) if jobs == 1 else scan_logs(scan, log_files(logs), jobs)
        try:
            for finding in findings:
                bar.hide()
                for writer in writers:
                    writer.write(finding)
            bar.hide()
            for writer in writers:
                writer.close()
        except BrokenProcessPool:
            fail(
                "a worker process was ended from outside, for want of memory perhaps; try fewer --jobs",
                EXIT_NOTHING_LOADED,
            )
        except OSError as error:  # logs that cannot be read are problems; this is about what is written
            fail(f"matches cannot be written: {error.strerror}", EXIT_NOTHING_LOADED)
        if scan.logs == 0:
            fail("no log could be read", EXIT_NOTHING_LOADED)
    _summarise(scan, ruleset, time.monotonic() - started)
    if fail_on is not None and any(scan.by_level[level] for level in LEVELS[LEVELS.index(fail_on) :]):
        raise SystemExit(EXIT_FAIL_ON)


def _writers(format_: str, report: Path | None, navigator: Path | None, files: ExitStack) -> list[reports.Writer]:
    """Return what writes the findings; files are opened before anything is read, so that a mistake is seen at once."""
    stdout = sys.stdout.buffer
    writers: list[reports.Writer] = [reports.TableWriter() if format_ == "table" else reports.FORMATS[format_](stdout)]
    if report is not None:
        writers.append(reports.HtmlReport(files.enter_context(replaced(report))))
    if navigator is not None:
        writers.append(reports.NavigatorLayer(files.enter_context(replaced(navigator))))
    return writers


def _all_findings(scan: Scan, logs: Iterable[str]) -> Iterator[Finding]:
    for path in log_files(logs):
        yield from scan.log(path)
    yield from scan.finish()


def _summarise(scan: Scan, ruleset: Ruleset, seconds: float) -> None:
    sys.stdout.flush()
    for loss in scan.correlation_losses():
        warn(f"correlation: {loss}")
    levels = ", ".join(f"{scan.by_level[name]} {name}" for name in (*reversed(LEVELS), "none") if scan.by_level[name])
    rules = counted(len(ruleset.all_rules), "rule")
    if serving := sum(not rule.generate for rule in ruleset.all_rules):
        rules += f" ({serving} only serve{'s' if serving == 1 else ''} correlations)"
    click.echo(
        f"{counted(scan.events, 'event')} of {counted(scan.logs, 'log')} in {seconds:.1f} s, "
        f"{rules}: {counted(scan.findings, 'match')}{f' ({levels})' if levels else ''}, "
        f"{counted(scan.problems, 'problem')}, {left_out(ruleset)}",
        err=True,
    )
