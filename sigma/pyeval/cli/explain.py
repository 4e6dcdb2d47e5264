"""``sigma-pyeval explain``: why rules match the events of a log, or why they don't."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import click
from rich.console import Console

from sigma.pyeval.errors import UnknownRuleError
from sigma.pyeval.logs.records import Record
from sigma.pyeval.output import counted, json_line, printable
from sigma.pyeval.rules import Rule
from sigma.pyeval.scanning import Scan, log_files

from .log_options import Problems, log_options, parser_options
from .messages import fail
from .rule_options import EXIT_NOTHING_LOADED, RuleOptions, rule_options


@click.command("explain")
@log_options
@click.option("--rule", "names", multiple=True, help="Only the rule with this id or title; repeatable.")
@click.option("--line", "lines", type=click.IntRange(1), multiple=True, help="Only the event on this line; repeatable.")
@click.option("--format", "format_", type=click.Choice(["tree", "json"]), default="tree", show_default=True)
@rule_options
def command(
    logs: tuple[str, ...],
    rules: tuple[Path, ...],
    input_format: str,
    input_options: tuple[str, ...],
    names: tuple[str, ...],
    lines: tuple[int, ...],
    format_: str,
    options: RuleOptions,
) -> None:
    """Show for each event of LOGS why each rule matches it, or why not.

    LOGS are files (an event as JSON, or any log that scan reads) and directories; ``-`` is standard input. An item is a call
    of the rule's expression; docs/explain.md says what is shown of it. Exit codes: 0 done, whether or not anything matched;
    2 nothing could be loaded, or no rule or line is as named; 3 stopped by --strict.
    """
    ruleset = options.load(rules)
    try:
        chosen = [ruleset.find_rule(name) for name in names] if names else list(ruleset.rules)
    except UnknownRuleError as error:
        fail(f"--rule: {error}", EXIT_NOTHING_LOADED)
    explained = matched = 0
    with Problems(None, options.strict) as problems:
        scan = Scan(ruleset, problems.report, input_format, parser_options(input_options))
        write = _write_json if format_ == "json" else _write_tree
        for path in log_files(logs):
            for record in scan.records(path):
                if not lines or record.line in lines:
                    explained += 1
                    matched += write(scan, path, record, chosen)
    sys.stdout.flush()
    if scan.logs == 0:
        fail("no log could be read", EXIT_NOTHING_LOADED)
    if not explained:
        wanted = f"no event begins on line {', '.join(map(str, lines))}" if lines else "no event in it"
        fail(wanted, EXIT_NOTHING_LOADED)
    click.echo(f"{counted(explained, 'event')}, {counted(len(chosen), 'rule')}: {counted(matched, 'match')}", err=True)


def _write_json(scan: Scan, path: str, record: Record, rules: Sequence[Rule]) -> int:
    matched = 0
    for rule in rules:
        explanation = scan.ruleset.explain(record.event, rule, scan.logsource(record))
        matched += explanation.matched
        source = {"path": path, "line": record.line}
        sys.stdout.buffer.write(json_line(explanation.as_dict() | {"source": source}) + b"\n")
    return matched


def _write_tree(scan: Scan, path: str, record: Record, rules: Sequence[Rule]) -> int:
    from sigma.pyeval.reports.explain_text import print_explanation

    console = Console(highlight=False)
    console.print(printable(f"{path}:{record.line}"), markup=False, style="dim", soft_wrap=True)
    matched = 0
    for rule in rules:
        explanation = scan.ruleset.explain(record.event, rule, scan.logsource(record))
        matched += explanation.matched
        print_explanation(explanation, console)
    return matched
