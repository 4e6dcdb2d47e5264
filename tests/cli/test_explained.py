"""Which explanations people get: joined audit events by any of their lines, the scope in one line, the few most worth reading."""

from __future__ import annotations

import json
import re
from functools import partial
from pathlib import Path

import pytest

from sigma.pyeval import load_rules
from sigma.pyeval.cli.explained import Shortlist
from sigma.pyeval.explain import explain_rule

from ..conftest import ROOT, rule_yaml
from .running import run as command

run = partial(command, "explain")
LOG = ROOT / "examples/logs/audit.log"
DOWNLOAD = ("-r", ROOT / "examples/rules/download_to_tmp.yml", "-p", "linux_eval")


def places(shown: str) -> list[str]:
    return re.findall(r"audit\.log:(\d+.*)", shown)


@pytest.mark.parametrize(
    ("line", "told"),
    [
        (6, ["6 (the joined event)", "6 (the SYSCALL record alone, of the event joined at line 6)"]),
        (7, ["6 (the joined event, of which line 7 is a part)", "7 (the EXECVE record alone, of the event joined at line 6)"]),
        (10, ["6 (the joined event, of which line 10 is a part)", "10 (the PROCTITLE record alone, of the event joined at line 6)"]),
    ],
)  # fmt: skip
def test_any_line_of_an_audit_event_explains_the_joined_one_first(line: int, told: list[str]) -> None:
    result = run(*DOWNLOAD, "--line", line, LOG)
    assert result.exit_code == 0
    assert places(result.stdout) == told
    assert "matches" in result.stdout.splitlines()[2]
    assert result.stderr == "2 events, 1 rule: 1 match\n"
    found = [json.loads(one) for one in run(*DOWNLOAD, "--line", line, LOG, "--format", "json").stdout.splitlines()]
    assert [(one["source"]["line"], one["matched"]) for one in found] == [(6, True), (line, False)]


def test_lines_of_several_events(tmp_path: Path) -> None:
    """Each with its own, in the order of the log; two lines of one event name both; other formats have no such thing."""
    result = run(*DOWNLOAD, "--line", 12, "--line", 7, "--line", 8, LOG)
    assert places(result.stdout) == [
        "6 (the joined event, of which line 7, 8 is a part)",
        "7 (the EXECVE record alone, of the event joined at line 6)",
        "8 (the CWD record alone, of the event joined at line 6)",
        "11 (the joined event, of which line 12 is a part)",
        "12 (the EXECVE record alone, of the event joined at line 11)",
    ]
    log = tmp_path / "audit.log.jsonl"
    log.write_text('{"_EXE": "/usr/bin/curl", "_CMDLINE": "x"}\n{"_EXE": "b"}\n')
    shown = run(*DOWNLOAD, "--line", 1, log).stdout
    assert shown.startswith(f"{log}:1\n")


def test_a_record_that_joins_nothing_is_just_itself(tmp_path: Path) -> None:
    log = tmp_path / "audit.log"
    log.write_text("type=USER_LOGIN msg=audit(1795200001.102:9101): pid=1 uid=0 res=success\n")
    assert places(run(*DOWNLOAD, "--line", 1, log).stdout) == ["1"]


RULE = rule_yaml(
    "sel: {Image|endswith: /curl}\ncondition: sel",
    title="Curl",
    logsource="{category: process_creation, product: linux}",
)
SCOPES: list[tuple[str, str, str, list[str]]] = [
    ("both false", '{"exe": "a", "type": "EXECVE"}',
     "no match: the event is not in the rule's scope; item 8 would have to be otherwise",
     ["scope: false: the rule is for process_creation, linux; this event is of linux, auditd"]),
    ("nothing known of it", '{"exe": "a"}', "the event is not in the rule's scope; item 8 would",
     ["scope: false: the rule is for process_creation, linux; of what log source this event is, it does not tell"]),
    ("only the scope false", '{"_EXE": "/usr/bin/curl", "type": "EXECVE"}', "no match: item 4 would have to be otherwise",
     ["4 true type exists <- to change", "7 false _DESTINATION_HOSTNAME exists"]),
    ("the scope true", '{"_EXE": "/usr/bin/wget"}', "no match: item 8 would have to be otherwise", ["scope: true └── condition"]),
    ("a match", '{"_EXE": "/usr/bin/curl"}', "matches", ["scope: true └── condition: true"]),
]  # fmt: skip


@pytest.mark.parametrize(("event", "conclusion", "told"), [row[1:] for row in SCOPES], ids=[row[0] for row in SCOPES])
def test_a_scope_that_is_false_is_one_line_unless_it_alone_decides(
    event: str, conclusion: str, told: list[str], tmp_path: Path
) -> None:
    (tmp_path / "curl.yml").write_text(RULE)
    (tmp_path / "event.json").write_text(event)
    result = run("-r", tmp_path / "curl.yml", "-p", "linux_eval", tmp_path / "event.json", columns=200)
    shown = " ".join(re.sub("│", " ", result.stdout).split())
    assert conclusion in shown
    for one in told:
        assert one in shown
    assert ("MESSAGE exists" in shown) == (conclusion == "no match: item 4 would have to be otherwise")
    rule = load_rules(tmp_path / "curl.yml", pipeline="linux_eval").rules[0]
    page = explain_rule(rule, json.loads(event))._repr_html_()
    assert ("MESSAGE exists" in page) == ("MESSAGE exists" in shown)
    assert ("the rule is for" in page) == ("the rule is for" in shown)


@pytest.fixture
def many(tmp_path: Path) -> tuple[str | Path, ...]:
    """A rule and a log of 100 events: two match, one lacks one item, the others both."""
    path = tmp_path / "two.yml"
    path.write_text(rule_yaml("sel: {A: x, B: x}\ncondition: sel", title="Two"))
    events = [{"A": "y"}] * 100
    events[40], events[70], events[90] = {"A": "x"}, {"A": "x", "B": "x"}, {"A": "x", "B": "x"}
    (tmp_path / "log.jsonl").write_text("".join(json.dumps(event) + "\n" for event in events))
    return "-r", path, tmp_path / "log.jsonl"


def test_of_many_explanations_the_few_most_worth_reading(many: tuple[str | Path, ...]) -> None:
    result = run(*many)
    lines = [int(one) for one in re.findall(r"log\.jsonl:(\d+)", result.stdout)]
    assert lines == [71, 91, 41, *range(1, 18)]
    assert result.stderr.splitlines()[-2:] == [
        "20 of 100 explanations are shown, matches first, then what the fewest items keep from matching; --line N shows all of an "
        "event, --rule those of a rule, --most N more, --format json everything",
        "100 events, 1 rule: 2 matches",
    ]
    result = run(*many, "--most", "1")
    assert re.findall(r"log\.jsonl:(\d+)", result.stdout) == ["71"]


def test_all_where_they_are_few_or_asked_for(many: tuple[str | Path, ...]) -> None:
    """In the order of the log, and without a word of more."""
    in_order = [str(number) for number in range(1, 101)]
    result = run(*many, "--most", "100")
    assert re.findall(r"log\.jsonl:(\d+)", result.stdout) == in_order
    assert result.stderr.splitlines()[-1:] == ["100 events, 1 rule: 2 matches"]
    assert "explanations are shown" not in result.stderr
    assert len(run(*many, "--format", "json").stdout.splitlines()) == 100
    asked = run(*many, *(part for number in range(1, 31) for part in ("--line", str(number))))
    assert re.findall(r"log\.jsonl:(\d+)", asked.stdout) == in_order[:30]


def test_no_more_is_kept_than_twice_what_is_shown() -> None:
    rule = load_rules(ROOT / "examples/rules/download_to_tmp.yml", pipeline="linux_eval").rules[0]
    shortlist = Shortlist(3)
    for number in range(100):
        shortlist.add([explain_rule(rule, {"_EXE": "/usr/bin/curl"} if number == 99 else {"x": 1})], "log", number)
        assert len(shortlist._kept) <= 6
    assert [one.line for one in shortlist.explained()] == [99, 0, 1]
    assert shortlist.seen == 100
