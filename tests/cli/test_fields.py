"""sigma-pyeval fields: what it shows, to people and machines, and how it ends."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from ..conftest import rule_yaml
from .running import run

RULE = rule_yaml(
    "sel: {CommandLine|contains: curl, Image|endswith: /curl}\ncondition: sel",
    title="Curl",
    logsource="{category: process_creation, product: linux}",
)

ECS = {
    "event": {"category": ["process"], "type": ["start"]},
    "process": {"executable": "/usr/bin/curl", "command_line": "curl x", "pid": 7},
}


@pytest.fixture
def rule(tmp_path: Path) -> Path:
    """Return the path of one rule."""
    path = tmp_path / "curl.yml"
    path.write_text(RULE)
    return path


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """Return the path of a log in ECS."""
    path = tmp_path / "events.jsonl"
    path.write_text(json.dumps(ECS) + "\n")
    return path


def rows(text: str) -> list[list[str]]:
    """Return the columns of each line of a table."""
    return [line.split() for line in text.splitlines()]


def test_a_wrong_mapping_is_seen_at_once(rule: Path, log: Path) -> None:
    """The pipeline for another schema: every field is missing, the nearest names are those of the log."""
    wrong = run("fields", "-r", rule, log)
    assert wrong.exit_code == 0
    shown = rows(wrong.stdout)
    assert ["CommandLine", "1", "process_creation,", "linux", "(1)", "process.command_line"] in shown
    assert ["Image", "1", "process_creation,", "linux", "(1)", "-"] in shown
    assert ["process.executable", "1"] in shown
    assert "warning: no --pipeline was given" in wrong.stderr
    assert (
        "1 event, 1 rule (0 search all values): 2 fields asked for, 2 of them missing, 5 fields unread" in wrong.stderr
    )

    right = run("fields", "-r", rule, "-p", "linux_eval_ecs", log)
    assert right.exit_code == 0
    assert rows(right.stdout)[2][:2] == ["process.title", "1"], "the other name that a command line may have"
    assert "process.executable" not in right.stdout
    assert "no --pipeline" not in right.stderr


def test_one_of_each_is_no_plural(tmp_path: Path) -> None:
    (tmp_path / "any.yml").write_text(rule_yaml("sel: {A: x}\nwords: [evil]\ncondition: sel or words"))
    (tmp_path / "log.jsonl").write_text('{"B": "x"}\nnonsense\n')
    told = run("fields", "-r", tmp_path / "any.yml", "--input-format", "jsonl", tmp_path / "log.jsonl").stderr
    assert (
        "1 event, 1 rule (1 searches all values): 1 field asked for, 1 of them missing, 1 field unread, 1 problem, "
        in told
    )


def test_nothing_missing_and_nothing_unread(rule: Path, tmp_path: Path) -> None:
    """One sentence instead of an empty table."""
    log = tmp_path / "sigma.jsonl"
    log.write_text('{"CommandLine": "x", "Image": "y"}\n')
    result = run("fields", "-r", rule, log)
    assert result.stdout == "Every field that rules ask for occurs in the logs.\n"


def test_json_for_machines(rule: Path, log: Path) -> None:
    """One object, complete."""
    result = run("fields", "-r", rule, "--format", "json", log)
    found = json.loads(result.stdout)
    assert [(field["field"], field["nearest"]) for field in found["missing"]] == [
        ("CommandLine", "process.command_line"),
        ("Image", None),
    ]
    names = ["event.category", "event.type", "process.command_line", "process.executable", "process.pid"]
    assert [field["field"] for field in found["unread"]] == names


def test_correlation_rules(rule: Path, tmp_path: Path) -> None:
    """A group-by field that no event has: the correlation could never be true."""
    burst = {
        "title": "Burst",
        "correlation": {"type": "event_count", "rules": ["curl"], "group-by": ["Usr"], "timespan": "1m"},
    }
    burst["correlation"]["condition"] = {"gte": 2}  # type: ignore[index]
    rule.write_text(f"{RULE.replace('title: Curl', 'title: Curl' + chr(10) + 'name: curl')}\n---\n{json.dumps(burst)}")
    log = tmp_path / "sigma.jsonl"
    log.write_text('{"CommandLine": "curl", "Image": "/curl", "User": "x"}\n')
    result = run("fields", "-r", rule, log)
    assert ["Usr", "1", "process_creation,", "linux", "(1)", "User"] in rows(result.stdout)
    assert "1 event, 2 rules" in result.stderr
    log.write_text('{"CommandLine": "curl", "Image": "/curl", "Usr": "x"}\n')
    assert run("fields", "-r", rule, log).stdout == "Every field that rules ask for occurs in the logs.\n"


def test_logs_of_any_kind_and_standard_input(rule: Path, tmp_path: Path) -> None:
    """Directories, compressed files, formats told from the content, ``-``."""
    folder = tmp_path / "logs"
    folder.mkdir()
    (folder / "one.gz").write_bytes(gzip.compress(b'{"CommandLine": "x"}\n'))
    (folder / "two.log").write_text("Jan  1 00:00:00 box sshd[7]: Accepted password for root\n" * 3)
    found = json.loads(run("fields", "-r", rule, "--format", "json", folder).stdout)
    assert (found["events"], [field["field"] for field in found["missing"]]) == (4, ["Image"])
    assert "MESSAGE" in {field["field"] for field in found["unread"]}
    piped = run("fields", "-r", rule, "--input-format", "jsonl", "-", text='{"Image": 1, "CommandLine": 2}\n')
    assert piped.stdout.startswith("Every field")


def test_many_unread_fields_are_cut_off(rule: Path, tmp_path: Path) -> None:
    """Ten are shown, the number of the others is named."""
    log = tmp_path / "wide.jsonl"
    log.write_text(json.dumps({f"field{number:02}": 1 for number in range(15)}) + "\n")
    result = run("fields", "-r", rule, log)
    assert "field09" in result.stdout
    assert "field10" not in result.stdout
    assert "and 5 more; --format json lists them" in result.stdout


def test_hostile_names_are_safe_to_look_at(tmp_path: Path) -> None:
    """Terminal escapes, markup and bidirectional characters come out as text, in rules and logs."""
    evil = "x\x1b[31m[bold]y[/bold]\u202e"
    rule = tmp_path / "evil.yml"
    rule.write_text(rule_yaml(f"sel: {{{json.dumps(evil)}: a}}\ncondition: sel"))
    log = tmp_path / "evil.jsonl"
    log.write_text(json.dumps({evil + "z": 1, "\n\r": {"a\u2028": 1}, "\ud800": 1}) + "\n")
    for output_format in ("table", "json"):
        result = run("fields", "-r", rule, "--format", output_format, log)
        assert result.exit_code == 0
        assert "\x1b" not in result.stdout + result.stderr
        assert "[bold]" in result.stdout
        if output_format == "table":
            assert not {"\u202e", "\u2028", "\r"} & set(result.stdout)


def test_exit_codes(rule: Path, log: Path, tmp_path: Path) -> None:
    """0 done, also with missing fields; 2 where nothing could be loaded; 3 under --strict."""
    bad = tmp_path / "bad.jsonl"
    bad.write_text("nonsense\n" * 15 + '{"Image": 1}\n')
    result = run("fields", "-r", rule, "--input-format", "jsonl", bad, tmp_path / "none.log")
    assert result.exit_code == 0
    assert result.stderr.count(f"warning: {bad}:") == 11
    assert f"{bad}: 5 more problems" in result.stderr
    assert "16 problems" in result.stderr
    assert run("fields", "-r", rule, "--strict", "--input-format", "jsonl", bad).exit_code == 3
    missing = run("fields", "-r", rule, tmp_path / "none.log")
    assert missing.exit_code == 2
    assert "none.log: cannot be read: No such file or directory" in missing.stderr
    assert run("fields", "-r", tmp_path / "none.yml", log).exit_code == 2
    assert run("fields", log).exit_code == 2
