"""Files of cases: what may stand in them, and that every mistake is told with its place."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sigma.pyeval import load_rules
from sigma.pyeval.testing.case_files import case_files, read_cases
from sigma.pyeval.testing.cases import EventSequence, Log
from sigma.pyeval.testing.suite import collect_cases

from ..conftest import rule_yaml
from ..correlation.rules import correlation, member, text_of

ID = "11111111-1111-4111-8111-111111111111"
RULE = rule_yaml("sel: {A: x}\ncondition: sel", title="Rule A", extra=f"id: {ID}\n")
OTHER = rule_yaml("sel: {B: x}\ncondition: sel", title="Rule B")


def write(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_a_file_as_it_should_be(tmp_path: Path) -> None:
    """Events and logs, with every key."""
    write(tmp_path, "log.txt", "{}\n")
    text = """
rule: Rule A
match:
    - {name: first, event: {A: x}}
    - {log: log.txt, format: jsonl, options: {path: x}, lines: [1, 3]}
    - {name: counted, log: log.txt, count: 2}
no_match:
    - event: {}
"""
    [document] = read_cases(write(tmp_path, "a.test.yml", text))
    assert document.mistakes == []
    assert document.rule == "Rule A"
    assert [(case.name, case.place, case.must_match) for case in document.cases] == [
        ("first", "match[0]", True),
        ("match[1]", "match[1]", True),
        ("counted", "match[2]", True),
        ("no_match[0]", "no_match[0]", False),
    ]
    assert document.cases[1].subject == Log(tmp_path / "log.txt", "jsonl", {"path": "x"}, (1, 3))
    assert document.cases[2].subject == Log(tmp_path / "log.txt", count=2)


def test_a_sequence_of_events(tmp_path: Path) -> None:
    """Times as seconds, dates or YAML's own; repetitions; none at all."""
    text = """
match:
    - events: [{event: {A: x}, time: 1.5}, {event: {A: y}, time: 100, repeat: 3, every: 0.5}]
    - events: [{event: {A: x}, time: 2026-11-20T10:00:00Z}, {event: {A: y}, time: '2026-11-20 11:00:00+01:00'}]
      count: 2
    - events: [{event: {A: x}, repeat: 2}, {event: {}}]
"""
    [document] = read_cases(write(tmp_path, "a.test.yml", text))
    assert document.mistakes == []
    sequences = [case.subject for case in document.cases]
    assert all(isinstance(one, EventSequence) for one in sequences)
    seconds = [[one.time and one.time.timestamp() for one in sequence.events] for sequence in sequences]  # type: ignore[union-attr]
    assert seconds == [[1.5, 100, 100.5, 101], [1795168800, 1795168800], [None, None, None]]
    assert [sequence.count for sequence in sequences] == [None, 2, None]  # type: ignore[union-attr]
    assert [one.event for one in sequences[2].events] == [{"A": "x"}, {"A": "x"}, {}]  # type: ignore[union-attr]


def test_json_and_several_documents(tmp_path: Path) -> None:
    """A list in JSON, --- in YAML."""
    cases = {"rule": ID, "match": [{"event": {"A": "x"}}]}
    documents = read_cases(write(tmp_path, "a.test.json", json.dumps([cases, cases])))
    assert [document.rule for document in documents] == [ID, ID]
    [one, two] = read_cases(write(tmp_path, "b.test.yml", "no_match: [{event: {}}]\n---\nmatch: [{event: 1}]\n"))
    assert (len(one.cases), [str(mistake.place) for mistake in two.mistakes]) == (1, ["document 2, match[0].event"])


MISTAKES = [
    ("", "", "holds no cases"),
    ("[1]", "", "a rule is a mapping of keys, not list"),
    ("match: [", "", "not YAML"),
    ("match: []\nmatch: []", "", "Duplicate key"),
    ("rule: x", "", "holds no cases; write match or no_match"),
    ("rule: 7\nmatch: [{event: {}}]", "rule", "the rule's id or title is text, not int"),
    ("matches: [{event: {}}]", "matches", "this key is unknown; did you mean 'match'?"),
    ("match:", "match", "a list of cases is needed, not nothing"),
    ("match: []", "match", "a list of cases is needed, not an empty list"),
    ("match: {event: {}}", "match", "a list of cases is needed, not a mapping"),
    ("match: [x]", "match[0]", "a case is a mapping with event, events or log, not text"),
    ("match: [{}]", "match[0]", "one of event, events and log"),
    ("match: [{event: {}, log: log.txt}]", "match[0]", "one of event, events and log"),
    ("match: [{evnt: {}, event: {}}]", "match[0].evnt", "did you mean 'event'?"),
    ("match: [{event: [1]}]", "match[0].event", "an event is a mapping of field names, not a list"),
    ("match: [{event: {1: x}}]", "match[0].event", "an event is a mapping of field names"),
    ("match: [{event: {}, lines: [1]}]", "match[0].lines", "this is for a log"),
    ("match: [{event: {}, count: 1}]", "match[0].count", "this is for a log, or events"),
    ("match: [{event: {}, events: []}]", "match[0]", "one of event, events and log"),
    ("match: [{events: []}]", "match[0].events", "a list of mappings with event is needed, not an empty list"),
    ("match: [{events: {event: {}}}]", "match[0].events", "a list of mappings with event is needed, not a mapping"),
    ("match: [{events: [{A: x}]}]", "match[0].events[0]", "a mapping with event is needed, not a mapping"),
    ("match: [{events: [{event: {}}, x]}]", "match[0].events[1]", "a mapping with event is needed, not text"),
    ("match: [{events: [{event: x}]}]", "match[0].events[0].event", "an event is a mapping of field names, not text"),
    ("match: [{events: [{event: {}, tme: 1}]}]", "match[0].events[0].tme", "did you mean 'time'?"),
    (
        "match: [{events: [{event: {}, time: soon}]}]",
        "match[0].events[0].time",
        "a time is a number of seconds, or a date",
    ),
    ("match: [{events: [{event: {}, time: true}]}]", "match[0].events[0].time", "a time is a number of seconds"),
    ("match: [{events: [{event: {}, time: 2026-11-20}]}]", "match[0].events[0].time", "a time is a number of seconds"),
    ("match: [{events: [{event: {}, time: .inf}]}]", "match[0].events[0].time", "a time is a number of seconds"),
    (
        "match: [{events: [{event: {}, time: 253402300800}]}]",
        "match[0].events[0].time",
        "a time is a number of seconds",
    ),
    (
        "match: [{events: [{event: {}, time: 253400000000, repeat: 2, every: 9999999}]}]",
        "match[0].events[0].time",
        "a time is",
    ),
    ("match: [{events: [{event: {}, time: 1}, {event: {}}]}]", "match[0].events[1]", "has no time while others have"),
    (
        "match: [{events: [{event: {}, repeat: 0}]}]",
        "match[0].events[0].repeat",
        "1 or more; 100000 events are the most",
    ),
    (
        "match: [{events: [{event: {}, repeat: 99999}, {event: {}, repeat: 2}]}]",
        "match[0].events[1].repeat",
        "the most",
    ),
    ("match: [{events: [{event: {}, repeat: 2, every: 1}]}]", "match[0].events[0].every", "only with time"),
    ("match: [{events: [{event: {}, time: 1, every: 0}]}]", "match[0].events[0].every", "more than 0"),
    ("match: [{events: [{event: {}, time: 1, every: .nan}]}]", "match[0].events[0].every", "more than 0"),
    ("match: [{events: [{event: {}}], lines: [1]}]", "match[0].lines", "this is for a log"),
    ("no_match: [{events: [{event: {}}], count: 1}]", "no_match[0].count", "1 or more, and only under match"),
    ("match: [{name: '', event: {}}]", "match[0].name", "a name is text"),
    ("match: [{name: a, event: {}}, {name: a, event: {}}]", "match[1].name", "is the name of another case"),
    ("match: [{log: none.txt}]", "match[0].log", "'none.txt' is no file; paths are relative"),
    ("match: [{log: 7}]", "match[0].log", "7 is no file"),
    ("match: [{log: log.txt, format: jsonlines}]", "match[0].format", "did you mean 'jsonl'?"),
    (
        "match: [{log: log.txt, options: x}]",
        "match[0].options",
        "a mapping of the format's options is needed, not text",
    ),
    ("match: [{log: log.txt, lines: []}]", "match[0].lines", "counted from 1"),
    ("match: [{log: log.txt, lines: [0]}]", "match[0].lines", "counted from 1"),
    ("match: [{log: log.txt, lines: [true]}]", "match[0].lines", "counted from 1"),
    ("match: [{log: log.txt, lines: 6}]", "match[0].lines", "counted from 1"),
    ("match: [{log: log.txt, count: 0}]", "match[0].count", "1 or more, and only under match"),
    ("no_match: [{log: log.txt, count: 1}]", "no_match[0].count", "1 or more, and only under match"),
    ("match: [{log: log.txt, count: 1, lines: [1]}]", "match[0].count", "either lines or count"),
]


@pytest.mark.parametrize(("text", "place", "reason"), MISTAKES)
def test_every_mistake_is_told(tmp_path: Path, text: str, place: str, reason: str) -> None:
    """With its place; what is right beside it is kept."""
    write(tmp_path, "log.txt", "{}\n")
    [document] = read_cases(write(tmp_path, "a.test.yml", text))
    [mistake] = document.mistakes
    assert mistake.place == place
    assert reason in mistake.reason
    assert str(mistake).startswith(str(tmp_path / "a.test.yml"))


@pytest.mark.parametrize("text", ["{", "7", '{"match": 1, "match": 2}', "[[]]"])
def test_json_that_is_none(tmp_path: Path, text: str) -> None:
    """One mistake about the file."""
    [document] = read_cases(write(tmp_path, "a.test.json", text))
    assert [mistake.place for mistake in document.mistakes] == [""]


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    """A mistake too."""
    [document] = read_cases(tmp_path / "none.test.yml")
    assert document.mistakes[0].reason == "cannot be read: No such file or directory"


def test_cases_lie_beside_rules_or_name_them(tmp_path: Path) -> None:
    """Beside by name; elsewhere by id or title; load_rules passes them over."""
    write(tmp_path, "rules/a.yml", RULE)
    write(tmp_path, "rules/a.test.yml", "match: [{event: {A: x}}]")
    write(tmp_path, "rules/b.yaml", OTHER)
    write(
        tmp_path,
        "rules/tests/any.test.yml",
        f"rule: {ID}\nmatch: [{{event: {{A: X}}}}]\n---\nrule: Rule B\nno_match: [{{event: {{B: y}}}}]",
    )
    write(tmp_path, "elsewhere/c.test.json", '{"rule": "Rule B", "match": [{"event": {"B": "x"}}]}')
    ruleset = load_rules(tmp_path / "rules")
    assert [rule.title for rule in ruleset.rules] == ["Rule A", "Rule B"]
    suite = collect_cases(ruleset, [tmp_path / "rules"], [tmp_path / "elsewhere"])
    assert suite.mistakes == ()
    assert [(one.rule.title, one.case.path.name) for one in suite.cases] == [
        ("Rule A", "a.test.yml"),
        ("Rule A", "any.test.yml"),
        ("Rule B", "any.test.yml"),
        ("Rule B", "c.test.json"),
    ]
    alone = collect_cases(load_rules(tmp_path / "rules/a.yml"), [tmp_path / "rules/a.yml"])
    assert [one.case.path.name for one in alone.cases] == ["a.test.yml"]
    assert list(case_files([tmp_path / "rules/a.test.yml"] * 2)) == [tmp_path / "rules/a.test.yml"]


def test_the_rule_beside_is_the_one_that_is_not_silent(tmp_path: Path) -> None:
    """A correlation rule in one file with rules that serve only it; its cases are about these too."""
    text = text_of(member("a"), member("b"), correlation(title="Found", rules=["a", "b"], condition={"gte": 2}))
    write(tmp_path, "a.yml", text)
    write(tmp_path, "b.yml", OTHER)
    write(tmp_path, "a.test.yml", "match: [{events: [{event: {is: a}, repeat: 2}]}, {event: {is: a}}]")
    suite = collect_cases(load_rules(tmp_path), [tmp_path])
    assert suite.mistakes == ()
    assert [one.rule.title for one in suite.cases] == ["Found", "Found"]
    assert [rule.title for rule in suite.cases[0].rules] == ["Found", "A", "B"]
    assert [rule.title for rule in suite.untested] == ["Rule B"]
    write(tmp_path, "a.yml", text + "---\n" + RULE)
    assert "holds 4 rules" in collect_cases(load_rules(tmp_path), [tmp_path]).mistakes[0].reason


def test_a_sequence_is_for_correlation_rules(tmp_path: Path) -> None:
    """Told with the place, and no case."""
    write(tmp_path, "a.yml", RULE)
    write(tmp_path, "a.test.yml", "match: [{events: [{event: {A: x}}]}, {event: {A: x}}]")
    suite = collect_cases(load_rules(tmp_path), [tmp_path])
    assert [(mistake.place, mistake.reason.split(";")[0]) for mistake in suite.mistakes] == [
        ("match[0].events", "a sequence of events is for a correlation rule")
    ]
    assert len(suite.cases) == 1


@pytest.mark.parametrize(
    ("rules", "cases", "reason"),
    [
        ({"a.yml": RULE}, "rule: Rule AA", "no rule has the id or title 'Rule AA'; did you mean 'Rule A'?"),
        ({"b.yml": RULE}, "", "no rule file of this name lies beside it"),
        ({"a.yml": RULE + "---\n" + OTHER}, "", "holds 2 rules; say by id or title"),
        ({"a.yml": RULE.replace("sel}", "sell}").replace("condition: sel", "condition: selx"), "b.yml": OTHER}, "", "the rule could not be loaded: "),
        ({"a.yml": RULE.replace("condition: sel", "condition: selx"), "b.yml": OTHER}, f"rule: {ID}", f"the rule {ID!r} could not be loaded: "),
        ({"b.yml": OTHER}, "rule: [", "not YAML"),
    ],
)  # fmt: skip
def test_cases_of_unknown_rules_are_mistakes(tmp_path: Path, rules: dict[str, str], cases: str, reason: str) -> None:
    """Whoever renames a rule hears of it."""
    for name, text in rules.items():
        write(tmp_path, name, text)
    write(tmp_path, "a.test.yml", f"match: [{{event: {{A: x}}}}]\n{cases}")
    suite = collect_cases(load_rules(tmp_path, on_error="collect"), [tmp_path])
    assert suite.cases == ()
    assert reason in suite.mistakes[0].reason
    assert suite.untested
