"""Raw log files through ``scan`` with linux_eval: exactly the matches that an independent evaluator lists for them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
import yaml

from sigma.pyeval import Ruleset, load_rules
from sigma.pyeval.logs.auditd import AuditdParser
from sigma.pyeval.logs.reading import read_log
from sigma.pyeval.logs.records import Record
from sigma.pyeval.scanning import Scan

Pair = tuple[str, str, str]

# Matches that the list, made without names of system calls, lacks: the raw record says arch=c000003e syscall=59, which
# is execve on x86_64, and the rule asks for SYSCALL: execve of a web server's user.
NAMED_SYSCALLS = {
    (
        "auditd/pberba/2021-11-22-linux-threat-hunting-for-persistence-sysmon-auditd-webshell.log",
        "5",
        "c0d3734d-330f-4a03-aae2-65dacc6a8222",
    )
}

# Likewise: syscall=133 is mknod, and the rule asks for SYSCALL: mknod.
NAMED_SYSCALLS_IN_DESCRIPTIONS = {
    ("auditd/golibaudit_aucoalesce/rhel-7-linux-3.10.0.yaml", "20294", "710bdbce-495d-491d-9a8f-7d0d88d2b41e")
}

AUDIT_LOGS = ("auditd/*.log", "auditd/laurel/*.txt", "auditd/pberba/*.log")
PROCESS_RULES = ("rules/linux/process_creation", "rules-threat-hunting/linux/process_creation")
ROWS = [
    # shape, rule folders, number of rules, files, matches beyond the list
    ("record", ("rules/linux/auditd",), 53, AUDIT_LOGS, NAMED_SYSCALLS),
    ("merged-process", PROCESS_RULES, 124, AUDIT_LOGS, set()),
    ("raw-line", ("rules/linux/builtin",), 22, ("syslog/**/*.log",), set()),
    ("journald-json", ("rules/linux/builtin",), 22, ("journald/*.json*",), set()),
    ("sysmon-linux", PROCESS_RULES, 124, ("sysmon_linux/*.xml",), set()),
]


@pytest.fixture(scope="module")
def linux(shared: Path) -> Path:
    """Return the folder of Linux logs."""
    return shared / "linux"


def listed(linux: Path, shape: str) -> set[Pair]:
    """Return the (file, line or serial, rule id) listed for a shape."""
    rows = map(json.loads, (linux / "expected.jsonl").read_text().splitlines())
    return {
        (row["file"], str(row.get("serial") or row["line"]), row["rule_id"])
        for row in rows
        if row["shape"] == shape and "n" not in row
    }


def rules_of(shared: Path, folders: Iterable[str]) -> Ruleset:
    """Load the rules below *folders* with the pipeline."""
    return load_rules(*(shared / "sigmahq" / folder for folder in folders), pipeline="linux_eval")


def scanned(linux: Path, ruleset: Ruleset, patterns: Iterable[str]) -> set[Pair]:
    """Return the same for what scanning the files finds: the serial of joined events, the line of all others."""
    found: set[Pair] = set()
    for pattern in patterns:
        for path in sorted(linux.glob(pattern)):
            for finding in Scan(ruleset, lambda path, problem: None).log(str(path)):
                joined = finding.serial is not None and "type" not in finding.match.event
                place = finding.serial if joined else finding.line
                found.add((str(path.relative_to(linux)), str(place), str(finding.match.rule.id)))
    return found


@pytest.mark.parametrize(("shape", "folders", "count", "files", "beyond"), ROWS, ids=[row[0] for row in ROWS])
def test_exactly_the_listed_matches(
    shape: str,
    folders: tuple[str, ...],
    count: int,
    files: tuple[str, ...],
    beyond: set[Pair],
    linux: Path,
    shared: Path,
    figure: Callable[[str], None],
) -> None:
    """None missing, none beyond the list but those explained above."""
    ruleset = rules_of(shared, folders)
    assert len(ruleset.rules) == count
    expected = {pair for pair in listed(linux, shape) if not pair[0].endswith(".yaml")}
    found = scanned(linux, ruleset, files)
    assert found - expected == beyond
    assert expected - found == set()
    figure(f"scan {shape}: {len(found)} matches of {count} rules, all as expected")


def test_records_within_test_descriptions(linux: Path, shared: Path) -> None:
    """The records that go-libaudit's own tests hold as blocks of text, by file and serial."""
    ruleset = rules_of(shared, ("rules/linux/auditd",))
    found: set[Pair] = set()
    for path in sorted(linux.glob("auditd/golibaudit_aucoalesce/*.yaml")):
        parser = AuditdParser()
        for text in yaml.safe_load(path.read_text())["tests"].values():
            for number, line in enumerate(text.splitlines(), 1):
                for record in parser.feed(number, line.encode()):
                    assert isinstance(record, Record)
                    if "type" in record.event:
                        name = str(path.relative_to(linux))
                        matches = ruleset.match(record.event, record.logsource)
                        found |= {(name, str(record.serial), str(match.rule.id)) for match in matches}
    expected = {pair for pair in listed(linux, "record") if pair[0].endswith(".yaml")}
    assert expected - found == set()
    assert found - expected == NAMED_SYSCALLS_IN_DESCRIPTIONS


def test_access_logs(linux: Path, shared: Path, figure: Callable[[str], None]) -> None:
    """A match listed under both readings of the query occurs, one listed under neither does not."""
    ruleset = rules_of(shared, ("rules/web/webserver_generic", "rules/web/product"))
    split, whole = listed(linux, "access/query-split"), listed(linux, "access/query-is-whole-target")
    files = ("web/*access*.log", "web/scan_*.log", "web/wazuh_worms.log", "web/wazuh_ini_*.log")
    found = scanned(linux, ruleset, files)
    assert (split & whole) - found == set()
    assert found - (split | whole) == set()
    figure(f"scan access: {len(found)} matches, {len(split & whole)} of them listed under both readings")


def test_records_out_of_order_give_the_same_events(linux: Path) -> None:
    """The joined events do not depend on the order in which the records of a serial came."""

    def events(name: str) -> list[str]:
        records = [record for record in read_log(linux / "auditd" / name) if isinstance(record, Record)]
        return sorted(json.dumps(record.event, sort_keys=True) for record in records if "type" not in record.event)

    normal = events("golibaudit_reassembler_normal.log")
    assert normal
    assert events("golibaudit_reassembler_out_of_order.log") == normal
