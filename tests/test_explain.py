"""Explanations: the engine's own verdict, what was found, the smallest change; bounded and safe to show."""

from __future__ import annotations

import itertools
import json
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sigma.pyeval import LogSource, Rule, Ruleset, compile_expression, load_rules, parse_rules
from sigma.pyeval.changes import smallest_change
from sigma.pyeval.errors import RuleError, UnknownRuleError
from sigma.pyeval.explain import MOST_FOUND, Explanation, explain_rule
from sigma.pyeval.items import parse_items, verdict
from sigma.pyeval.matchers.regexes import UNDECIDED
from sigma.pyeval.output import json_line

from .conftest import ROOT
from .engine.strategies import events, expressions, logsources, rule_lists
from .engine.test_equals_scan import Custom, Loud, Pretender
from .strategies import Case, cases


def explain(expression: str, event: Any, scope: str | None = None) -> Explanation:
    return explain_rule(Rule("1", "Test", expression, scope=scope), event)


@given(rule_lists(), events, st.one_of(st.none(), logsources))
@settings(max_examples=200)
def test_the_verdict_is_that_of_match(rules: list[Rule], event: dict[str, Any], logsource: LogSource | None) -> None:
    """For random expressions over all matchers; and the explanation can be written in every form."""
    ruleset = Ruleset(rules)
    matched = {match.rule.id for match in ruleset.match(event, logsource)}
    for rule in rules:
        explanation = ruleset.explain(event, str(rule.id), logsource)
        assert explanation.matched == (rule.id in matched), rule.expression
        json.loads(json_line(explanation.as_dict()))
        assert str(explanation)
        ElementTree.fromstring(explanation._repr_html_())


@given(cases())
@settings(max_examples=60)
def test_the_verdict_is_that_of_match_for_rules_as_written(case: Case) -> None:
    """From YAML, with near events."""
    ruleset = parse_rules(case.rule, on_error="collect")
    for rule in ruleset.rules:
        for event in case.events:
            assert explain_rule(rule, event).matched == bool(ruleset.match(event))


@given(rule_lists(), events, st.sampled_from(["A", "B", "a"]))
@settings(max_examples=40)
def test_foreign_objects(rules: list[Rule], event: dict[str, Any], key: str) -> None:
    """What raises when it is looked at is judged as the engine does."""
    ruleset = Ruleset(rules)
    for foreign in (Loud(), [Loud()], Pretender("b"), object(), Custom({"b": "abc"})):
        for one in ({**event, key: foreign}, Custom({**event, key: foreign}), None):
            matched = {match.rule.id for match in ruleset.match(one)}  # type: ignore[arg-type]
            for rule in rules:
                assert ruleset.explain(one, rule).matched == (rule.id in matched)  # type: ignore[arg-type]


@st.composite
def formulas(draw: st.DrawFn) -> str:
    """Draw an expression over few items, so that they stand in several places."""
    leaves = st.sampled_from([f"exists(event, '{name}')" for name in "ABCDEF"])
    groups = st.recursive(
        leaves,
        lambda inner: st.one_of(
            inner.map(lambda part: f"not ({part})"),
            st.tuples(st.sampled_from([" and ", " or "]), st.lists(inner, min_size=2, max_size=4)).map(
                lambda pair: "(" + pair[0].join(pair[1]) + ")"
            ),
        ),
        max_leaves=10,
    )
    return draw(st.one_of(groups, expressions))


@given(formulas(), st.one_of(events, st.dictionaries(st.sampled_from("ABCDEF"), st.just(1))))
@settings(max_examples=300)
def test_no_smaller_change_turns_the_verdict(expression: str, event: dict[str, Any]) -> None:
    """By trying all sets of items: the named ones turn it, no smaller set does."""
    rule = Rule("1", "Test", expression)
    tree = parse_items(rule)
    explanation = explain_rule(rule, event)
    verdicts = [item.verdict for item in explanation.items]

    def turned(chosen: tuple[int, ...]) -> bool:
        return verdict(tree.whole, [held is not (n in chosen) for n, held in enumerate(verdicts, 1)])

    assert turned(()) is explanation.matched
    if explanation.matched:
        assert explanation.changes == ()
        return
    assert explanation.changes_certain
    numbers = range(1, len(verdicts) + 1)
    sets = (chosen for size in numbers for chosen in itertools.combinations(numbers, size) if turned(chosen))
    smallest = next(sets, None)
    assert (smallest is None) == (explanation.changes is None)
    if smallest is not None and explanation.changes is not None:
        assert turned(explanation.changes)
        assert len(explanation.changes) == len(smallest)


CHANGES: list[tuple[str, str, tuple[int, ...] | None]] = [
    ("A and B and C", "B", (1, 3)),
    ("A or B and C", "", (1,)),
    ("A and B or C", "B", (1,)),
    ("A and not B", "AB", (2,)),
    ("not (A or B)", "AB", (1, 2)),
    ("not (A and B)", "AB", (1,)),
    ("A and B or C and D", "", (1, 2)),
    ("(A or B) and (A or C)", "", (1,)),
    ("(B or A) and (C or A)", "", (2,)),
    ("A and not A", "", None),
    ("(A or B) and not A", "", (2,)),
    ("not not A", "", (1,)),
]


@pytest.mark.parametrize(("formula", "present", "expected"), CHANGES)
def test_the_smallest_change(formula: str, present: str, expected: tuple[int, ...] | None) -> None:
    """and: all that are false; or: the cheapest, the first of several; items that stand twice count once."""
    expression = "".join(f"exists(event, '{c}')" if c in "ABCD" else c for c in formula)
    explanation = explain(expression, dict.fromkeys(present, 1))
    assert (explanation.matched, explanation.changes) == (False, expected)
    assert explain(f"not ({expression})", dict.fromkeys(present, 1)).changes == ()


def test_the_conclusion_in_words() -> None:
    """One item, several, none that would help."""
    a, b = "exists(event, 'A')", "exists(event, 'B')"
    assert str(explain(a, {"A": 1})).startswith("Test (1): matches")
    assert "no match: item 1 would have to be otherwise" in str(explain(a, {}))
    assert "no match: items 1, 2 would have to be otherwise" in str(explain(f"{a} and {b}", {}))
    assert "no match: no change of items makes it match" in str(explain(f"{a} and not {a}", {}))


def test_a_search_that_takes_too_long_says_so() -> None:
    """Items in very many places: the answer is bounded, and does not claim to be certain."""
    names = [f"exists(event, 'x{n}')" for n in range(40)]
    pairs = [f"({names[a]} or {names[b]})" for a, b in itertools.combinations(range(40), 2) if (a * b + a) % 3]
    tree = parse_items(Rule("1", "cover", " and ".join(pairs)))
    change = smallest_change(tree.whole, [False] * len(tree.items))
    assert not change.is_certain
    assert change.items is None or verdict(tree.whole, [n in change.items for n in range(1, 41)])


RULES = load_rules(ROOT / "examples/rules", pipeline="linux_eval")
CURL = "5b1c8f7e-4d3a-4c62-9a1e-2f6e8c9d0a21"


def test_scope_apart_and_marked_parts() -> None:
    """The scope is a tree of its own; what matched is marked by its place."""
    found = RULES.explain({"_EXE": "/usr/bin/curl", "_CMDLINE": "curl x -o /tmp/y"}, CURL).as_dict()
    assert found["matched"]
    assert found["scope"]["verdict"]
    items = {item["item"]: item for item in found["condition"]["parts"] if "item" in item}
    assert items[8]["holding"] == ["/curl"]
    assert items[8]["found"] == [{"path": ["_EXE"], "value": "/usr/bin/curl", "spans": [[8, 13]]}]
    assert "/usr/bin«/curl»" in str(RULES.explain({"_EXE": "/usr/bin/curl"}, CURL))
    assert "<mark>/curl</mark>" in RULES.explain({"_EXE": "/usr/bin/curl"}, CURL)._repr_html_()
    unscoped = explain("exists(event, 'A') and exists(event, 'B')", {}, scope="exists(event, 'C')")
    assert unscoped.tree.scope is None


@pytest.mark.parametrize(
    ("event", "nearest"),
    [
        ({"commandline": "x"}, "commandline"),
        ({"process": {"command_line": "x"}}, "process.command_line"),
        ({"CommandLines": "x", "Image": "y"}, "CommandLines"),
        ({"Image": "y"}, None),
        ({"Command" * 100: "y"}, None),
    ],
)
def test_the_nearest_name_of_a_missing_field(event: dict[str, Any], nearest: str | None) -> None:
    """Case, signs and paths don't count."""
    [item] = explain("contains(event, 'CommandLine', 'x')", event).items
    assert [(one.field, one.nearest) for one in item.missing] == [("CommandLine", nearest)]


def test_what_is_said_of_an_item() -> None:
    """Lists of which all have to hold, references, bounded searches, keywords."""
    [item] = explain("contains_all(event, 'A', ('x', 'y', 'z'))", {"A": "xz"}).items
    assert (item.verdict, item.holding) == (False, ("x", "z"))
    assert "does not hold: 'y'" in str(explain("contains_all(event, 'A', ('x', 'y', 'z'))", {"A": "xz"}))
    [item] = explain("equals_field(event, 'A', 'B')", {"A": "x"}).items
    assert [one.field for one in item.missing] == ["B"]
    UNDECIDED.clear()
    [item] = explain("regex_within(event, 'A', '(x|xy).*z', '', 10)", {"A": "a" * 20 + "x-z"}).items
    assert item.undecided
    [item] = explain("keyword_regex_within(event, '(x|xy).*z', '', 10)", {"A": "a" * 20}).items
    assert item.undecided
    assert UNDECIDED == {}
    [item] = explain("keyword(event, 'evil')", {"A": {"B": ["x", "so EVIL"]}}).items
    assert item.found == ({"path": ["A", "B", 1], "value": "so EVIL", "spans": [[3, 7]]},)
    [item] = explain("keyword(event, 'evil')", {"A": "x"}).items
    assert item.found == ()


def test_huge_events_are_shown_in_short() -> None:
    """Megabytes become a few kilobytes; the mark is in what is shown."""
    event = {"A": "a" * 2_000_000 + "evil" + "b" * 2_000_000, "B": [f"value {n}" for n in range(50_000)]}
    explanation = explain("contains(event, 'A', 'evil') and contains(event, 'B', 'nothing')", event)
    assert len(json_line(explanation.as_dict())) < 5_000
    assert len(str(explanation)) < 5_000
    assert "«evil»" in str(explanation)
    assert explanation.items[1].more == 50_000 - MOST_FOUND
    many = explain(f"contains_any(event, 'A', {tuple(str(n) * 300 for n in range(2_000))!r})", event)
    assert len(json_line(many.as_dict())) < 60_000


def test_hostile_text_stays_text() -> None:
    """In terminals and notebooks."""
    evil = "<script>alert(1)</script>\x1b[31m[bold]\u202e\n"
    rule = Rule("<b>", f"T {evil}", f"contains(event, {evil!r}, {evil!r}) and exists(event, 'x')")
    explanation = explain_rule(rule, {evil: f"a{evil}b", evil + "x": 1})
    for text in (str(explanation), explanation._repr_html_()):
        assert not {"\x1b", "\u202e"} & set(text)
    assert "<script>" not in explanation._repr_html_()
    assert "[bold]" in str(explanation)


def test_log_sources_that_conflict() -> None:
    """A rule that is left out says so, though its expression holds."""
    event = {"_EXE": "/usr/bin/curl", "_CMDLINE": "curl x -o /tmp/y"}
    explanation = RULES.explain(event, CURL, LogSource(product="windows"))
    assert not explanation.matched
    assert explanation.changes == ()
    assert "the rule is for the log source process_creation, linux, the event is of windows" in " ".join(
        str(explanation).split()
    )
    assert RULES.explain(event, CURL, LogSource(product="linux")).matched


def test_rules_are_found_by_id_or_title() -> None:
    """A mistake names the nearest."""
    assert RULES.find_rule("Download Into A World-Writable Folder").id == CURL
    with pytest.raises(UnknownRuleError, match="did you mean"):
        RULES.explain({}, CURL[:-1])
    for part in ("world-writable", "DOWNLOAD INTO A", "download into a world writeable folder"):
        with pytest.raises(UnknownRuleError, match="did you mean 'Download Into A World-Writable Folder'"):
            RULES.find_rule(part)
    with pytest.raises(UnknownRuleError, match=r"'T\. 1' or 'T\. 2' or 'T\. 3'\?"):
        Ruleset([Rule(None, f"T. {n}", "exists(event, 'A')") for n in range(1, 6)]).find_rule("t.")
    for nothing_like_it in ("", " ", "zzzz"):
        with pytest.raises(UnknownRuleError, match=r"has the id or title '[z ]*'$"):
            RULES.find_rule(nothing_like_it)
    twice = Ruleset([Rule(None, "T", "exists(event, 'A')"), Rule(None, "T", "exists(event, 'B')")])
    with pytest.raises(UnknownRuleError, match="2 rules have the title"):
        twice.explain({}, "T")
    assert not twice.explain({}, twice.rules[1]).matched
    same = Ruleset([Rule(CURL, "T", "exists(event, 'A')"), Rule(CURL, "U", "exists(event, 'B')")])
    with pytest.raises(UnknownRuleError, match=r"2 rules have the id .*; name one by its title"):
        same.explain({}, CURL)
    assert same.explain({"B": 1}, "U").matched


def test_a_rule_that_could_not_be_loaded_says_why() -> None:
    """By id and by title; not that there is none, and no other rule's name."""
    ruleset = Ruleset(RULES.rules, [RuleError("field 'A': no", title="Broken", id=CURL[:-1])])
    for name in (CURL[:-1], "Broken"):
        with pytest.raises(UnknownRuleError, match=r"could not be loaded: field 'A': no$"):
            ruleset.explain({}, name)


@pytest.mark.parametrize(
    ("expression", "text"),
    [
        ("regex(event, 'A', 'x', 'i')", "A fits 'x' (flags i)"),
        ("regex(event, 'A', 'x')", "A fits 'x'"),
        (
            "keyword_regex_within(event, '(x|xy).*z', '', 10)",
            "keyword '(x|xy).*z' (in the first 10 characters)",
        ),
        (
            "regex_within(event, 'A', '(x|xy).*z', 'is', 10)",
            "A fits '(x|xy).*z' (flags is, in the first 10 characters)",
        ),
        ("time_part(event, 'A', 'hour', '>=', 5)", "A has hour >= 5"),
        ("equals_cased(event, 'A', 'x')", "A equals 'x' (case counts)"),
        ("contains_cased_any(event, 'A', ('x', 'y'))", "A contains 'x', 'y' (case counts)"),
        ("equals(event, 'A', 'x')", "A equals 'x'"),
    ],
)
def test_what_an_item_asks_in_words(expression: str, text: str) -> None:
    """Flags, bounds and parts of a date are no values, and where case decides that is said."""
    assert f"1 false  {text}" in str(explain(expression, {"A": "-"})).replace("  <- to change", "")


def test_the_items_of_a_rule_say_what_the_expression_says() -> None:
    """For every example rule."""
    for rule in RULES.rules:
        tree = parse_items(rule)
        assert verdict(tree.whole, [False] * len(tree.items)) in (True, False)
        assert explain_rule(rule, {}).matched == compile_expression(rule.expression)({})
