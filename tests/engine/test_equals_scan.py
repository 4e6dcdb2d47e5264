"""``match`` equals ``scan``: on random rules and events, in any order, with memos of any size."""

from __future__ import annotations

import itertools
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from sigma.pyeval import LogSource, Rule, Ruleset

from .strategies import events, logsources, rule_lists


def check(ruleset: Ruleset, event: Any, logsource: LogSource | None = None) -> None:
    expected = [match.rule.id for match in ruleset.scan(event, logsource)]
    found = [match.rule.id for match in ruleset.match(event, logsource)]
    assert found == expected, [rule.expression for rule in ruleset.rules]


@given(rule_lists(), st.lists(events, min_size=1, max_size=6))
@settings(max_examples=150, deadline=None)
def test_match_equals_scan(rules: list[Rule], some: list[dict[str, Any]]) -> None:
    ruleset = Ruleset(rules)
    for event in [*some, *reversed(some)]:  # the second time from memory
        check(ruleset, event)
    assert ruleset.statistics().full_scans == 0  # nothing in these events is foreign


@given(rule_lists(), st.lists(events, min_size=2, max_size=8), st.randoms(use_true_random=False), logsources)
@settings(max_examples=40, deadline=None)
def test_memory_never_leaks_between_events(
    rules: list[Rule], some: list[dict[str, Any]], random: Any, logsource: LogSource
) -> None:
    """Two rulesets that met other events before agree; a tiny memory is dropped at every step."""
    ample, tiny = Ruleset(rules), Ruleset(rules, memo_bytes=1)
    for _ in range(2):
        random.shuffle(some)
        for event in some:
            check(ample, event, logsource)
            check(tiny, event, logsource)
    # All but the first event, and events that teach nothing, begin with an empty memory.
    assert tiny.statistics().renewals >= 1
    assert ample.statistics().renewals == 0


class Loud:
    """Raises whenever it is looked at."""

    def __eq__(self, other: object) -> bool:
        raise RuntimeError

    def __hash__(self) -> int:
        raise RuntimeError

    @property
    def __class__(self) -> type:  # type: ignore[override]
        raise RuntimeError


class Pretender(str):
    """Text that claims to be another one."""

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        return other == "abc" or str.__eq__(self, other)  # type: ignore[arg-type]

    def __hash__(self) -> int:
        return hash("abc")


class Custom(Mapping[str, Any]):
    """A mapping that is no dict."""

    def __init__(self, items: dict[str, Any]) -> None:
        self._items = items

    def __getitem__(self, key: str) -> Any:
        return self._items[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)


@given(rule_lists(), events, st.sampled_from(["A", "B", "a", "a.b", "other"]))
@settings(max_examples=50, deadline=None)
def test_foreign_objects(rules: list[Rule], event: dict[str, Any], key: str) -> None:
    ruleset = Ruleset(rules)
    check(ruleset, {"A": "abc", "B": "abc", "other": "abc"})  # so that there is something to be mistaken for
    for foreign in (
        Loud(),
        [Loud()],
        {"b": Loud()},
        Pretender("b"),
        [Pretender("b")],
        object(),
        Custom({"b": "abc"}),
    ):
        check(ruleset, {**event, key: foreign})
    for mapping in (Custom(event), OrderedDict(event), MappingProxyType(event), {**event, 7: "abc", None: 1}):
        check(ruleset, mapping)
    for other in (None, 7, "abc", [event]):
        assert [match.rule.id for match in ruleset.match(other)] == [match.rule.id for match in ruleset.scan(other)]  # type: ignore[arg-type]


def rules_of(*expressions: str) -> Ruleset:
    return Ruleset(Rule(str(number), expression, expression) for number, expression in enumerate(expressions))


def test_equal_keys_of_dicts_are_other_values() -> None:
    """1, 1.0 and True share a slot of a dict; their texts differ."""
    rules = rules_of(
        "equals(event, 'A', 1)",
        "equals(event, 'A', '1')",
        "equals(event, 'A', 'true')",
        "endswith(event, 'A', '.0')",
    ).rules
    cases: list[tuple[Any, list[str]]] = [
        (1, ["0", "1"]),
        (True, ["2"]),
        (1.0, ["0", "3"]),
        ("1", ["0", "1"]),
    ]
    for order in itertools.permutations(cases):
        ruleset = Ruleset(rules)
        for value, expected in order:
            assert [match.rule.id for match in ruleset.match({"A": value})] == expected
            assert [match.rule.id for match in ruleset.match({"A": [value]})] == expected


def test_rule_order() -> None:
    ruleset = rules_of("exists(event, 'B')", "exists(event, 'A')", "is_null(event, 'C')", "keyword(event, 'x')")
    assert [match.rule.id for match in ruleset.match({"A": "x", "B": "y"})] == ["0", "1", "2", "3"]
    assert ruleset.match({"A": "x", "B": "y"})[0].event == {"A": "x", "B": "y"}


def test_long_and_deep_events() -> None:
    ruleset = rules_of("contains(event, 'A', 'needle')", "keyword(event, 'needle')", "exists(event, 'a.b')")
    deep: Any = "needle"
    for _ in range(5_000):
        deep = [deep]
    for event in (
        {"A": "x" * 200_000 + "needle" + "y" * 200_000},
        {"A": "x" * 65_530 + "needle"},
        {"A": deep},
        {"other": deep, "a": {"b": deep}},
        {str(number): "needle" for number in range(3_000)},
    ):
        check(ruleset, event)
        check(ruleset, event)
    assert ruleset.statistics().memo_bytes < 1_000_000
