"""The output formats: what each holds, that all agree, and that they depend on the rules alone."""

from __future__ import annotations

import ast
import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from sigma.collection import SigmaCollection

from sigma.backends.pyeval import PyEvalBackend
from sigma.pyeval import parse_rules
from sigma.pyeval.codegen import emit_linked, emit_standalone, json_record
from sigma.pyeval.matchers.regexes import UNDECIDED
from sigma.pyeval.rules import Rule

from .conftest import ROOT, rule_yaml

TEXT = "---\n".join(
    [
        rule_yaml(
            "sel: {Image|endswith: [/curl, /wget], CommandLine|contains|all: [http, ' -o ']}\ncondition: sel",
            title="Download",
            logsource="{category: process_creation, product: linux}",
            extra="id: 11111111-1111-4111-8111-111111111111\nlevel: high\nauthor: A. Nobody\nlicense: MIT\ntags: [attack.t1105]\n",
        ),
        rule_yaml("kw: [segfault, 'core dumped']\ncondition: kw", title="Crash", logsource="{product: linux}"),
    ]
)
EVENTS: list[dict[str, Any]] = [
    {"Image": "/usr/bin/CURL", "CommandLine": "curl HTTP://x -o y"},
    {"Image": "/usr/bin/curl", "CommandLine": "curl x"},
    {"MESSAGE": "Segfault at 0"},
    {},
]
TITLES = [["Download"], [], ["Crash"], []]


def convert(output_format: str, **options: Any) -> Any:
    """Convert the rules with pySigma."""
    return PyEvalBackend(**options).convert(SigmaCollection.from_yaml(TEXT), output_format)


def run_module(source: str) -> dict[str, Any]:
    """Execute a generated module and return its namespace."""
    namespace: dict[str, Any] = {"__name__": "detections"}
    exec(compile(source, "detections.py", "exec"), namespace)
    return namespace


def test_default_is_a_list_of_expressions() -> None:
    """One expression a rule."""
    assert convert("default") == [
        "endswith_any(event, 'Image', ('/curl', '/wget')) and contains_all(event, 'CommandLine', ('http', ' -o '))",
        "keyword_any(event, ('segfault', 'core dumped'))",
    ]


def test_json_holds_what_is_needed_to_run_a_rule() -> None:
    """The record of a rule, its expression and its hash; JSON types only."""
    first, second = convert("json")
    assert json.loads(json.dumps(first)) == first
    assert first == {
        "id": "11111111-1111-4111-8111-111111111111",
        "title": "Download",
        "level": "high",
        "tags": ["attack.t1105"],
        "logsource": {"category": "process_creation", "product": "linux"},
        "author": "A. Nobody",
        "license": "MIT",
        "source_hash": first["source_hash"],
        "expression": convert("default")[0],
    }
    assert second["title"] == "Crash"
    assert len(first["source_hash"]) == 64
    assert first["source_hash"] != second["source_hash"]
    assert [json_record(rule) for rule in parse_rules(TEXT).rules] == [first, second]


def test_functions_are_documented_and_importable() -> None:
    """One function a rule under the import of exactly the matchers it calls."""
    source = convert("function")
    assert source.startswith("from sigma.pyeval.matchers import contains_all, endswith_any, keyword_any\n")
    namespace = run_module(source)
    assert [namespace["rule_0001"](event) for event in EVENTS] == [True, False, False, False]
    assert namespace["rule_0001"].__doc__.splitlines() == [
        "Download",
        "id: 11111111-1111-4111-8111-111111111111",
        "level: high",
        "author: A. Nobody",
    ]


@pytest.mark.parametrize("output_format", ["module", "linked"])
def test_modules_match(output_format: str) -> None:
    """match(event) returns the records of the rules that match, in order; metadata stands in RULES."""
    namespace = run_module(convert(output_format))
    assert [[rule["title"] for rule in namespace["match"](event)] for event in EVENTS] == TITLES
    assert [rule["title"] for rule in namespace["RULES"]] == ["Download", "Crash"]
    assert namespace["RULES"][0]["author"] == "A. Nobody"
    assert namespace["SEMANTICS_VERSION"] == 1
    assert namespace["GENERATOR"].startswith("pySigma-backend-pyeval ")
    assert len(namespace["RULES_SHA256"]) == 64


def test_a_linked_module_of_other_semantics_refuses_to_load() -> None:
    """Rules never quietly mean something else."""
    source = convert("linked").replace("SEMANTICS_VERSION = 1", "SEMANTICS_VERSION = 0")
    with pytest.raises(ImportError, match="generated for semantics 0"):
        run_module(source)


def test_the_standalone_module_imports_only_the_standard_library() -> None:
    """Every import names a standard module."""
    names = {
        (node.module if isinstance(node, ast.ImportFrom) else alias.name).split(".")[0]
        for node in ast.walk(ast.parse(convert("module")))
        if isinstance(node, (ast.Import, ast.ImportFrom))
        for alias in node.names
    }
    assert names <= sys.stdlib_module_names


@pytest.mark.parametrize("output_format", ["module", "linked"])
def test_modules_are_programs(output_format: str, tmp_path: Path) -> None:
    """JSON lines in, a JSON object per match out; a bad line is named on stderr and gives exit code 1."""
    path = tmp_path / "detections.py"
    path.write_text(convert(output_format))
    lines = [json.dumps(event) for event in EVENTS]
    arguments = ["-I", "-S"] if output_format == "module" else []
    environment = os.environ | {"PYTHONPATH": str(ROOT)}

    def run(text: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, *arguments, str(path)]
        return subprocess.run(command, input=text, capture_output=True, text=True, check=False, env=environment)

    good = run("\n".join(lines) + "\n")
    assert (good.returncode, good.stderr) == (0, "")
    found = [json.loads(line) for line in good.stdout.splitlines()]
    assert [(match["rule"]["title"], match["source"]["line"]) for match in found] == [("Download", 1), ("Crash", 3)]
    assert found[0]["event"] == EVENTS[0]
    bad = run(f"not json\n\n[1]\n{lines[0]}\n")
    assert bad.returncode == 1
    assert bad.stderr.splitlines()[0].startswith("line 1: not JSON: ")
    assert bad.stderr.splitlines()[1] == "line 3: not an object: list"
    assert len(bad.stdout.splitlines()) == 1


SCOPED = rule_yaml("sel: {MESSAGE|contains: x}\ncondition: sel", logsource="{product: linux, service: sshd}")


def test_scope_can_be_left_out() -> None:
    """-O scope=false, also as sigma-cli hands it over; nonsense is refused."""
    from sigma.pipelines.linux_eval import linux_eval_pipeline

    def expression(**options: Any) -> str:
        backend = PyEvalBackend(linux_eval_pipeline(), **options)
        [converted] = backend.convert(SigmaCollection.from_yaml(SCOPED))
        return str(converted)

    plain = "contains(event, 'MESSAGE', 'x')"
    assert expression().endswith(f" and {plain}")
    assert [expression(scope=value) for value in ("false", 0, False, "no")] == [plain] * 4
    with pytest.raises(Exception, match="option scope is true or false, not 'maybe'"):
        expression(scope="maybe")


def test_json_carries_the_scope() -> None:
    """The scope stands beside the expression, which includes it."""
    from sigma.pipelines.linux_eval import linux_eval_pipeline

    [record] = PyEvalBackend(linux_eval_pipeline()).convert(SigmaCollection.from_yaml(SCOPED), "json")
    assert record["expression"] == f"{record['scope']} and contains(event, 'MESSAGE', 'x')"


PROGRAM = """
import sys
from sigma.collection import SigmaCollection
from sigma.exceptions import SigmaError
from sigma.backends.pyeval import PyEvalBackend
for output_format in PyEvalBackend.formats:
    print(PyEvalBackend().convert(SigmaCollection.from_yaml(sys.argv[1]), output_format))
"""
FILTER = """
---
title: Known
logsource: {product: linux}
filter: {rules: any, known: {Host: build}, also: {Host: ci}, condition: not 1 of them}
"""


def test_output_depends_on_the_rules_alone() -> None:
    """The same bytes for any hash seed, in another process, with filters that pySigma names at random."""
    outputs = {
        subprocess.run(
            [sys.executable, "-c", PROGRAM, TEXT + FILTER],
            env=os.environ | {"PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("0", "1", "42")
    }
    assert len(outputs) == 1
    assert "not equals_any(event, 'Host', ('build', 'ci'))" in outputs.pop()


@pytest.mark.parametrize("emit", [emit_standalone, emit_linked])
def test_a_module_says_of_how_many_rules_it_is(emit: Any) -> None:
    one, two = Rule(None, "A", "exists(event, 'a')"), Rule(None, "B", "exists(event, 'b')")
    assert "from 1 rule; its author and licence stand in the table." in emit([one])
    assert "from 2 rules; their authors and licences stand in the table." in emit([one, two])


def test_emitting_twice_gives_the_same_text() -> None:
    """Modules made by the loader and by pySigma are the same bytes."""
    rules = parse_rules(TEXT).rules
    assert emit_standalone(rules) == convert("module")
    assert emit_linked(rules) == convert("linked")


LINES = """\
{"MESSAGE": "Segfault at 0"}

{"Image": "/bin/curl"}
nonsense
[1]
{"Image": "/bin/curl", "CommandLine": "curl http://x -o y"}
"""


@pytest.mark.parametrize("emit", [emit_standalone, emit_linked])
def test_a_module_reads_json_lines(
    emit: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each match is a line on stdout; what is no event is named on stderr, and the exit code tells."""
    program = compile(emit(parse_rules(TEXT).rules), "detections.py", "exec")
    UNDECIDED.clear()  # counted since the process began, by whichever test
    monkeypatch.setattr(sys, "argv", ["detections.py"])
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(LINES.encode())))
    with pytest.raises(SystemExit, match=r"^1$"):
        exec(program, {"__name__": "__main__"})
    output, messages = capsys.readouterr()
    found = [json.loads(line) for line in output.splitlines()]
    assert [(match["rule"]["title"], match["source"]["line"]) for match in found] == [("Crash", 1), ("Download", 6)]
    assert found[0]["event"] == {"MESSAGE": "Segfault at 0"}
    first, second = messages.splitlines()
    assert first.startswith("line 4: not JSON: ")
    assert second == "line 5: not an object: list"
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b'{"a": 1}\n')))
    with pytest.raises(SystemExit, match=r"^0$"):
        exec(program, {"__name__": "__main__"})
    assert capsys.readouterr() == ("", "")


def test_a_generated_program_takes_no_arguments(tmp_path: Path) -> None:
    """A file name given by mistake is not ignored."""
    path = tmp_path / "detections.py"
    path.write_text(convert("module"))
    command = [sys.executable, "-I", "-S", str(path), "events.jsonl"]
    result = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    assert result.returncode == 2
    assert "reads JSON lines from standard input" in result.stderr
