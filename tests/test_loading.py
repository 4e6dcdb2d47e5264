"""Rule files: what is found, what is refused with which words, and that the rest goes on."""

from __future__ import annotations

import gc
import os
from pathlib import Path

import pytest
from sigma.processing.pipeline import ProcessingPipeline

from sigma.pyeval import LogSource, RuleLoadError, load_rules, parse_rules

from .conftest import rule_yaml

GOOD = rule_yaml("sel: {A: x}\ncondition: sel", title="Good")


def write(folder: Path, **files: str) -> Path:
    """Write rule files by stem and return their folder."""
    for stem, text in files.items():
        path = folder / f"{stem}.yml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def test_directories_are_read_in_order_of_paths(tmp_path: Path) -> None:
    """All *.yml and *.yaml at any depth, each once, others left alone."""
    write(tmp_path, b=GOOD.replace("Good", "B"), a=GOOD.replace("Good", "A"))
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "c.yaml").write_text(GOOD.replace("Good", "C"))
    (tmp_path / "README.md").write_text("# no rule")
    ruleset = load_rules(tmp_path, tmp_path / "a.yml", str(tmp_path / "sub"))
    assert [rule.title for rule in ruleset.rules] == ["A", "B", "C"]
    assert ruleset.rules[0].path == str(tmp_path / "a.yml")


def test_metadata_is_carried() -> None:
    """Everything that an alert or a reader needs stands on the rule."""
    text = rule_yaml(
        "sel: {A: x}\ncondition: sel",
        title="All of it",
        logsource="{category: c, product: P, service: s}",
        extra=(
            "id: 12345678-1234-4234-8234-123456789abc\nstatus: test\nlevel: high\nauthor: A. Nobody\nlicense: MIT\n"
            "description: What\nreferences: [https://example.org]\nfalsepositives: [Admins]\nfields: [A, B]\n"
            "tags: [attack.t1059, attack.execution]\n"
        ),
    )
    [rule] = parse_rules(text).rules
    assert (rule.id, rule.title, rule.level, rule.status) == (
        "12345678-1234-4234-8234-123456789abc",
        "All of it",
        "high",
        "test",
    )
    assert rule.tags == ("attack.t1059", "attack.execution")
    assert rule.logsource == LogSource("c", "P", "s")
    assert (rule.author, rule.license, rule.description) == ("A. Nobody", "MIT", "What")
    assert (rule.references, rule.falsepositives, rule.fields) == (("https://example.org",), ("Admins",), ("A", "B"))
    assert len(rule.source_hash) == 64


def test_the_garbage_collector_pauses(tmp_path: Path) -> None:
    """Only while rules are loaded, also where that fails; where it was off before, it stays off."""
    write(tmp_path, **{f"rule{number}": GOOD.replace("A: x", f"A: x{number}") for number in range(100)})
    runs: list[str] = []

    def note(phase: str, _: dict[str, int]) -> None:
        runs.append(phase)

    gc.collect()
    gc.callbacks.append(note)
    try:
        load_rules(tmp_path, cache=False)
        assert runs in ([], ["start", "stop"])  # at most the one that is due as soon as it goes on
    finally:
        gc.callbacks.remove(note)
    assert gc.isenabled()
    with pytest.raises(RuleLoadError):
        load_rules(tmp_path / "missing")
    assert gc.isenabled()
    gc.disable()
    try:
        load_rules(tmp_path, cache=False)
        assert not gc.isenabled()
    finally:
        gc.enable()


def test_the_hash_is_of_what_is_written(tmp_path: Path) -> None:
    """Not of the folder, the file's name or the layout of its YAML; every change of meaning or metadata changes it."""
    folders = [write(tmp_path / name, rule=GOOD) for name in ("one", "two")]
    hashes = {load_rules(folder).rules[0].source_hash for folder in folders}
    hashes.add(parse_rules(GOOD.replace("{A: x}", "\n        A:   'x'")).rules[0].source_hash)
    assert len(hashes) == 1
    changes = [
        "A: y",
        "B: x",
        "A|contains: x",
        "A: [x]",
        "A: ['x', y]",
        "A: null",
        "A: 1",
        "A: true",
        "A: 'true'",
        "A: '1'",
    ]
    texts = [GOOD.replace("A: x", change) for change in changes]
    texts += [
        GOOD.replace("title: Good", f"title: {title}")
        for title in ("Good\nlevel: low", "Better", "Good\nauthor: A", "Good\ntaxonomy: own", "Good\nticket: 7")
    ]
    texts.append(GOOD.replace("category: test", "category: other"))
    found = [parse_rules(text).rules[0].source_hash for text in texts]
    # One value is the same with brackets and without.
    assert len({*found, *hashes}) == len(found)


MISTAKES = [
    # what is changed in a good rule, and the line that says so behind file and rule
    ("title: Good", "title: Good\n\tx: y", "not YAML: found a tab character that violates indentation at line 2, column 1; correct the YAML"),
    ("A: x", "A: x, A: y", "not YAML: Duplicate key 'A'; correct the YAML"),
    ("A: x", "A|contians: x", "field 'A': modifier 'contians' is unknown; did you mean 'contains'?"),
    ("A: x", "A|gt: x", "field 'A': gt cannot take the value 'x'; write a number, without quotes"),
    ("A: x", "A|contains: 5", "field 'A': contains cannot take the value '5'; write text, in quotes"),
    ("A: x", "A|exists: maybe", "field 'A': exists cannot take the value 'maybe'; write true or false, without quotes"),
    ("A: x", "A|hour: noon", "field 'A': hour cannot take the value 'noon'; write a number, without quotes"),
    ("A: x", "A|re: '('", "field 'A': Regular expression '(' is invalid: missing ), unterminated subpattern at position 0; correct it; positions count from 0"),
    ("A: x", "A|cidr: 10.0.0.1/8", "field 'A': Invalid CIDR expression: 10.0.0.1/8 has host bits set; write the network's own address, as 10.0.0.0/8"),
    ("A: x", "A|cidr: hello", "field 'A': Invalid CIDR expression: 'hello' does not appear to be an IPv4 or IPv6 network; write an IPv4 or IPv6 network, as 10.0.0.0/8"),
    ("A: x", "A|base64: 'x*'", "field 'A': Base64 encoding of strings with wildcards is not allowed; escape * and ? with a backslash where they are meant literally"),
    ("A: x", "A|contains|re: x", "field 'A': Regular expression modifier only applicable to unmodified values; put this modifier first"),
    ("A: x", "A|re|endswith: x", "field 'A': re with startswith or endswith; write ^ or $ into the regular expression instead"),
    ("A: x", "A|fieldref: 'B*'", "field 'A': Field references must not contain wildcards; name one field"),
    ("A: x", "A|expand: '%x%'", "field 'A': placeholder %x% has no value; give it values, by placeholders= or a pipeline with value_placeholders"),
    ("A: x", "A: {B: c}", "field 'A': Unsupported type: <class 'dict'>; write nested fields with dots, as parent.child"),
    ("A: x", "A: 2024-01-01", "field 'A': Unsupported type: <class 'datetime.date'>; quote the value to make it text"),
    ("{A: x}", "{}", "Detection is empty; give the detection at least one field or keyword"),
    ("A: x", "A: []", "field 'A': an empty list of values; write null where the field shall be absent"),
    ("condition: sel", "condition: selektion", "condition 'selektion': 'selektion' is not defined in the detection; the rule defines 'sel'"),
    ("sel: {A: x}\n    condition: sel", "selection: {A: x}\n    condition: selectoin", "condition 'selectoin': 'selectoin' is not defined in the detection; did you mean 'selection'?"),
    ("condition: sel", "condition: sel AND sel", "condition 'sel AND sel': 'AND' is not defined in the detection; operators are written in lower case: 'and'"),
    ("condition: sel", "condition: sel and", "condition 'sel and' cannot be read; join search identifiers by and, or, not and parentheses"),
    ("condition: sel", "condition: sel | count() > 5", "condition 'sel | count() > 5': '|' is not defined in the detection; aggregations behind a pipe are gone from Sigma; write a correlation rule"),
    ("condition: sel", "condition: 1 of filter_*", "condition '1 of filter_*': '1 of filter_*' selects nothing; the rule defines 'sel'"),
    ("condition: sel", "condition: [sel, {a: b}]", "the condition is dict, not text; write it as text"),
    ("    condition: sel\n", "", "Sigma rule must contain at least one condition; add a condition to the detection, as 'condition: selection'"),
    ("logsource:\n    category: test\n", "", "Sigma rule must have a log source; add a logsource with category, product or service"),
    ("category: test", "nothing: x", "Sigma log source can't be empty; give category, product or service"),
    ("title: Good", "title: Good\nlevel: sever", "'sever' is not a valid Sigma rule level; one of informational, low, medium, high, critical"),
    ("title: Good", "title: Good\nstatus: testing", "'testing' is not a valid Sigma rule status; one of stable, test, experimental, deprecated, unsupported"),
    ("title: Good", "title: Good\nid: not-a-uuid", "Sigma rule identifier must be an UUID; write a UUID, as uuidgen makes one"),
    ("title: Good", "title: Good\ntags: [x]", "Sigma tag must start with namespace separated with dot from remaining tag.; write tags as namespace.name, as attack.t1059"),
]  # fmt: skip


@pytest.mark.parametrize(("good", "bad", "line"), MISTAKES, ids=lambda value: str(value)[:40])
def test_a_mistake_is_named_and_the_rest_goes_on(tmp_path: Path, good: str, bad: str, line: str) -> None:
    """Collected: one line with file, rule, finding and remedy, and the good rule loads. Raised: the same line."""
    assert good in GOOD
    path = tmp_path / "bad.yml"
    write(
        tmp_path,
        bad=GOOD.replace("title: Good", "title: Bad").replace(good.replace("Good", "Bad"), bad.replace("Good", "Bad")),
        good=GOOD,
    )
    ruleset = load_rules(tmp_path, on_error="collect")
    assert [rule.title for rule in ruleset.rules] == ["Good"]
    [error] = ruleset.errors
    rule = "" if line.startswith("not YAML") else " (rule 'Bad')"
    assert str(error) == f"{path}{rule}: {line}"
    with pytest.raises(RuleLoadError, match=r"bad\.yml") as raised:
        load_rules(tmp_path)
    assert raised.value.error == error


FILE_MISTAKES = [
    ("- a\n- b\n", "a rule is a mapping of keys, not list; is this a Sigma rule file?"),
    ("just text\n", "a rule is a mapping of keys, not str; is this a Sigma rule file?"),
    (GOOD.replace("title: Good\n", ""), "Sigma rule must have a title; add a title"),
]


@pytest.mark.parametrize(("text", "words"), FILE_MISTAKES, ids=lambda value: str(value)[:40])
def test_files_that_hold_no_rule(text: str, words: str) -> None:
    """What is no rule at all is named as such."""
    assert [str(error) for error in parse_rules(text, on_error="collect").errors] == [f"rule text: {words}"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: " + "[" * 200_000 + "]" * 200_000, "nested more than 64 levels deep"),
        ("a: " + "[" * 100 + "]" * 100, "nested more than 64 levels deep"),
        ("a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
            f"{new}: &{new} [{', '.join([f'*{old}'] * 9)}]\n" for old, new in zip("abcdefgh", "bcdefghi", strict=True)
        ), "more than 200,000 values"),
        (GOOD.replace("A: x", "A|contains|windash: '" + "-a " * 30 + "'"), "windash on a value with more than 3 dashes"),
        (GOOD.replace("A: x", "A|contains|windash: ['-a -b -c', '-a -b -c -d']"), "more than 3 dashes: '-a -b -c -d'"),
    ],
    ids=["stack", "depth", "aliases", "windash", "windash list"],
)  # fmt: skip
def test_hostile_files_are_refused_before_they_harm(text: str, words: str) -> None:
    """Deep nesting, multiplied aliases and windash bombs cost nothing but a line."""
    [error] = parse_rules(text, on_error="collect").errors
    assert words in error.reason


@pytest.mark.parametrize(
    ("extra", "twice"),
    [
        ("a: 1\na: 2\n", "a"),
        ("x: {a: 1, b: {c: 1, c: 2}}\n", "c"),
        ("x: {~: 1, null: 2}\n", "None"),
        ("x: {1: a, true: b}\n", "True"),  # equal keys of one mapping, as Python has it
        ("base: &base {p: 1}\nx:\n  <<: *base\n  p: 2\n  p: 3\n", "p"),
        ("base: &base {p: 1}\nx:\n  <<: *base\n  p: 2\n", None),
    ],
)
def test_keys_written_twice(extra: str, twice: str | None) -> None:
    """They are refused at any depth; a key that replaces a merged one is written once."""
    errors = parse_rules(extra + GOOD, on_error="collect").errors
    assert [error.reason for error in errors] == ([f"not YAML: Duplicate key '{twice}'"] if twice else [])


def test_yaml_errors_name_line_and_column() -> None:
    """The place of a syntax error, counted from 1."""
    [error] = parse_rules("title: x\nfoo: [1, 2\nbar: }\n", on_error="collect").errors
    assert "line 3" in error.reason


def test_missing_and_unreadable_paths(tmp_path: Path) -> None:
    """A path that is not there, an empty directory, a file without permission: one line each."""
    (tmp_path / "empty").mkdir()
    locked = tmp_path / "locked.yml"
    locked.write_text(GOOD)
    locked.chmod(0)
    ruleset = load_rules(tmp_path / "none.yml", tmp_path / "empty", locked, on_error="collect")
    reasons = [error.reason for error in ruleset.errors]
    assert reasons[:2] == ["no such file or directory", "no rule files in this directory"]
    if os.geteuid() != 0:  # root reads everything
        assert reasons[2] == "cannot be read: Permission denied"


def test_one_bad_document_takes_no_other_with_it() -> None:
    """Documents of one file stand alone unless actions tie them."""
    text = "---\n".join([GOOD, GOOD.replace("A: x", "A|nonsense: x"), GOOD.replace("Good", "Second")])
    ruleset = parse_rules(text, on_error="collect")
    assert [rule.title for rule in ruleset.rules] == ["Good", "Second"]
    assert len(ruleset.errors) == 1


def test_actions_join_documents() -> None:
    """global, repeat and reset build rules from parts."""
    text = (
        "action: global\nlogsource: {category: test}\nlevel: high\n---\n"
        "title: One\ndetection: {sel: {A: x}, condition: sel}\n---\n"
        "action: repeat\ntitle: Two\ndetection: {sel: {A: y}}\n---\n"
        "action: reset\n---\n" + GOOD.replace("Good", "Three")
    )
    ruleset = parse_rules(text)
    assert [(rule.title, rule.level, rule.expression) for rule in ruleset.rules] == [
        ("One", "high", "equals(event, 'A', 'x')"),
        ("Two", "high", "equals(event, 'A', 'y')"),
        ("Three", None, "equals(event, 'A', 'x')"),
    ]


FILTER = """
title: Known host
logsource: {category: test}
filter:
    rules: any
    known: {Host: build}
    condition: not known
"""


def test_a_filter_applies_to_the_rules_of_all_files(tmp_path: Path) -> None:
    """A filter file narrows every rule of its log source, in the same bytes on every run."""
    write(tmp_path, a=GOOD, z=FILTER)
    first, second = load_rules(tmp_path), load_rules(tmp_path)
    expression = "equals(event, 'A', 'x') and not equals(event, 'Host', 'build')"
    assert [rule.expression for rule in first.rules] == [expression]
    assert first.rules == second.rules


def test_placeholders(tmp_path: Path) -> None:
    """Values come from the call; a rule that needs others is refused by name."""
    text = GOOD.replace("A: x", "A|expand: '%admins%'")
    [rule] = parse_rules(text, placeholders={"admins": ["root", "a*"]}).rules
    assert rule.expression == "equals(event, 'A', 'root') or startswith(event, 'A', 'a')"
    [rule] = parse_rules(text, placeholders={"admins": "root"}).rules
    assert rule.expression == "equals(event, 'A', 'root')"
    [error] = parse_rules(text, placeholders={"other": "x"}, on_error="collect").errors
    assert "admins" in error.reason


PIPELINE = "name: p\npriority: 10\ntransformations:\n- {id: m, type: field_name_mapping, mapping: {A: B}}\n"


def test_pipelines_by_file_object_and_list(tmp_path: Path) -> None:
    """A YAML path, an object, and a list; an object given twice is applied once a call, unharmed."""
    path = tmp_path / "p.yml"
    path.write_text(PIPELINE)
    pipeline = ProcessingPipeline.from_yaml(PIPELINE)
    second = ProcessingPipeline.from_yaml(PIPELINE.replace("A: B", "B: C").replace("10", "20"))
    for spec, field in [(path, "B"), (str(path), "B"), (pipeline, "B"), (pipeline, "B"), ([second, pipeline], "C")]:
        [rule] = parse_rules(GOOD, pipeline=spec).rules
        assert rule.expression == f"equals(event, '{field}', 'x')"


def test_a_pipeline_that_is_not_there_is_named() -> None:
    """Unknown names and missing files are errors of the call, not of a rule."""
    with pytest.raises(Exception, match="no_such_pipeline"):
        parse_rules(GOOD, pipeline="no_such_pipeline")
    with pytest.raises(Exception, match=r"missing\.yml"):
        parse_rules(GOOD, pipeline="missing.yml")


def test_on_error_is_checked() -> None:
    """A typing mistake in the call itself is loud."""
    with pytest.raises(ValueError, match="on_error is 'raise' or 'collect'"):
        parse_rules(GOOD, on_error="ignore")  # type: ignore[arg-type]


def test_scope_from_a_pipeline() -> None:
    """A pipeline's scope becomes part of the expression, in parentheses where it needs them."""
    pipeline = PIPELINE + (
        "- {id: s, type: set_state, key: scope, val: \"exists(event, 'S') or exists(event, 'T')\"}\n"
    )
    [rule] = parse_rules(GOOD, pipeline=ProcessingPipeline.from_yaml(pipeline)).rules
    assert rule.expression == "(exists(event, 'S') or exists(event, 'T')) and equals(event, 'B', 'x')"
    assert rule.scope == "(exists(event, 'S') or exists(event, 'T'))"
    bad = ProcessingPipeline.from_yaml(pipeline.replace("exists(event, 'S') or", "print('x') or"))
    [error] = parse_rules(GOOD, pipeline=bad, on_error="collect").errors
    assert "the pipeline's scope" in error.reason
