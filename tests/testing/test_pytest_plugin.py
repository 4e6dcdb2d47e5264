"""``pytest --sigma``: cases are collected, failures explained; without the option nothing happens."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import yaml

from ..conftest import ROOT, rule_yaml
from ..correlation.rules import correlation, member, text_of

pytest_plugins = ["pytester"]


@pytest.fixture
def rules(pytester: pytest.Pytester) -> Path:
    """Return a directory with a rule and its cases, beside a test in Python."""
    folder = pytester.mkdir("rules")
    (folder / "a.yml").write_text(rule_yaml("sel: {A: x}\ncondition: sel", title="Rule A"))
    (folder / "a.test.yml").write_text("match: [{name: good, event: {A: x}}, {name: bad, event: {a: x}}]\n")
    pytester.makepyfile(test_other="def test_other(): pass")
    return folder


def test_inactive_without_the_option(pytester: pytest.Pytester, rules: Path) -> None:
    """Only Python's tests run."""
    pytester.runpytest_inprocess("-q").assert_outcomes(passed=1)


def test_cases_are_collected_and_failures_explained(pytester: pytest.Pytester, rules: Path) -> None:
    """Beside other tests; the rule's file, the case and the explanation are shown."""
    result = pytester.runpytest_inprocess("--sigma", "rules", "-v")
    result.assert_outcomes(passed=2, failed=1)
    result.stdout.fnmatch_lines([
        "*a.yml::good PASSED*",
        "failed: must match, but does not",
        f"rule: {rules}/a.yml",
        f"case: {rules}/a.test.yml: match[[]1[]]",
        "*Rule A*no match: item 1 would have to be otherwise",
        "*A is missing; the nearest name is a*",
        "FAILED rules/a.yml::bad*",
    ])  # fmt: skip
    result.stdout.no_fnmatch_line("*Traceback*")


def test_a_correlation_rule(pytester: pytest.Pytester, rules: Path) -> None:
    """A failure shows what groups came to, and which events which rules match."""
    found = correlation(title="Found", group_by=["user"], condition={"gte": 3})
    (rules / "c.yml").write_text(text_of(member("a"), found))
    (rules / "c.test.yml").write_text(
        "match: [{name: three, events: [{event: {is: a, user: eve}, time: 0, repeat: 2}]}]"
    )
    result = pytester.runpytest_inprocess("--sigma", "rules", "-k", "three", "-v")
    result.assert_outcomes(failed=1, deselected=3)
    result.stdout.fnmatch_lines([
        "*c.yml::three FAILED*",
        "failed: must match, but does not",
        "*Found: no match: user=eve comes to 2, asked is events ≥ 3",
        "*A: matches 2 events",
        "*2 1970-01-01T00:00:00Z A; user=eve",
    ])  # fmt: skip


def test_selection_by_name(pytester: pytest.Pytester, rules: Path) -> None:
    """-k works on cases."""
    pytester.runpytest_inprocess("--sigma", "rules", "-k", "good").assert_outcomes(passed=1, deselected=2)


def test_mistakes_fail(pytester: pytest.Pytester, rules: Path) -> None:
    """A file of cases that names no rule, or is written wrongly."""
    cases = pytester.mkdir("cases")
    (cases / "x.test.yml").write_text("rule: Rule Z\nmatch: [{event: {}}]")
    (rules / "a.test.yml").write_text("matches: [{event: {A: x}}]")
    result = pytester.runpytest_inprocess("--sigma", "rules", "--sigma-cases", "cases", "-p", "no:cacheprovider")
    result.assert_outcomes(passed=1, failed=2)
    result.stdout.fnmatch_lines(["*a.test.yml: matches: this key is unknown; did you mean 'match'?"])
    result.stdout.fnmatch_lines(["*x.test.yml: rule: no rule has the id or title 'Rule Z'; did you mean 'Rule A'?"])


def test_rules_that_cannot_be_loaded_are_skipped_with_the_reason(pytester: pytest.Pytester, rules: Path) -> None:
    """They have no verdict, and nobody is to take them for tested; a rule that can be loaded is not skipped."""
    (rules / "b.yml").write_text(rule_yaml("sel: {A: x}\ncondition: sell", title="Rule B"))
    (rules / "c.yml").write_text("title: [\n")
    result = pytester.runpytest_inprocess("--sigma", "rules", "-rs", "-k", "not bad")
    result.assert_outcomes(passed=2, skipped=2, deselected=1)
    result.stdout.fnmatch_lines(["SKIPPED*Rule B*sell*"])


def test_a_title_cannot_steer_the_terminal(pytester: pytest.Pytester, rules: Path) -> None:
    """Not in the head of a failure either."""
    (rules / "a.yml").write_text(rule_yaml("sel: {A: x}\ncondition: sel", title='"Rule \\e[31m"'))
    (rules / "b.yml").write_text(rule_yaml("sel: {A: x}\ncondition: sell", title='"Other \\e[31m"'))
    result = pytester.runpytest_inprocess("--sigma", "rules", "-rA", "-v")
    result.assert_outcomes(passed=2, failed=1, skipped=1)
    assert "Rule \\x1b[31m: bad" in result.stdout.str()
    assert "\x1b" not in result.stdout.str()


def test_a_pipeline_and_wrong_usage(pytester: pytest.Pytester, rules: Path) -> None:
    """The pipeline maps fields; a path or pipeline that is not there is a usage error."""
    (rules / "a.yml").write_text(
        rule_yaml("sel: {Image: x}\ncondition: sel", logsource="{category: process_creation, product: linux}")
    )
    (rules / "a.test.yml").write_text("match: [{event: {_EXE: x}}]")
    pytester.runpytest_inprocess("--sigma", "rules", "--sigma-pipeline", "linux_eval").assert_outcomes(passed=2)
    assert pytester.runpytest_inprocess("--sigma", "none").ret == pytest.ExitCode.USAGE_ERROR
    assert (
        pytester.runpytest_inprocess("--sigma", "rules", "--sigma-pipeline", "none").ret == pytest.ExitCode.USAGE_ERROR
    )


def test_as_a_program(pytester: pytest.Pytester, rules: Path) -> None:
    """Found by its entry point, in a process of its own."""
    pytester.runpytest_subprocess("--sigma", "rules").assert_outcomes(passed=2, failed=1)


def test_the_documented_cases(pytester: pytest.Pytester) -> None:
    """The command of docs/testing.md on the examples."""
    shutil.copytree(ROOT / "examples", pytester.path / "examples")
    arguments = ("--sigma", "examples/rules", "--sigma-pipeline", "linux_eval")
    pytester.runpytest_inprocess(*arguments).assert_outcomes(passed=21)
    document = (ROOT / "docs/testing.md").read_text()
    for number, name in enumerate(("download_to_tmp", "sshd_failures_then_login"), 1):
        shown = yaml.safe_load(document.split("```yaml\n")[number].split("```")[0])
        written = yaml.safe_load((ROOT / f"examples/rules/{name}.test.yaml").read_text())
        assert shown.pop("rule", None) == written.pop("rule", None)
        assert all(case in written[section] for section in shown for case in shown[section])
