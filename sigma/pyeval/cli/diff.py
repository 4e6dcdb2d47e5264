"""``sigma-pyeval diff``: what a new version of rules changes."""

from __future__ import annotations

import difflib
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from sigma.pyeval.layout import layout
from sigma.pyeval.output import counted, json_line, printable
from sigma.pyeval.reports.console import output_console
from sigma.pyeval.rules import Rule
from sigma.pyeval.ruleset import Ruleset
from sigma.pyeval.scanning import Scan, log_files
from sigma.pyeval.tuning.diff import ChangedRule, MatchDiff, RuleDiff, compare_rules

from .log_options import Problems, format_options, parser_options
from .messages import fail
from .rule_options import EXIT_NOTHING_LOADED, RuleOptions, rule_options

_PATH = click.Path(path_type=Path)


@click.command("diff")
@click.argument("old", type=_PATH)
@click.argument("new", type=_PATH)
@click.option(
    "--events", "logs", multiple=True, help="A log, or a directory of logs: which matches change; repeatable."
)
@format_options
@click.option("--format", "format_", type=click.Choice(["table", "json"]), default="table", show_default=True)
@rule_options
def command(
    old: Path,
    new: Path,
    logs: tuple[str, ...],
    input_format: str,
    input_options: tuple[str, ...],
    format_: str,
    options: RuleOptions,
) -> None:
    """Show which rules of OLD and NEW (files or directories) differ in meaning, and with --events which matches change.

    Exit codes: 0 done, whether or not they differ; 2 nothing could be loaded; 3 stopped by --strict.
    """
    before, after = (options.load((path,)) for path in (old, new))
    diff = compare_rules(before, after, old, new)
    matches = (
        _matches(before, after, logs, input_format, parser_options(input_options), options.strict) if logs else None
    )
    if format_ == "json":
        sys.stdout.buffer.write(json_line(_as_dict(diff, matches)) + b"\n")
    else:
        _write(diff, matches, output_console())
    sys.stdout.flush()
    click.echo(_summary(diff, matches), err=True)


def _matches(
    old: Ruleset, new: Ruleset, logs: Sequence[str], input_format: str, options: dict[str, Any], strict: bool
) -> MatchDiff:
    matches = MatchDiff(old, new)
    with Problems(None, strict) as problems:
        scan = Scan(new, problems.report, input_format, options)
        for path in log_files(logs):
            for record in scan.records(path):
                source = scan.logsource(record)
                matches.add(old.match(record.event, source), new.match(record.event, source), path, record.line)
    if scan.logs == 0:
        fail("no log could be read", EXIT_NOTHING_LOADED)
    return matches


def _summary(diff: RuleDiff, matches: MatchDiff | None) -> str:
    text = (
        f"{counted(len(diff.changed), 'rule')} changed in meaning, {len(diff.metadata)} in metadata only, "
        f"{len(diff.added)} added, {len(diff.removed)} removed, {len(diff.moved)} moved, {diff.unchanged} unchanged"
    )
    if matches is None:
        return text
    gained, lost = (sum(getattr(row, name) for row in matches.rows.values()) for name in ("gained", "lost"))
    return f"{text}; {counted(matches.events, 'event')}: {gained} matches gained, {lost} lost, {matches.kept} kept"


def _as_dict(diff: RuleDiff, matches: MatchDiff | None) -> dict[str, Any]:
    found: dict[str, Any] = {
        "added": [_rule(rule) for rule in diff.added],
        "removed": [_rule(rule) | _refused(rule, diff) for rule in diff.removed],
        "changed": [_changed(one) | {"old": _meaning(one.old), "new": _meaning(one.new)} for one in diff.changed],
        "metadata": [_changed(one) for one in diff.metadata],
        "moved": [_rule(one.new) | {"from": one.moved[0], "to": one.moved[1]} for one in diff.moved if one.moved],
        "unchanged": diff.unchanged,
    }
    if matches is not None:
        rows = (
            {"rule": _rule(row.rule), "gained": row.gained, "lost": row.lost, "examples": row.examples}
            for row in matches.rows.values()
        )
        found["matches"] = {"events": matches.events, "kept": matches.kept, "changed": list(rows)}
    return found


def _rule(rule: Rule) -> dict[str, Any]:
    return {"id": rule.id, "title": rule.title, "path": rule.path}


def _refused(rule: Rule, diff: RuleDiff) -> dict[str, Any]:
    error = diff.refused.get(rule.id or rule.title)
    return {"refused": None if error is None else error.reason}


def _changed(one: ChangedRule) -> dict[str, Any]:
    return _rule(one.new) | {"meaning": list(one.meaning), "metadata": list(one.metadata)}


def _meaning(rule: Rule) -> dict[str, Any]:
    return {"expression": rule.expression, "logsource": rule.logsource.as_dict()}


def _write(diff: RuleDiff, matches: MatchDiff | None, console: Console) -> None:
    for one in diff.changed:
        console.print(_text(f"changed: {one.new.title}"), style="bold", soft_wrap=True)
        for line in _changes(one):
            style = {"+": "green", "-": "red"}.get(line[0], "dim")
            console.print(_text(f"  {line}"), style=style, soft_wrap=True)
    for word, rules in (("added", diff.added), ("removed", diff.removed)):
        for rule in rules:
            reason = _refused(rule, diff)["refused"] if word == "removed" else None
            console.print(
                _text(f"{word}: {rule.title}" + (f" (cannot be loaded: {reason})" if reason else "")), soft_wrap=True
            )
    for one in diff.moved:
        if one.moved:
            console.print(_text(f"moved: {one.new.title}: {one.moved[0]} -> {one.moved[1]}"), soft_wrap=True)
    for one in diff.metadata:
        console.print(_text(f"metadata: {one.new.title}: {', '.join(one.metadata)}"), soft_wrap=True)
    if matches is not None and matches.rows:
        _write_matches(matches, console)


def _changes(one: ChangedRule) -> Iterator[str]:
    """Yield the lines of both versions that differ, with a line around them, each with its sign."""
    if "logsource" in one.meaning:
        yield f"-logsource {', '.join(one.old.logsource.as_dict().values())}"
        yield f"+logsource {', '.join(one.new.logsource.as_dict().values())}"
    if "expression" in one.meaning:
        old, new = (layout(rule.expression).splitlines() for rule in (one.old, one.new))
        lines = list(difflib.unified_diff(old, new, lineterm="", n=1))[2:]
        yield from (line for line in lines if not line.startswith("@@"))


def _write_matches(matches: MatchDiff, console: Console) -> None:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("gained", "lost", "rule", "as at"):
        table.add_column(title, overflow="fold", justify="left" if title in ("rule", "as at") else "right")
    for row in matches.rows.values():
        first = row.examples[0]
        table.add_row(str(row.gained), str(row.lost), _text(row.rule.title), _text(f"{first['path']}:{first['line']}"))
    console.print(table)


def _text(text: str) -> Text:
    return Text(printable(text))
