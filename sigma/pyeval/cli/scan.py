"""``sigma-pyeval scan``: rules held against log files."""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

import click
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from sigma.pyeval import reports
from sigma.pyeval.findings import Finding
from sigma.pyeval.logs.formats import FORMATS
from sigma.pyeval.logs.reading import AUTO
from sigma.pyeval.logs.records import Problem
from sigma.pyeval.output import json_line, printable
from sigma.pyeval.parallel import scan_logs
from sigma.pyeval.restrictiveness import LEVELS
from sigma.pyeval.ruleset import Ruleset
from sigma.pyeval.scanning import STDIN, Scan, log_files

from .messages import fail, warn
from .rule_options import EXIT_NOTHING_LOADED, EXIT_STRICT, load_ruleset, rule_options

EXIT_FAIL_ON = 1
PROBLEMS_SHOWN = 10
_FILE = click.Path(dir_okay=False, path_type=Path)


@click.command("scan")
@click.argument("logs", nargs=-1, required=True)
@click.option(
    "-r", "--rules", "rules", multiple=True, required=True, type=click.Path(path_type=Path),
    help="Rule file or directory; repeatable.",
)  # fmt: skip
@click.option(
    "--input-format", type=click.Choice([AUTO, *FORMATS, "evtx"]), default=AUTO, show_default=True,
    help="The logs' format; told from their content unless given.",
)  # fmt: skip
@click.option(
    "--input-option", "input_options", multiple=True, metavar="NAME=VALUE",
    help="An option of the input format, as pattern=... of regex or log_format=... of access; repeatable.",
)  # fmt: skip
@click.option(
    "--format", "format_", type=click.Choice([*reports.FORMATS, "table"]), default="jsonl", show_default=True,
    help="How matches are written to standard output.",
)  # fmt: skip
@click.option("--report", type=_FILE, help="Write a page about all matches here, one HTML file that loads nothing.")
@click.option("--navigator", type=_FILE, help="Write a layer for the ATT&CK Navigator here.")
@click.option(
    "--jobs", type=click.IntRange(min=1), default=1, show_default=True, help="Read and match in this many processes."
)
@click.option(
    "--route/--no-route", default=True, show_default=True, help="Hold against an event only rules for its log source."
)
@click.option("--problems", type=_FILE, help="Keep what cannot be read here, as JSON lines.")
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
    problems: Path | None,
    fail_on: str | None,
    pipelines: tuple[str, ...],
    placeholders: tuple[str, ...],
    restrictiveness: str | None,
    cache: bool,
    strict: bool,
) -> None:
    """Hold rules against LOGS (files, directories; ``-`` is standard input) and print each match."""
    options = _parser_options(input_options)
    ruleset = load_ruleset(rules, pipelines, placeholders, restrictiveness, strict, cache=cache)
    started = time.monotonic()
    with ExitStack() as files:
        reporter = files.enter_context(_Problems(problems, strict))
        scan = Scan(ruleset, reporter.report, input_format, options, route=route)
        writers = _writers(format_, report, navigator, files)
        findings = _all_findings(scan, logs) if jobs == 1 else scan_logs(scan, log_files(logs), jobs)
        for finding in findings:
            for writer in writers:
                writer.write(finding)
        for writer in writers:
            writer.close()
    _summarise(scan, ruleset, time.monotonic() - started)
    if scan.logs == 0:
        fail("no log could be read", EXIT_NOTHING_LOADED)
    if fail_on is not None and any(scan.by_level[level] for level in LEVELS[LEVELS.index(fail_on) :]):
        raise SystemExit(EXIT_FAIL_ON)


def _writers(format_: str, report: Path | None, navigator: Path | None, files: ExitStack) -> list[reports.Writer]:
    """Return what writes the findings; files are opened before anything is read, so that a mistake is seen at once."""
    stdout = sys.stdout.buffer
    writers: list[reports.Writer] = [reports.TableWriter() if format_ == "table" else reports.FORMATS[format_](stdout)]
    if report is not None:
        writers.append(reports.HtmlReport(files.enter_context(_opened(report))))
    if navigator is not None:
        writers.append(reports.NavigatorLayer(files.enter_context(_opened(navigator))))
    return writers


def _opened(path: Path) -> BinaryIO:
    try:
        return path.open("wb")
    except OSError as error:
        fail(f"{path}: cannot be written: {error.strerror}", EXIT_NOTHING_LOADED)


def _parser_options(pairs: Iterable[str]) -> dict[str, str | bool]:
    options: dict[str, str | bool] = {}
    for pair in pairs:
        name, separator, value = pair.partition("=")
        if not separator:
            fail(f"--input-option {pair!r}: write it as NAME=VALUE", EXIT_NOTHING_LOADED)
        options[name] = {"true": True, "false": False}.get(value.lower(), value)
    return options


class _Problems:
    """Shows the first problems of each log, counts the others, and keeps all of them in a file where one is given."""

    def __init__(self, path: Path | None, strict: bool) -> None:
        self._strict = strict
        self._shown: Counter[str] = Counter()
        self._file: BinaryIO | None = None
        if path is not None:
            self._file = _opened(path)

    def report(self, path: str, problem: Problem) -> None:
        """Take one problem; ends the program under ``--strict``."""
        place = f"{path}:{problem.line}" if problem.line else path
        if self._strict:
            fail(f"{place}: {problem.reason}", EXIT_STRICT)
        if self._file is not None:
            self._file.write(json_line({"path": path, **problem._asdict()}) + b"\n")
        self._shown[path] += 1
        if self._shown[path] <= PROBLEMS_SHOWN:
            warn(f"{place}: {problem.reason}")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None:
            self._file.close()
        for path, count in self._shown.items():
            if count > PROBLEMS_SHOWN:
                warn(f"{path}: {count - PROBLEMS_SHOWN} more problems; --problems FILE keeps them all")


def _all_findings(scan: Scan, logs: Iterable[str]) -> Iterator[Finding]:
    """Yield the findings of every log, with a progress bar for each where stderr is a terminal."""
    console = Console(stderr=True)
    for path in log_files(logs):
        if path == STDIN or not console.is_terminal:
            yield from scan.log(path)
            continue
        columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
        with Progress(*columns, console=console, transient=True) as bar:
            file = Path(path)
            task = bar.add_task(printable(file.name), total=file.stat().st_size if file.exists() else None)
            yield from scan.log(path, lambda done, task=task, bar=bar: bar.update(task, completed=done))  # type: ignore[misc]


def _summarise(scan: Scan, ruleset: Ruleset, seconds: float) -> None:
    sys.stdout.flush()
    levels = ", ".join(f"{scan.by_level[name]} {name}" for name in (*reversed(LEVELS), "none") if scan.by_level[name])
    click.echo(
        f"{scan.events} events in {seconds:.1f} s, {len(ruleset.rules)} rules: "
        f"{scan.findings} matches{f' ({levels})' if levels else ''}, {scan.problems} problems, "
        f"{len(ruleset.errors)} rules left out",
        err=True,
    )
