"""Which constructs of the Sigma language a rule's text uses, and the page that says what is supported.

The page, ``docs/support.md``, is written by ``make support``: how many of SigmaHQ's rules use each construct, and how many
test cases with it passed in that run.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_network
from pathlib import Path
from typing import Any, cast

import pytest
import yaml

CASES, DRAWN = "cases with constructs", "drawn rules with constructs"

SIGMAHQ_FOLDERS = ("rules", "rules-compliance", "rules-emerging-threats", "rules-placeholder", "rules-threat-hunting")


@dataclass(frozen=True)
class Item:
    """A field with its modifiers and values; a keyword has no field."""

    field: str
    modifiers: tuple[str, ...]
    values: tuple[Any, ...]

    @property
    def texts(self) -> list[str]:
        """The values that are text whose wildcards and escapes count."""
        return [value for value in self.values if isinstance(value, str)] if "re" not in self.modifiers else []


@dataclass
class Usage:
    """What is found in a rule's documents, flat."""

    documents: list[dict[str, Any]]
    items: list[Item] = field(default_factory=list)
    keywords: list[Item] = field(default_factory=list)
    conditions: list[str] = field(default_factory=list)
    shapes: set[str] = field(default_factory=set)
    actions: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        for document in self.documents:
            self.actions.add(str(document.get("action")))
            for section in ("detection", "filter"):
                if isinstance(document.get(section), dict):
                    self.shapes.add(section)
                    self._take_section(document[section])

    def _take_section(self, section: dict[Any, Any]) -> None:
        for name, detection in section.items():
            if name == "condition":
                self.conditions += map(str, detection if isinstance(detection, list) else [detection])
                self.shapes |= {"list of conditions"} if isinstance(detection, list) else set()
            elif name != "rules":
                self._take_detection(detection)

    def _take_detection(self, detection: Any) -> None:
        if isinstance(detection, dict):
            self._take_map(detection)
        elif isinstance(detection, list):
            maps = [part for part in detection if isinstance(part, dict)]
            others = tuple(part for part in detection if not isinstance(part, dict))
            self.shapes |= {"list of maps"} if maps else set()
            self.shapes |= {"maps and keywords"} if maps and others else set()
            for part in maps:
                self._take_map(part)
            if others:
                self.keywords.append(Item("", (), others))
        else:
            self.keywords.append(Item("", (), (detection,)))

    def _take_map(self, detection: dict[Any, Any]) -> None:
        self.shapes |= {"several items"} if len(detection) > 1 else set()
        for key, value in detection.items():
            name, *modifiers = str(key).split("|")
            values = tuple(value) if isinstance(value, list) else (value,)
            (self.items if name else self.keywords).append(Item(name, tuple(modifiers), values))


Test = Callable[[Usage], bool]


def any_item(test: Callable[[Item], bool]) -> Test:
    return lambda usage: any(map(test, usage.items))


def any_keyword(test: Callable[[Item], bool]) -> Test:
    return lambda usage: any(map(test, usage.keywords))


def any_value(test: Callable[[Any], bool]) -> Test:
    """A value of a field as it is written, not one that a modifier gives another meaning."""
    return any_item(lambda item: not {"exists", "re"} & {*item.modifiers} and any(map(test, item.values)))


def modified(*names: str, without: Sequence[str] = ()) -> Test:
    """A field with all of these modifiers, whatever their order, and none of the others."""
    wanted, unwanted = {*names}, {*without}
    return any_item(lambda item: wanted <= {*item.modifiers} and not unwanted & {*item.modifiers})


def text(pattern: str) -> Test:
    """A text that holds what *pattern* finds, in a field or a keyword."""
    search = re.compile(pattern, re.DOTALL).search
    return lambda usage: any(search(value) for item in (*usage.items, *usage.keywords) for value in item.texts)


def condition(pattern: str) -> Test:
    search = re.compile(pattern).search
    return lambda usage: any(map(search, usage.conditions))


def shape(name: str) -> Test:
    return lambda usage: name in usage.shapes


def action(name: str) -> Test:
    return lambda usage: name in usage.actions


def network(version: int) -> Test:
    def is_one(value: Any) -> bool:
        try:
            return ip_network(str(value)).version == version
        except ValueError:
            return False

    return any_item(lambda item: "cidr" in item.modifiers and any(map(is_one, item.values)))


def several(item: Item) -> bool:
    return len(item.values) > 1


def is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


PARTS = ("minute", "hour", "day", "week", "month", "year")
COMPARISONS = ("lt", "lte", "gt", "gte")
AFFIXES = ("contains", "startswith", "endswith")
WILDCARD = r"(?<!\\)(?:\\\\)*[*?]"


@dataclass(frozen=True)
class Construct:
    """One thing that a rule may say: its name, how it is written, and the test that finds it."""

    name: str
    written: str
    used: Test


SECTIONS: dict[str, list[Construct]] = {
    "Values": [
        Construct("text", "`A: curl`", any_value(lambda value: isinstance(value, str) and value != "")),
        Construct("list of values, any of them", "`A: [x, y]`", any_item(several)),
        Construct("whole number", "`A: 4688`", any_value(lambda value: is_number(value) and isinstance(value, int))),
        Construct("number with a fraction", "`A: -1.5`", any_value(lambda value: isinstance(value, float))),
        Construct("boolean", "`A: true`", any_value(lambda value: isinstance(value, bool))),
        Construct("null: missing or null", "`A: null`", any_value(lambda value: value is None)),
        Construct("empty text", "`A: ''`", any_value(lambda value: value == "")),
        Construct("any value at all", "`A: '*'`", any_value(lambda value: value == "*")),
        Construct("wildcard for any text", "`A: a*c`", text(r"[^*]" + WILDCARD.replace("?]", "]") + "|" + r"^\*.")),
        Construct("wildcard for one character", "`A: a?c`", text(WILDCARD.replace("*?]", "?]"))),
        Construct("escaped wildcard", r"`A: a\*c`", text(r"(?<!\\)\\(?:\\\\)*[*?]")),
        Construct("escaped backslash", r"`A: a\\*c`", text(r"\\\\")),
        Construct("backslash as itself", r"`A: C:\temp`", text(r"(?<!\\)\\(?![\\*?])")),
    ],
    "Fields": [
        Construct("several fields, all of them", "`sel: {A: x, B: y}`", shape("several items")),
        Construct("list of maps, any of them", "`sel: [{A: x}, {B: y}]`", shape("list of maps")),
        Construct("path into nested fields", "`a.b: x`", any_item(lambda item: "." in item.field)),
        Construct("blanks and quotes in names", "`it's a: x`", any_item(lambda item: bool(re.search("[ ']", item.field)))),
    ],
    "Modifiers": [
        *(Construct(name, f"`A\\|{name}: x`", modified(name, without=("re", "fieldref"))) for name in AFFIXES),
        Construct("all", "`A\\|contains\\|all: [x, y]`", modified("all")),
        Construct("cased", "`A\\|cased: Ab`", modified("cased")),
        *(
            Construct(f"{name}, cased", f"`A\\|{name}\\|cased: Ab`", modified(name, "cased"))
            for name in AFFIXES
        ),
        Construct("windash", "`A\\|windash\\|contains: ' -x'`", modified("windash")),
        Construct("neq", "`A\\|neq: x`", modified("neq")),
        Construct("exists", "`A\\|exists: true`", any_item(lambda item: "exists" in item.modifiers and True in item.values)),
        Construct("exists not", "`A\\|exists: false`", any_item(lambda item: "exists" in item.modifiers and False in item.values)),
        Construct("expand: placeholders", "`A\\|expand: '%admins%'`", modified("expand")),
    ],
    "Encodings": [
        Construct("base64", "`A\\|base64: x`", modified("base64")),
        Construct("base64offset", "`A\\|base64offset\\|contains: x`", modified("base64offset")),
        *(
            Construct(name, f"`A\\|{name}\\|base64: x`", modified(name))
            for name in ("wide", "utf16le", "utf16be", "utf16")
        ),
        Construct(
            "UTF-16, then base64offset", "`A\\|wide\\|base64offset\\|contains: x`",
            any_item(lambda item: "base64offset" in item.modifiers and bool({"wide", "utf16le", "utf16be", "utf16"} & {*item.modifiers})),
        ),
    ],
    "Regular expressions": [
        Construct("re", "`A\\|re: '^a+$'`", modified("re")),
        Construct("re with i, ignorecase", "`A\\|re\\|i: x`", any_item(lambda item: bool({"i", "ignorecase"} & {*item.modifiers}))),
        Construct("re with m, multiline", "`A\\|re\\|m: '^x'`", any_item(lambda item: bool({"m", "multiline"} & {*item.modifiers}))),
        Construct("re with s, dotall", "`A\\|re\\|s: a.b`", any_item(lambda item: bool({"s", "dotall"} & {*item.modifiers}))),
        Construct("re with a list", "`A\\|re: [x, y]`", any_item(lambda item: "re" in item.modifiers and several(item))),
    ],
    "Networks and numbers": [
        Construct("cidr, IPv4", "`A\\|cidr: 10.0.0.0/8`", network(4)),
        Construct("cidr, IPv6", "`A\\|cidr: 'fe80::/10'`", network(6)),
        *(Construct(name, f"`A\\|{name}: 5`", modified(name, without=PARTS)) for name in COMPARISONS),
    ],
    "Other fields": [
        Construct("fieldref", "`A\\|fieldref: B`", modified("fieldref", without=AFFIXES)),
        *(Construct(f"fieldref, {name}", f"`A\\|fieldref\\|{name}: B`", modified("fieldref", name)) for name in AFFIXES),
    ],
    "Parts of a date": [
        *(Construct(name, f"`A\\|{name}: 5`", modified(name)) for name in PARTS),
        *(
            Construct(f"part of a date, {name}", f"`A\\|hour\\|{name}: 5`", any_item(lambda item, name=name: name in item.modifiers and bool({*PARTS} & {*item.modifiers})))  # type: ignore[misc]
            for name in COMPARISONS
        ),
    ],
    "Keywords": [
        Construct("keyword, anywhere in any value", "`sel: [evil]`", any_keyword(lambda item: not item.modifiers)),
        Construct("several, any of them", "`sel: [evil, bad]`", any_keyword(lambda item: not item.modifiers and several(item))),
        Construct("all of them", "`'\\|all': [evil, bad]`", any_keyword(lambda item: "all" in item.modifiers)),
        Construct("number", "`sel: [42]`", any_keyword(lambda item: any(map(is_number, item.values)))),
        Construct("wildcards inside", "`sel: ['a*b?c']`", any_keyword(lambda item: any(re.search("." + WILDCARD + ".", value) for value in item.texts))),
        *(
            Construct(name, f"`'\\|{name}': evil`", any_keyword(lambda item, name=name: name in item.modifiers))  # type: ignore[misc]
            for name in (*AFFIXES, "cased", "re", "windash", "wide", "base64", "base64offset", "expand", "neq")
        ),
        Construct("maps and keywords in one list", "`sel: [{A: x}, evil]`", shape("maps and keywords")),
    ],
    "Conditions": [
        Construct("and", "`a and b`", condition(r"\band\b")),
        Construct("or", "`a or b`", condition(r"\bor\b")),
        Construct("not", "`a and not b`", condition(r"\bnot\b")),
        Construct("parentheses", "`(a or b) and c`", condition(r"\(")),
        Construct("1 of a pattern", "`1 of sel_*`", condition(r"\b1 of (?!them)\S")),
        Construct("any of a pattern", "`any of sel_*`", condition(r"\bany of (?!them)\S")),
        Construct("all of a pattern", "`all of sel_*`", condition(r"\ball of (?!them)\S")),
        Construct("1 of them", "`1 of them`", condition(r"\b1 of them\b")),
        Construct("any of them", "`any of them`", condition(r"\bany of them\b")),
        Construct("all of them", "`all of them`", condition(r"\ball of them\b")),
        Construct("list of conditions, any of them", "`condition: [a, b]`", shape("list of conditions")),
    ],
    "Documents": [
        Construct("several documents in a file", "`---`", lambda usage: len(usage.documents) > 1),
        *(Construct(f"action {name}", f"`action: {name}`", action(name)) for name in ("global", "repeat", "reset")),
        Construct("filter", "`filter: {rules: any, ...}`", shape("filter")),
    ],
}  # fmt: skip
NAMES = [f"{section}: {construct.name}" for section, found in SECTIONS.items() for construct in found]


def constructs(rule: str | bytes) -> frozenset[str]:
    """Return which of ``NAMES`` the rule's YAML uses."""
    documents = [document for document in yaml.load_all(rule, Loader=yaml.CSafeLoader) if isinstance(document, dict)]
    usage = Usage(documents)
    return frozenset(
        f"{section}: {construct.name}"
        for section, found in SECTIONS.items()
        for construct in found
        if construct.used(usage)
    )


class SupportPage:
    """A pytest plugin that counts the constructs of the cases that passed, and writes the page at *path* at the end.

    Reports carry the counts as user properties, from worker processes too. A run with a failure writes nothing.
    """

    def __init__(self, path: Path, sigmahq: Path) -> None:
        self._path = path
        self._sigmahq = sigmahq
        self._counts: dict[str, Counter[str]] = {CASES: Counter(), DRAWN: Counter()}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call" and report.passed:
            for kind, counts in report.user_properties:
                if kind in self._counts:
                    self._counts[kind].update(cast(dict[str, int], counts))

    def pytest_sessionfinish(self, exitstatus: int) -> None:
        if exitstatus == pytest.ExitCode.OK:
            rules = count_rules(sigmahq_files(self._sigmahq)) if self._sigmahq.is_dir() else None
            self._path.write_text(support_page(self._counts[CASES], self._counts[DRAWN], rules), encoding="utf-8")


def count_rules(files: Iterable[Path]) -> Counter[str]:
    """Return how many of the rule files use each construct, and under ``rules`` how many there are."""
    counts: Counter[str] = Counter()
    for path in files:
        counts.update(constructs(path.read_bytes()))
        counts["rules"] += 1
    return counts


def sigmahq_files(sigmahq: Path) -> Iterator[Path]:
    for folder in SIGMAHQ_FOLDERS:
        yield from sorted((sigmahq / folder).rglob("*.yml"))


def support_page(passed: Mapping[str, int], drawn: Mapping[str, int], rules: Mapping[str, int] | None) -> str:
    """Return the page; *rules* is ``None`` where SigmaHQ's rules are not at hand."""
    lines = [
        "# What is supported",
        "",
        "Every construct of the Sigma specification 2.1 that a single rule may use. [semantics.md](semantics.md) says what each means;",
        "[support-linux.md](support-linux.md) which of SigmaHQ's rules for Linux and web servers fire on raw logs.",
        "",
        "`make support` writes this page from a run of the tests. *SigmaHQ rules*: how many of "
        + (f"{rules['rules']:,}" if rules else "their")
        + " rules use the construct.",
        "*Cases*: how many written cases with it passed, be they tables of this project's tests, cases that other Sigma engines assert, or",
        "recorded events that SigmaHQ's rules are tested with. *Drawn rules*: how many random rules with it gave the same verdicts in every",
        "form of the rule as an independent interpreter, on random events. A case counts for each construct in it.",
    ]
    for section, found in SECTIONS.items():
        lines += [
            "",
            f"## {section}",
            "",
            "| construct | written | SigmaHQ rules | cases | drawn rules |",
            "|---|---|--:|--:|--:|",
        ]
        for construct in found:
            name = f"{section}: {construct.name}"
            used = f"{rules.get(name, 0):,}" if rules else "?"
            lines.append(
                f"| {construct.name} | {construct.written} | {used} | {passed.get(name, 0):,} | {drawn.get(name, 0):,} |"
            )
    return "\n".join([*lines, "", *REFUSED]) + "\n"


REFUSED = """\
## Refused

A rule that says one of these is left out with a message that names the rule, what was found and what to do; the others load.

| construct | instead |
|---|---|
| correlation rules that refer to nothing, to several rules of one name or to themselves; more: [correlations.md](correlations.md) | |
| aggregations behind a pipe (`\\| count() > 5`), `near` | gone from Sigma |
| `re` with `startswith` or `endswith` | `^` or `$` in the expression |
| regular expressions of exponential time | another expression, or `unsafe_regex`; see [regex.md](regex.md) |
| an empty list of values | `null` |
| a map as a field's value, array brackets in names | `a.b: x` |
| `1 of x_*` where there is no `x_...`; quantifiers beyond 1, any, all | |
| placeholders without a value | `--placeholder NAME=VALUE`, or a pipeline |
| `windash` on a value with more than three dashes | several values |
| whole numbers beyond 2^53 that a float cannot hold | quoted text |
| keywords that are networks, comparisons, parts of a date or null | name the field |""".splitlines()
