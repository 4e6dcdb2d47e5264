"""The service as a whole: what goes in comes out, it ends as asked, and one part's trouble is its own."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from .service import Workplace, free_port

STDIN = {"type": "stdin", "format": "syslog"}


def line(number: int, host: str = "web") -> bytes:
    return b"Nov 22 03:00:00 %s prog: evil-marker number=%d.\n" % (host.encode(), number)


def test_the_end_of_all_input_ends_the_service(tmp_path: Path) -> None:
    place = Workplace(tmp_path, sources=[STDIN])
    with place.start(stdin=subprocess.PIPE) as service:
        assert service.process.stdin is not None
        service.process.stdin.write(line(1) + b"Nov 22 03:00:00 web prog: harmless\n" + line(2))
        service.process.stdin.close()
        assert service.process.wait(20) == 0
    alerts = place.alerts()
    assert [alert["event"]["MESSAGE"] for alert in alerts] == ["evil-marker number=1.", "evil-marker number=2."]
    first = alerts[0]
    assert (first["rule"]["title"], first["rule"]["level"], first["host"]) == ("Marked line", "high", "web")
    assert first["attack"] == {"tactics": ["execution"], "techniques": ["T1059.004"], "groups": [], "software": []}
    assert first["source"]["name"] == "stdin"
    assert first["matched"][0]["values"] == ["evil-marker"]
    assert alerts[0]["id"] != alerts[1]["id"]
    assert "stopped" in service.log


def test_sigterm_delivers_what_was_read_and_the_next_start_goes_on(tmp_path: Path) -> None:
    log = tmp_path / "app.log"
    log.write_bytes(line(1))
    place = Workplace(
        tmp_path, sources=[{"type": "file", "paths": [str(log)], "start": "beginning", "format": "syslog"}]
    )
    for number in (1, 2, 3):
        with place.start() as service:
            service.until(lambda number=number: len(place.alerts()) == number)
            assert service.stop() == 0
        with log.open("ab") as file:
            file.write(line(number + 1))
    assert len({alert["id"] for alert in place.alerts()}) == 3


def test_a_restart_says_where_it_goes_on_and_where_the_page_is(tmp_path: Path) -> None:
    """Only what was read before; a first start goes on nowhere."""
    log = tmp_path / "app.log"
    log.write_bytes(line(1))
    source = {"type": "file", "paths": [str(log)], "start": "beginning", "format": "syslog"}
    place = Workplace(tmp_path, sources=[source], server={"listen": f"127.0.0.1:{free_port()}"})
    with place.start() as service:
        service.until(place.alerts)
        assert service.stop() == 0
    assert "going on" not in service.log
    with place.start() as service:
        service.until(lambda: "running: " in service.log)
        assert service.stop() == 0
    messages = [entry.split(" INFO ")[-1] for entry in service.log.splitlines()]
    told = f"source file: going on at {log}, byte {log.stat().st_size}"
    page = f"server: page at http://{place.configuration['server']['listen']}/"
    assert [one for one in messages if one in {told, page, "running: file -> file"}] == [told, page, messages[-2]]
    place.configuration["sources"] = [{**source, "paths": [str(tmp_path / "other.log")]}]
    place.write()
    with place.start() as service:
        service.until(lambda: "running: " in service.log)
        assert service.stop() == 0
    assert "going on" not in service.log


def test_a_port_in_use_is_told_before_anything_is_said_to_run(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        source = {"type": "file", "paths": [str(tmp_path / "app.log")]}
        place = Workplace(tmp_path, sources=[source], server={"listen": address})
        with place.start() as service:
            assert service.process.wait(20) == 5
    assert service.log.count(f"cannot go on: server: cannot listen on {address}") == 1
    assert "running: " not in service.log


def test_sinks_take_what_they_select(tmp_path: Path) -> None:
    sinks = [
        {"type": "file", "name": "all", "path": str(tmp_path / "alerts.jsonl")},
        {"type": "file", "name": "critical", "path": str(tmp_path / "critical.jsonl"), "min_level": "critical"},
        {"type": "file", "name": "db", "path": str(tmp_path / "db.jsonl"), "hosts": ["db*"]},
    ]
    place = Workplace(tmp_path, sources=[STDIN], sinks=sinks)
    with place.start(stdin=subprocess.PIPE) as service:
        service.process.communicate(line(1) + line(2, "db-1"), 20)
    assert len(place.alerts()) == 2
    assert not (tmp_path / "critical.jsonl").exists()
    assert [json.loads(one)["host"] for one in (tmp_path / "db.jsonl").read_text().splitlines()] == ["db-1"]


def test_sighup_opens_files_anew(tmp_path: Path) -> None:
    place = Workplace(tmp_path, sources=[STDIN])
    with place.start(stdin=subprocess.PIPE) as service:
        assert service.process.stdin is not None
        service.process.stdin.write(line(1))
        service.process.stdin.flush()
        service.until(lambda: len(place.alerts()) == 1)
        (tmp_path / "alerts.jsonl").rename(tmp_path / "alerts.jsonl.1")
        service.process.send_signal(signal.SIGHUP)
        service.process.stdin.write(line(2))
        service.process.stdin.close()
        assert service.process.wait(20) == 0
    assert len(place.alerts()) == 1


def test_fields_are_redacted(tmp_path: Path) -> None:
    place = Workplace(tmp_path, sources=[STDIN], redact=["MESSAGE", "SYSLOG_RAW"])
    with place.start(stdin=subprocess.PIPE) as service:
        service.process.communicate(line(1), 20)
    text = (tmp_path / "alerts.jsonl").read_text()
    assert "number=1" not in text
    assert json.loads(text)["event"]["MESSAGE"] == "[redacted]"


class Receiver:
    """A web server that keeps what it is sent, and answers as told."""

    def __init__(self) -> None:
        self.bodies: list[Any] = []
        self.status = 200
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if receiver.status == 200:
                    receiver.bodies.append(json.loads(body))
                self.send_response(receiver.status)
                self.end_headers()

            def log_message(self, *_: object) -> None: ...

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever)
        self.thread.start()
        self.url = f"http://127.0.0.1:{self.server.server_port}/"

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.close()


def test_a_sink_that_is_down_stops_no_other_and_gets_its_alerts_later(tmp_path: Path, receiver: Receiver) -> None:
    receiver.status = 503
    sinks = [
        {"type": "file", "path": str(tmp_path / "alerts.jsonl")},
        {"type": "webhook", "url": receiver.url, "allowed_hosts": ["127.0.0.1"]},
    ]
    place = Workplace(tmp_path, sources=[STDIN], sinks=sinks)
    with place.start(stdin=subprocess.PIPE) as service:
        service.process.communicate(b"".join(map(line, range(5))), 20)
        assert service.process.returncode == 0
        assert len(place.alerts()) == 5
        assert "sink webhook: 5 alerts not sent; kept for the next start" in service.log
    receiver.status = 200
    with place.start() as service:  # standard input is empty: it ends when all is delivered
        assert service.process.wait(20) == 0
        assert "sink webhook: 5 alerts of an earlier run to be sent" in service.log
    assert [body["id"] for body in receiver.bodies] == [alert["id"] for alert in place.alerts()]


def test_what_a_sink_refuses_is_put_aside(tmp_path: Path, receiver: Receiver) -> None:
    receiver.status = 422
    sinks = [{"type": "webhook", "url": receiver.url}]
    place = Workplace(tmp_path, sources=[STDIN], sinks=sinks)
    with place.start(stdin=subprocess.PIPE) as service:
        service.process.communicate(line(1), 20)
        assert service.process.returncode == 0
        assert "refused and put aside" in service.log
    letters = (tmp_path / "state" / "dead-letters" / "sink-webhook.jsonl").read_text().splitlines()
    assert [json.loads(letter)["alert"]["rule"]["title"] for letter in letters] == ["Marked line"]


def post(url: str, body: bytes) -> tuple[int, Any]:
    try:
        with urllib.request.urlopen(urllib.request.Request(url, body), timeout=20) as reply:
            return reply.status, json.loads(reply.read())
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.loads(error.read())


def is_healthy(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/healthz", timeout=5) as reply:
            return bool(reply.read() == b"ok\n")
    except OSError:
        return False


def test_http_metrics_and_health(tmp_path: Path) -> None:
    port = free_port()
    place = Workplace(tmp_path, sources=[{"type": "http"}], server={"listen": f"127.0.0.1:{port}"})
    with place.start() as service:
        service.until(lambda: "running" in service.log)
        url = f"http://127.0.0.1:{port}"

        service.until(lambda: is_healthy(url))
        status, reply = post(f"{url}/ingest/http", b'[{"MESSAGE": "evil-marker"}, {"MESSAGE": "fine"}]')
        assert (status, reply["threat_detected"], reply["events"]) == (200, True, 2)
        assert [alert["event"] for alert in reply["alerts"]] == [0]
        service.until(lambda: [alert["id"] for alert in place.alerts()] == [alert["id"] for alert in reply["alerts"]])
        with urllib.request.urlopen(f"{url}/metrics", timeout=5) as exposition:
            text = exposition.read().decode()
        assert 'sigma_pyeval_source_events_total{source="http"} 2.0' in text
        assert 'sigma_pyeval_alerts_total{level="high"} 1.0' in text
        assert service.stop() == 0


def test_a_full_spool_makes_sources_wait_and_loses_nothing(tmp_path: Path, receiver: Receiver) -> None:
    receiver.status = 503
    log = tmp_path / "app.log"
    padding = b"x" * 2_000
    count = 1_500
    log.write_bytes(b"".join(line(number).rstrip() + padding + b"\n" for number in range(count)))
    place = Workplace(
        tmp_path,
        sources=[{"type": "file", "paths": [str(log)], "start": "beginning", "format": "syslog"}],
        sinks=[{"type": "webhook", "url": receiver.url}],
        spool_bytes=1 << 20,
        stop_seconds=2,
    )
    with place.start() as service:
        service.until(lambda: "the spool is full: source file waits" in service.log)
        assert (tmp_path / "state" / "state.sqlite").stat().st_size < 3 << 20
        receiver.status = 200
        service.until(lambda: len({body["id"] for body in receiver.bodies}) == count, 60)
        assert service.stop() == 0
    assert len(receiver.bodies) == count  # each once: nothing crashed


def test_alerts_of_a_sink_that_is_not_required_make_room(tmp_path: Path, receiver: Receiver) -> None:
    receiver.status = 503
    log = tmp_path / "app.log"
    count = 1_500
    log.write_bytes(b"".join(line(number).rstrip() + b"x" * 2_000 + b"\n" for number in range(count)))
    place = Workplace(
        tmp_path,
        sources=[{"type": "file", "paths": [str(log)], "start": "beginning", "format": "syslog"}],
        sinks=[
            {"type": "file", "path": str(tmp_path / "alerts.jsonl")},
            {"type": "webhook", "url": receiver.url, "required": False},
        ],
        spool_bytes=1 << 20,
    )
    with place.start() as service:
        service.until(lambda: len(place.alerts()) == count, 60)
        assert "sink webhook:" in service.log
        assert "given up, the spool is full" in service.log
        assert service.stop() == 0


def test_alerts_of_a_sink_that_was_removed_make_room(tmp_path: Path, receiver: Receiver) -> None:
    receiver.status = 503
    log = tmp_path / "app.log"
    log.write_bytes(b"".join(line(number).rstrip() + b"x" * 2_000 + b"\n" for number in range(500)))
    source = {"type": "file", "paths": [str(log)], "start": "beginning", "format": "syslog"}
    sinks = [{"type": "webhook", "url": receiver.url}]
    place = Workplace(tmp_path, sources=[source], sinks=sinks, spool_bytes=1 << 20, stop_seconds=2)
    with place.start() as service:
        service.until(lambda: "the spool is full" in service.log)
        service.stop()
    place.configuration["sinks"] = [{"type": "file", "path": str(tmp_path / "alerts.jsonl")}]
    place.write()
    with place.start() as service:
        service.until(lambda: len(place.alerts()) >= 300)  # all that were not judged before
        assert "sink webhook:" in service.log
        assert service.stop() == 0


def test_a_second_service_on_the_same_state_is_refused(tmp_path: Path) -> None:
    place = Workplace(tmp_path, sources=[STDIN])
    with place.start(stdin=subprocess.PIPE) as service:
        service.until(lambda: "running" in service.log)
        with place.start() as second:
            assert second.process.wait(20) == 2
            assert "is the service running already?" in second.log


def test_a_part_that_cannot_run_ends_the_service(tmp_path: Path) -> None:
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        place = Workplace(tmp_path, sources=[STDIN], server={"listen": f"127.0.0.1:{taken.getsockname()[1]}"})
        with place.start(stdin=subprocess.PIPE) as service:
            assert service.process.wait(20) == 5
            assert "Address already in use; see server.listen" in service.log
            assert "Traceback" not in service.log


def test_check_says_whether_all_can_be_used(tmp_path: Path) -> None:
    place = Workplace(tmp_path, sources=[STDIN])
    with place.start("--check", stdout=subprocess.PIPE) as service:
        out, _ = service.process.communicate(timeout=20)
    assert out.decode() == f"{tmp_path}/monitor.yml: usable; 1 rule, 0 rules left out\n"
    assert not (tmp_path / "state").exists()
    place.configuration["sinks"] = [{"type": "fil"}]
    place.write()
    with place.start("--check") as service:
        assert service.process.wait(20) == 2
    assert "sinks[0].type: unknown; did you mean 'file'?" in service.log


def test_log_text_cannot_steer_a_terminal(tmp_path: Path) -> None:
    place = Workplace(tmp_path, sources=[{"type": "stdin", "format": "jsonl"}])
    with place.start(stdin=subprocess.PIPE) as service:
        service.process.communicate(b'{"a": "\x1b[31m \xe2\x80\xae broken\n', 20)
    assert "source stdin: not read" in service.log
    assert "\x1b" not in service.log
    assert "\u202e" not in service.log


def test_a_file_name_that_is_no_text(tmp_path: Path) -> None:
    """Its bytes reach state, metrics and alerts as escapes, and it is found again after a restart."""
    (tmp_path / "logs").mkdir()
    name = os.fsencode(tmp_path / "logs") + b"/\xff.log"
    port = free_port()
    place = Workplace(
        tmp_path,
        sources=[{"type": "file", "paths": [f"{tmp_path}/logs/*.log"], "start": "beginning", "format": "syslog"}],
        server={"listen": f"127.0.0.1:{port}"},
    )
    for number in (1, 2):
        with open(name, "ab") as file:
            file.write(line(number))
        with place.start() as service:
            service.until(
                lambda number=number: len(place.alerts()) == number and is_healthy(f"http://127.0.0.1:{port}")
            )
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as exposition:
                assert b"sigma_pyeval_source_events_total" in exposition.read()
            assert service.stop() == 0
    assert [alert["source"]["path"] for alert in place.alerts()] == [f"{tmp_path}/logs/\\xff.log"] * 2


def test_files_are_for_their_owner_alone(tmp_path: Path) -> None:
    place = Workplace(tmp_path, sources=[STDIN])
    with place.start(stdin=subprocess.PIPE) as service:
        service.process.communicate(line(1), 20)
    assert (tmp_path / "alerts.jsonl").stat().st_mode & 0o777 == 0o600
    assert os.stat(tmp_path / "state").st_mode & 0o777 == 0o700
