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

from sigma.pyeval.correlation.source import layout_correlation, parse_correlation
from sigma.pyeval.findings import Finding
from sigma.pyeval.layout import layout
from sigma.pyeval.logs.records import Record
from sigma.pyeval.output import counted, json_line, printable
from sigma.pyeval.reports.console import output_console
from sigma.pyeval.rules import CorrelationRule, LogSource, Match, Rule
from sigma.pyeval.ruleset import Ruleset
from sigma.pyeval.scanning import Scan, log_files
from sigma.pyeval.tuning.diff import ChangedRule, MatchDiff, RuleDiff, compare_rules

from .bar import Bar
from .log_options import Problems, format_options, parser_options
from .messages import fail
from .rule_options import EXIT_NOTHING_LOADED, RuleOptions, rule_options

_PATH = click.Path(path_type=Path)
_GENERATE = {True: "matches are its own", False: "serves only correlations"}


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
    with Problems(None, strict) as problems, Bar(as_bytes=True) as bar:
        before, after = (
            _Version(Scan(ruleset, problems.report, input_format, options, reading=bar.reading))
            for ruleset in (old, new)
        )
        for path in log_files(logs):
            for version in (before, after):
                version.scan.begin_log()
            for record in after.scan.records(path):
                source = after.scan.logsource(record)
                matches.add(
                    before.matches(record, source, path), after.matches(record, source, path), path, record.line
                )
    if after.scan.logs == 0:
        fail("no log could be read", EXIT_NOTHING_LOADED)
    matches.add_correlated(before.correlated(), after.correlated())
    return matches


class _Version:
    """One version of the rules while records are held against it."""

    def __init__(self, scan: Scan) -> None:
        self.scan = scan
        self._correlated: list[Finding] = []

    def matches(self, record: Record, logsource: LogSource | None, path: str) -> list[Match]:
        """Return the matches of one record; what correlation rules find is kept for later."""
        members = self.scan.ruleset.match(record.event, logsource, members=True)
        findings = list(self.scan.findings_of(members, record, path))
        self._correlated.extend(one for one in findings if one.correlation is not None)
        return [one.match for one in findings if one.correlation is None]

    def correlated(self) -> list[Finding]:
        """Return what correlation rules found, when all logs are read."""
        return [*self._correlated, *self.scan.finish()]


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
    levels = {"level": one.new.level, "old_level": one.old.level}
    return _rule(one.new) | levels | {"meaning": list(one.meaning), "metadata": list(one.metadata)}


def _meaning(rule: Rule) -> dict[str, Any]:
    return {"expression": rule.expression, "logsource": rule.logsource.as_dict(), "generate": rule.generate}


def _write(diff: RuleDiff, matches: MatchDiff | None, console: Console) -> None:
    for one in diff.changed:
        also = f" ({_metadata(one)} too)" if one.metadata else ""
        console.print(_text(f"changed: {one.new.title}{also}"), style="bold", soft_wrap=True)
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
        console.print(_text(f"metadata: {one.new.title}: {_metadata(one)}"), soft_wrap=True)
    if matches is not None and matches.rows:
        _write_matches(matches, console)


def _metadata(one: ChangedRule) -> str:
    """Return the members that changed; of the level both values, as it decides who is woken."""
    levels = f"level {one.old.level or 'none'} -> {one.new.level or 'none'}"
    return ", ".join(levels if name == "level" else name for name in one.metadata)


def _changes(one: ChangedRule) -> Iterator[str]:
    """Yield the lines of both versions that differ, with a line around them, each with its sign."""
    if "logsource" in one.meaning:
        yield f"-logsource {', '.join(one.old.logsource.as_dict().values())}"
        yield f"+logsource {', '.join(one.new.logsource.as_dict().values())}"
    if "generate" in one.meaning:
        yield from (f"{sign}{_GENERATE[rule.generate]}" for sign, rule in (("-", one.old), ("+", one.new)))
    if "expression" in one.meaning:
        old, new = (_layout(rule).splitlines() for rule in (one.old, one.new))
        lines = list(difflib.unified_diff(old, new, lineterm="", n=1))[2:]
        yield from (line for line in lines if not line.startswith("@@"))


def _layout(rule: Rule) -> str:
    if isinstance(rule, CorrelationRule):
        return layout_correlation(parse_correlation(rule.expression))
    return layout(rule.expression)


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
