"""Fields that rules ask for held against fields that logs have: a mapping that is wrong shows at once."""

from __future__ import annotations

import ast
import difflib
import inspect
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import islice, takewhile
from typing import Any

from .correlation.calls import Correlation
from .correlation.source import parse_correlation
from .expression import call_arguments, parse_expression
from .matchers import MATCHERS
from .matchers.values import lookup
from .rules import CorrelationRule, LogSource, Rule

MAX_NAMES = 10_000
"""Different field names kept; of further ones only those that rules ask for."""

MAX_NAME_CHARACTERS = 200
MAX_DEPTH = 32
NEAREST_AMONG = 1_000
"""Names, the most frequent ones, among which the nearest is looked for."""

_NEAR_ENOUGH = 0.7
_FIELD_PARAMETERS = ("field", "other")


@dataclass(frozen=True)
class MissingField:
    """A field that rules ask for and no event has.

    Attributes:
        name: Its name as in the rules' expressions, so after the pipeline.
        rules: Number of rules that ask for it.
        logsources: Log source of these rules -> number of rules. A correlation rule counts for each log source of those of
            the rules it correlates whose events are asked.
        nearest: The most similar name in the logs, or ``None``.
    """

    name: str
    rules: int
    logsources: Mapping[LogSource, int]
    nearest: str | None


@dataclass(frozen=True)
class FieldReport:
    """What rules ask for against what logs have.

    Attributes:
        asked: Number of fields that rules ask for.
        missing: Those that no event has, most rules first.
        unread: Name of each field that no rule reads -> number of events that have it, most events first.
        keyword_rules: Number of rules that search every value, which needs no field.
        events: Number of events looked at.
        complete: False where the logs have more names than are kept.
    """

    asked: int
    missing: tuple[MissingField, ...]
    unread: Mapping[str, int]
    keyword_rules: int
    events: int
    complete: bool

    def as_dict(self) -> dict[str, Any]:
        """Return the report as a dict of JSON types."""
        return {
            "events": self.events,
            "asked": self.asked,
            "keyword_rules": self.keyword_rules,
            "missing": [
                {
                    "field": field.name,
                    "rules": field.rules,
                    "nearest": field.nearest,
                    "logsources": [
                        {"logsource": source.as_dict(), "rules": count} for source, count in field.logsources.items()
                    ],
                }
                for field in self.missing
            ],
            "unread": [{"field": name, "events": count} for name, count in self.unread.items()],
            "complete": self.complete,
        }


class FieldCounter:
    """Takes events one by one and counts which fields occur; memory is bounded, however many events or names.

    Args:
        rules: The rules whose fields are looked for. A scope only tells kinds of events apart: its fields
            count as read, not as asked for. Correlation rules ask for what they group by and reckon with.
    """

    def __init__(self, rules: Iterable[Rule]) -> None:
        self._asked: dict[str, Counter[LogSource]] = {}
        self._read: set[str] = set()
        self._askers: Counter[str] = Counter()
        self._keyword_rules = 0
        rules = list(rules)
        plain = [rule for rule in rules if not isinstance(rule, CorrelationRule)]
        for rule in plain:
            in_scope = Counter(_calls(rule.scope)) if rule.scope else Counter[tuple[str, tuple[Any, ...]]]()
            own = Counter(_calls(rule.expression)) - in_scope
            self._keyword_rules += any(name.startswith("keyword") for name, _ in own)
            self._read.update(_fields(in_scope))
            self._ask((field, rule.logsource) for field in _fields(own))
        for rule in rules:
            if isinstance(rule, CorrelationRule):
                self._ask(_correlated_fields(parse_correlation(rule.expression), plain))
        self._read.update(self._asked)
        # A position in a list (`args.0`) and a very deep path stand in no list of names.
        self._looked_up = {field for field in self._asked if _is_positional(field) or field.count(".") >= MAX_DEPTH}
        self._seen: set[str] = set()
        self._names: Counter[str] = Counter()
        self._events = 0
        self._complete = True

    def _ask(self, fields: Iterable[tuple[str, LogSource]]) -> None:
        """Note what one rule asks for, of events of which log source."""
        asked = dict.fromkeys(fields)  # in an order that is always the same
        for field, logsource in asked:
            self._asked.setdefault(field, Counter())[logsource] += 1
        self._askers.update({field for field, _ in asked})

    def add(self, event: Mapping[str, Any]) -> None:
        """Count the fields of one event."""
        self._events += 1
        groups: set[str] = set()
        for name in set(_paths(event, groups)):
            if name in self._read:
                self._seen.add(name)
                self._names[name] += 1
                continue
            short = name if len(name) <= MAX_NAME_CHARACTERS else name[:MAX_NAME_CHARACTERS] + "..."
            if short in self._names or len(self._names) < MAX_NAMES:
                self._names[short] += 1
            else:
                self._complete = False
        self._seen |= groups & self._asked.keys()
        found = {field for field in self._looked_up if lookup(event, field) is not None}
        if found:
            self._seen |= found
            self._looked_up -= found

    def report(self) -> FieldReport:
        """Return the report of what was added so far."""
        names = dict(sorted(self._names.items(), key=lambda item: (-item[1], item[0])))
        frequent = list(names)[:NEAREST_AMONG]
        missing = [
            MissingField(field, self._askers[field], dict(sources.most_common()), nearest_name(field, frequent))
            for field, sources in self._asked.items()
            if field not in self._seen
        ]
        read = self._read | {_without_positions(field) for field in self._read}
        unread = {name: count for name, count in names.items() if name not in read}
        return FieldReport(
            asked=len(self._asked),
            missing=tuple(sorted(missing, key=lambda field: (-field.rules, field.name))),
            unread=unread,
            keyword_rules=self._keyword_rules,
            events=self._events,
            complete=self._complete,
        )


def event_names(event: Mapping[str, Any], most: int) -> Iterator[str]:
    """Yield the first names, *most* of them, under which matchers find the values of a plain event, overlong ones left out."""
    return islice((name for name in _paths(event, set()) if len(name) <= MAX_NAME_CHARACTERS), most)


def nearest_name(field: str, names: Iterable[str]) -> str | None:
    """Return which of *names* is most like *field*, or ``None`` where none is alike.

    Case, ``_`` and other signs don't count, and neither does the path before the last dot:
    ``process.command_line`` is near ``CommandLine``.
    """
    by_text: dict[str, str] = {}
    for name in names:
        for text in _comparable(name):
            by_text.setdefault(text, name)
    scored = [
        # Of two that are equally alike, the one that ends alike: the end of a name says what it is.
        (difflib.SequenceMatcher(None, close, text).ratio(), _common_end(close, text), by_text[close])
        for text in _comparable(field)
        for close in difflib.get_close_matches(text, by_text, 3, _NEAR_ENOUGH)
    ]
    return max(scored)[2] if scored else None


def _common_end(one: str, other: str) -> int:
    pairs = zip(reversed(one), reversed(other), strict=False)
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))


def _comparable(name: str) -> dict[str, None]:
    texts = (name, name.rpartition(".")[2])
    return dict.fromkeys(filter(None, ("".join(filter(str.isalnum, text)).lower() for text in texts)))


def _correlated_fields(correlation: Correlation, rules: Iterable[Rule]) -> Iterator[tuple[str, LogSource]]:
    """Yield what a correlation reads of events, by the log source of the rule that these match.

    What it reads of other correlations' matches are the fields that these are grouped by, which they ask for themselves.
    """
    for rule in rules:
        if rule.key in correlation.rules:
            for name in (*correlation.group_by, *correlation.fields):
                yield correlation.field_of(name, rule.key), rule.logsource


def _calls(expression: str) -> Iterator[tuple[str, tuple[Any, ...]]]:
    tree = parse_expression(expression, unsafe_regex=True)  # it is read, not run
    return (call_arguments(node) for node in ast.walk(tree) if isinstance(node, ast.Call))


def _fields(calls: Iterable[tuple[str, tuple[Any, ...]]]) -> set[str]:
    return {arguments[index] for name, arguments in calls for index in _field_positions(name)}


@cache
def _field_positions(matcher: str) -> tuple[int, ...]:
    """Return which of a matcher's arguments behind the event are names of fields."""
    parameters = list(inspect.signature(MATCHERS[matcher]).parameters)[1:]
    return tuple(index for index, name in enumerate(parameters) if name in _FIELD_PARAMETERS)


def _paths(event: Mapping[str, Any], groups: set[str]) -> Iterator[str]:
    """Yield the names under which the matchers find the values of *event*, lists standing for their elements.

    Names of mappings are added to *groups*. What no name reaches (a key with a dot inside another mapping) is
    yielded in a form that is no field name.
    """
    pending: list[tuple[str, Any, int]] = []
    for key, value in event.items():
        if isinstance(value, (dict, list)) and value and "." not in key:
            pending.append((key, value, 1))
        else:
            yield key
    while pending:
        path, value, depth = pending.pop()
        if isinstance(value, list):
            inner = [element for element in value if isinstance(element, (dict, list))]
            pending.extend((path, element, depth) for element in inner)
            if len(inner) < len(value):
                yield path
        elif depth >= MAX_DEPTH:
            yield path
        else:
            groups.add(path)
            for key, child in value.items():
                if "." in key:
                    yield f"{path}[{key!r}]"
                elif isinstance(child, (dict, list)) and child:
                    pending.append((f"{path}.{key}", child, depth + 1))
                else:
                    yield f"{path}.{key}"


def _is_positional(field: str) -> bool:
    return any(part.isdecimal() for part in field.split(".")[1:])


def _without_positions(field: str) -> str:
    return ".".join(part for part in field.split(".") if not part.isdecimal())
