"""``sigma-pyeval test``: rules held against the cases that were written for them."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from sigma.pyeval.output import counted, json_line, printable
from sigma.pyeval.reports.console import output_console
from sigma.pyeval.ruleset import Ruleset
from sigma.pyeval.testing.item_coverage import ItemCoverage, RuleCoverage, UncoveredItem
from sigma.pyeval.testing.junit import write_junit
from sigma.pyeval.testing.results import results_dict
from sigma.pyeval.testing.running import Result, run_case
from sigma.pyeval.testing.suite import Suite, collect_cases

from .bar import Bar
from .log_options import FILE, replaced
from .messages import fail, warn
from .rule_options import EXIT_NOTHING_LOADED, EXIT_STRICT, RuleOptions, left_out, rule_options

EXIT_FAILED = 1
NAMES_SHOWN = 20
_STYLES = {"passed": "green", "failed": "red", "error": "bold red"}


@click.command("test")
@click.argument("rules", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--cases", "cases", multiple=True, type=click.Path(path_type=Path, exists=True),
    help="A file of cases, or a directory with some, that does not lie beside the rules; repeatable.",
)  # fmt: skip
@click.option("--format", "format_", type=click.Choice(["table", "json"]), default="table", show_default=True)
@click.option("--junit", type=FILE, help="Write the results here as JUnit XML.")
@click.option("--coverage", is_flag=True, help="Show which detection items were never true or never false.")
@rule_options
def command(
    rules: tuple[Path, ...],
    cases: tuple[Path, ...],
    format_: str,
    junit: Path | None,
    coverage: bool,
    options: RuleOptions,
) -> None:
    """Run the test cases of RULES (files or directories): ``x.test.yml`` beside ``x.yml``, and SigmaHQ's regression tests.

    A file of cases, whose events have the names that fields have after the pipeline:

    \b
    match:
      - event: {_EXE: /usr/bin/curl, _CMDLINE: curl -o /tmp/x}
      - {name: seen in March, log: audit.log, lines: [6]}
    no_match:
      - event: {_EXE: /usr/bin/curl, _CMDLINE: curl --version}

    Exit codes: 0 all passed; 1 a case failed, could not be run, or is written wrongly; 2 no rule
    or no case could be loaded; 3 stopped by --strict, at the first rule or case that cannot be read.
    """  # noqa: D301 - the backspace tells click to leave the lines as they are
    ruleset = options.load(rules)
    options.tell_without_pipeline()
    suite = collect_cases(ruleset, rules, cases)
    for mistake in suite.mistakes:
        if options.strict:
            fail(str(mistake), EXIT_STRICT)
        warn(str(mistake))
    for note in suite.notes():
        warn(note)
    if not suite.cases and not suite.mistakes:
        fail(_no_case(ruleset), EXIT_NOTHING_LOADED)
    with ExitStack() as files:
        stream = None if junit is None else files.enter_context(replaced(junit))
        seen = ItemCoverage()
        results: list[Result] = []
        with Bar("running cases") as bar:
            for case in suite.cases:
                bar.show(len(results), len(suite.cases))
                results.append(run_case(case, seen.add if coverage else None))
        covered = seen.report(ruleset.rules) if coverage else None
        if stream is not None:
            write_junit(results, suite.mistakes, stream)
    _write(suite, results, ruleset, covered, format_)
    failed = sum(result.status != "passed" for result in results)
    click.echo(
        f"{counted(len(results), 'case')} of {counted(len(ruleset.all_rules) - len(suite.untested), 'rule')}: "
        f"{len(results) - failed} passed, {failed} failed; {counted(len(suite.mistakes), 'mistake')}, "
        f"{counted(len(suite.untested), 'rule')} without cases, {left_out(ruleset)}",
        err=True,
    )
    if failed or suite.mistakes:
        raise SystemExit(EXIT_FAILED)


def _no_case(ruleset: Ruleset) -> str:
    """Return where a file of cases may be written for the first rule that has a file, and how it is told to look."""
    path = next((rule.path for rule in ruleset.all_rules if rule.path), "x.yml")
    return (
        f"no test case found; write some in {Path(path).with_suffix('.test.yaml')}, as 'sigma-pyeval test --help' shows"
    )


def _write(
    suite: Suite, results: Sequence[Result], ruleset: Ruleset, covered: Sequence[RuleCoverage] | None, format_: str
) -> None:
    if format_ == "json":
        sys.stdout.buffer.write(json_line(results_dict(suite, results, ruleset.errors, covered)) + b"\n")
    else:
        console = output_console()
        _write_results(results, console)
        if suite.untested:
            _write_untested(suite, console)
        if covered is not None:
            _write_coverage([one for one in covered if one.events], console)
    sys.stdout.flush()


def _write_results(results: Sequence[Result], console: Console) -> None:
    from sigma.pyeval.reports.explain_text import print_explanation

    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("result", "rule", "case"):
        table.add_column(title, overflow="fold")
    for result in results:
        rule, case = result.rule_case.rule, result.rule_case.case
        table.add_row(Text(result.status, _STYLES[result.status]), _text(rule.title), _text(case.name))
    console.print(table)
    for result in results:
        if result.status != "passed":
            rule, case = result.rule_case.rule, result.rule_case.case
            console.print()
            place = f"{rule.path or rule.title}: case {case.name!r} ({case.path}: {case.place})"
            console.print(_text(place), style="bold", soft_wrap=True)
            console.print(_text(f"{result.status}: {result.message}"), soft_wrap=True)
            if result.explanation is not None:
                print_explanation(result.explanation, console)


def _write_untested(suite: Suite, console: Console) -> None:
    console.print(f"\n{counted(len(suite.untested), 'rule')} without cases:")
    for rule in suite.untested[:NAMES_SHOWN]:
        console.print(_text(f"  {rule.title}"), soft_wrap=True)
    if len(suite.untested) > NAMES_SHOWN:
        console.print(f"  and {len(suite.untested) - NAMES_SHOWN} more; --format json lists them")


def _write_coverage(covered: Sequence[RuleCoverage], console: Console) -> None:
    console.print("\nitems over all cases, each to be seen true and false:")
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("rule", "covered", "never", "item"):
        table.add_column(title, overflow="fold", justify="right" if title == "covered" else "left")
    for one in covered:
        table.add_row(_text(one.rule.title), f"{one.share:.0%}", "", "")
        for uncovered in one.uncovered:
            table.add_row("", "", _never(uncovered), _text(_item(uncovered)))
    console.print(table)


def _never(uncovered: UncoveredItem) -> str:
    return (
        "evaluated" if uncovered.never_true and uncovered.never_false else "true" if uncovered.never_true else "false"
    )


def _item(uncovered: UncoveredItem) -> str:
    from sigma.pyeval.reports.explanations import question_of

    return f"{uncovered.item.number} {question_of(uncovered.item.call)}"


def _text(text: str) -> Text:
    return Text(printable(text))
