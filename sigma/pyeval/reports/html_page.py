"""The report: one self-contained HTML page of counts, ATT&CK matrix and matched events, safe to open whatever a log says."""

from __future__ import annotations

import base64
import hashlib
import heapq
import re
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from importlib import resources
from typing import BinaryIO, Final

from sigma.pyeval.attack import parse_attack, technique_url
from sigma.pyeval.findings import Finding
from sigma.pyeval.rules import Rule
from sigma.pyeval.version import __version__

from . import html_sections as sections
from .html_events import event_details
from .html_parts import badge, level_name, number, plural, time_element
from .markup import Html, element, join, link
from .tallies import LEVELS_DOWN, RuleTally, Tallies, level_of, rank

MOST_EVENTS: Final = 1000
"""So many events are shown in full, the most severe and of these the earliest found."""

MOST_EVENTS_OF_A_RULE: Final = 100
"""So many of them may be of one rule; a noisy rule leaves room for the others."""


class HtmlReport:
    """Counts all findings, keeps a bounded number to show, and writes the page when it is closed.

    The page loads nothing: style and script stand in it, and its Content-Security-Policy lets only these two run, by
    their hashes. It reads well without the script, which adds a filter. Holds the counts (see ``tallies``) and the
    HTML of the events to be shown, each of bounded length.

    Args:
        stream: Where to.
        title: The page's heading.
        most_events: How many events to show in full.
        now: The time of writing.
    """

    def __init__(
        self,
        stream: BinaryIO,
        title: str = "Sigma report",
        most_events: int = MOST_EVENTS,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._stream = stream
        self._title = title
        self._most = most_events
        self._now = now
        self._tallies = Tallies()
        # A heap whose first is the next to give way: (less severe is less, later is less, rule, HTML).
        self._shown: list[tuple[int, int, Rule, Html]] = []
        self._shown_of: Counter[Rule] = Counter()

    def write(self, finding: Finding) -> None:
        """Count the finding, and keep it to be shown if it is among the most severe."""
        moment = self._tallies.add(finding)
        rule = finding.match.rule
        place = (-rank(rule), -self._tallies.total)
        full = len(self._shown) >= self._most
        if self._shown_of[rule] >= MOST_EVENTS_OF_A_RULE or (full and (not self._shown or place < self._shown[0][:2])):
            return
        if full:
            self._shown_of[heapq.heappop(self._shown)[2]] -= 1
        heapq.heappush(self._shown, (*place, rule, event_details(finding, moment)))
        self._shown_of[rule] += 1

    def close(self) -> None:
        """Write the page."""
        self._stream.write(self._page().encode("utf-8"))
        self._stream.flush()

    def _page(self) -> str:
        style, script = Html(_asset("palette.css") + _asset("page.css")), _asset("page.js")
        policy = (
            f"default-src 'none'; style-src '{_hash(style)}'; script-src '{_hash(script)}'; "
            "base-uri 'none'; form-action 'none'; require-trusted-types-for 'script'"
        )
        head = element(
            "head",
            element("meta", charset="utf-8"),
            Html(f'<meta http-equiv="Content-Security-Policy" content="{policy}">'),
            element("meta", name="viewport", content="width=device-width, initial-scale=1"),
            element("meta", name="referrer", content="no-referrer"),
            element("title", self._title),
            element("style", style),
        )
        body = element(
            "body",
            element("a", "To the content", class_="skip", href="#content"),
            self._header(),
            self._main(),
            element(
                "footer", element("p", f"Written by sigma-pyeval {__version__}. Rules keep their authors' licences.")
            ),
            element("script", script),
        )
        return "<!doctype html>\n" + element("html", head, body, lang="en") + "\n"

    def _header(self) -> Html:
        tallies = self._tallies
        times = tallies.times
        lead: list[str] = [plural(tallies.total, "match")]
        if tallies.total:
            lead += [f" of {plural(len(tallies.rules), 'rule')} in {plural(len(tallies.paths), 'log')}"]
        if times.first is not None:
            lead += [", ", time_element(times.first), " to ", time_element(times.last), " UTC"]
        lead += [". Written ", time_element(self._now()), " UTC."]
        names = [("time", "Over time"), ("rules", "Rules"), ("attack", "ATT&CK"), ("hosts", "Hosts"), ("logs", "Logs")]
        present = {"time": bool(times.buckets), "attack": bool(tallies.matrix), "hosts": bool(tallies.hosts)}
        links = [
            element("li", element("a", name, href=f"#{id_}"))
            for id_, name in [*names, ("events", "Events")]
            if tallies.total and present.get(id_, True)
        ]
        return element(
            "header",
            element("h1", self._title),
            element("p", *lead, class_="lead"),
            element("nav", element("ul", *links), aria_label="Sections") if links else "",
        )

    def _main(self) -> Html:
        tallies = self._tallies
        if not tallies.total:
            return element("main", element("section", element("p", "No rule matched.")), id="content")
        rows = tallies.rules_down()
        anchors = {place: f"rule-{place + 1}" for place, row in enumerate(rows) if self._shown_of[row.rule]}
        return element(
            "main",
            sections.levels(tallies),
            sections.timeline(tallies),
            sections.rules(tallies, anchors),
            sections.attack_matrix(tallies),
            element("div", sections.hosts(tallies), sections.logs(tallies), class_="pair"),
            self._events(rows, anchors),
            id="content",
        )

    def _events(self, rows: list[RuleTally], anchors: dict[int, str]) -> Html:
        shown: dict[Rule, list[Html]] = {}
        for _, _, rule, details in sorted(self._shown, key=lambda kept: -kept[1]):
            shown.setdefault(rule, []).append(details)
        left = self._tallies.total - len(self._shown)
        note = (
            f"{number(len(self._shown))} of {plural(self._tallies.total, 'match')} in full: the most severe and earliest, "
            f"at most {MOST_EVENTS_OF_A_RULE} of a rule; the other {number(left)} are counted above."
        )
        return sections.section(
            "events",
            "Events",
            element("p", note, class_="note") if left else "",
            _filter(),
            *(_rule(rows[place], anchor, shown[rows[place].rule]) for place, anchor in anchors.items()),
        )


def _filter() -> Html:
    """Return the form that the script brings to life; without the script it stays hidden."""
    options = [
        element("option", "all levels", value=""),
        *(element("option", level_name(name), value=name) for name in LEVELS_DOWN),
    ]
    return element(
        "form",
        element("label", "Events with these words", element("input", type="search", autocomplete="off")),
        element("label", "Level", element("select", *options)),
        element("button", "Open all", type="button", class_="open"),
        element("button", "Close all", type="button", class_="shut"),
        element("output", aria_live="polite"),
        class_="filter",
        role="search",
        hidden=True,
    )


def _rule(row: RuleTally, anchor: str, events: list[Html]) -> Html:
    rule, level = row.rule, level_of(row.rule)
    shown = plural(row.matches, "match")
    if len(events) < row.matches:
        shown += f", {number(len(events))} shown"
    title = element("h3", rule.title, id=f"{anchor}-title")
    return element(
        "section",
        element("div", badge(level), title, element("span", shown, class_="note"), class_="rule-title"),
        element("p", _prose(rule.description)) if rule.description else "",
        element("details", element("summary", "About this rule"), _facts(rule)),
        *events,
        class_="rule",
        id=anchor,
        aria_labelledby=f"{anchor}-title",
        data_level=level,
    )


def _facts(rule: Rule) -> Html:
    attack = parse_attack(rule.tags)
    techniques: Sequence[str] = [part for id_ in attack.techniques for part in (", ", link(technique_url(id_), id_))][
        1:
    ]
    references: Sequence[str] = [part for url in rule.references for part in (element("br"), link(url, url))][1:]
    facts: list[tuple[str, Sequence[str]]] = [
        ("id", [rule.id or ""]),
        ("status", [rule.status or ""]),
        ("log source", [" ".join(rule.logsource.as_dict().values())]),
        ("author", [rule.author or ""]),
        ("licence", [rule.license or ""]),
        ("tags", [", ".join(rule.tags)]),
        ("techniques", techniques),
        ("references", references),
        ("false positives", ["; ".join(map(_prose, rule.falsepositives))]),
        ("condition", [element("code", rule.expression)]),
    ]
    rows = [join(element("dt", name), element("dd", *value)) for name, value in facts if any(value)]
    return element("dl", *rows, class_="facts")


def _prose(text: str) -> str:
    """Return a rule's running text, whose line breaks are those of its file, as one line."""
    return re.sub(r"[ \t\r\n]+", " ", text).strip()


def _asset(name: str) -> Html:
    return Html(resources.files(__package__).joinpath(name).read_text(encoding="utf-8"))


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode("utf-8")).digest()).decode("ascii")
