"""What an operator sees of ``sigma-pyeval monitor``: its errors, its check, its ending; and what must not end it."""

from __future__ import annotations

import contextlib
import json
import socket
import sqlite3
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from sigma.pyeval.cli import main
from tests.monitor.privileges import as_nobody
from tests.monitor.service import Workplace

STDIN = {"type": "stdin", "format": "syslog"}
LINE = b"Nov 22 03:00:00 web prog: evil-marker number=%d.\n"
RULE_ID = "5d3f7a51-6d0c-4d5e-9b1a-0f3c2a7b9e10"


def monitor(place: Workplace, *arguments: str) -> Result:
    return CliRunner().invoke(main, ["monitor", "-c", str(place.path / "monitor.yml"), *arguments])


def written(place: Workplace, **changes: Any) -> Workplace:
    place.configuration.update(changes)
    place.write()
    return place


@pytest.fixture
def place(tmp_path: Path) -> Workplace:
    return Workplace(tmp_path, sources=[STDIN])


def test_errors_of_the_configuration(place: Workplace) -> None:
    written(place, spool_bytes="1G", sinks=[{"type": "stdout", "min_level": "hihg", "\u202ex": 1}])
    result = monitor(place)
    path = place.path / "monitor.yml"
    assert result.exit_code == 2
    assert result.stderr.splitlines() == [
        f"error: {path}: sinks[0].min_level: unknown; did you mean 'high'?",
        f"error: {path}: sinks[0].\\u202ex: {result.stderr.splitlines()[1].partition('x: ')[2]}",
        f"error: {path}: spool_bytes: a whole number of bytes is needed, without a unit",
        f"3 errors in {path}",
    ]


def test_a_file_that_is_none(place: Workplace) -> None:
    (place.path / "monitor.yml").write_text("- a")
    path = place.path / "monitor.yml"
    result = monitor(place, "--check")
    assert result.exit_code == 2
    assert (
        result.stderr
        == f"error: {path}: a configuration is a mapping of keys; see docs/monitor.md\n1 error in {path}\n"
    )


def test_a_good_one_is_usable(place: Workplace) -> None:
    result = monitor(place, "--check")
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == f"{place.path / 'monitor.yml'}: usable; 1 rule, 0 rules left out\n"
    assert not (place.path / "state").exists()


CHECKS: list[tuple[str, dict[str, Any], int, list[str]]] = [
    ("parent of the state missing", {"state": "{}/a/b"}, 0, ["state: {}/a is not there; it will be made"]),
    ("file in the way of the state", {"state": "{}/file/b"}, 2, ["state: {}/file is in the way, it is no directory"]),
    ("link without end in the way", {"state": "{}/dangling"}, 2, ["state: {}/dangling is in the way"]),
    ("source that is not there", {"sources": [{"type": "file", "paths": ["{}/file", "{}/no.log"]}]}, 0, ["sources[0].paths[1]: there is no {}/no.log yet"]),
    ("pattern without files", {"sources": [{"type": "file", "paths": ["{}/*.nolog", "{}/fil*"]}]}, 0, ["sources[0].paths[0]: no file matches {}/*.nolog yet"]),
    ("directory as source", {"sources": [{"type": "file", "paths": ["{}/rules"]}]}, 0, ["sources[0].paths[0]: {}/rules is a directory; write a pattern such as {}/rules/*.log"]),
    ("folder of a sink missing", {"sinks": [{"type": "file", "path": "{}/no/a"}]}, 0, ["sinks[0].path: there is no folder {}/no; alerts wait"]),
    ("file as folder of a sink", {"sinks": [{"type": "file", "path": "{}/file/a"}]}, 2, ["sinks[0].path: {}/file is no directory"]),
    ("sink that is a directory", {"sinks": [{"type": "file", "path": "{}/rules"}]}, 2, ["sinks[0].path: {}/rules is a directory"]),
    ("sink that is a link", {"sinks": [{"type": "file", "path": "{}/dangling"}]}, 2, ["sinks[0].path: {}/dangling is a symbolic link"]),
    ("rule that is not loaded", {"sinks": [{"type": "stdout", "rules": [RULE_ID.upper(), "x"]}]}, 0, ["sinks[0].rules: no loaded rule has 'x'"]),
    ("tag that no rule has", {"sinks": [{"type": "stdout", "tags": ["attack.t1*", "attack.t9*"]}]}, 0, ["sinks[0].tags: no loaded rule has 'attack.t9*'"]),
    ("level that no rule reaches", {"sinks": [{"type": "stdout", "min_level": "critical", "hosts": ["a"]}]}, 0, ["sinks[0]: min_level, tags and rules select none of the loaded rules; stdout will"]),
    ("hosts only", {"sinks": [{"type": "stdout", "hosts": ["a"]}]}, 0, []),
    ("alerts into the journal that is read", {"sources": [{"type": "stdin"}, {"type": "journald"}], "sinks": [{"type": "stdout"}]}, 0, ["sinks[0]: a service's standard output is the journal, which sources[1] reads: alerts may raise alerts; write to a file instead"]),
    ("alerts into a journal of which units are read", {"sources": [{"type": "journald", "units": ["ssh.service"]}], "sinks": [{"type": "stdout"}]}, 0, []),
    ("two at once", {"state": "{}/file", "sinks": [{"type": "file", "path": "{}/rules"}]}, 2, ["state: ", "sinks[0].path: "]),
]  # fmt: skip


@pytest.mark.parametrize(("changes", "code", "expected"), [row[1:] for row in CHECKS], ids=[row[0] for row in CHECKS])
def test_check(place: Workplace, changes: dict[str, Any], code: int, expected: list[str]) -> None:
    folder = str(place.path)
    (place.path / "file").touch()
    (place.path / "dangling").symlink_to("nowhere")
    written(place, **json.loads(json.dumps(changes).replace("{}", folder)))
    before = sorted(place.path.rglob("*"))
    result = monitor(place, "--check")
    assert result.exit_code == code, result.output
    start = f"{'error' if code else 'warning'}: {folder}/monitor.yml: "
    lines = [line for line in result.stderr.splitlines() if line.startswith(("error", "warning"))]
    assert len(lines) == len(expected)
    for line, words in zip(lines, expected, strict=True):
        assert line.startswith(start + words.replace("{}", folder))
    assert sorted(place.path.rglob("*")) == before


def test_check_without_permission() -> None:
    with as_nobody() as folder:
        closed = folder / "closed"
        closed.mkdir(0o500)
        place = Workplace(folder, sources=[STDIN])
        written(place, state=str(closed / "state"), sinks=[{"type": "file", "path": str(closed / "a")}])
        result = monitor(place, "--check")
        assert result.exit_code == 0
        assert result.stderr.count(f"this user cannot write to {closed}\n") == 2


def test_filters_that_select_nothing_are_told_at_a_start(place: Workplace) -> None:
    sink = {"type": "file", "path": str(place.path / "alerts.jsonl"), "tags": ["attack.t9*"]}
    with written(place, sinks=[sink]).start() as service:
        assert service.process.wait(20) == 0
    assert "sinks[0].tags: no loaded rule has 'attack.t9*'" in service.log
    assert service.log.endswith("INFO stopped\n")
    assert "INFO 1 rule, 0 rules left out\n" in service.log


@pytest.mark.parametrize("state", ["/proc/nope", "{}/file", "{}/file/state"])
def test_a_state_that_cannot_be_made(place: Workplace, state: str) -> None:
    (place.path / "file").touch()
    state = state.replace("{}", str(place.path))
    with written(place, state=state).start("--log-level", "error") as service:
        assert service.process.wait(20) == 2
    assert service.log.startswith(f"error: state: {state} cannot be made: ")
    assert service.log.endswith("; name a directory that this user can write\n")
    assert service.log.count("\n") == 1


def test_a_state_that_is_none(place: Workplace) -> None:
    (place.path / "state").mkdir()
    (place.path / "state" / "state.sqlite").write_text(
        "no database, but text that is long enough to be looked at " * 20
    )
    with place.start("--log-level", "error") as service:
        assert service.process.wait(20) == 2
    assert service.log.startswith("error: state: ")
    assert service.log.count("\n") == 1


def test_a_part_that_fails_is_told_at_the_end(place: Workplace) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        server = {"listen": f"127.0.0.1:{taken.getsockname()[1]}"}
        with written(place, server=server).start(stdin=subprocess.PIPE) as service:
            assert service.process.wait(20) == 5
    assert service.log.endswith("ERROR stopped: a part failed (exit code 5)\n")


def test_a_reader_of_standard_output_that_goes_away_does_not_end_it(place: Workplace) -> None:
    file = place.configuration["sinks"][0]
    written(place, sinks=[{"type": "stdout", "format": "text"}, file], stop_seconds=2)
    with place.start(stdin=subprocess.PIPE, stdout=subprocess.PIPE) as service:
        stdin, stdout = service.process.stdin, service.process.stdout
        assert stdin is not None
        assert stdout is not None
        stdin.write(LINE % 1)
        stdin.flush()
        assert b"Marked line" in stdout.readline()
        stdout.close()
        for number in range(2, 6):
            stdin.write(LINE % number)
            stdin.flush()
            service.until(lambda number=number: len(place.alerts()) == number)
        service.until(lambda: "Broken pipe" in service.log)
        assert service.stop() == 0
    assert "sink stdout: 4 alerts not sent; kept for the next start" in service.log


def test_clients_that_go_away_at_once_do_not_end_it(place: Workplace) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    written(place, server={"listen": f"127.0.0.1:{port}"})
    with place.start(stdin=subprocess.PIPE) as service:
        assert service.process.stdin is not None
        service.until(lambda: _answers(port))
        for number in range(50):
            with socket.create_connection(("127.0.0.1", port)) as client:
                client.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n" * 3)
                if number % 2:  # reset, not closed: the next write meets an error
                    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        assert _answers(port)
        service.process.stdin.write(LINE % 1)
        service.process.stdin.close()
        assert service.process.wait(20) == 0
    assert len(place.alerts()) == 1


def _answers(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port)) as client:
            client.sendall(b"GET /healthz HTTP/1.0\r\n\r\n")
            return b"200" in client.recv(64)
    except ConnectionError:
        return False


def test_broken_pipes_are_errors_not_the_end() -> None:
    """The command itself sees to it: other commands end as filters do."""
    program = (
        "import signal, sys; from sigma.pyeval.cli import run; sys.argv[1:] = ['monitor', '-c', '/nowhere'];"
        "import atexit; atexit.register(lambda: print(signal.getsignal(signal.SIGPIPE).name)); run()"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.stdout == "SIG_IGN\n"


def test_a_state_that_is_damaged_within_is_one_line(place: Workplace) -> None:
    (place.path / "state").mkdir()
    with place.start() as service:
        assert service.process.wait(20) == 0
    with contextlib.closing(sqlite3.connect(place.path / "state" / "state.sqlite")) as database:
        database.execute("DROP TABLE pending")
        database.commit()
    with place.start("--log-level", "error") as service:
        assert service.process.wait(20) == 5
    assert service.log == f"error: state: {place.path / 'state'}: no such table: pending\n"
