"""What delivery promises, with the service killed, its sinks gone and its spool full, under load."""

from __future__ import annotations

import contextlib
import json
import os
import random
import re
import subprocess
import sys
import threading
import time
from collections import defaultdict
from pathlib import Path

import pytest

from tests.monitor.service import Workplace, free_port
from tests.monitor.test_correlation import GUESSING

from .http_clients import clients

pytestmark = pytest.mark.system

ROUNDS = int(os.environ.get("FAULT_ROUNDS", "1"))
"""How often each fault is tried; more often by hand."""

WRITER = r"""
import bz2, gzip, os, random, sys, time
path, count, seed, rotation = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
chance = random.Random(seed)
file = open(path, "ab", buffering=0)
copies = 0
def shift(suffix=""):
    for number in range(200, 0, -1):
        for ending in ("", ".gz"):
            old = f"{path}.{number}{ending}"
            if os.path.exists(old):
                os.rename(old, f"{path}.{number + 1}{ending}")
def rotate():
    global file
    shift()
    if rotation == "rename":
        os.rename(path, path + ".1")
        file.close()
        file = open(path, "ab", buffering=0)
    else:
        with open(path, "rb") as source, open(path + ".1", "wb") as copy:
            copy.write(source.read())
        os.truncate(path, 0)
    if os.path.exists(path + ".2"):
        with open(path + ".2", "rb") as source:
            text = source.read()
        with gzip.open(path + ".2.gz.new", "wb") as packed:
            packed.write(text)
        os.rename(path + ".2.gz.new", path + ".2.gz")
        os.unlink(path + ".2")
number = 0
while number < count:
    lines = []
    for _ in range(chance.randint(1, 40)):
        lines.append(b"Nov 22 03:00:00 host prog[%d]: evil-marker number=%d.\n" % (number, number))
        number += 1
        if number >= count: break
    text = b"".join(lines)
    cut = chance.randint(0, len(text))  # half lines are seen between two writes
    file.write(text[:cut])
    time.sleep(chance.random() * 0.02)
    file.write(text[cut:])
    if chance.random() < 0.02 and rotation != "none":
        rotate()
"""


def tell(line: str) -> None:
    """Add a line of figures to the file that FAULT_REPORT names."""
    if path := os.environ.get("FAULT_REPORT"):
        with open(path, "a", encoding="utf-8") as report:
            report.write(line + "\n")


def numbers_of(alerts: list[dict]) -> dict[int, set[str]]:
    """Return which alert ids each numbered line has."""
    found: dict[int, set[str]] = defaultdict(set)
    for alert in alerts:
        number = re.search(r"number=(\d+)\.", alert["event"]["MESSAGE"])
        assert number is not None
        found[int(number[1])].add(alert["id"])
    return found


@pytest.mark.parametrize("rotation", ["none", "rename", "copytruncate"])
@pytest.mark.parametrize("seed", range(ROUNDS))
def test_a_killed_service_loses_nothing(tmp_path: Path, seed: int, rotation: str) -> None:
    """Killed at random moments under load: every line has its alert, and one that came twice has the same id twice."""
    chance = random.Random(f"{seed} {rotation}")
    count = 20_000
    log = tmp_path / "app.log"
    log.write_bytes(b"Nov 22 03:00:00 host prog[1]: evil-marker number=%d.\n" % count)
    place = Workplace(
        tmp_path, sources=[{"type": "file", "paths": [str(log)], "start": "beginning", "format": "syslog"}]
    )
    with place.start() as service:  # files that were rotated before the first look are not asked for
        service.until(place.alerts)
        assert service.stop() == 0
    writer = subprocess.Popen([sys.executable, "-c", WRITER, str(log), str(count), str(seed), rotation])
    kills = 0
    while writer.poll() is None:
        with place.start() as service:
            time.sleep(0.8 + chance.random() * 2)
            service.kill()
            kills += 1
    assert writer.returncode == 0
    with place.start() as service:
        service.until(lambda: len(numbers_of(place.alerts())) > count, 60)
        assert service.stop() == 0
    alerts = place.alerts()
    found = numbers_of(alerts)
    assert found.keys() == set(range(count + 1))
    assert {number: ids for number, ids in found.items() if len(ids) > 1} == {}
    tell(f"{rotation} {seed}: {kills} kills, {count} lines, {len(alerts) - len(found)} alerts came twice")


@pytest.mark.parametrize("seed", range(ROUNDS))
def test_what_http_answered_positively_is_there_after_a_kill(tmp_path: Path, seed: int) -> None:
    """Clients send numbered events while the service is killed; all that were answered with 200 become alerts, each once."""
    chance = random.Random(f"http {seed}")
    port = free_port()
    place = Workplace(tmp_path, sources=[{"type": "http"}], server={"listen": f"127.0.0.1:{port}"})
    with clients(port, 4) as answered:
        for _ in range(3):
            with place.start() as service:
                before = len(answered)
                service.until(lambda before=before: len(answered) > before)
                time.sleep(0.3 + chance.random())
                service.kill()
    with place.start() as service:
        service.until(lambda: "running" in service.log and set(answered) <= numbers_of(place.alerts()).keys())
        assert service.stop() == 0
    assert all(len(ids) == 1 for ids in numbers_of(place.alerts()).values())
    tell(f"http {seed}: 3 kills, {len(answered)} answered positively, {len(place.alerts())} alerts")


@pytest.mark.parametrize("seed", range(ROUNDS))
def test_a_killed_service_loses_no_correlation(tmp_path: Path, seed: int) -> None:
    """Each host fails to log in three times, far apart in the log; killed at random, each has its alert, all of one id."""
    chance = random.Random(f"correlation {seed}")
    hosts, log = 500, tmp_path / "auth.jsonl"
    log.write_bytes(b"")
    source = {"type": "file", "paths": [str(log)], "start": "beginning", "format": "jsonl"}
    place = Workplace(tmp_path, sources=[source], correlation={"lateness": "1s"})
    (tmp_path / "rules" / "guessing.yml").write_text(GUESSING)
    begin = time.time() - 3_600

    def write() -> None:
        with log.open("ab", buffering=0) as file:
            for number in range(3 * hosts):
                host = f"h{number % hosts}"
                event = {"@timestamp": begin + number / 50, "host": host, "MESSAGE": f"failed for root, try {number}"}
                line = json.dumps(event).encode() + b"\n"
                cut = chance.randint(0, len(line))
                file.write(line[:cut])
                time.sleep(0.01)
                file.write(line[cut:])

    writer = threading.Thread(target=write)
    writer.start()
    kills = 0
    while writer.is_alive():
        with place.start() as service:
            time.sleep(0.8 + chance.random() * 2)
            service.kill()
            kills += 1
    ids: dict[str, set[str]] = defaultdict(set)

    def all_there() -> bool:
        ids.clear()
        for alert in place.alerts():
            ids[alert["correlation"]["group"]["host"]].add(alert["id"])
        return len(ids) == hosts

    with place.start() as service:
        service.until(all_there, 60)
        assert service.stop() == 0
    assert all_there()
    assert {host: found for host, found in ids.items() if len(found) > 1} == {}
    tell(f"correlation {seed}: {kills} kills, {hosts} groups, {len(place.alerts()) - hosts} alerts came twice")


def test_a_full_disk_makes_sources_wait_and_loses_nothing(tmp_path: Path) -> None:
    """The state lies on a file system of 2 MB that only the service sees; it is filled up, and emptied again."""
    mounted = (
        "unshare",
        "-m",
        "bash",
        "-c",
        'mount -t tmpfs -o size=2m none "$0" && exec "$@"',
        str(tmp_path / "state"),
    )
    (tmp_path / "state").mkdir()
    if subprocess.run([*mounted, "true"], capture_output=True, check=False).returncode != 0:
        pytest.skip("no right to mount a file system here (root, unshare of util-linux)")
    log = tmp_path / "app.log"
    log.write_bytes(b"Nov 22 03:00:00 host prog[1]: evil-marker number=0.\n")
    source = {"type": "file", "paths": [str(log)], "start": "beginning", "format": "syslog"}
    place = Workplace(tmp_path, sources=[source])
    with place.start(within=mounted) as service:
        service.until(lambda: len(place.alerts()) == 1)
        filler = Path(f"/proc/{service.process.pid}/root{tmp_path}/state/filler")
        with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
            while file.write(bytes(4096)):
                pass
        with log.open("ab") as file:
            for number in range(1, 20):
                file.write(b"Nov 22 03:00:00 host prog[1]: evil-marker number=%d.\n" % number)
        service.until(lambda: "the spool is full: source file waits" in service.log)
        assert len(place.alerts()) == 1
        filler.unlink()
        service.until(lambda: len(place.alerts()) == 20)
        assert service.stop() == 0
    assert numbers_of(place.alerts()).keys() == set(range(20))
    assert not (tmp_path / "state" / "dead-letters").exists()
