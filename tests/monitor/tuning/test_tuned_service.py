"""Tuning in the running service: nothing is lost or decided twice when it is killed, and all of it is counted."""

from __future__ import annotations

import json
import re
import signal
import sqlite3
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from tests.monitor.service import RULE, Running, Workplace, free_port
from tests.test_alerts import schema

RULE_ID = "5d3f7a51-6d0c-4d5e-9b1a-0f3c2a7b9e10"


def line(number: int, user: str, host: str = "web") -> bytes:
    return b"Nov 22 03:00:00 %s prog: evil-marker user=%s. number=%d.\n" % (host.encode(), user.encode(), number)


def numbers(alerts: list[dict[str, Any]]) -> list[int]:
    return [int(re.findall(r"number=(\d+)", alert["event"]["MESSAGE"])[0]) for alert in alerts]


def place_with(tmp_path: Path, **configuration: Any) -> Workplace:
    source = {
        "type": "file",
        "paths": [str(tmp_path / "app.log")],
        "start": "beginning",
        "format": "syslog",
        "poll": 0.05,
    }
    server = {"listen": f"127.0.0.1:{free_port()}"}
    return Workplace(tmp_path, sources=[source], server=server, **configuration)


def metrics_of(place: Workplace) -> str:
    url = f"http://{place.configuration['server']['listen']}/metrics"
    with urllib.request.urlopen(url, timeout=5) as exposition:
        text: str = exposition.read().decode()
    return text


def value_of(place: Workplace, service: Running, name: str) -> float:
    """Return the sum of a metric's series; 0 while the server does not answer yet."""
    try:
        text = metrics_of(place)
    except urllib.error.URLError:
        return 0.0
    rows = [one.split() for one in text.splitlines() if re.match(rf"sigma_pyeval_{name}[ {{]", one)]
    return sum(float(row[-1]) for row in rows)


def test_suppression_lets_the_first_of_a_key_pass_whenever_the_service_is_killed(tmp_path: Path) -> None:
    """Killed again and again while a log is read: the first alert of each key is delivered, no other is, all are counted."""
    keys, count = 40, 6_000
    log = tmp_path / "app.log"
    each = count // keys
    log.write_bytes(b"".join(line(number, "x", f"h{number // each}") for number in range(count)))
    place = place_with(tmp_path, suppress=[{"key": ["host"], "window": "1h"}])
    reached = []
    for seen in (1, 20):
        with place.start() as service:
            service.until(lambda seen=seen: len({alert["id"] for alert in place.alerts()}) >= seen)
            service.kill()
        reached.append(_suppressed(tmp_path))
    assert 0 < reached[0] < count - keys  # it was killed somewhere within the file
    with log.open("ab") as file:
        file.write(line(count, "x", "end"))
    with place.start() as service:
        service.until(lambda: count in numbers(place.alerts()))
        assert service.stop() == 0
    passed = {alert["id"]: alert for alert in place.alerts()}  # one that is sent twice has the same id
    assert sorted(numbers(list(passed.values()))) == [*range(0, count, each), count]
    assert _suppressed(tmp_path) == count - keys


def _suppressed(tmp_path: Path) -> int:
    """Return what the windows of a stopped service hold."""
    with sqlite3.connect(tmp_path / "state" / "state.sqlite") as database:
        total: int = database.execute("SELECT total(suppressed) FROM windows").fetchone()[0]
    database.close()
    return total


def test_the_next_alert_tells_how_many_were_suppressed(tmp_path: Path) -> None:
    log = tmp_path / "app.log"
    log.write_bytes(b"".join(line(number, "x") for number in range(5)))
    place = place_with(tmp_path, suppress=[{"window": "2s", "most": 2}])
    with place.start() as service:
        service.until(lambda: len(place.alerts()) == 2)
        service.until(lambda: value_of(place, service, "alerts_suppressed_total") == 3)
        assert f'sigma_pyeval_alerts_suppressed_total{{rule="{RULE_ID}"}} 3.0' in metrics_of(place)

        def later() -> bool:
            with log.open("ab") as file:
                file.write(line(9, "x"))
            return len(place.alerts()) > 2

        service.until(later)
        assert service.stop() == 0
    assert "suppressed" not in place.alerts()[0]
    assert place.alerts()[2]["suppressed"] >= 3
    schema().validate(place.alerts()[2])


def test_exceptions_are_counted_and_their_hits_survive(tmp_path: Path) -> None:
    log = tmp_path / "app.log"
    log.write_bytes(line(1, "backup") + line(2, "root") + line(3, "backup"))
    team = tmp_path / "team.yml"
    exception = {
        "name": "nightly",
        "owner": "ann",
        "reason": "x",
        "rules": [RULE_ID],
        "match": {"MESSAGE|contains": "user=backup"},
    }
    team.write_text(json.dumps({"exceptions": [exception]}))
    gone = {**exception, "name": "old", "expires": "2020-01-01", "match": {"MESSAGE|contains": "user=root"}}
    place = place_with(tmp_path, exceptions=[gone], exceptions_files=[str(team)])
    for hits in (2, 3):
        with place.start() as service:
            service.until(lambda hits=hits: len(place.alerts()) == hits - 1)
            service.until(lambda: value_of(place, service, "alerts_excepted_total") > 0)
            assert "exceptions[0]: expired on 2020-01-01 and holds no longer" in service.log
            assert service.stop() == 0
        with log.open("ab") as file:
            file.write(line(4, "backup") + line(5, "root"))
        with sqlite3.connect(tmp_path / "state" / "state.sqlite") as database:
            found = database.execute("SELECT name, hits FROM exception_hits").fetchall()
        database.close()
        assert found == [("nightly", hits)]
    assert numbers(place.alerts()) == [2, 5]


def test_a_reload_changes_exceptions_and_keeps_windows(tmp_path: Path) -> None:
    log = tmp_path / "app.log"
    log.write_bytes(line(1, "x") + line(2, "x"))
    place = place_with(tmp_path, suppress=[{"window": "1h"}])
    with place.start() as service:
        service.until(lambda: value_of(place, service, "alerts_suppressed_total") == 1)
        place.configuration["exceptions"] = [
            {"name": "n", "owner": "o", "reason": "r", "rules": ["*"], "match": {"MESSAGE|contains": "number=3."}}
        ]
        place.write()
        service.process.send_signal(signal.SIGHUP)
        service.until(lambda: "reloaded:" in service.log)
        with log.open("ab") as file:
            file.write(line(3, "x") + line(4, "x"))
        service.until(lambda: value_of(place, service, "alerts_excepted_total") == 1)
        service.until(lambda: value_of(place, service, "alerts_suppressed_total") == 2)
        place.configuration["suppress"] = [{"window": "2h"}]  # another entry, with windows of its own
        place.write()
        service.process.send_signal(signal.SIGHUP)
        service.until(lambda: service.log.count("reloaded:") == 2)
        with log.open("ab") as file:
            file.write(line(5, "x") + line(6, "x"))
        service.until(lambda: value_of(place, service, "alerts_suppressed_total") == 3)
        assert service.stop() == 0
    assert numbers(place.alerts()) == [1, 5]


def test_a_bad_exception_keeps_the_service_from_starting_and_a_reload_from_happening(tmp_path: Path) -> None:
    (tmp_path / "app.log").write_bytes(b"")
    bad = {"name": "n", "owner": "o", "reason": "r", "rules": ["*"], "match": {"MESSAGE|foo": "x"}}
    place = place_with(tmp_path, exceptions=[bad])
    with place.start() as service:
        assert service.process.wait(20) == 2
        assert "exceptions[0].match: field 'MESSAGE': modifier 'foo' is unknown" in service.log
    place.configuration["exceptions"] = []
    place.write()
    with place.start() as service:
        service.until(lambda: "running:" in service.log)
        place.configuration["exceptions"] = [bad]
        place.write()
        service.process.send_signal(signal.SIGHUP)
        service.until(lambda: "not reloaded:" in service.log)
        assert "exceptions[0].match" in service.log
        assert service.stop() == 0


def test_an_alert_that_nobody_acknowledges_goes_to_the_next_sink(tmp_path: Path) -> None:
    (tmp_path / "app.log").write_bytes(line(1, "x"))
    later = {"type": "file", "name": "boss", "path": str(tmp_path / "boss.jsonl"), "after": "1s"}
    place = place_with(tmp_path)
    place.configuration["sinks"].append(later)
    place.write()
    with place.start() as service:
        service.until(lambda: len(place.alerts()) == 1)
        assert not (tmp_path / "boss.jsonl").exists()
        service.process.send_signal(signal.SIGKILL)
        service.process.wait(20)
    with place.start() as service:
        service.until(lambda: value_of(place, service, "sink_escalated_total") == 1)
        assert service.stop() == 0
    assert json.loads((tmp_path / "boss.jsonl").read_text())["id"] == place.alerts()[0]["id"]


def test_the_rule_is_the_one_of_the_harness() -> None:
    assert RULE_ID in RULE
