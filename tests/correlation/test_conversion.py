"""Correlation rules through pySigma: every type, references, generate, errors; the same on both of its lines."""

from __future__ import annotations

import dataclasses
import io
import json
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from sigma.collection import SigmaCollection
from sigma.exceptions import SigmaError

from sigma.backends.pyeval import PyEvalBackend
from sigma.pyeval import RuleLoadError, Ruleset, load_rules, parse_rules
from sigma.pyeval.codegen import emit_linked, emit_standalone, json_record
from sigma.pyeval.correlation.calls import CORRELATION_CALLS
from sigma.pyeval.correlation.program import run_correlating
from sigma.pyeval.correlation.source import emit_correlation

from ..conftest import json_lines
from .rules import correlation, counts, member, rows, ruleset, text_of

A_ID = "11111111-1111-4111-8111-111111111111"
ABC = [member("a"), member("b", id=A_ID), member("c")]
LIST = "rules=('a', '11111111-1111-4111-8111-111111111111')"


def convert(*documents: dict[str, Any], output_format: str = "default", **options: Any) -> Any:
    collection = SigmaCollection.from_yaml(text_of(*documents))
    return PyEvalBackend(**options).convert(collection, output_format)


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        (("event_count", {"condition": {"gte": 2}, "group_by": ["u"]}), f"event_count({LIST}, group_by=('u',), timespan=10, condition=('gte', 2))"),
        (("value_count", {"condition": {"gt": 2, "field": "f"}}), f"value_count({LIST}, timespan=10, condition=('gt', 2), fields=('f',))"),
        (("value_count", {"condition": {"lt": 2, "field": ["f", "g"]}}), f"value_count({LIST}, timespan=10, condition=('lt', 2), fields=('f', 'g'))"),
        (("value_sum", {"condition": {"gte": 2.5, "field": "f"}}), f"value_sum({LIST}, timespan=10, condition=('gte', 2.5), fields=('f',))"),
        (("value_avg", {"condition": {"gte": 3.0, "field": "f"}}), f"value_avg({LIST}, timespan=10, condition=('gte', 3), fields=('f',))"),
        (("value_median", {"condition": {"eq": -1, "field": "f"}}), f"value_median({LIST}, timespan=10, condition=('eq', -1), fields=('f',))"),
        (("value_percentile", {"condition": {"gte": "7", "field": "f", "percentile": 99.9}}), f"value_percentile({LIST}, timespan=10, condition=('gte', 7), fields=('f',), percentile=99.9)"),
        (("temporal", {}), f"temporal({LIST}, timespan=10, condition=('gte', 2))"),
        (("temporal_ordered", {"condition": {"gte": 1}}), f"temporal_ordered({LIST}, timespan=10, condition=('gte', 1))"),
        (("temporal", {"condition": "a or not b"}), f"temporal({LIST}, timespan=10, condition=('or', 'a', ('not', '{A_ID}')))"),
        (("temporal_ordered", {"condition": "(a and b)"}), f"temporal_ordered({LIST}, timespan=10, condition=('and', 'a', '{A_ID}'))"),
        (("event_count", {"condition": {"gte": 2}, "group_by": ["x"], "aliases": {"x": {"a": "u", "b": "v"}}}),
         f"event_count({LIST}, group_by=('x',), aliases=(('x', (('a', 'u'), ('{A_ID}', 'v'))),), timespan=10, condition=('gte', 2))"),
    ],
)  # fmt: skip
def test_each_type_is_one_call(rule: Any, expected: str) -> None:
    """The same through pySigma's conversion and through the loader."""
    kind, words = rule
    documents = [*ABC, correlation(kind, ["a", "b"], **words)]
    assert convert(*documents)[-1] == expected
    [loaded] = ruleset(*documents).correlations
    assert loaded.expression == expected


def test_rules_are_found_by_id_or_name_in_any_order_and_file(tmp_path: Path) -> None:
    """A correlation first, an unrelated rule, then its members: pySigma 1.5 fails at that."""
    found = correlation("event_count", [A_ID.upper(), "a"], condition={"gte": 2})
    *plain, call = convert(found, ABC[2], ABC[1], ABC[0])
    assert sorted(plain) == [f"equals(event, 'is', '{name}')" for name in "abc"]  # pySigma 2 sorts them itself
    assert call == f"event_count(rules=('{A_ID}', 'a'), timespan=10, condition=('gte', 2))"
    (tmp_path / "1.yml").write_text(text_of(found))
    (tmp_path / "2.yml").write_text(text_of(*ABC))
    assert counts(load_rules(tmp_path), *rows("ab")) == [0, 1, 0]


def test_extended_conditions_take_any_id_or_name() -> None:
    loaded = ruleset(
        member("log-in"), ABC[1], correlation("temporal", [], condition=f"log-in and not ({A_ID} or not log-in)")
    )
    assert loaded.correlations[0].expression == (
        f"temporal(rules=('log-in', '{A_ID}'), timespan=10, condition=('and', 'log-in', ('not', ('or', '{A_ID}', ('not', 'log-in')))))"
    )


ERRORS: list[tuple[list[dict[str, Any]], str]] = [
    ([correlation("event_count", ["nobody"], condition={"gte": 1})], "it refers to rule 'nobody', which is not there; load that rule too"),
    ([correlation("event_count", ["me"], name="me", condition={"gte": 1})], "refers to itself"),
    ([correlation("temporal", ["y"], "X", name="x"), correlation("temporal", ["x"], "Y", name="y")], "refers to itself, directly or by way of"),
    ([member("a"), correlation("event_count", ["a"], condition={"gte": 1})], "it refers to 'a', the name of 2 rules; refer by id"),
    ([correlation("value_percentile", condition={"gte": 1, "field": "f"})], "without percentile; add 'percentile: 95'"),
    ([correlation("value_percentile", condition={"gte": 1, "field": "f", "percentile": 200})], "percentile 200 is none; a number from 0 to 100"),
    ([correlation("value_sum", condition={"gte": 1, "field": ["f", "g"]})], "value_sum of several fields; name one"),
    ([correlation("event_count", condition={"gte": 1, "field": "f"})], "event_count with a field; leave"),
    ([correlation("event_count", ["a", "a"], condition={"gte": 1})], "named twice"),
    ([correlation("event_count", condition={"gte": 1}, aliases={"x": {"b": "u"}})], "alias names rule 'b', which is not correlated"),
    ([correlation("event_count", name="inner", condition={"gte": 1}), correlation("event_count", ["inner"], "Outer", condition={"gte": 1}, group_by=["u"])],
     "asks for field 'u' of correlation 'inner', whose matches carry only what they are grouped by: nothing; group that"),
    ([correlation("event_count", condition={"gte": 1}, timespan="2000y")], "timespan is no number of seconds, or too long"),
]  # fmt: skip


@pytest.mark.parametrize(("documents", "words"), ERRORS, ids=[words[:40] for _, words in ERRORS])
def test_refusals_say_what_to_do(documents: list[dict[str, Any]], words: str) -> None:
    """One line; collected on request, by the loader and by the backend; the other rules are there."""
    text = text_of(*ABC, *documents)
    with pytest.raises(RuleLoadError) as raised:
        parse_rules(text)
    assert words in str(raised.value)
    assert "\n" not in str(raised.value)
    loaded = parse_rules(text, on_error="collect")
    assert words in str(loaded.errors[0])
    assert {rule.name for rule in loaded.rules} == {"a", "b", "c"}
    backend = PyEvalBackend(collect_errors=True)
    collection = SigmaCollection.from_dicts(list(yaml.safe_load_all(text)), resolve_references=False)
    assert "equals(event, 'is', 'c')" in backend.convert(collection)
    assert words in str(backend.errors[0][1])
    with pytest.raises(SigmaError, match="rule "):
        PyEvalBackend().convert(SigmaCollection.from_dicts(list(yaml.safe_load_all(text)), resolve_references=False))


@pytest.mark.parametrize(
    ("condition", "words"),
    [
        ({"gte": True}, "no valid Sigma correlation condition count"),
        ({"gte": None}, "no valid Sigma correlation condition count"),
        ({"gte": "many"}, "no valid Sigma correlation condition count"),
        ({"gte": float("nan")}, "no valid Sigma correlation condition count"),
        ({"gte": 1, "lte": 2}, "exactly one condition item"),
    ],
)
def test_thresholds_are_numbers(condition: dict[str, Any], words: str) -> None:
    with pytest.raises(RuleLoadError, match=words):
        ruleset(*ABC, correlation(condition=condition))


@pytest.mark.parametrize(
    "condition", ["", "a b", "a and", "and a", "(a", "a)", "not", "a & b", "()", "(" * 60 + "a" + ")" * 60]
)
def test_conditions_that_cannot_be_read(condition: str) -> None:
    with pytest.raises(RuleLoadError, match="cannot be read; join ids or names"):
        ruleset(*ABC, correlation("temporal", [], condition=condition))


def test_a_refused_member_refuses_what_builds_on_it() -> None:
    """Both are named; a correlation that stands on one that was refused, too."""
    bad = member("bad") | {"detection": {"sel": {"x|expand": "%nothing%"}, "condition": "sel"}}
    on_it = correlation("event_count", ["bad"], "One", name="one", condition={"gte": 1})
    on_that = correlation("event_count", ["one"], "Two", condition={"gte": 1})
    loaded = ruleset(bad, on_it, on_that, *ABC, on_error="collect")
    assert [error.title for error in loaded.errors] == ["BAD", "One", "Two"]
    assert "refers to rule 'BAD', which was refused itself; correct that one" in str(loaded.errors[1])
    backend = PyEvalBackend(collect_errors=True)
    assert len(backend.convert(SigmaCollection.from_yaml(text_of(bad, on_it, on_that, *ABC)))) == 3
    assert len(backend.errors) == 3


# -- generate ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("generates", "expected"),
    [
        ([], True),
        ([False], False),
        ([True], True),
        ([False, False], False),
        ([False, True], True),
        ([True, False], True),
    ],
)
def test_generate(generates: list[bool], expected: bool) -> None:
    """A rule raises matches of its own unless it serves correlations and none of these says generate."""
    found = [
        correlation("event_count", "a", f"Found {n}", condition={"gte": 9}, generate=one)
        for n, one in enumerate(generates)
    ]
    loaded = ruleset(ABC[0], ABC[2], *found)
    event = {"is": ["a", "c"]}
    titles = ["A", "C"] if expected else ["C"]
    assert [match.rule.title for match in loaded.match(event)] == titles
    assert [match.rule.title for match in loaded.scan(event)] == titles
    assert [match.rule.title for match in loaded.match(event, members=True)] == ["A", "C"]
    assert [match.rule.title for match in loaded.scan(event, members=True)] == ["A", "C"]
    records = convert(ABC[0], ABC[2], *found, output_format="json")
    assert [record.get("generate", True) for record in records[:2]] == [expected, True]
    for emit in (emit_standalone, emit_linked):
        namespace = module(emit, loaded)
        assert [record["title"] for record in namespace["match"](event)] == titles
        assert len(namespace["RULES"]) == 2 + len(generates)


def test_a_correlation_that_was_refused_silences_nothing() -> None:
    loaded = ruleset(*ABC, correlation("value_percentile", condition={"gte": 1, "field": "f"}), on_error="collect")
    assert [match.rule.title for match in loaded.match({"is": "a"})] == ["A"]


def test_members_below_the_level_that_is_asked_for_still_serve() -> None:
    found = correlation(level="high", condition={"gte": 2}, generate=True)
    loaded = ruleset(member("a", level="low"), member("b", level="low"), found, restrictiveness="restrictive")
    assert [rule.title for rule in loaded.rules] == ["A"]
    assert loaded.match({"is": "a"}) == []
    assert counts(loaded, *rows("aa")) == [0, 1, 0]


# -- every form says the same ------------------------------------------------------------------------------------------


def module(emit: Any, loaded: Ruleset) -> dict[str, Any]:
    namespace: dict[str, Any] = {"__name__": "detections"}
    exec(compile(emit([*loaded.rules, *loaded.correlations]), "detections.py", "exec"), namespace)
    return namespace


FORMS = [
    *ABC,
    correlation(
        "event_count", ["a"], "Many", name="many", level="high", group_by=["g"], condition={"gte": 2}, generate=True
    ),
    correlation("temporal_ordered", ["many", "b"], "Then", group_by=["g"], generate=True),
    correlation("value_avg", ["a"], "Average", condition={"gte": 2.5, "field": "v"}),
    correlation("event_count", ["c"], "Few", condition={"lt": 2}),
    correlation("event_count", ["c"], "Few", condition={"lt": 2}),
]
STREAM = [
    {"is": name, "g": n % 2, "v": n, "time": f"2026-01-01T00:00:{n:02}Z"}
    for n, name in enumerate("aaacbaab" + "x" * 12 + "cab")
]


@pytest.mark.parametrize("emit", [emit_standalone, emit_linked])
def test_modules_correlate_as_the_rule_set_does(emit: Any) -> None:
    loaded = ruleset(*FORMS)
    here, there = loaded.correlator(), module(emit, loaded)["correlator"]()
    for event in STREAM:
        found = [(match.rule.title, match.as_dict()) for match in here.process(event)]
        title = (lambda rule: rule["title"]) if emit is emit_standalone else (lambda rule: rule.title)
        assert found == [(title(match.rule), match.as_dict()) for match in there.process(event)]
    assert here.snapshot() == there.snapshot()
    assert len(here.finish()) == len(there.finish()) == 2


@pytest.mark.parametrize("emit", [emit_standalone, emit_linked])
@pytest.mark.parametrize("arguments", [[], ["--refire", "once", "--lateness", "2"]])
def test_modules_are_programs(
    emit: Any, arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Matches of rules and of correlation rules in one stream; windows still open are closed at the end."""
    loaded = ruleset(*FORMS)
    lines = "".join(json.dumps(event) + "\n" for event in STREAM)
    monkeypatch.setattr(sys, "argv", ["detections.py", *arguments])
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(lines.encode())))
    program = compile(emit([*loaded.rules, *loaded.correlations]), "detections.py", "exec")
    with pytest.raises(SystemExit, match=r"^0$"):
        exec(program, {"__name__": "__main__"})
    output = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    options: dict[str, Any] = {"refire": "once", "lateness": 2} if arguments else {}
    correlator = loaded.correlator(**options)
    expected: list[Any] = []
    for number, event in enumerate(STREAM, 1):
        source = {"line": number}
        expected += [(match.rule.title, event, source, None) for match in loaded.match(event)]
        matches = loaded.match(event, members=True)
        expected += [
            (m.rule.title, m.event, m.source, m.as_dict()) for m in correlator.observe(matches, event, source=source)
        ]
    expected += [(m.rule.title, m.event, m.source, m.as_dict()) for m in correlator.finish()]
    assert [(one["rule"]["title"], one["event"], one["source"], one.get("correlation")) for one in output] == expected
    assert {one["rule"]["title"] for one in output} == {"A", "B", "Many", "Then", "Average", "Few"}


def test_a_program_refuses_what_it_does_not_know(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in (["events.jsonl"], ["--lateness", "-1"], ["--refire", "often"]):
        with pytest.raises(SystemExit, match="2"):
            run_correlating(lambda event: [], ruleset(*FORMS).correlator, arguments)
    assert "--lateness is a number of seconds" in capsys.readouterr().err


def test_records_carry_what_is_needed() -> None:
    loaded = ruleset(*FORMS)
    record = json_record(loaded.correlations[0])
    assert record["expression"] == "event_count(rules=('a',), group_by=('g',), timespan=10, condition=('gte', 2))"
    assert (record["name"], record["level"], record["logsource"]) == ("many", "high", {})
    assert len({rule.key for rule in loaded.correlations}) == 4  # two are the same, and told apart by number


def test_functions_return_the_call(tmp_path: Path) -> None:
    namespace: dict[str, Any] = {}
    exec(convert(*FORMS, output_format="function"), namespace)
    assert namespace["correlation_0001"]().kind == "event_count"
    assert namespace["correlation_0001"].__doc__.splitlines() == ["Many", "level: high"]


def test_the_cache_keeps_correlations(tmp_path: Path) -> None:
    (tmp_path / "rules.yml").write_text(text_of(*FORMS, *(member(f"r{number}") for number in range(60))))
    first, second = load_rules(tmp_path), load_rules(tmp_path)
    assert second.correlations == first.correlations
    assert second.rules == first.rules
    assert [rule.generate for rule in second.rules[:3]] == [True, True, False]


# -- other engines -----------------------------------------------------------------------------------------------------


def test_the_sequences_of_another_engine(shared: Path) -> None:
    """rsigma's own tests: how many correlation matches each event raises, where it says so."""
    sequences = list(json_lines(shared / "vectors" / "correlation.jsonl"))
    assert len(sequences) == 13
    for sequence in sequences:
        text = sequence["rules_fixed"] if sequence.get("pysigma_ok_after_fix") else sequence["rules"]
        if "pysigma_error_after_fix" in sequence:  # whose rules have words for ids, which the condition names
            text = text.replace("\nid: ", "\nname: ")
        correlator = parse_rules(text).correlator(refire="each")
        found = [len(correlator.process(step["event"], step["ts"])) for step in sequence["steps"]]
        expected = [step["correlations"] for step in sequence["steps"]]
        assert found == [own if other is None else other for own, other in zip(found, expected, strict=True)], sequence[
            "source"
        ]


HOSTILE = ["'); import os; os.system('x') #", '"""', "\n# x\n", "\\", "{}", "\u202e", "\u2028", "\x00", "%s", "and"]


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("emit", [emit_standalone, emit_linked])
def test_no_text_of_a_rule_becomes_code(emit: Any, text: str) -> None:
    """Titles, names, group-by and value fields, aliases: literals in every module, which runs and finds."""
    loaded = ruleset(member("a"), correlation(title="x", group_by=["g"], condition={"gte": 1}))
    [rule] = loaded.correlations
    call = emit_correlation(CORRELATION_CALLS["value_count"](
        rules=(text,), timespan=10, condition=("gte", 1), group_by=(text,), fields=("al",), aliases=(("al", ((text, text),)),)
    ))  # fmt: skip
    hostile = dataclasses.replace(rule, title=text, name=f"{text} too", expression=call, description=text)
    base = dataclasses.replace(loaded.rules[0], name=text, title=text)
    source = emit([base, hostile])
    assert source.isascii()
    namespace: dict[str, Any] = {"__name__": "detections"}
    exec(compile(source, "detections.py", "exec"), namespace)
    [match] = namespace["correlator"]().process({"is": "a", text: "x"}, 0)
    assert match.group == {text: "x"}
