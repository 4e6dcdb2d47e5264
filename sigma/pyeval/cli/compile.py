"""``sigma-pyeval compile``: rules to Python source."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import click

from sigma.pyeval.codegen import emit_functions, emit_linked, emit_standalone, json_record
from sigma.pyeval.output import counted, json_line
from sigma.pyeval.rules import Rule

from .messages import fail
from .rule_options import EXIT_NOTHING_LOADED, RuleOptions, left_out, rule_options

_FORMATS: dict[str, Callable[[Sequence[Rule]], str]] = {
    "default": lambda rules: "".join(f"{rule.expression}\n" for rule in rules),
    "function": emit_functions,
    "module": emit_standalone,
    "linked": emit_linked,
    "json": lambda rules: "".join(json_line(json_record(rule)).decode() + "\n" for rule in rules),
}


@click.command("compile")
@click.argument("rules", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("-f", "--format", "format_", type=click.Choice(list(_FORMATS)), default="module", show_default=True)
@click.option("-o", "--output", type=click.Path(dir_okay=False, path_type=Path), help="File to write; default stdout.")
@rule_options
def command(
    rules: tuple[Path, ...],
    format_: str,
    output: Path | None,
    options: RuleOptions,
) -> None:
    """Write the RULES (files or directories) as Python source."""
    ruleset = options.load(rules)
    written = ruleset.all_rules
    text = _FORMATS[format_](written)
    if output is None:
        sys.stdout.write(text)
    else:
        try:
            output.write_text(text, encoding="utf-8")
        except OSError as error:
            fail(f"{output}: cannot be written: {error.strerror}", EXIT_NOTHING_LOADED)
    click.echo(f"{counted(len(written), 'rule')} written, {left_out(ruleset, noun='')}", err=True)
