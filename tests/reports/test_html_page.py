"""The report page: one safe file with counts, matrix, hosts and marked events, of bounded size."""

from __future__ import annotations

import base64
import hashlib
import io
import re
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sigma.pyeval.findings import Finding
from sigma.pyeval.output import printable
from sigma.pyeval.reports.html_events import LONGEST_VALUE, MOST_FIELDS, event_details, marked
from sigma.pyeval.reports.html_page import MOST_EVENTS_OF_A_RULE, HtmlReport
from sigma.pyeval.rules import Match, Rule

from .samples import FINDINGS, HOSTILE, NET, NOW, SHELL, SHELL_RULE, WEB, extreme_events, hostile_finding
from .test_markup import Seen


def page(*findings: Finding, most_events: int = 1000) -> str:
    """Return the report of findings."""
    stream = io.BytesIO()
    report = HtmlReport(stream, most_events=most_events, now=lambda: NOW)
    for finding in findings:
        report.write(finding)
    report.close()
    return stream.getvalue().decode("utf-8")


def marks(html: str) -> list[str]:
    """Return the texts of the mark elements."""
    return re.findall(r"<mark>(.*?)</mark>", html)


def test_the_page_loads_nothing_and_runs_only_its_own_script() -> None:
    """No address is loaded from; style and script are allowed by their hashes alone."""
    source = page(*FINDINGS)
    seen = Seen(source)
    assert not {"link", "img", "iframe", "object", "base"} & set(seen.tags)
    assert not {"src", "style", "action"} & {name for name, _ in seen.attributes}
    assert not [name for name, _ in seen.attributes if name.startswith("on")]
    assert seen.tags.count("script") == seen.tags.count("style") == 1
    assert "@import" not in source
    assert "url(" not in source
    [policy] = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]*)"', source)
    for name in ("style", "script"):
        [text] = re.findall(rf"<{name}>(.*?)</{name}>", source, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"{name}-src 'sha256-{digest}'" in policy
    assert policy.startswith("default-src 'none'; ")
    assert "unsafe" not in policy
    assert source.index("Content-Security-Policy") < source.index("<title>")


def test_the_page_counts() -> None:
    """Matches, levels, rules, logs, hosts, techniques: each where a reader looks for it."""
    source = page(*FINDINGS, SHELL)
    text = Seen(source).text
    assert "6 matches of 5 rules in 5 logs, 2026-11-20 17:00:00 to 2026-11-20 18:40:01 UTC" in text
    assert '<li class="high"><span class="count">2</span><span class="name">high</span></li>' in source
    assert '<li class="informational zero">' in source
    assert '<tr><th scope="row">web-1</th>' in source
    assert '<tr><th scope="row">/var/log/1.log</th><td class="number">2</td></tr>' in source
    assert 'href="https://attack.mitre.org/techniques/T1059/004/"' in source
    assert "2 matches in events that name no host." in text
    assert "2 matches without a readable time" in text


def test_the_most_severe_rules_come_first() -> None:
    """In the table of rules and in the events below it."""
    source = page(*FINDINGS)
    titles = [
        NET.match.rule.title,
        SHELL_RULE.title,
        "Root Logs In With A Password",
        "File Written",
        WEB.match.rule.title,
    ]
    assert re.findall(r'<th scope="row"><a href="#rule-\d+">(.*?)</a>', source) == titles
    assert re.findall(r'<h3 id="rule-\d+-title">(.*?)</h3>', source) == titles


def test_the_page_can_be_read_without_sight() -> None:
    """Language, one h1, headings without a jump, landmarks with names, captions, row and column headings, a skip link."""
    source = page(*FINDINGS)
    seen = Seen(source)
    headings = [tag for tag in seen.tags if re.fullmatch(r"h[1-6]", tag)]
    assert headings[0] == "h1"
    assert headings.count("h1") == 1
    assert all(int(later[1]) <= int(earlier[1]) + 1 for earlier, later in pairwise(headings))
    assert {"header", "nav", "main", "footer"} <= set(seen.tags)
    assert seen.tags.count("table") == seen.tags.count("caption") + source.count(
        '<table aria-label="Fields of the event'
    )
    assert ("lang", "en") in seen.attributes
    assert 'href="#content"' in source
    ids = [value for name, value in seen.attributes if name == "id"]
    assert len(ids) == len(set(ids))
    targets = {
        str(value).removeprefix("#") for name, value in seen.attributes if name == "href" and str(value).startswith("#")
    }
    labels = {str(value) for name, value in seen.attributes if name == "aria-labelledby"}
    assert targets | labels <= set(ids)


def test_what_matched_is_marked() -> None:
    """In the event's fields, and said in words above them."""
    source = event_details(SHELL, None)
    assert marks(source) == ["/bash", "/dev/tcp/"]
    assert "/usr/bin<mark>/bash</mark>" in source
    assert '<th scope="row" class="matched">_EXE</th>' in source
    assert '<th scope="row">_HOSTNAME</th>' in source
    assert "Matched: _CMDLINE contains /dev/tcp/; _EXE ends with /bash" in Seen(source).text
    assert (
        marks(event_details(Finding(Match(SHELL_RULE, {"_EXE": "/usr/bin/bash"}), "x", 1, SHELL_RULE.logsource), None))
        == []
    )


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        ("contains_cased_all(event, 'A', ('x', 'y'))", "A contains all of x, y"),
        ("startswith_any(event, 'A', ('x', 'q'))", "A starts with x"),
        ("cidr(event, 'B', '10.0.0.0/8')", "B is in 10.0.0.0/8"),
        ("gte(event, 'C', 5)", "C ≥ 5"),
        ("keyword_wildcard_cased(event, 'x*y')", "keyword x*y"),
        ("startswith_field(event, 'A', 'D')", "A starts with field D"),
        ("is_null(event, 'E')", "E is null"),
        (
            "contains_any(event, 'F', ('1', '2', '3', '4', '5', '6', '7', '8'))",
            "F contains 1, 2, 3, 4, 5, 6 and 2 more",
        ),
    ],
)
def test_why_is_said_in_words(expression: str, words: str) -> None:
    """Field, what was asked of it, and the values that hold."""
    event = {"A": "x y", "B": "10.1.1.1", "C": 7, "D": "x", "F": "12345678"}
    rule = replace(SHELL_RULE, expression=expression)
    assert f"Matched: {words}" in Seen(event_details(Finding(Match(rule, event), "x", 1, rule.logsource), None)).text


@pytest.mark.parametrize(
    ("event", "line"),
    [
        ({"type": "SYSCALL", "MESSAGE": "a message", "euid": "33"}, "a message"),
        ({"type": "SYSCALL", "a0": "7f", "euid": "33"}, "type=SYSCALL euid=33"),
    ],
)
def test_an_event_has_a_line(event: dict[str, str], line: str) -> None:
    """Its message; an event without any, such as an audit record, shows the fields that matched."""
    rule = replace(SHELL_RULE, expression="equals(event, 'type', 'SYSCALL') and equals(event, 'euid', '33')")
    source = event_details(Finding(Match(rule, event), "x", 1, rule.logsource), None)
    assert f'<span class="event-line">{line}</span>' in source


def test_line_breaks_in_a_rules_prose_are_blanks() -> None:
    """They are those of the rule's file."""
    rule = replace(SHELL_RULE, description="Two\n  lines.\n")
    assert "<p>Two lines.</p>" in page(SHELL._replace(match=Match(rule, SHELL.match.event)))


def test_a_rule_is_shown_with_its_source() -> None:
    """Author and licence, as rule licences ask, references as links, the condition."""
    text = Seen(page(SHELL)).text
    for part in (
        "A. Author, B. Author",
        "MIT",
        "Port checks",
        SHELL_RULE.expression,
        "A shell talks to another machine by itself.",
    ):
        assert part in text
    assert '<a href="https://example.org/shells" rel="noopener noreferrer">https://example.org/shells</a>' in page(
        SHELL
    )


def test_no_findings_make_a_page_too() -> None:
    """It says so."""
    assert "No rule matched." in Seen(page()).text


@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: ascii(text)[:30])
def test_hostile_text_stays_text(text: str) -> None:
    """The page has the tags of an ordinary one, and the text is there to read, escaped once."""
    source = page(hostile_finding(text))
    usual = page(hostile_finding("harmless"))
    seen = Seen(source)
    assert set(seen.tags) <= set(Seen(usual).tags)
    assert seen.tags.count("script") == 1
    assert printable(text) in seen.text
    assert {name for name, _ in seen.attributes} <= {name for name, _ in Seen(usual).attributes}
    assert not any(str(value).lower().startswith("javascript") for name, value in seen.attributes if name == "href")
    assert not re.search("[\\x00-\\x08\\x0b-\\x1f\\x7f-\\x9f\\u202a-\\u202e\\u2066-\\u2069]", source)


def test_extreme_events_make_small_pages() -> None:
    """A megabyte in one value, thousands of fields, depth: each event stays of readable size."""
    for event in extreme_events():
        rule = replace(SHELL_RULE, expression="keyword(event, 'x') or keyword(event, 'end') or is_null(event, 'y')")
        assert len(event_details(Finding(Match(rule, event), "x", 1, rule.logsource), None)) < 100_000


def test_events_are_bounded_and_the_most_severe_are_kept() -> None:
    """The rest is counted; a noisy rule leaves room for others."""
    low = [
        SHELL._replace(match=Match(replace(SHELL_RULE, title=f"low {n % 3}", level="low"), {"n": n})) for n in range(40)
    ]
    source = page(*low, NET, *FINDINGS, most_events=10)
    assert source.count('<details class="event">') == 10
    assert "10 of 46 matches in full" in Seen(source).text
    assert source.count('<th scope="row" class="matched">_DESTINATION_IP</th>') == 2
    assert re.findall(r'<th scope="row">n</th><td class="value">(\d+)</td>', source) == ["0", "3", "1", "4", "2", "5"]
    noisy = page(*[SHELL] * (MOST_EVENTS_OF_A_RULE + 5), NET)
    assert noisy.count('<details class="event">') == MOST_EVENTS_OF_A_RULE + 1
    assert f"105 matches, {MOST_EVENTS_OF_A_RULE} shown" in Seen(noisy).text
    assert page(*FINDINGS, most_events=0).count('<details class="event">') == 0


def test_marked_fields_are_never_left_out() -> None:
    """Of an event with many fields, those that matched are among the shown."""
    event = {f"f{n}": "x" for n in range(200)} | {"last": "found me"}
    rule = replace(SHELL_RULE, expression="contains(event, 'last', 'me')")
    source = event_details(Finding(Match(rule, event), "x", 1, rule.logsource), None)
    assert marks(source) == ["me"]
    assert source.count("<tr>") == MOST_FIELDS
    assert "141 more fields are not shown." in source


def test_a_long_value_is_cut_around_its_marks() -> None:
    """Beginning, surroundings of the marks, and how much lies between."""
    text = "a" * 5000 + "NEEDLE" + "b" * 5000
    shown = Seen(marked(text, [(5000, 5006)])).text
    assert shown == "a" * 200 + " … 4,740 characters … " + "a" * 60 + "NEEDLE" + "b" * 60 + " … 4,940 characters … "
    assert len(Seen(marked(text, [(0, len(text))])).text) < 1000


@settings(max_examples=50)
@given(
    st.text(alphabet="ab<&\n", max_size=2 * LONGEST_VALUE),
    st.lists(st.tuples(st.integers(0, 900), st.integers(1, 50)), max_size=6),
)
def test_marking_loses_no_character(text: str, wanted: list[tuple[int, int]]) -> None:
    """Shown and left-out characters add up to the text; the marks are those asked for."""
    spans: list[tuple[int, int]] = []
    for start, length in sorted(wanted):
        if start + length <= len(text) and (not spans or start > spans[-1][1]):
            spans.append((start, start + length))
    html = marked(text, spans)
    plain = re.sub(r'<span class="gap">.*?</span>', "", html)
    left_out = sum(int(n.replace(",", "")) for n in re.findall(r"… ([\d,]+) characters …", html))
    characters = len(Seen(plain).text.replace("\\n", "n"))
    assert characters + left_out == len(text)
    assert marks(html) == [
        printable(text[start:end]).replace("&", "&amp;").replace("<", "&lt;") for start, end in spans
    ]


def test_a_rule_without_id_or_anything_is_shown() -> None:
    """Only a title and a condition are needed."""
    rule = Rule(None, "Bare", "exists(event, 'x')")
    assert "Bare" in Seen(page(Finding(Match(rule, {"x": 1}), "-", 1, rule.logsource))).text
