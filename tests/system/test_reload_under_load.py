"""A service that is reloaded again and again, with its log rotated and clients sending, loses no event and repeats no alert."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.monitor.service import RULE, Workplace, free_port

from .http_clients import clients
from .test_monitor_faults import WRITER, numbers_of

pytestmark = pytest.mark.system

COUNT = 20_000
OTHER = RULE.replace("5d3f7a51", "6d3f7a51").replace("Marked line", "Other line")


def test_reloads_under_load_lose_nothing(tmp_path: Path) -> None:
    """Each reload changes the rules and the settings of both sources; now and then one is refused."""
    chance = random.Random(7)
    port, log = free_port(), tmp_path / "app.log"
    log.write_bytes(b"Nov 22 03:00:00 host prog[1]: evil-marker number=%d.\n" % COUNT)
    file = {"type": "file", "paths": [str(log)], "start": "beginning", "format": "syslog"}
    place = Workplace(tmp_path, sources=[file, {"type": "http"}], server={"listen": f"127.0.0.1:{port}"}, watch=False)
    with place.start() as service:
        service.until(place.alerts)
        writer = subprocess.Popen([sys.executable, "-c", WRITER, str(log), str(COUNT), "1", "rename"])
        turns = 0
        with clients(port, 2, first=COUNT + 1) as answered:
            while writer.poll() is None:
                turns += 1
                if turns % 5 == 0:
                    (tmp_path / "rules" / "other.yml").write_text("title: [")
                else:
                    (tmp_path / "rules" / "other.yml").write_text(OTHER.replace("evil-marker", f"no-marker-{turns}"))
                queue = 1 + turns % 4
                place.configuration["sources"] = [{**file, "queue": queue}, {"type": "http", "queue": queue}]
                place.write()
                told = service.log.count("reloaded: ")
                service.process.send_signal(signal.SIGHUP)
                service.until(lambda told=told: service.log.count("reloaded: ") > told)
                time.sleep(chance.random() * 0.3)
        assert writer.returncode == 0
        wanted = set(range(COUNT + 1)) | set(answered)
        service.until(lambda: wanted <= numbers_of(place.alerts()).keys(), 60)
        assert turns > 5
        assert len(answered) > 100
        assert f"not reloaded: rules: {tmp_path}/rules/other.yml" in service.log
        assert service.stop() == 0
    assert len(place.alerts()) == len(numbers_of(place.alerts()))
