"""Exceptions: what they except, for which rules and how long, and what is told of those that cannot do what was meant."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import pytest

from sigma.pyeval import parse_rules
from sigma.pyeval.monitor.configuration import Configuration, ConfigurationError, parse_configuration
from sigma.pyeval.monitor.tuning.loading import Tuning, load_tuning
from sigma.pyeval.ruleset import Ruleset

ONE, TWO = "5d3f7a51-6d0c-4d5e-9b1a-0f3c2a7b9e10", "6d3f7a51-6d0c-4d5e-9b1a-0f3c2a7b9e11"
RULES = f"""
title: Suspicious shell
id: {ONE}
tags: [attack.execution, attack.t1059.004]
logsource: {{product: linux, category: process_creation}}
detection: {{s: {{Image|endswith: sh}}, condition: s}}
---
title: Odd login
id: {TWO}
tags: [attack.initial-access]
logsource: {{product: linux, service: sshd}}
detection: {{s: [sh], condition: s}}
"""
TODAY = date(2026, 11, 22)


def exception(**values: Any) -> dict[str, Any]:
    given = {
        "name": "backup",
        "owner": "ann",
        "reason": "nightly",
        "rules": ["*"],
        "match": {"_USER": "backup"},
        **values,
    }
    return {key: value for key, value in given.items() if value is not None}


def configured(*exceptions: dict[str, Any], **others: Any) -> Configuration:
    value = {
        "rules": {"paths": ["not read here"], "placeholders": {"admins": ["ann", "bob"]}},
        "state": "state",
        "sources": [{"type": "stdin"}],
        "sinks": [{"type": "stdout"}],
        "exceptions": list(exceptions),
        **others,
    }
    return parse_configuration(value, {})


@pytest.fixture(scope="module")
def ruleset() -> Ruleset:
    return parse_rules(RULES, pipeline="linux_eval")


def excepting(tuning: Tuning, ruleset: Ruleset, event: dict[str, Any], today: date = TODAY) -> list[str | None]:
    """Return, for each rule that matches, the exception that holds."""
    return [tuning.exceptions.excepting(match, today) for match in ruleset.match(event)]


SHELL = {"_EXE": "/bin/sh", "_CMDLINE": "sh -c backup.sh", "_USER": "backup", "_UID": "34"}


@pytest.mark.parametrize(
    ("match", "matching", "other"),
    [
        ({"_USER": "backup"}, {}, {"_USER": "root"}),
        ({"_USER": "BACKUP"}, {}, {"_USER": None}),
        ({"_CMDLINE|contains": ["backup", "restore"]}, {"_CMDLINE": "sh restore"}, {"_CMDLINE": "sh x"}),
        ({"_CMDLINE|contains|all": ["backup", "sh "]}, {}, {"_CMDLINE": "backup"}),
        ({"_USER": "backup", "_UID": 34}, {}, {"_UID": "0"}),
        ([{"_USER": "ann"}, {"_UID": 0}], {"_UID": "0"}, {}),
        ({"_CMDLINE|re": r"^sh -c \w+\.sh$"}, {}, {"_CMDLINE": "sh -c backup.sh; rm"}),
        ({"_USER|expand": "%admins%"}, {"_USER": "bob"}, {}),
        ({"_PARENT_EXE": None}, {}, {"_PARENT_EXE": "/usr/sbin/cron"}),
        ({"source.ip|cidr": "10.0.0.0/8"}, {"source": {"ip": "10.1.2.3"}}, {"source": {"ip": "11.1.2.3"}}),
        ({"_CMDLINE|contains": "\U0001f600\u2028x"}, {"_CMDLINE": "a \U0001f600\u2028x"}, {}),
    ],
)
def test_match_means_what_it_means_in_a_rule(
    ruleset: Ruleset, match: Any, matching: dict[str, Any], other: dict[str, Any]
) -> None:
    tuning = load_tuning(configured(exception(match=match)), ruleset, TODAY)
    assert excepting(tuning, ruleset, {**SHELL, **matching}) == ["backup"]
    assert excepting(tuning, ruleset, {**SHELL, **other}) == [None]


@pytest.mark.parametrize(
    ("which", "shell", "login"),
    [
        ({"rules": ["*"]}, True, True),
        ({"rules": [ONE.upper()]}, True, False),
        ({"rules": [ONE, TWO]}, True, True),
        ({"tags": ["attack.t1059*"]}, True, False),
        ({"titles": ["odd *"]}, False, True),
        ({"tags": ["attack.*"], "titles": ["*shell"]}, True, False),
        ({"rules": [ONE], "tags": ["attack.initial-access"]}, False, False),
    ],
)
def test_an_exception_is_for_the_rules_that_it_names(
    ruleset: Ruleset, which: dict[str, Any], shell: bool, login: bool
) -> None:
    tuning = load_tuning(configured(exception(**{"rules": None, **which})), ruleset, TODAY)
    assert excepting(tuning, ruleset, SHELL) == ["backup" if shell else None]
    message = {"SYSLOG_IDENTIFIER": "sshd", "MESSAGE": "sh", "_USER": "backup"}
    assert excepting(tuning, ruleset, message) == ["backup" if login else None]


def test_the_first_that_holds_is_counted(ruleset: Ruleset) -> None:
    first = exception(name="first", match={"_USER": "nobody"})
    tuning = load_tuning(configured(first, exception(name="second"), exception(name="third")), ruleset, TODAY)
    assert excepting(tuning, ruleset, SHELL) == ["second"]


def test_an_exception_holds_to_the_end_of_its_last_day(ruleset: Ruleset, caplog: pytest.LogCaptureFixture) -> None:
    tuning = load_tuning(configured(exception(expires="2026-11-22")), ruleset, TODAY)
    assert tuning.findings == ()
    assert excepting(tuning, ruleset, SHELL, date(2026, 11, 22)) == ["backup"]
    assert excepting(tuning, ruleset, SHELL, date(2026, 11, 23)) == [None]
    assert excepting(tuning, ruleset, SHELL, date(2026, 11, 23)) == [None]
    assert [record.getMessage() for record in caplog.records] == [
        "exception backup holds no longer: it expired on 2026-11-22"
    ]


@pytest.mark.parametrize(
    ("values", "finding"),
    [
        ({"expires": "2026-11-21"}, ("exceptions[0]", "expired on 2026-11-21 and holds no longer; take it out, or give a later date")),
        ({"rules": [ONE, "no-such", "none"]}, ("exceptions[0]", "no loaded rule has the 2 ids no-such, none")),
        ({"rules": None, "titles": ["x"]}, ("exceptions[0]", "rules, tags and titles select none of the loaded rules")),
        ({"match": {"User": "x"}}, ("exceptions[0].match", "events have _USER for what rules call 'User'; write that name")),
        ({"rules": [TWO], "match": {"User": "x"}}, None),  # sshd's rules have no such field; events may
        ({"expires": "2026-11-22"}, None),
        ({"match": {"_USER": "x", "own.field": "y"}}, None),
    ],
)  # fmt: skip
def test_what_may_not_be_meant_is_told(
    ruleset: Ruleset, values: dict[str, Any], finding: tuple[str, str] | None
) -> None:
    assert load_tuning(configured(exception(**values)), ruleset, TODAY).findings == ((finding,) if finding else ())


@pytest.mark.parametrize(
    ("exceptions", "problems"),
    [
        ([{"name": "x"}], [("exceptions[0].owner", "missing"), ("exceptions[0].reason", "missing"), ("exceptions[0].match", "missing")]),
        ([exception(owner="")], [("exceptions[0].owner", "must not be empty")]),
        ([exception(expires="soon")], [("exceptions[0].expires", "write a date, as 2027-01-31")]),
        ([exception(expires=20270131)], [("exceptions[0].expires", "write a date, as 2027-01-31")]),
        ([exception(rules=None)], [("exceptions[0]", 'says for no rule; give rules, tags or titles, or rules: ["*"] for every rule')]),
        ([exception(rules=["*", ONE])], [("exceptions[0]", 'rules: ["*"] means every rule; give it alone, or take it out')]),
        ([exception(rule=[ONE])], [("exceptions[0].rule", "unknown; did you mean 'rules'?")]),
        ([exception(match={})], [("exceptions[0].match", "empty, which would except every match; leave rules out with rules.exclude instead")]),
        ([exception(match=[{"a": 1}, {}])], [("exceptions[0].match", "empty, which would except every match; leave rules out with rules.exclude instead")]),
        ([exception(match="a")], [("exceptions[0].match", "write a mapping: 'name: value' for each")]),
    ],
)  # fmt: skip
def test_mistakes_in_the_configuration(exceptions: list[dict[str, Any]], problems: list[tuple[str, str]]) -> None:
    with pytest.raises(ConfigurationError) as caught:
        configured(*exceptions)
    assert list(caught.value.problems) == problems


@pytest.mark.parametrize(
    ("exceptions", "place", "text"),
    [
        ([exception(match={"a|foo": "x"})], "exceptions[0].match", "modifier 'foo' is unknown"),
        ([exception(match={"a|re": "("})], "exceptions[0].match", "Regular expression '(' is invalid"),
        ([exception(match={"a|expand": "%nobody%"})], "exceptions[0].match", "'nobody'"),
        ([exception(), exception()], "exceptions[1].name", "'backup' is also that of exceptions[0]"),
    ],
)
def test_mistakes_that_show_when_exceptions_are_made(
    ruleset: Ruleset, exceptions: list[dict[str, Any]], place: str, text: str
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load_tuning(configured(*exceptions), ruleset, TODAY)
    ((found_place, finding),) = caught.value.problems
    assert found_place == place
    assert text in finding


FILE = f"""
exceptions:
  - name: from-file
    owner: ann
    reason: nightly
    rules: [{ONE}]
    expires: 2026-12-31
    match: {{_USER: backup}}
"""


def test_exceptions_stand_in_files_of_their_own_too(tmp_path: Path, ruleset: Ruleset) -> None:
    (tmp_path / "team.yml").write_text(FILE)
    (tmp_path / "empty.yml").write_text("# none yet\n")
    configuration = configured(exceptions_files=[str(tmp_path / "team.yml"), str(tmp_path / "empty.yml")])
    tuning = load_tuning(configuration, ruleset, TODAY)
    assert tuning.findings == ()
    assert excepting(tuning, ruleset, SHELL) == ["from-file"]
    assert tmp_path / "team.yml" in configuration.watched_paths()
    (place, _), = load_tuning(configuration, ruleset, date(2027, 1, 1)).findings  # fmt: skip
    assert place == f"exceptions_files[0]: {tmp_path}/team.yml: exceptions[0]"


@pytest.mark.parametrize(
    ("text", "finding"),
    [
        (None, "cannot be read: No such file or directory"),
        ("- name: x", "write 'exceptions:' and the list below it"),
        ("exceptions: [{name: x y}]", "exceptions[0].name: a name is made of letters, digits"),
        ("exception: []", "exception: unknown; did you mean 'exceptions'?"),
        ("{", "not YAML"),
    ],
)
def test_mistakes_in_files(tmp_path: Path, ruleset: Ruleset, text: str | None, finding: str) -> None:
    path = tmp_path / "team.yml"
    if text is not None:
        path.write_text(text)
    with pytest.raises(ConfigurationError) as caught:
        load_tuning(configured(exceptions_files=[str(path)]), ruleset, TODAY)
    place, found = caught.value.problems[0]
    assert place == "exceptions_files[0]"
    assert found.startswith(f"{path}: {finding}")


def test_a_name_in_a_file_is_not_that_of_another(tmp_path: Path, ruleset: Ruleset) -> None:
    (tmp_path / "team.yml").write_text(FILE)
    configuration = configured(exception(name="from-file"), exceptions_files=[str(tmp_path / "team.yml")])
    with pytest.raises(ConfigurationError, match="'from-file' is also that of exceptions\\[0\\]"):
        load_tuning(configuration, ruleset, TODAY)


def test_without_exceptions_there_is_nothing_to_ask(ruleset: Ruleset) -> None:
    tuning = load_tuning(configured(), ruleset, TODAY)
    assert not tuning.exceptions
    assert not tuning.suppression


@pytest.mark.parametrize(
    ("others", "told"),
    [
        ({}, True),
        ({"server": {"page": False}}, True),
        ({"server": {}}, False),
        ({"sources": [{"type": "http"}]}, False),
    ],
)
def test_an_escalation_that_nobody_can_call_off_is_told(ruleset: Ruleset, others: dict[str, Any], told: bool) -> None:
    sinks = [{"type": "stdout"}, {"type": "file", "path": "later.jsonl", "after": "15m"}]
    tuning = load_tuning(configured(sinks=sinks, **others), ruleset, TODAY)
    assert [place for place, _ in tuning.findings] == (["sinks[1].after"] if told else [])
