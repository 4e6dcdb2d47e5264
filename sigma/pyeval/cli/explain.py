"""``sigma-pyeval explain``: why rules match the events of a log, or why they don't."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import click

from sigma.pyeval.errors import UnknownRuleError
from sigma.pyeval.explain import Explanation, explain_rule
from sigma.pyeval.explain_correlation import CorrelationExplainer
from sigma.pyeval.explained_correlation import CorrelationExplanation
from sigma.pyeval.log_correlation import place_of
from sigma.pyeval.nearest import NearestEvents
from sigma.pyeval.output import counted, json_line, printable
from sigma.pyeval.rules import CorrelationRule, Rule
from sigma.pyeval.ruleset import Ruleset
from sigma.pyeval.scanning import Scan, log_files

from .log_options import Problems, log_options, parser_options
from .messages import fail
from .rule_options import EXIT_NOTHING_LOADED, RuleOptions, rule_options

Shown = Explanation | CorrelationExplanation


@click.command("explain")
@log_options
@click.option("--rule", "names", multiple=True, help="Only the rule with this id or title; repeatable.")
@click.option("--line", "lines", type=click.IntRange(1), multiple=True, help="Only the event on this line; repeatable.")
@click.option(
    "--nearest", type=click.IntRange(1), metavar="N",
    help="Only the N events that come nearest to matching, for each rule; not for correlation rules.",
)  # fmt: skip
@click.option("--format", "format_", type=click.Choice(["tree", "json"]), default="tree", show_default=True)
@rule_options
def command(
    logs: tuple[str, ...],
    rules: tuple[Path, ...],
    input_format: str,
    input_options: tuple[str, ...],
    names: tuple[str, ...],
    lines: tuple[int, ...],
    nearest: int | None,
    format_: str,
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
    near: list[NearestEvents[tuple[str, int]]] = [NearestEvents(rule, nearest) for rule in plain] if nearest else []
    explained = matched = 0
    with Problems(None, options.strict) as problems:
        scan = Scan(ruleset, problems.report, input_format, parser_options(input_options))
        write = _write_json if format_ == "json" else _write_tree
        for path in log_files(logs):
            for explainer in correlated:
                explainer.begin_log()
            for record in scan.records(path):
                if lines and record.line not in lines:
                    continue
                explained += 1
                logsource = scan.logsource(record)
                for explainer in correlated:
                    explainer.add(record.event, logsource=logsource, source=place_of(record, path))
                if near:
                    matched += sum(one.add(record.event, logsource, (path, record.line)) for one in near)
                elif plain:
                    found = [explain_rule(rule, record.event, logsource) for rule in plain]
                    matched += sum(explanation.matched for explanation in found)
                    write(found, path, record.line)
    if scan.logs == 0:
        fail("no log could be read", EXIT_NOTHING_LOADED)
    if not explained:
        wanted = f"no event begins on line {', '.join(map(str, lines))}" if lines else "no event in it"
        fail(wanted, EXIT_NOTHING_LOADED)
    for one in near:
        for explanation, (path, line) in one.explanations():
            write([explanation], path, line)
    together = [explainer.explanation() for explainer in correlated]
    matched += sum(explanation.raised for explanation in together)
    write(together)
    sys.stdout.flush()
    click.echo(f"{counted(explained, 'event')}, {counted(len(chosen), 'rule')}: {counted(matched, 'match')}", err=True)


def _chosen(ruleset: Ruleset, names: Sequence[str]) -> list[Rule]:
    try:
        return [ruleset.find_rule(name) for name in names] if names else list(ruleset.all_rules)
    except UnknownRuleError as error:
        fail(f"--rule: {error}", EXIT_NOTHING_LOADED)


def _write_json(explanations: Sequence[Shown], path: str = "", line: int | None = None) -> None:
    source = {} if line is None else {"source": {"path": path, "line": line}}
    for explanation in explanations:
        sys.stdout.buffer.write(json_line(explanation.as_dict() | source) + b"\n")


def _write_tree(explanations: Sequence[Shown], path: str = "", line: int | None = None) -> None:
    from sigma.pyeval.reports.console import output_console
    from sigma.pyeval.reports.explain_text import print_explanation

    console = output_console()
    if line is not None:
        console.print(printable(f"{path}:{line}"), markup=False, style="dim", soft_wrap=True)
    for explanation in explanations:
        print_explanation(explanation, console)
