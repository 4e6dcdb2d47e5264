"""The sections of the page that count: levels, time, rules, ATT&CK, hosts, logs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Final

from sigma.pyeval.attack import tactic_title, tactic_url, technique_url

from .html_parts import badge, bar, level_name, number, plural, time_element, time_text
from .markup import Html, element, join, link
from .tallies import LEVELS_DOWN, RuleTally, Tallies, level_of

MOST_ROWS: Final = 50
"""So many hosts and logs are listed; the rest is counted below the table."""

_CHART_WIDTH, _CHART_HEIGHT = 1200, 100
_WIDTH_NAMES = (
    (604_800, "week"), (86_400, "day"), (3600, "hour"), (60, "minute"), (1, "second")
)  # fmt: skip


def section(id_: str, title: str, *children: str) -> Html:
    """Return a section with its heading."""
    return element(
        "section", element("h2", title, id=f"{id_}-title"), *children, id=id_, aria_labelledby=f"{id_}-title"
    )


def levels(tallies: Tallies) -> Html:
    """Return the number of matches of each level, the most severe first; levels of Sigma without any, too."""
    items = [
        element(
            "li",
            element("span", number(tallies.levels[level]), class_="count"),
            element("span", level_name(level), class_="name"),
            class_=level if tallies.levels[level] else f"{level} zero",
        )
        for level in LEVELS_DOWN
        if level != "none" or tallies.levels[level]
    ]
    return element("ul", *items, class_="levels", aria_label="Matches by level")


def timeline(tallies: Tallies) -> Html:
    """Return the matches over time as a chart and as a table."""
    rows = tallies.times.rows()
    if not rows:
        return Html("")
    present = [level for level in LEVELS_DOWN if any(counts[level] for _, counts in rows)]
    highest = max(counts.total() for _, counts in rows)
    width = _CHART_WIDTH / len(rows)
    rects: list[Html] = []
    for place, (_, counts) in enumerate(rows):
        top = float(_CHART_HEIGHT)
        for level in present:
            if counts[level]:
                height = counts[level] * _CHART_HEIGHT / highest
                top -= height
                rects.append(_rect(place * width, top, width * 0.88, height, level))
    name = _width_name(tallies.times.width)
    title = f"Matches per {name}, at most {plural(highest, 'match')}"
    chart = element(
        "svg",
        *rects,
        class_="chart",
        viewBox=f"0 0 {_CHART_WIDTH} {_CHART_HEIGHT}",
        preserveAspectRatio="none",
        role="img",
        aria_label=f"{title}; the table below has the numbers",
    )
    axis = element(
        "div", element("span", time_text(rows[0][0])), element("span", time_text(rows[-1][0])), class_="axis"
    )
    legend = element(
        "ul",
        *(
            element(
                "li",
                element("svg", element("rect", width="100%", height="100%", class_=level), aria_hidden="true"),
                level_name(level),
            )
            for level in present
        ),
        class_="legend",
    )
    note = (
        f"{plural(tallies.without_time, 'match')} without a readable time not counted here."
        if tallies.without_time
        else ""
    )
    return section(
        "time", "Over time", element("p", f"{title}. Times are UTC.", class_="note"), chart, axis, legend,
        element("details", element("summary", "The same as a table"), _time_table(rows, present, name)),
        element("p", note, class_="note") if note else "",
    )  # fmt: skip


def _rect(x: float, y: float, width: float, height: float, level: str) -> Html:
    return element("rect", x=f"{x:.2f}", y=f"{y:.2f}", width=f"{width:.2f}", height=f"{height:.2f}", class_=level)


def _width_name(seconds: int) -> str:
    unit, name = next((unit, name) for unit, name in _WIDTH_NAMES if seconds % unit == 0)
    amount = seconds // unit
    return name if amount == 1 else f"{number(amount)} {name}s"


def _time_table(rows: Sequence[tuple[object, Counter[str]]], present: Sequence[str], name: str) -> Html:
    body = [
        (time_element(moment), *(_count(counts[level]) for level in present))  # type: ignore[arg-type]
        for moment, counts in rows
        if counts
    ]
    return table(f"Matches per {name}", ("from", *map(level_name, present)), body, numbers=range(1, len(present) + 1))


def rules(tallies: Tallies, anchors: dict[int, str]) -> Html:
    """Return the table of the rules that matched; *anchors* leads from a row's number to its events' place."""
    rows = tallies.rules_down()
    largest = max(row.matches for row in rows)
    body = [_rule_row(row, largest, anchors.get(place)) for place, row in enumerate(rows)]
    columns = ("level", "rule", "matches", "", "first", "last")
    head = _head_row(columns, (2,), ("", "", "", "bar-cell", "first-cell", "last-cell"))
    caption = element("caption", "Rules that matched, the most severe first")
    whole = element("table", caption, head, element("tbody", *body), class_="rules")
    return section("rules", "Rules", _scroll(whole, "Rules"))


def _rule_row(row: RuleTally, largest: int, anchor: str | None) -> Html:
    level = level_of(row.rule)
    title = element("a", row.rule.title, href=f"#{anchor}") if anchor else row.rule.title
    return element(
        "tr",
        element("td", badge(level)),
        element("th", title, scope="row"),
        element("td", number(row.matches), class_="number"),
        element("td", bar(row.matches, largest, level), class_="bar-cell"),
        element("td", time_element(row.first), class_="first-cell"),
        element("td", time_element(row.last), class_="last-cell"),
    )


def attack_matrix(tallies: Tallies) -> Html:
    """Return the table of techniques by tactics, as the tags of the matched rules pair them."""
    if not tallies.matrix:
        return Html("")
    tactics = tallies.tactics()
    highest = max(count for counts in tallies.matrix.values() for count in counts.values())
    columns = [element("th", _tactic(tactic), scope="col") for tactic in tactics]
    head = element("thead", element("tr", element("th", "technique", scope="col"), *columns))
    body = [
        element(
            "tr",
            element("th", _technique(technique), scope="row"),
            *(_heat(counts[tactic], highest) for tactic in tactics),
        )
        for technique, counts in sorted(tallies.matrix.items(), key=lambda item: item[0] or "~")
    ]
    whole = element(
        "table", element("caption", "Matches by technique and tactic"), head, element("tbody", *body), class_="matrix"
    )
    note = "Tags do not say which technique belongs to which tactic: a rule with several counts under each."
    return section("attack", "ATT&CK", _scroll(whole, "ATT&CK techniques by tactics"), *_notes([note]))


def _tactic(tactic: str) -> Html:
    url = tactic_url(tactic)
    return link(url, tactic_title(tactic)) if url else join(tactic_title(tactic) if tactic else "no tactic named")


def _technique(technique: str) -> Html:
    return link(technique_url(technique), technique) if technique else join("no technique named")


def _heat(count: int, highest: int) -> Html:
    if not count:
        return element("td")
    return element("td", number(count), class_=f"heat-{1 + 4 * count // highest}")


def hosts(tallies: Tallies) -> Html:
    """Return the table of hosts with their levels, those with the most severe matches first."""
    if not tallies.hosts:
        return Html("")
    present = [level for level in LEVELS_DOWN if tallies.levels[level]]
    order = sorted(
        tallies.hosts.items(), key=lambda item: ([-item[1][level] for level in present], item[0])
    )  # fmt: skip
    body = [
        (host[:200], *(_count(counts[level]) for level in present), number(counts.total()))
        for host, counts in order[:MOST_ROWS]
    ]
    left = [f"{number(len(order) - MOST_ROWS)} more hosts are not listed." if len(order) > MOST_ROWS else ""]
    left.append(
        f"{plural(tallies.other_hosts, 'match')} on hosts beyond the first {number(len(tallies.hosts))}."
        if tallies.other_hosts
        else ""
    )
    left.append(f"{plural(tallies.without_host, 'match')} in events that name no host." if tallies.without_host else "")
    whole = table(
        "Matches by host and level",
        ("host", *map(level_name, present), "all"),
        body,
        numbers=range(1, len(present) + 2),
    )
    return section("hosts", "Hosts", whole, *_notes(left))


def logs(tallies: Tallies) -> Html:
    """Return the table of logs."""
    order = sorted(tallies.paths.items(), key=lambda item: (-item[1], item[0]))
    body = [("standard input" if path == "-" else path[:500], number(count)) for path, count in order[:MOST_ROWS]]
    left = [f"{number(len(order) - MOST_ROWS)} more logs are not listed." if len(order) > MOST_ROWS else ""]
    return section("logs", "Logs", table("Matches by log", ("log", "matches"), body, numbers=(1,)), *_notes(left))


def _notes(texts: Iterable[str]) -> list[Html]:
    return [element("p", text, class_="note") for text in texts if text]


def _count(amount: int) -> str:
    return number(amount) if amount else ""


def table(caption: str, columns: Sequence[str], rows: Iterable[Sequence[str]], numbers: Iterable[int] = ()) -> Html:
    """Return a table whose first column is each row's heading; *numbers* are the columns set to the right."""
    numeric = frozenset(numbers)
    body = [
        element(
            "tr",
            *(
                element("td", cell, class_="number" if place in numeric else None)
                if place
                else element("th", cell, scope="row")
                for place, cell in enumerate(row)
            ),
        )
        for row in rows
    ]
    whole = element("table", element("caption", caption), _head_row(columns, numeric), element("tbody", *body))
    return _scroll(whole, caption)


def _head_row(columns: Sequence[str], numeric: Iterable[int], classes: Sequence[str] = ()) -> Html:
    cells = []
    for place, name in enumerate(columns):
        class_ = classes[place] if classes else ""
        class_ = " ".join(part for part in (class_, "number" if place in numeric else "") if part)
        cells.append(
            element("th", name, scope="col", class_=class_ or None) if name else element("td", class_=class_ or None)
        )
    return element("thead", element("tr", *cells))


def _scroll(whole: Html, name: str) -> Html:
    """Return a table in a frame that scrolls sideways where it is too wide, by keyboard too."""
    return element("div", whole, class_="scroll", tabindex=0, role="region", aria_label=name)
