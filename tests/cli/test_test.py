"""sigma-pyeval test: table, JSON, JUnit XML, coverage, exit codes."""

from __future__ import annotations

import json
import re
import textwrap
from functools import partial
from pathlib import Path
from xml.etree import ElementTree

import pytest
import xmlschema

from sigma.pyeval.testing.case_files import read_cases

from ..conftest import ROOT, rule_yaml
from ..correlation.rules import correlation, member, text_of
from .running import run as command

# What junit-10.xsd (Jenkins' xunit plugin, also in pytest's own tests) asks of the elements that are written, in our words.
SCHEMA = """
<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema">
  <xs:simpleType name="seconds"><xs:restriction base="xs:string"><xs:pattern value="[0-9]{1,9}[.][0-9]{3}"/></xs:restriction></xs:simpleType>
  <xs:element name="testsuites"><xs:complexType>
    <xs:sequence><xs:element name="testsuite" minOccurs="0" maxOccurs="unbounded"><xs:complexType>
      <xs:sequence><xs:element name="testcase" minOccurs="0" maxOccurs="unbounded"><xs:complexType>
        <xs:sequence><xs:element name="failure" minOccurs="0"><xs:complexType mixed="true">
          <xs:attribute name="type" type="xs:string"/><xs:attribute name="message" type="xs:string"/>
        </xs:complexType></xs:element></xs:sequence>
        <xs:attribute name="name" type="xs:string" use="required"/><xs:attribute name="classname" type="xs:string"/>
        <xs:attribute name="time" type="seconds"/>
      </xs:complexType></xs:element></xs:sequence>
      <xs:attribute name="name" type="xs:string" use="required"/><xs:attribute name="tests" type="xs:integer" use="required"/>
      <xs:attribute name="failures" type="xs:integer" use="required"/><xs:attribute name="errors" type="xs:integer" use="required"/>
      <xs:attribute name="time" type="seconds"/><xs:attribute name="file" type="xs:string"/>
    </xs:complexType></xs:element></xs:sequence>
    <xs:attribute name="name" type="xs:string"/><xs:attribute name="tests" type="xs:integer"/>
    <xs:attribute name="failures" type="xs:integer"/><xs:attribute name="errors" type="xs:integer"/>
  </xs:complexType></xs:element>
</xs:schema>
"""
RULE = rule_yaml("sel: {A|contains: [x, z]}\nfilter: {B: 1}\ncondition: sel and not filter", title="Rule A")
CASES = """
match:
    - {name: good, event: {A: x}}
    - {name: bad, event: {A: y}}
no_match:
    - {name: other, event: {A: y}}
"""


run = partial(command, "test")


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    """Return a directory with a rule, its cases, and a rule without any."""
    folder = tmp_path / "rules"
    folder.mkdir()
    (folder / "a.yml").write_text(RULE)
    (folder / "a.test.yml").write_text(CASES)
    (folder / "b.yml").write_text(rule_yaml("sel: {C: x}\ncondition: sel", title="Rule B"))
    return folder


def test_a_table_for_people(rules: Path) -> None:
    """Every case, an explanation of what failed, rules without cases."""
    result = run(rules)
    assert result.exit_code == 1
    shown = " ".join(result.stdout.split())
    assert "passed Rule A good failed Rule A bad passed Rule A other" in shown
    assert "failed: must match, but does not" in shown
    assert "item 1 would have to be otherwise" in shown
    assert "1 rule without cases: Rule B" in shown
    assert str(rules / "a.yml") in result.stdout
    assert result.stderr.endswith(
        "\n3 cases of 1 rule: 2 passed, 1 failed; 0 mistakes, 1 rule without cases, 0 rules left out\n"
    )


def test_coverage(rules: Path) -> None:
    """Items that no case turned."""
    (rules / "a.test.yml").write_text("match: [{event: {A: x}}]")
    result = run(rules, "--coverage")
    assert result.exit_code == 0
    assert [line.split() for line in result.stdout.splitlines()[-3:]] == [
        ["Rule", "A", "50%"],
        ["false", "1", "A", "contains", "'x',", "'z'"],
        ["true", "2", "B", "equals", "1"],
    ]
    found = json.loads(run(rules, "--coverage", "--format", "json").stdout)["coverage"]
    assert [(one["rule"]["title"], one["share"], len(one["uncovered"])) for one in found] == [
        ("Rule A", 0.5, 2),
        ("Rule B", 0, 1),
    ]
    assert found[0]["uncovered"][0] == {
        "item": 1, "matcher": "contains_any", "field": "A", "values": [["x", "z"]], "never_true": False, "never_false": True,
    }  # fmt: skip


def test_json_for_machines(rules: Path) -> None:
    """One object with everything."""
    found = json.loads(run(rules, "--format", "json").stdout)
    assert {key: found[key] for key in ("passed", "failed", "error", "mistakes")} == {
        "passed": 2,
        "failed": 1,
        "error": 0,
        "mistakes": [],
    }
    assert [one["title"] for one in found["untested"]] == ["Rule B"]
    bad = found["cases"][1]
    assert (bad["name"], bad["place"], bad["status"], bad["events"]) == ("bad", "match[1]", "failed", 1)
    assert bad["explanation"]["changes"] == [1]
    assert "coverage" not in found


def test_junit(rules: Path, tmp_path: Path) -> None:
    """Valid against the schema that servers use; control characters are written as escapes."""
    evil = "bad\\u0001\\u001b\\ufffe\\ud800<&"
    (rules / "a.test.yml").write_text(CASES.replace("name: bad", f'name: "{evil}"').replace("\\ud800", ""))
    (rules / "c.test.yml").write_text("match: [{event: 7}]")
    report = tmp_path / "report.xml"
    assert run(rules, "--junit", report).exit_code == 1
    xmlschema.XMLSchema(SCHEMA).validate(report)
    root = ElementTree.parse(report).getroot()
    assert {key: root.get(key) for key in ("tests", "failures", "errors")} == {
        "tests": "5",
        "failures": "3",
        "errors": "0",
    }
    suite, mistakes = root
    assert (suite.get("name"), suite.get("file")) == ("Rule A", str(rules / "a.yml"))
    assert suite[1].get("name") == "bad\\x01\\x1b\\ufffe<&"
    assert "would have to be otherwise" in str(suite[1][0].text)
    assert mistakes.get("name") == "files of cases"


def test_correlation_rules(rules: Path, tmp_path: Path) -> None:
    """In the table, in JSON, in JUnit, in coverage; among the rules without cases."""
    found = correlation(title="Found", group_by=["user"], condition={"gte": 3})
    (rules / "c.yml").write_text(text_of(member("a"), found))
    assert [one["title"] for one in json.loads(run(rules, "--format", "json").stdout)["untested"]] == [
        "Rule B",
        "A",
        "Found",
    ]
    (rules / "c.test.yml").write_text(
        "match: [{name: three, events: [{event: {is: a, user: eve}, time: 0, repeat: 2}]}]"
    )
    report = tmp_path / "report.xml"
    result = run(rules, "--coverage", "--junit", report)
    assert result.exit_code == 1
    shown = " ".join(result.stdout.split())
    assert "failed Found three" in shown
    assert "Found: no match: user=eve comes to 2, asked is events ≥ 3" in shown
    assert "1 rule without cases: Rule B" in shown
    assert "A 50% false 1 is equals 'a'" in shown
    assert "\n4 cases of 3 rules: 2 passed, 2 failed; 0 mistakes, 1 rule without cases" in result.stderr
    xmlschema.XMLSchema(SCHEMA).validate(report)
    suite = ElementTree.parse(report).getroot()[1]
    assert (suite.get("name"), suite[0].get("classname"), suite[0].get("name")) == ("Found", "Found", "three")
    assert "user=eve comes to 2" in str(suite[0][0].text)
    case = json.loads(run(rules, "--format", "json").stdout)["cases"][3]
    assert (case["rule"]["title"], case["status"], case["message"], case["events"]) == (
        "Found",
        "failed",
        "must match, but does not",
        2,
    )
    groups = case["explanation"]["correlations"][0]["groups"]
    assert [(one["group"], one["value"], one["holds"]) for one in groups] == [({"user": "eve"}, 2, False)]


def test_exit_codes(rules: Path, tmp_path: Path) -> None:
    """0 all passed, 1 failed or mistaken, 2 nothing, 3 strict."""
    (rules / "a.test.yml").write_text("match: [{event: {A: x}}]")
    assert run(rules).exit_code == 0
    (rules / "a.test.yml").write_text("match: [{event: {A: x}}, 7]")
    mistaken = run(rules)
    assert mistaken.exit_code == 1
    assert (
        f"warning: {rules}/a.test.yml: match[1]: a case is a mapping with event, events or log, not int"
        in mistaken.stderr
    )
    assert run(rules, "--strict").exit_code == 3
    (rules / "a.test.yml").unlink()
    nothing = run(rules)
    assert nothing.exit_code == 2
    assert nothing.stderr.endswith(
        f"error: no test case found; write some in {rules}/a.test.yaml, as 'sigma-pyeval test --help' shows\n"
    )
    elsewhere = tmp_path / "cases"
    elsewhere.mkdir()
    (elsewhere / "x.test.yml").write_text("rule: Rule B\nmatch: [{event: {C: x}}]")
    assert run(rules, "--cases", elsewhere).exit_code == 0
    assert run(tmp_path / "none").exit_code == 2
    assert run(rules, "--cases", tmp_path / "none").exit_code == 2


def test_the_help_shows_a_file_of_cases_that_can_be_read(tmp_path: Path) -> None:
    """Who installed the package has no other page at hand."""
    shown = re.search(r"^  match:.*?(?=\n\n)", run("--help").stdout, re.DOTALL | re.MULTILINE)
    assert shown is not None
    (tmp_path / "audit.log").write_text("type=CWD msg=audit(1.0:1): cwd=/\n")
    (tmp_path / "x.test.yaml").write_text(textwrap.dedent(shown[0]))
    [document] = read_cases(tmp_path / "x.test.yaml")
    assert (len(document.cases), document.mistakes) == (3, [])


def test_without_a_pipeline_it_says_so(rules: Path) -> None:
    assert "warning: no --pipeline was given: the rules' fields keep Sigma's names" in run(rules).stderr
    assert "no --pipeline" not in run(ROOT / "examples/rules", "-p", "linux_eval").stderr


def test_a_case_that_proves_nothing_is_a_mistake(tmp_path: Path) -> None:
    """As docs/testing.md shows: names from before the pipeline, which no rule reads any more; and the same with the right ones."""
    document = (ROOT / "docs/testing.md").read_text()
    (tmp_path / "download_to_tmp.yml").write_text((ROOT / "examples/rules/download_to_tmp.yml").read_text())
    wrong, right = re.findall(r"```yaml\n(no_match:\n.*?)```", document, re.DOTALL)
    cases = tmp_path / "download_to_tmp.test.yml"
    cases.write_text(wrong)
    result = run(tmp_path, "-p", "linux_eval")
    assert result.exit_code == 1
    assert "0 cases of 0 rules: 0 passed, 0 failed; 1 mistake, 1 rule without cases" in result.stderr
    [told] = [line for line in result.stderr.splitlines() if "proves nothing" in line]
    assert told.replace(f"{tmp_path}/", "") in document
    cases.write_text(right)
    result = run(tmp_path, "-p", "linux_eval")
    assert (result.exit_code, "1 passed, 0 failed; 0 mistakes" in result.stderr) == (0, True)


def test_the_example_cases_pass_and_cover() -> None:
    """Those that the documentation shows."""
    result = run(ROOT / "examples/rules", "-p", "linux_eval", "--coverage", "--format", "json")
    assert result.exit_code == 0
    covered = {one["rule"]["title"]: one["share"] for one in json.loads(result.stdout)["coverage"]}
    assert covered["Download Into A World-Writable Folder"] == 1
