"""``sigma-pyeval coverage``: which ATT&CK techniques rules are about."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from pathlib import Path

import click
from rich.table import Table
from rich.text import Text

from sigma.pyeval.attack import RETIRED_TACTICS, TACTICS, tactic_title
from sigma.pyeval.output import counted, json_line, printable
from sigma.pyeval.reports.attack_svg import attack_svg
from sigma.pyeval.reports.console import output_console
from sigma.pyeval.reports.navigator import NavigatorLayer
from sigma.pyeval.rules import Rule
from sigma.pyeval.tuning.attack_coverage import NO_TACTIC, AttackCoverage, attack_coverage

from .log_options import FILE, check_outputs, replaced
from .rule_options import RuleOptions, left_out, rule_options

_DESCRIPTION = "Techniques that Sigma rules are about; a score is a number of rules."


@click.command("coverage")
@click.option(
    "-r", "--rules", "rules", multiple=True, required=True, type=click.Path(path_type=Path),
    help="Rule file or directory; repeatable.",
)  # fmt: skip
@click.option("--format", "format_", type=click.Choice(["table", "json"]), default="table", show_default=True)
@click.option("--navigator", type=FILE, help="Write a layer for the ATT&CK Navigator here.")
@click.option("--svg", type=FILE, help="Write the matrix as an image here.")
@rule_options
def command(
    rules: tuple[Path, ...],
    format_: str,
    navigator: Path | None,
    svg: Path | None,
    options: RuleOptions,
) -> None:
    """Show which techniques of ATT&CK the rules' tags name, by tactic.

    Only rules that can be loaded count. Exit codes: 0 done; 2 nothing could be loaded; 3 stopped by --strict.
    """
    check_outputs((navigator, svg), ())
    ruleset = options.load(rules)
    coverage = attack_coverage(ruleset.all_rules)
    _write_files(coverage, ruleset.all_rules, navigator, svg)
    if format_ == "json":
        sys.stdout.buffer.write(json_line(_as_dict(coverage)) + b"\n")
    else:
        _write_table(coverage)
    sys.stdout.flush()
    click.echo(
        f"{counted(coverage.rules, 'rule')}: {counted(len(coverage.techniques), 'technique')}, "
        f"{counted(len(coverage.untagged), 'rule')} without one, {left_out(ruleset)}",
        err=True,
    )


def _write_files(coverage: AttackCoverage, rules: tuple[Rule, ...], navigator: Path | None, svg: Path | None) -> None:
    with ExitStack() as files:
        if navigator is not None:
            layer = NavigatorLayer(files.enter_context(replaced(navigator)), "Sigma rules", _DESCRIPTION)
            for rule in rules:
                layer.count(rule)
            layer.close()
        if svg is not None:
            found = coverage.tactics()
            present = [tactic for tactic in TACTICS if tactic not in RETIRED_TACTICS or tactic in found]
            title = f"ATT&CK techniques of {counted(coverage.rules, 'Sigma rule')}"
            image = attack_svg(coverage.matrix, [*present, *(one for one in found if one not in TACTICS)], title)
            files.enter_context(replaced(svg)).write(image.encode())


def _as_dict(coverage: AttackCoverage) -> dict[str, object]:
    return {
        "rules": coverage.rules,
        "techniques": dict(sorted(coverage.techniques.items())),
        "tactics": {tactic: dict(sorted(coverage.matrix[tactic].items())) for tactic in coverage.tactics()},
        "untagged": [{"id": rule.id, "title": rule.title, "path": rule.path} for rule in coverage.untagged],
    }


def _write_table(coverage: AttackCoverage) -> None:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("tactic", "techniques", "of most rules"):
        table.add_column(title, overflow="fold", justify="right" if title == "techniques" else "left")
    for tactic in coverage.tactics():
        counts = sorted(coverage.matrix[tactic].items(), key=lambda pair: (-pair[1], pair[0]))
        most = ", ".join(f"{technique} ({count})" for technique, count in counts[:5])
        name = "No tactic" if tactic == NO_TACTIC else tactic_title(tactic)
        table.add_row(Text(printable(name)), str(len(counts)), most + (", ..." if len(counts) > 5 else ""))
    console = output_console()
    console.print(table)
    console.print(
        "A rule counts under each of its tactics: tags don't say which technique is of which.", soft_wrap=True
    )
