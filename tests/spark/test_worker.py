"""What workers run, without Spark: both kinds of modules, as files of text and as installed, judge as ``match`` does."""

from __future__ import annotations

import ast
import importlib
import json
import subprocess
import sys
from collections import Counter
from pathlib import Path
from types import ModuleType
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings

from sigma.pyeval import Ruleset, parse_rules
from sigma.pyeval.codegen import EMBEDDED, EMBEDDED_CORRELATION, emit_linked, emit_runtime, emit_standalone
from sigma.pyeval.spark import worker
from sigma.pyeval.spark.driver import _WORKER_FILES, SparkDetectionError, _ship, columns_judged

from ..conftest import rule_yaml
from ..strategies import Case, cases
from ..vocabulary import PLACEHOLDERS

RULES = parse_rules(
    "---\n".join(
        [
            rule_yaml("s: {Image|endswith: /sh}\ncondition: s", "Shell", "{category: process_creation, product: linux}"),
            rule_yaml("s: {A.b: 1}\ncondition: s", "Nested", extra="id: 11111111-1111-4111-8111-111111111111\ntags: [attack.t1059]\nlevel: high\n"),
            rule_yaml("s: {Image: null}\ncondition: s", "No image", "{product: windows}"),
        ]
    )
)  # fmt: skip
EMIT = {"standalone": emit_standalone, "linked": emit_linked}


def module_of(text: str, name: str) -> ModuleType:
    """Return a module of this text."""
    module = ModuleType(name)
    exec(compile(text, name, "exec"), module.__dict__)
    return module


def detected(
    ruleset: Ruleset, delivery: str, batch: pa.RecordBatch, *, route: bool = False, **options: Any
) -> list[dict[str, Any]]:
    """Return the rows of what the worker yields for one batch."""
    text = EMIT[delivery](ruleset.rules)
    rules = module_of(text, f"rules_{hash((text, route, options.get('members')))}")
    options = {
        "columns": batch.schema.names,
        "fields": batch.schema.names,
        "event": None,
        "keep": batch.schema.names,
        "route": route,
        "members": False,
    } | options
    return [row for found in worker.detect(iter([batch]), rules, **options) for row in found.to_pylist()]


BATCH = pa.RecordBatch.from_pylist(
    [
        {"n": 1, "Image": "/bin/sh", "A": None},
        {"n": 2, "Image": "x", "A": {"b": 1.0}},
        {"n": 3, "Image": None, "A": {"b": 1.0}},
        {"n": 4, "Image": "x", "A": {"b": None}},
    ]
)


@pytest.mark.parametrize("delivery", EMIT)
def test_rows_come_back_with_their_rules(delivery: str) -> None:
    """Once for each rule, in order, the kept columns as they were."""
    found = detected(RULES, delivery, BATCH, keep=["A", "n"])
    assert [(row["n"], row["rule"]["title"]) for row in found] == [
        (1, "Shell"),
        (2, "Nested"),
        (3, "Nested"),
        (3, "No image"),
    ]
    assert list(found[1]) == ["A", "n", "rule"]
    assert found[1]["A"] == {"b": 1.0}
    assert found[1]["rule"] == {
        "id": "11111111-1111-4111-8111-111111111111", "title": "Nested", "level": "high", "status": None, "author": None,
        "license": None, "source_hash": RULES.rules[1].source_hash, "tags": ["attack.t1059"],
    }  # fmt: skip


@pytest.mark.parametrize("delivery", EMIT)
def test_a_log_source_leaves_out_rules(delivery: str) -> None:
    """With ``route``, as ``scan`` does; what tells no log source is held against all rules."""
    rows = [{"_EXE": "/bin/sh", "Image": "/bin/sh"}, {"_EXE": "x", "Image": None}, {"_EXE": None, "Image": None}]
    batch = pa.RecordBatch.from_pylist(rows, pa.schema([("_EXE", pa.string()), ("Image", pa.string())]))
    titles = {
        route: [row["rule"]["title"] for row in detected(RULES, delivery, batch, route=route)]
        for route in (True, False)
    }
    assert titles == {True: ["Shell", "No image"], False: ["Shell", "No image", "No image"]}


@pytest.mark.parametrize("delivery", EMIT)
def test_rules_that_serve_only_correlations(delivery: str) -> None:
    """As in ``match``: left out, unless they are asked for."""
    rules = parse_rules(
        rule_yaml("s: {Image: x}\ncondition: s", "Member", extra="name: member\n")
        + "---\n"
        + rule_yaml("s: {Image: x}\ncondition: s", "Other")
        + "---\ntitle: C\ncorrelation: {type: event_count, rules: [member], timespan: 1m, condition: {gte: 2}}\n"
    )
    batch = pa.RecordBatch.from_pylist([{"Image": "x"}])
    for members in (False, True):
        found = [row["rule"]["title"] for row in detected(rules, delivery, batch, members=members)]
        assert found == [match.rule.title for match in rules.match({"Image": "x"}, members=members)]
        assert len(found) == 1 + members


@pytest.mark.parametrize("delivery", EMIT)
def test_what_is_no_event_comes_back(delivery: str) -> None:
    """With the reason, and no rule."""
    batch = pa.RecordBatch.from_pylist(
        [{"v": '{"Image": "/bin/sh"}'}, {"v": "{"}, {"v": None}, {"v": '{"Image": "x"}'}]
    )
    first, broken, null = detected(RULES, delivery, batch, event="v")
    assert (first["rule"]["title"], first["problem"]) == ("Shell", None)
    assert (broken["rule"], broken["v"]) == (None, "{")
    assert broken["problem"].startswith("not JSON: ")
    assert null == {"v": None, "rule": None, "problem": "null"}


@pytest.mark.parametrize("delivery", EMIT)
def test_many_matches_come_in_parts(delivery: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A batch in which everything matches does not become one batch many times its size."""
    monkeypatch.setattr(worker, "MOST_MATCHES", 3)
    rules = module_of(EMIT[delivery](RULES.rules), f"parts_{delivery}")
    batches = [pa.RecordBatch.from_pylist([{"n": n, "Image": "/bin/sh"} for n in range(8)])] * 2
    found = list(
        worker.detect(
            iter(batches),
            rules,
            columns=["n", "Image"],
            fields=["Image"],
            event=None,
            keep=["n"],
            route=False,
            members=False,
        )
    )
    assert [batch.num_rows for batch in found] == [3, 3, 2, 3, 3, 2]
    assert [n for batch in found for n in batch.column(0).to_pylist()] == [*range(8), *range(8)]


COLUMNS = ["A", "A.b", "A.b.c", "b", "B", "n", "Channel", "EventID"]


@pytest.mark.parametrize(
    ("detection", "route", "columns"),
    [
        ("s: {A: x}", False, ["A"]),
        ("s: {A.b.c: x}", False, ["A", "A.b.c"]),
        ("s: {B|fieldref: n}", False, ["B", "n"]),
        ("s: {B: null}", True, ["B", "Channel", "EventID"]),
        ("s: [needle]", True, COLUMNS),
        ("s: {none: x}", False, ["A"]),
    ],
)
def test_columns_that_count(detection: str, route: bool, columns: list[str]) -> None:
    """The others are not read, unless a rule has keywords."""
    ruleset = parse_rules(rule_yaml(f"{detection}\ncondition: s"))
    assert columns_judged(ruleset, COLUMNS, route) == columns


@given(case=cases())
def test_other_columns_change_nothing(case: Case) -> None:
    """Of any rule: what is left of an event has the same verdict, and the same log source."""
    ruleset = parse_rules(case.rule, placeholders=PLACEHOLDERS)
    for event in case.events:
        left = {name: event[name] for name in columns_judged(ruleset, list(event), True)}
        source = ruleset.route(event)
        assert ruleset.route(left) == source
        assert len(ruleset.match(left, source)) == len(ruleset.match(event, source))


@settings(max_examples=30)
@given(case=cases())
def test_judges_as_match_does(case: Case) -> None:
    """Any rule, any events, as JSON text."""
    ruleset = parse_rules(case.rule, placeholders=PLACEHOLDERS)
    texts = [json.dumps(event, default=str) for event in case.events]
    expected = [text for text in texts for _ in ruleset.match(json.loads(text))]
    for delivery in EMIT:
        batch = pa.RecordBatch.from_arrays([pa.array(texts, pa.string())], names=["v"])
        assert [row["v"] for row in detected(ruleset, delivery, batch, event="v")] == expected


def test_the_text_that_is_shipped_needs_nothing_of_ours(tmp_path: Path) -> None:
    """It imports the standard library alone, and runs where this package is not."""
    text = emit_runtime(_WORKER_FILES)
    imported = {
        (node.module or "" if isinstance(node, ast.ImportFrom) else node.names[0].name).split(".")[0]
        for node in ast.parse(text).body
        if isinstance(node, (ast.Import, ast.ImportFrom))
    }
    assert imported <= sys.stdlib_module_names
    (tmp_path / "shipped_worker.py").write_text(text)
    (tmp_path / "shipped_rules.py").write_text(emit_standalone(RULES.rules))
    program = (
        "import sys; sys.path.insert(0, sys.argv[1]); import shipped_worker as w, shipped_rules as r; "
        "judge = w.standalone_judge(r, route=True, members=False); print(judge({'Image': '/BIN/SH'}), judge({'A': {'b': 1}}))"
    )
    command = [sys.executable, "-I", "-S", "-c", program, str(tmp_path)]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "[0] [1, 2]\n"


@pytest.mark.parametrize("files", [_WORKER_FILES, EMBEDDED + EMBEDDED_CORRELATION], ids=["worker", "standalone"])
def test_no_name_is_taken_twice(files: tuple[str, ...]) -> None:
    """The files of one module share their names: the second function of a name would silently take the place of the first."""
    names = Counter(
        node.name if isinstance(node, (ast.FunctionDef, ast.ClassDef)) else ast.unparse(node.targets[0])
        for node in ast.parse(emit_runtime(files)).body
        if isinstance(node, (ast.FunctionDef, ast.ClassDef, ast.Assign))
    )
    assert [name for name, count in names.items() if count > 1 and name != "Event"] == []


def test_the_driver_needs_no_spark_to_be_imported() -> None:
    """Nor does the worker: what is missing is missed where it is used."""
    for name in ("driver", "worker", "columns"):
        importlib.import_module(f"sigma.pyeval.spark.{name}")
    code = "import sys, sigma.pyeval.spark; print([name for name in ('pyspark', 'pyarrow') if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_a_session_without_a_context_is_refused() -> None:
    """As those of Spark Connect are."""
    with pytest.raises(SparkDetectionError, match="use a classic session"):
        _ship(object(), "sigma_rules", "")  # type: ignore[arg-type]
