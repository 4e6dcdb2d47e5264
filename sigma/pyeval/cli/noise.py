"""``sigma-pyeval noise``: which rules match too often, and filters that would quieten them."""

from __future__ import annotations

import sys
import tempfile
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from sigma.pyeval.output import counted, json_line, printable
from sigma.pyeval.reports.console import output_console
from sigma.pyeval.rules import Rule
from sigma.pyeval.ruleset import Ruleset
from sigma.pyeval.scanning import STDIN, Scan, log_files
from sigma.pyeval.testing.suite import collect_cases
from sigma.pyeval.tuning.noise import NoiseCounter, RuleNoise
from sigma.pyeval.tuning.proposals import Proposal, propose
from sigma.pyeval.tuning.verification import Verifier

from .bar import Bar
from .log_options import FILE, Problems, check_outputs, log_options, parser_options, replaced
from .messages import fail, warn
from .rule_options import EXIT_NOTHING_LOADED, RuleOptions, left_out, rule_options

_HOSTS, _VALUES = 3, 3


@dataclass
class _Row:
    """A noisy rule, what is proposed for it, and what that was seen to do."""

    noise: RuleNoise
    proposal: Proposal | None
    reason: str
    cases: int
    after: int | None = None


@click.command("noise")
@log_options
@click.option(
    "--cases", "cases", multiple=True, type=click.Path(path_type=Path, exists=True),
    help="More test cases, which the filters must keep; those beside the rules count anyway; repeatable.",
)  # fmt: skip
@click.option("--top", type=click.IntRange(1), default=10, show_default=True, help="How many rules to show.")
@click.option("--filters", type=FILE, help="Write the filters here, as YAML.")
@click.option("--format", "format_", type=click.Choice(["table", "json"]), default="table", show_default=True)
@rule_options
def command(
    logs: tuple[str, ...],
    rules: tuple[Path, ...],
    input_format: str,
    input_options: tuple[str, ...],
    cases: tuple[Path, ...],
    top: int,
    filters: Path | None,
    format_: str,
    options: RuleOptions,
) -> None:
    """Show which rules match most over LOGS, by host and field value, and propose a Sigma filter for each.

    Each filter is loaded with the rules and held against LOGS once more, so they are read twice. It is proposed only if every
    test case that the rule must match is still matched. Exit codes: 0 done; 2 nothing could be loaded; 3 stopped by --strict.
    """
    if STDIN in logs:
        fail("the logs are read twice; give files, not standard input", EXIT_NOTHING_LOADED)
    check_outputs((filters,), log_files(logs))
    ruleset = options.load(rules)
    suite = collect_cases(ruleset, rules, cases)
    for mistake in suite.mistakes:
        warn(str(mistake))
    for note in suite.notes():
        warn(note)
    parsing = parser_options(input_options)
    with Problems(None, options.strict) as problems, Bar(as_bytes=True) as bar:
        scan = Scan(ruleset, problems.report, input_format, parsing, reading=bar.reading)
        counter = _counted(scan, logs)
    if scan.logs == 0:
        fail("no log could be read", EXIT_NOTHING_LOADED)
    verifier = Verifier(options.meaning(), suite)
    shared = {rule_id for rule_id, number in Counter(rule.id for rule in ruleset.rules).items() if number > 1}
    rows = [_proposed(noise, counter, verifier, shared) for noise in counter.top(top)]
    texts = [row.proposal.text for row in rows if row.proposal is not None]
    if texts:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "filters.yml")
            path.write_text("---\n".join(texts), encoding="utf-8")
            paths = (*rules, path)
            narrowed = replace(options, cache=False).load(paths, demanded=False)
        with Bar(as_bytes=True) as bar:
            scan_again = Scan(narrowed, lambda *_: None, input_format, parsing, reading=bar.reading)
            _verify(rows, narrowed, verifier, scan_again, logs)
    kept = [row.proposal.text for row in rows if row.proposal is not None]
    if filters is not None:
        with replaced(filters) as stream:
            stream.write("---\n".join(kept).encode("ascii"))
    _write(rows, counter, format_)
    removed = sum(row.noise.matches - row.after for row in rows if row.after is not None)
    click.echo(
        f"{counted(counter.events, 'event')}, {counted(counter.matches, 'match')} of {counted(len(counter.rules), 'rule')}; "
        f"{counted(len(kept), 'filter')} would remove {removed}; {scan.problems} problems, {left_out(ruleset)}",
        err=True,
    )


def _counted(scan: Scan, logs: tuple[str, ...]) -> NoiseCounter:
    counter = NoiseCounter()
    for path in log_files(logs):
        for record in scan.records(path):
            rules = [match.rule for match in scan.match(record) if match.rule.generate]
            counter.add(record.event, rules, scan.logsource(record))
    return counter


def _proposed(noise: RuleNoise, counter: NoiseCounter, verifier: Verifier, shared: Collection[str | None]) -> _Row:
    cases = len(verifier.positive_cases(noise.rule))
    if noise.rule.id is None:
        return _Row(noise, None, "the rule has no id, by which a filter could name it", cases)
    if noise.rule.id in shared:
        return _Row(noise, None, "another rule has the same id, and a filter would narrow both", cases)
    if noise.matches < 2:
        return _Row(noise, None, "one match is no noise", cases)
    tried: list[str] = []

    def keeps(rule: Rule, text: str) -> bool:
        tried.append(text)
        return verifier.keeps(rule, text)

    proposal = propose(noise, counter.background(noise.rule), verifier.admits, keeps)
    if proposal is not None:
        return _Row(noise, proposal, "", cases)
    if tried:
        return _Row(noise, None, "each filter that was tried loses a positive case, or cannot be loaded", cases)
    return _Row(noise, None, "no value that tells its matches apart could be filtered out", cases)


def _verify(rows: list[_Row], narrowed: Ruleset, verifier: Verifier, scan: Scan, logs: tuple[str, ...]) -> None:
    """Count what is left of each rule's matches; take back what does not do as it should."""
    by_id = {rule.id: rule for rule in narrowed.rules}
    after = _counted(scan, logs)
    left = {noise.rule.id: noise.matches for noise in after.rules.values()}
    for row in rows:
        if row.proposal is not None:
            row.after = left.get(row.noise.rule.id, 0)
            if row.after >= row.noise.matches or verifier.lost_cases([row.noise.rule], by_id):
                row.proposal, row.after, row.reason = (
                    None,
                    None,
                    "the filter did not do with all rules what it did alone",
                )


def _write(rows: list[_Row], counter: NoiseCounter, format_: str) -> None:
    if format_ == "json":
        found = {"events": counter.events, "matches": counter.matches, "rules": [_as_dict(row) for row in rows]}
        sys.stdout.buffer.write(json_line(found) + b"\n")
    else:
        _write_table(rows, output_console())
    sys.stdout.flush()


def _as_dict(row: _Row) -> dict[str, Any]:
    noise, proposal = row.noise, row.proposal
    return {
        "rule": {"id": noise.rule.id, "title": noise.rule.title, "path": noise.rule.path},
        "matches": noise.matches,
        "hosts": dict(noise.hosts.most_common(_HOSTS)),
        "values": [{"field": name, "value": text, "matches": count} for name, text, count in noise.values(_VALUES)],
        "rows": len(noise.rows),
        "filter": None if proposal is None else proposal.text,
        "reason": row.reason,
        "after": row.after,
        "positive_cases": row.cases,
    }


def _write_table(rows: list[_Row], console: Console) -> None:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("matches", "rule", "hosts, values"):
        table.add_column(title, overflow="fold", justify="right" if title == "matches" else "left")
    for row in rows:
        hosts = [f"host {host} ({count})" for host, count in row.noise.hosts.most_common(_HOSTS)]
        values = [f"{name}={text:.60} ({count})" for name, text, count in row.noise.values(_VALUES)]
        table.add_row(str(row.noise.matches), _text(row.noise.rule.title), _text("; ".join([*hosts, *values])))
    console.print(table)
    for row in rows:
        console.print()
        console.print(_text(f"# {row.noise.rule.title}: {_judgement(row)}"), style="bold", soft_wrap=True)
        if row.proposal is not None:
            console.print(_text_lines(row.proposal.text), soft_wrap=True)


def _judgement(row: _Row) -> str:
    if row.proposal is None:
        return f"no filter: {row.reason}"
    kept = f"{counted(row.cases, 'positive case')} kept" if row.cases else "no positive case to hold it against"
    warning = "" if row.after else ", which hides all that the rule found here"
    return f"{row.noise.matches} -> {row.after} matches{warning}; {kept}"


def _text(text: str) -> Text:
    return Text(printable(text))


def _text_lines(text: str) -> Text:
    return Text("\n".join(map(printable, text.rstrip().splitlines())))
