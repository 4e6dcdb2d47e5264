"""The section ``rules`` in a running service and in ``--check``: filters, mappings, what is left out, what is odd."""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from sigma.pyeval.cli import main
from tests.releases.packing import packed

from .service import RULE, Workplace

RULE_ID = "5d3f7a51-6d0c-4d5e-9b1a-0f3c2a7b9e10"
FILTER = """
title: Known host
logsource: {product: linux}
filter:
  rules: [RULE_ID]
  known: {host: build}
  condition: not known
""".replace("RULE_ID", RULE_ID)
LINES = b'{"host": "build", "m": "evil-marker"}\n{"host": "web", "m": "evil-marker"}\n'


def place_with(path: Path, **rules: Any) -> Workplace:
    place = Workplace(path, sources=[{"type": "stdin", "format": "jsonl"}])
    place.configuration["rules"] = {**place.configuration["rules"], **rules}
    place.write()
    return place


def check(place: Workplace) -> Result:
    return CliRunner().invoke(main, ["monitor", "-c", str(place.path / "monitor.yml"), "--check"])


def warnings(place: Workplace) -> list[str]:
    result = check(place)
    assert result.exit_code == 0, result.stderr
    return [line.removeprefix("warning: ") for line in result.stderr.splitlines()]


def events_alerted(place: Workplace, lines: bytes) -> tuple[list[Any], str]:
    """Run the service over *lines*; return the events of its alerts, and its log."""
    (place.path / "lines").write_bytes(lines)
    with (place.path / "lines").open("rb") as stdin, place.start(stdin=stdin) as service:
        assert service.process.wait(20) == 0, service.log
        return [alert["event"] for alert in place.alerts()], service.log


@pytest.mark.parametrize("where", ["rules", "filters"])
def test_filters_work_wherever_they_lie(tmp_path: Path, where: str) -> None:
    """Among the rules, or in a place of their own that ``filters`` names."""
    (tmp_path / where).mkdir(exist_ok=True)
    place = place_with(tmp_path, **({"filters": [str(tmp_path / "filters")]} if where == "filters" else {}))
    (tmp_path / where / "known.yml").write_text(FILTER)
    events, log = events_alerted(place, LINES)
    assert [event["host"] for event in events] == ["web"]
    assert "1 rule, 0 rules left out" in log


def test_filters_that_are_none(tmp_path: Path) -> None:
    """One for no rule, and a rule among the filters, which runs."""
    (tmp_path / "filters").mkdir()
    place = place_with(tmp_path, filters=[str(tmp_path / "filters")])
    (tmp_path / "filters" / "f.yml").write_text(FILTER.replace(RULE_ID, RULE_ID.replace("5", "6")))
    (tmp_path / "filters" / "r.yml").write_text(RULE.replace(RULE_ID, RULE_ID.replace("5", "7")))
    assert warnings(place) == [
        f"rules.filters: {tmp_path}/filters/f.yml: filter 'Known host' applies to no rule that is loaded; "
        "look at its rules and its logsource",
        f"{tmp_path}/monitor.yml: rules.filters: {tmp_path}/filters/r.yml holds a rule, no filter; "
        "it runs like those of rules.paths",
    ]


def test_mappings_of_fields(tmp_path: Path) -> None:
    rule = RULE.replace("keywords: [evil-marker]", "keywords: {process.name|contains: evil}")
    place = place_with(tmp_path, field_mappings={"process.name": ["proc_name", "comm"]})
    (tmp_path / "rules" / "marked.yml").write_text(rule)
    lines = b'{"proc_name": "evil"}\n{"comm": "evil"}\n{"process.name": "evil"}\n'
    events, _ = events_alerted(place, lines)
    assert events == [{"proc_name": "evil"}, {"comm": "evil"}]
    place = place_with(tmp_path, field_mappings={"process.nam": "x"})
    (tmp_path / "rules" / "marked.yml").write_text(rule)
    assert warnings(place) == [
        "rules.field_mappings: no rule asks for the field 'process.nam'; the nearest is 'process.name'"
    ]


def test_levels_and_what_is_left_out(tmp_path: Path) -> None:
    """The alert has the level that was given; the counts stand in the log and in --check."""
    (tmp_path / "rules").mkdir()
    for number, level in enumerate(("low", "medium", "high"), 1):
        other = RULE.replace(RULE_ID, RULE_ID[:-1] + str(number)).replace("level: high", f"level: {level}")
        (tmp_path / "rules" / f"{level}.yml").write_text(other.replace("evil-marker", "nothing"))
    (tmp_path / "rules" / "broken.yml").write_text("a: [")
    place = place_with(
        tmp_path, restrictiveness="ultra", include=["low.yml"], exclude=["broken.yml", "high.yml", "no.yml"],
        levels={RULE_ID: "critical"},
    )  # fmt: skip
    result = check(place)
    left_out = "2 rules, 3 rules left out (2 by exclude, 1 by restrictiveness)"
    assert result.stdout == f"{tmp_path}/monitor.yml: usable; {left_out}\n"
    assert (
        result.stderr
        == "warning: rules.exclude: 'no.yml' selects nothing: no file has this path; the nearest is 'low.yml'\n"
    )
    _, log = events_alerted(place, LINES)
    assert left_out in log
    assert {alert["rule"]["level"] for alert in place.alerts()} == {"critical"}


def test_an_update_of_rules_reaches_the_running_service(tmp_path: Path) -> None:
    """Installed beside and exchanged; the next reload takes it, although it has a new rule for other logs."""
    folder = tmp_path / "installed"
    for number, marker in enumerate(("evil-marker", "other-marker")):
        members = [("LICENSE", "licence"), ("rules/a.yml", RULE.replace("evil-marker", marker))]
        windows = RULE.replace("linux", "windows").replace(RULE_ID, RULE_ID[:-1] + "1")
        packed(tmp_path / f"{number}.zip", [*members, *([("rules/w.yml", windows)] if number else [])])

    def update(number: int) -> None:
        result = CliRunner().invoke(main, ["rules", "update", str(tmp_path / f"{number}.zip"), "--into", str(folder)])
        assert result.exit_code == 0, result.output

    update(0)
    place = place_with(tmp_path, paths=[str(folder)], pipelines=["linux_eval"])
    with place.start(stdin=subprocess.PIPE) as service:
        assert service.process.stdin is not None
        service.until(lambda: "running:" in service.log)
        service.process.stdin.write(b'{"m": "evil-marker"}\n{"m": "other-marker 1"}\n')
        service.process.stdin.flush()
        service.until(place.alerts)
        update(1)
        service.process.send_signal(signal.SIGHUP)
        service.until(lambda: "reloaded:" in service.log)
        service.process.stdin.write(b'{"m": "evil-marker"}\n{"m": "other-marker 2"}\n')
        service.process.stdin.close()
        assert service.process.wait(20) == 0, service.log
        assert [alert["event"]["m"] for alert in place.alerts()] == ["evil-marker", "other-marker 2"], service.log


def test_nothing_left(tmp_path: Path) -> None:
    result = check(place_with(tmp_path, exclude=[RULE_ID]))
    assert result.exit_code == 2
    assert result.stderr == "error: no rule could be loaded; 1 rule left out (1 by exclude)\n"
