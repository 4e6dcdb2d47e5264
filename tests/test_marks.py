"""What made a rule match: the calls that held and the marked parts of the values, checked against the matchers themselves."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sigma.pyeval import ExpressionError, compile_expression
from sigma.pyeval.literals import literal
from sigma.pyeval.marks import (
    MOST_FOUND,
    MOST_PARTS,
    MatchedCall,
    event_leaves,
    located_values,
    matched_calls,
    spans_by_path,
)
from sigma.pyeval.matchers import MATCHERS
from sigma.pyeval.matchers.regexes import UNDECIDED
from sigma.pyeval.matchers.values import leaves, lookup, text_of
from sigma.pyeval.spans import MOST_MARKS

A, B = ("A",), ("B",)

# Expression, event, and the marked text by place.
MARKED: list[tuple[str, dict[str, Any], dict[tuple[str | int, ...], list[str]]]] = [
    ("contains(event, 'A', 'CURL')", {"A": "a Curl | curl b"}, {A: ["Curl", "curl"]}),
    ("contains_cased(event, 'A', 'curl')", {"A": "a Curl | curl b"}, {A: ["curl"]}),
    ("contains_any(event, 'A', ('wget', 'curl'))", {"A": "curl"}, {A: ["curl"]}),
    ("contains_all(event, 'A', ('-o', 'curl'))", {"A": "curl -o x"}, {A: ["curl", "-o"]}),
    ("startswith(event, 'A', '/TMP')", {"A": "/tmp/tmp"}, {A: ["/tmp"]}),
    ("endswith_any(event, 'A', ('/sh', '/bash'))", {"A": "/bin/bash"}, {A: ["/bash"]}),
    ("equals(event, 'A', 'root')", {"A": "Root"}, {A: ["Root"]}),
    ("equals_any(event, 'A', (0, 'x'))", {"A": 0}, {A: ["0"]}),
    ("equals(event, 'A', 'true')", {"A": True}, {A: ["true"]}),
    ("gt(event, 'A', 5)", {"A": "17"}, {A: ["17"]}),
    ("cidr(event, 'A', '10.0.0.0/8')", {"A": ["192.0.2.1", "10.1.2.3"]}, {("A", 1): ["10.1.2.3"]}),
    ("time_part(event, 'A', 'hour', '>=', 18)", {"A": "2026-01-01T19:00:00"}, {A: ["2026-01-01T19:00:00"]}),
    ("regex(event, 'A', 'c[a-z]rl')", {"A": "a curl b curl"}, {A: ["curl"]}),
    ("regex(event, 'A', 'CURL$', 'im')", {"A": "a curl\nb"}, {A: ["curl"]}),
    ("regex(event, 'A', '(?<!.)(?>.*?x)(?>.*?y)')", {"A": "-x-y-"}, {A: ["x-y"]}),
    ("regex(event, 'A', '(?<![a-z])(?>[a-z]*?c[a-z])(?>[a-z]*?l)')", {"A": "a xcurl"}, {A: ["curl"]}),
    ("regex_within(event, 'A', '(x|xy).*z', '', 100)", {"A": "-x-z-" + "a" * 500}, {A: ["x-z"]}),
    ("keyword_regex_within(event, '(x|xy).*z', '', 100)", {"A": ["-", "-x-z-"]}, {("A", 1): ["x-z"]}),
    ("wildcard(event, 'A', '/*/cu?l*')", {"A": "/usr/bin/curl -x"}, {A: ["/", "/curl"]}),
    ("wildcard(event, 'A', '*b*b')", {"A": "abab"}, {A: ["b", "b"]}),
    ("wildcard(event, 'A', 'ab?')", {"A": "ABC"}, {A: ["ABC"]}),
    ("keyword(event, 'evil')", {"A": {"B": ["x", "so EVIL"]}, "C": "evil"}, {("A", "B", 1): ["EVIL"], ("C",): ["evil"]}),
    ("keyword_any(event, ('no', 'evil'))", {"A": "evil"}, {A: ["evil"]}),
    ("keyword_wildcard(event, 'a*c')", {"A": "xxabcxx"}, {A: ["a", "c"]}),
    ("keyword_whole(event, 'evil*')", {"A": "evil x", "B": "x evil"}, {A: ["evil"]}),
    ("keyword_regex(event, 'e.il')", {"A": "an evil"}, {A: ["evil"]}),
    ("contains(event, 'A.B', 'x')", {"A": {"B": "axa"}}, {("A", "B"): ["x"]}),
    ("contains(event, 'A.B', 'x')", {"A.B": "x", "A": {"B": "x"}}, {("A.B",): ["x"]}),
    ("contains(event, 'A.B', 'x')", {"A": [{"B": "y"}, {"B": ["y", "zx"]}]}, {("A", 1, "B", 1): ["x"]}),
    ("contains(event, 'A.1', 'x')", {"A": ["x", "xx"]}, {("A", 1): ["xx"]}),
    ("equals_field(event, 'A', 'B')", {"A": "x", "B": ["y", "X"]}, {A: ["x"], ("B", 1): ["X"]}),
    ("endswith_field(event, 'A', 'B')", {"A": "ab", "B": "b"}, {A: ["b"], B: ["b"]}),
    ("contains(event, 'A', 'ß')", {"A": "İİß"}, {A: ["ß"]}),
    ("contains(event, 'A', 'i')", {"A": "xİx"}, {A: ["İ"]}),
    ("contains(event, 'A', 'σ')", {"A": "Σ Σ"}, {A: ["Σ", "Σ"]}),
    ("exists(event, 'A') and has_value(event, 'A')", {"A": "x"}, {}),
    ("is_null(event, 'A')", {}, {}),
    ("contains(event, 'A', '')", {"A": "x"}, {}),
]  # fmt: skip


def marked_text(calls: tuple[MatchedCall, ...], event: dict[str, Any]) -> dict[tuple[str | int, ...], list[str]]:
    """Return the texts that the spans cut out of the event's values."""
    values = dict(event_leaves(event))
    return {
        path: [str(text_of(values[path]))[start:end] for start, end in spans]
        for path, spans in spans_by_path(calls).items()
    }


@pytest.mark.parametrize(("expression", "event", "expected"), MARKED, ids=lambda value: str(value)[:50])
def test_what_matched_is_marked(expression: str, event: dict[str, Any], expected: dict[Any, list[str]]) -> None:
    """Each kind of matcher marks its part: the span, the affix, the whole, the runs between wildcards."""
    calls = matched_calls(expression, event)
    assert calls
    assert marked_text(calls, event) == expected


CALLS = [
    ("contains(event, 'A', 'x') and contains(event, 'B', 'y')", {"A": "x", "B": "y"}, ["contains A", "contains B"]),
    ("contains(event, 'A', 'x') or contains(event, 'B', 'y')", {"A": "x", "B": "z"}, ["contains A"]),
    ("contains(event, 'A', 'x') and not contains(event, 'B', 'y')", {"A": "x", "B": "z"}, ["contains A"]),
    ("not (not contains(event, 'A', 'x') or contains(event, 'B', 'y'))", {"A": "x"}, ["contains A"]),
    ("not (contains(event, 'A', 'x') and contains(event, 'B', 'y'))", {"A": "x"}, []),
    ("contains(event, 'A', 'x') and contains(event, 'B', 'y')", {"A": "x"}, []),
    ("contains(event, 'A', 'x')", {}, []),
    ("keyword(event, 'x') and is_null(event, 'B')", {"A": "x"}, ["keyword None", "is_null B"]),
    ("not " * 60 + "contains(event, 'A', 'x')", {"A": "x"}, ["contains A"]),
]  # fmt: skip


@pytest.mark.parametrize(("expression", "event", "expected"), CALLS, ids=lambda value: str(value)[:50])
def test_the_calls_that_decided_are_named(expression: str, event: dict[str, Any], expected: list[str]) -> None:
    """and: all; or: those that hold; not: what is false has nothing to show; no match: nothing."""
    assert [f"{call.matcher} {call.field}" for call in matched_calls(expression, event)] == expected


def test_of_a_list_only_the_members_that_hold_are_named() -> None:
    """So that a reader sees which of forty alternatives it was."""
    [call] = matched_calls("contains_any(event, 'A', ('x', 'y', 'z'))", {"A": "zx"})
    assert call.values == ("x", "z")
    [call] = matched_calls("equals_any(event, 'A', (1, '2'))", {"A": 1})
    assert call.values == (1,)
    [call] = matched_calls("regex(event, 'A', 'X', 'i')", {"A": "x"})
    assert call.values == ("X", "i")


def test_marks_of_a_long_value_are_bounded() -> None:
    """A megabyte of one letter does not become a million marks."""
    [call] = matched_calls("contains(event, 'A', 'a')", {"A": "a" * 1_000_000})
    assert len(call.marks) == MOST_MARKS


@pytest.mark.parametrize(
    "call", ["contains_any(event, 'A', {})", "keyword_any(event, {})", "regex(event, 'A', '{[0]}')"]
)
def test_values_of_a_long_list_are_bounded(call: str) -> None:
    """A list of ten thousand values, written by somebody who knows the rule, takes no second of work."""
    expression = call.format(("x", "y", "z"))
    found = matched_calls(expression, {"A": ["xyz" * 200] * 10_000}, known=True)
    assert len(found[0].paths) == MOST_FOUND
    assert len(found[0].marks) <= MOST_PARTS
    [last] = matched_calls(expression, {"A": ["-"] * 9_999 + ["x"]})
    assert last.paths == (("A", 9_999),)


@pytest.mark.parametrize("value", [None, "", "x", [], [None], [None, "x"], ["", None], [[]], {}, [{}]])
@pytest.mark.parametrize("matcher", ["exists", "has_value", "is_null"])
def test_presence_is_asked_of_each_value(matcher: str, value: object) -> None:
    """What is named is what the matcher says of the value by itself."""
    event = {"A": value}
    calls = matched_calls(f"{matcher}(event, 'A')", event)
    assert bool(calls) == MATCHERS[matcher](event, "A")
    wanted = tuple(path for path, one in located_values(event, "A") if MATCHERS[matcher]({"A": one}, "A"))
    assert [call.paths for call in calls] == [wanted] * len(calls)


def test_foreign_values_are_read_as_plain_data() -> None:
    """Sets, tuples and objects of other libraries raise nothing."""
    [call] = matched_calls("contains(event, 'A', 'x')", {"A": (object(), "x"), 5: "x"})  # type: ignore[dict-item]
    assert [mark.path for mark in call.marks] == [("A", 1)]


def test_searching_again_counts_nothing_as_undecided() -> None:
    """What a bounded search left open was counted when the rule was held against the event; here it is only shown."""
    UNDECIDED.clear()
    expression = "keyword(event, 'a') and not regex_within(event, 'A', '(x|xy).*z', '', 10) and not keyword_regex_within(event, '(x|xy).*z', '', 10)"
    event = {"A": "a" * 20 + "x-z"}
    assert [call.matcher for call in matched_calls(expression, event)] == ["keyword"]
    assert compile_expression(expression)(event)
    assert UNDECIDED == {"(x|xy).*z": 2}
    UNDECIDED.clear()


def test_an_unbounded_search_needs_trust() -> None:
    """As everywhere: the caller says that the rule was run with it."""
    expression = "regex_unbounded(event, 'A', '(a+)+b')"
    with pytest.raises(ExpressionError, match="trusted"):
        matched_calls(expression, {"A": "xaab"})
    [call] = matched_calls(expression, {"A": "xaab"}, unsafe_regex=True)
    assert call.marks == ((A, 1, 4),)


def test_a_list_within_itself_ends() -> None:
    """Objects of Python may do what JSON cannot."""
    cycle: list[Any] = ["x"]
    cycle.append(cycle)
    assert [
        mark.path
        for call in matched_calls("contains(event, 'A', 'x') and keyword(event, 'x')", {"A": cycle})
        for mark in call.marks
    ] == [("A", 0)] * 2


def test_what_is_no_expression_is_refused() -> None:
    """The grammar of expressions holds here too."""
    with pytest.raises(ExpressionError):
        matched_calls("__import__('os')", {})


def test_deep_nesting_is_followed() -> None:
    """As deep as Python lets an expression be."""
    expression, event = "contains(event, 'A', 'x')", {"A": "x"}
    for number in range(90):
        expression = f"({expression} and exists(event, 'A') or not exists(event, 'B{number}') and exists(event, 'C'))"
    assert len(matched_calls(expression, event)) == 91
    assert matched_calls(expression, event, known=True) == matched_calls(expression, event)
    assert matched_calls(f"not {expression}", event) == ()


LETTERS = st.text(alphabet="abAB/\\*?İiσΣς .", max_size=6)
PATTERNS = st.text(alphabet="abAB/İiσ .", min_size=1, max_size=3)
VALUES = st.recursive(
    LETTERS | st.integers(0, 20) | st.booleans() | st.none(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("AB0"), inner, max_size=2),
    max_leaves=6,
)
EVENTS = st.dictionaries(st.sampled_from(["A", "B", "A.B", "0"]), VALUES, max_size=4)
TEXT_MATCHERS = [
    f"{name}{cased}{many}" for name in ("contains", "startswith", "endswith", "equals") for cased in ("", "_cased") for many in ("", "_any", "_all")
]  # fmt: skip


KEYWORDS = ["keyword", "keyword_any", "keyword_all", "keyword_cased"]
WILDCARDS = ["keyword_wildcard", "keyword_wildcard_cased", "keyword_whole", "keyword_whole_cased"]


@st.composite
def calls(draw: st.DrawFn) -> str:
    """A call of a text matcher or keyword."""
    name = draw(st.sampled_from([*TEXT_MATCHERS, *KEYWORDS]))
    many = name.endswith(("_any", "_all"))
    value = draw(st.lists(PATTERNS, min_size=1, max_size=3).map(tuple) if many else PATTERNS)
    field = "" if name.startswith("keyword") else f"{draw(st.sampled_from(['A', 'B', 'A.B', 'A.0', 'B.A']))!r}, "
    return f"{name}(event, {field}{literal(value)})"


EXPRESSIONS = st.recursive(
    calls(),
    lambda inner: st.tuples(inner, st.sampled_from(["and", "or"]), inner).map(lambda parts: f"({' '.join(parts)})"),
    max_leaves=4,
)


@given(EXPRESSIONS, EVENTS)
def test_without_the_marked_parts_the_rule_would_not_match(expression: str, event: dict[str, Any]) -> None:
    """What is marked is why: there are marks exactly where the rule matches, and blanking them undoes the match."""
    predicate = compile_expression(expression)
    found = matched_calls(expression, event)
    spans = spans_by_path(found)
    assert bool(spans) == predicate(event)
    blanked = blank(event, (), spans)
    assert isinstance(blanked, dict)
    assert not predicate(blanked)


def blank(
    value: object, path: tuple[str | int, ...], spans: dict[tuple[str | int, ...], list[tuple[int, int]]]
) -> object:
    """Return *value* with every marked part overwritten."""
    if isinstance(value, dict):
        return {key: blank(child, (*path, key), spans) for key, child in value.items()}
    if isinstance(value, list):
        return [blank(child, (*path, number), spans) for number, child in enumerate(value)]
    text = text_of(value)
    if text is None or path not in spans:
        return value
    for start, end in spans[path]:
        text = text[:start] + "\0" * (end - start) + text[end:]
    return text


@given(EXPRESSIONS, EVENTS)
def test_every_call_named_holds(expression: str, event: dict[str, Any]) -> None:
    """Each named call is true of the event with the values named, whatever became of the others."""
    for call in matched_calls(expression, event):
        values = (call.values,) if call.matcher.endswith(("_any", "_all")) else call.values
        arguments = values if call.field is None else (call.field, *values)
        assert MATCHERS[call.matcher](event, *arguments)


@st.composite
def conditions(draw: st.DrawFn) -> str:
    """Any connection of calls, keywords with wildcards and negations among them."""
    wildcard = st.builds(
        lambda name, glob: f"{name}(event, {literal(glob)})",
        st.sampled_from(WILDCARDS),
        st.text(alphabet="abA*?\\İς", min_size=1, max_size=4),
    )
    negated = st.sampled_from(["", "not ", "not not "])
    return draw(
        st.recursive(
            calls() | wildcard,
            lambda inner: st.tuples(negated, inner, st.sampled_from([" and ", " or "]), negated, inner).map(
                lambda parts: f"({''.join(parts)})"
            ),
            max_leaves=5,
        )
    )


@given(conditions(), EVENTS)
def test_what_is_known_is_found_the_same(expression: str, event: dict[str, Any]) -> None:
    """Without asking again whether the expression holds; and every call that is named holds of each value named."""
    found = matched_calls(expression, event)
    if not compile_expression(expression)(event):
        assert found == ()
        return
    assert matched_calls(expression, event, known=True) == found
    values = dict(event_leaves(event))
    for call in found:
        patterns = [((value,),) for value in call.values] if call.matcher.endswith(("_any", "_all")) else [call.values]
        some = call.matcher.replace("_all", "_any")
        field = () if call.field is None else (call.field,)
        if call.field is None:
            held = {
                path for path, value in values.items() if any(MATCHERS[some]({"": value}, *one) for one in patterns)
            }
            assert set(call.paths) == held
        for path in call.paths:
            name = call.field or ""
            assert any(MATCHERS[some]({name: values[path]}, *field, *one) for one in patterns)


@given(st.text(alphabet="ab*?", min_size=1, max_size=6), st.text(alphabet="ab\n", max_size=8))
def test_marks_of_wildcards_are_the_text_between_the_stars(glob: str, text: str) -> None:
    """Cut out in order, the marked runs fit the pattern's literal parts."""
    [*found] = matched_calls(f"wildcard(event, 'A', {literal(glob)})", {"A": text})
    if not found:
        return
    runs = [text[mark.start : mark.end] for mark in found[0].marks]
    wanted = [run for run in glob.split("*") if run]
    assert [len(run) for run in runs] == [len(run) for run in wanted]
    assert all(
        letter in ("?", mine)
        for run, want in zip(runs, wanted, strict=True)
        for mine, letter in zip(run, want, strict=True)
    )


@given(EVENTS, st.sampled_from(["A", "B", "A.B", "A.0", "B.A", "A.A.B", "0"]))
def test_places_are_those_the_matchers_look_at(event: dict[str, Any], field: str) -> None:
    """The same values in the same order as the matchers' own lookup; each place leads to its value."""
    located = list(located_values(event, field))
    assert [value for _, value in located] == (lookup(event, field) or [])
    assert [value for _, value in event_leaves(event)] == leaves(event)
    for path, value in [*located, *event_leaves(event)]:
        found: Any = event
        for part in path:
            found = found[part]
        assert found is value
