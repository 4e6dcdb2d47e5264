"""``sigma-pyeval explain``: why rules match the events of a log, or why they don't."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

import click

from sigma.pyeval.errors import UnknownRuleError
from sigma.pyeval.explain import explain_rule
from sigma.pyeval.explain_correlation import CorrelationExplainer
from sigma.pyeval.log_correlation import place_of
from sigma.pyeval.output import counted, json_line, printable
from sigma.pyeval.rules import CorrelationRule, Rule
from sigma.pyeval.ruleset import Ruleset
from sigma.pyeval.scanning import Scan, log_files

from .bar import Bar
from .explained import AskedLines, Explained, Shortlist
from .log_options import Problems, log_options, parser_options
from .messages import fail
from .rule_options import EXIT_NOTHING_LOADED, RuleOptions, rule_options

MOST_SHOWN = 20


@click.command("explain")
@log_options
@click.option("--rule", "names", multiple=True, help="Only the rule with this id or title; repeatable.")
@click.option("--line", "lines", type=click.IntRange(1), multiple=True, help="Only the event on this line; repeatable.")
@click.option("--format", "format_", type=click.Choice(["tree", "json"]), default="tree", show_default=True)
@click.option(
    "--most", type=click.IntRange(1), default=MOST_SHOWN, show_default=True, metavar="N",
    help="Without --line, show as trees so many explanations: what matches, then what the fewest items keep from it.",
)  # fmt: skip
@rule_options
def command(
    logs: tuple[str, ...],
    rules: tuple[Path, ...],
    input_format: str,
    input_options: tuple[str, ...],
    names: tuple[str, ...],
    lines: tuple[int, ...],
    format_: str,
    most: int,
    options: RuleOptions,
) -> None:
    """Show for each event of LOGS why each rule matches it, or why not, and why correlation rules match all of them together.

    LOGS are files (an event as JSON, or any log that scan reads) and directories; ``-`` is standard input. An item is a call
    of the rule's expression; docs/explain.md says what is shown of it. Exit codes: 0 done, whether or not anything matched;
    2 nothing could be loaded, or no rule or line is as named; 3 stopped by --strict.
    """
    ruleset = options.load(rules)
    chosen = _chosen(ruleset, names)
    plain = [rule for rule in chosen if not isinstance(rule, CorrelationRule)]
    correlated = [CorrelationExplainer(ruleset, rule) for rule in chosen if isinstance(rule, CorrelationRule)]
    explained = matched = 0
    shortlist = None if lines or format_ == "json" else Shortlist(most)
    with Problems(None, options.strict) as problems, Bar(as_bytes=True) as bar:
        scan = Scan(ruleset, problems.report, input_format, parser_options(input_options), reading=bar.reading)
        write = _write_json if format_ == "json" else _write_tree
        for path in log_files(logs):
            for explainer in correlated:
                explainer.begin_log()
            asked = AskedLines(lines)
            for record in scan.records(path):
                if lines and not asked.wants(record):
                    continue
                explained += 1
                logsource = scan.logsource(record)
                for explainer in correlated:
                    explainer.add(record.event, logsource=logsource, source=place_of(record, path))
                found = [explain_rule(rule, record.event, logsource) for rule in plain]
                matched += sum(explanation.matched for explanation in found)
                if shortlist is not None:
                    shortlist.add(found, path, record.line)
                elif lines:
                    asked.add(record, found)
                else:
                    bar.hide()
                    write([Explained(found, path, record.line)])
            bar.hide()
            write(asked.explained(path))
    if not explained:
        wanted = f"no event begins on line {', '.join(map(str, lines))}" if lines else "no event in it"
        fail("no log could be read" if scan.logs == 0 else wanted, EXIT_NOTHING_LOADED)
    if shortlist is not None:
        write(shortlist.explained())
    together = [explainer.explanation() for explainer in correlated]
    matched += sum(explanation.raised for explanation in together)
    write([Explained(together)])
    sys.stdout.flush()
    if shortlist is not None and shortlist.seen > most:
        click.echo(
            f"{most} of {shortlist.seen} explanations are shown, matches first, then what the fewest items keep from matching; "
            "--line N shows all of an event, --rule those of a rule, --most N more, --format json everything",
            err=True,
        )
    click.echo(f"{counted(explained, 'event')}, {counted(len(chosen), 'rule')}: {counted(matched, 'match')}", err=True)


def _chosen(ruleset: Ruleset, names: Sequence[str]) -> list[Rule]:
    try:
        return [ruleset.find_rule(name) for name in names] if names else list(ruleset.all_rules)
    except UnknownRuleError as error:
        fail(f"--rule: {error}", EXIT_NOTHING_LOADED)


def _write_json(found: Iterable[Explained]) -> None:
    for one in found:
        source = {"source": {"path": one.path, "line": one.line}} if one.path else {}
        for explanation in one.explanations:
            sys.stdout.buffer.write(json_line(explanation.as_dict() | source) + b"\n")


def _write_tree(found: Iterable[Explained]) -> None:
    from sigma.pyeval.reports.console import output_console
    from sigma.pyeval.reports.explain_text import print_explanation

    console = output_console()
    for one in found:
        if one.path and one.explanations:
            place = f"{one.path}:{one.line}" + (f" ({one.remark})" if one.remark else "")
            console.print(printable(place), markup=False, style="dim", soft_wrap=True)
        for explanation in one.explanations:
            print_explanation(explanation, console)
