"""What systemd is told, on a real datagram socket as NOTIFY_SOCKET names it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from sigma.pyeval.loading import parse_rules
from sigma.pyeval.monitor.journal import LOGGER
from sigma.pyeval.monitor.notification import Notifier
from sigma.pyeval.monitor.readiness import STUCK_SECONDS, Progress, Readiness

from .service import RULE, Workplace


class ServiceManager:
    """The socket that systemd would read."""

    def __init__(self, address: str) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind("\0" + address[1:] if address[0] == "@" else address)
        self.socket.settimeout(20)

    def next(self) -> dict[str, str]:
        """Return the assignments of the next message."""
        text = self.socket.recv(65_536).decode()
        return dict(line.split("=", 1) for line in text.splitlines())

    def until(self, name: str) -> dict[str, str]:
        """Return the next message with *name*."""
        while name not in (message := self.next()):
            pass
        return message


@pytest.fixture(params=["path", "abstract"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return str(tmp_path / "notify") if request.param == "path" else f"@pyeval-test-{os.getpid()}-{time.monotonic_ns()}"


@pytest.fixture
def manager(address: str) -> Iterator[ServiceManager]:
    made = ServiceManager(address)
    yield made
    made.socket.close()


def readiness() -> Readiness:
    """Return one that finds rules and nothing else."""
    ruleset = parse_rules(RULE)
    return Readiness(lambda: ruleset, {}, {})


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> pytest.LogCaptureFixture:
    monkeypatch.setattr(LOGGER, "propagate", True)
    caplog.set_level(logging.INFO, LOGGER.name)
    return caplog


def test_messages(manager: ServiceManager, address: str) -> None:
    environment = {"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "20000000", "WATCHDOG_PID": str(os.getpid())}
    notifier = Notifier(environment)
    assert environment == {}  # programs that the service starts don't speak for it
    assert notifier.watchdog_seconds == 20
    before = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    notifier.ready()
    assert manager.next()["READY"] == "1"
    with contextlib.suppress(ValueError), notifier.reloading():
        raise ValueError
    reloading = manager.next()
    assert reloading["RELOADING"] == "1"
    assert before <= int(reloading["MONOTONIC_USEC"]) <= time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    assert manager.next() == {"READY": "1"}  # also of a reload that failed
    notifier.status("2 rules\nREADY=0\x1b[31m\u202e")
    assert manager.next() == {"STATUS": r"2 rules\nREADY=0\x1b[31m\u202e"}
    notifier.alive()
    assert manager.next() == {"WATCHDOG": "1"}
    notifier.stopping()
    assert manager.next()["STOPPING"] == "1"
    notifier.close()
    notifier.ready()  # nothing, and no error


@pytest.mark.parametrize(
    ("microseconds", "process", "seconds"),
    [
        ("30000000", "", 30.0),
        ("30000000", "own", 30.0),
        ("30000000", "1", None),
        ("0", "", None),
        ("", "", None),
        ("soon", "", None),
    ],
)
def test_whose_watchdog(microseconds: str, process: str, seconds: float | None) -> None:
    pid = str(os.getpid()) if process == "own" else process
    notifier = Notifier({"NOTIFY_SOCKET": "/nowhere", "WATCHDOG_USEC": microseconds, "WATCHDOG_PID": pid})
    assert notifier.watchdog_seconds == seconds
    notifier.close()


def test_without_systemd_nothing_is_told() -> None:
    notifier = Notifier({"WATCHDOG_USEC": "30000000"})
    notifier.ready()
    assert notifier.watchdog_seconds is None


def test_what_cannot_be_told_stops_nothing(tmp_path: Path, log: pytest.LogCaptureFixture) -> None:
    notifier = Notifier({"NOTIFY_SOCKET": str(tmp_path / "nobody")})
    notifier.ready()
    assert "systemd cannot be told: No such file or directory" in log.text
    notifier.close()
    Notifier({"NOTIFY_SOCKET": "vsock:2:99\x1b"}).ready()
    assert r"vsock:2:99\x1b is no socket of this machine" in log.text


def test_what_there_is_no_room_for_is_told_later(manager: ServiceManager, address: str) -> None:
    """A manager that is busy must not leave the service "starting" for ever, nor hold up the event loop."""
    notifier = Notifier({"NOTIFY_SOCKET": address})
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as other:
        other.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while True:
                other.sendto(b"NOISE=1", manager.socket.getsockname())

    async def scenario() -> None:
        began = time.monotonic()
        notifier.ready()
        notifier.stopping()
        assert time.monotonic() - began < 1
        telling = asyncio.create_task(notifier.run(readiness()))
        found = []
        while len(found) < 2:
            message = await asyncio.to_thread(manager.next)
            found += [key for key in ("READY", "STOPPING") if key in message]
            if "NOISE" not in message or len(found) == 2:
                continue
            notifier._pay()
        assert found == ["READY", "STOPPING"]
        telling.cancel()
        await asyncio.wait({telling})

    asyncio.run(scenario())
    notifier.close()


def test_the_watchdog_is_fed_only_while_no_part_is_stuck(
    manager: ServiceManager, address: str, log: pytest.LogCaptureFixture
) -> None:
    now = 0.0
    notifier = Notifier({"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "40000"})
    checked = readiness()
    checked.upkeep = Progress(lambda: now)

    async def scenario() -> None:
        nonlocal now
        telling = asyncio.create_task(notifier.run(checked))
        for _ in range(3):
            await asyncio.to_thread(manager.until, "WATCHDOG")
        checked.upkeep.step()
        now = STUCK_SECONDS + 1
        async with asyncio.timeout(10):
            while "got no further" not in log.text:
                await asyncio.sleep(0.01)
        manager.socket.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while True:
                manager.next()
        await asyncio.sleep(0.2)  # ten times the watchdog's beat
        with contextlib.suppress(BlockingIOError):
            while True:
                assert "WATCHDOG" not in manager.next()
        manager.socket.settimeout(20)
        checked.upkeep.rest()
        await asyncio.to_thread(manager.until, "WATCHDOG")
        telling.cancel()
        await asyncio.wait({telling})

    asyncio.run(scenario())
    notifier.close()
    assert "the state got no further for 61 s" in log.text
    assert "the service gets on again" in log.text


def test_the_service_tells_its_start_reload_and_end(
    manager: ServiceManager, address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = tmp_path / "in.log"
    log.write_bytes(b"")
    place = Workplace(tmp_path, sources=[{"type": "file", "paths": [str(log)], "format": "syslog"}])
    monkeypatch.setenv("NOTIFY_SOCKET", address)
    monkeypatch.setenv("WATCHDOG_USEC", "200000")
    with place.start() as service:
        assert manager.next() == {"READY": "1", "STATUS": "running"}
        assert manager.until("WATCHDOG") == {"WATCHDOG": "1"}
        service.process.send_signal(signal.SIGHUP)
        assert manager.until("RELOADING")["MONOTONIC_USEC"].isdigit()
        assert manager.until("READY") == {"READY": "1"}
        assert service.stop() == 0
        manager.until("STOPPING")


def test_a_service_whose_loop_stands_still_is_not_alive(
    manager: ServiceManager, address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = Workplace(tmp_path, sources=[{"type": "file", "paths": [str(tmp_path / "*.log")], "format": "syslog"}])
    monkeypatch.setenv("NOTIFY_SOCKET", address)
    monkeypatch.setenv("WATCHDOG_USEC", "100000")
    with place.start() as service:
        manager.until("WATCHDOG")
        service.process.send_signal(signal.SIGSTOP)
        manager.socket.setblocking(False)
        deadline = time.monotonic() + 10
        quiet_since = time.monotonic()
        while time.monotonic() - quiet_since < 0.5:
            assert time.monotonic() < deadline
            with contextlib.suppress(BlockingIOError):
                manager.next()
                quiet_since = time.monotonic()
            time.sleep(0.01)
        manager.socket.settimeout(20)
        service.process.send_signal(signal.SIGCONT)
        manager.until("WATCHDOG")
