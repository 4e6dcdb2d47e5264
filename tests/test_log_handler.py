"""The logging handler: records are events, matches come back in its own thread, and logging goes on whatever happens."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from sigma.pyeval import Match, Ruleset, load_rules, parse_rules
from sigma.pyeval.log_handler import DetectionHandler, record_event

from .conftest import ROOT, rule_yaml

NEEDLE = parse_rules(rule_yaml("k: [needle]\ncondition: k", "Needle"))
MakeHandler = Callable[..., tuple[logging.Logger, DetectionHandler, list[Match]]]


@pytest.fixture
def make(request: pytest.FixtureRequest) -> Iterator[MakeHandler]:
    """Return what makes a logger with a handler, which are taken apart in the end."""
    made: list[tuple[logging.Logger, DetectionHandler]] = []

    def make(
        on_match: Callable[[Match, logging.LogRecord], object] | None = None, ruleset: Ruleset = NEEDLE, **options: Any
    ) -> tuple[logging.Logger, DetectionHandler, list[Match]]:
        found: list[Match] = []
        handler = DetectionHandler(ruleset, on_match or (lambda match, record: found.append(match)), **options)
        logger = logging.getLogger(f"tests.{request.node.name}")
        logger.setLevel(logging.DEBUG)
        logger.propagate = False
        logger.addHandler(handler)
        made.append((logger, handler))
        return logger, handler, found

    yield make
    for logger, handler in made:
        logger.removeHandler(handler)
        handler.close()


def test_a_record_that_matches_calls_back(make: MakeHandler) -> None:
    """With the match and the record, in a thread that is not the program's."""
    seen: list[tuple[str, int, str]] = []
    logger, handler, _ = make(
        lambda match, record: seen.append((match.rule.title, record.levelno, threading.current_thread().name))
    )
    logger.warning("a %s in it", "needle")
    logger.warning("hay")
    handler.flush()
    assert seen == [("Needle", logging.WARNING, "sigma-pyeval-logging")]


def test_what_a_record_is_as_an_event() -> None:
    """The journal's names for its parts, and what was given as extra."""
    logger = logging.getLogger("app.auth")
    try:
        raise ValueError("inner")
    except ValueError:
        record = logger.makeRecord(
            "app.auth", logging.ERROR, "/srv/app.py", 7, "user %s", ("x",), sys.exc_info(), "login", {"user": {"id": 5}}
        )
    event = record_event(record)
    assert event.pop("EXCEPTION_TEXT").splitlines()[-1] == "ValueError: inner"
    assert event == {
        "MESSAGE": "user x", "PRIORITY": "3", "SYSLOG_IDENTIFIER": "app.auth", "LOGGER": "app.auth", "_PID": str(os.getpid()),
        "CODE_FILE": "/srv/app.py", "CODE_LINE": 7, "CODE_FUNC": "login", "THREAD_NAME": "MainThread",
        "PROCESS_NAME": "MainProcess", "user": {"id": 5},
    }  # fmt: skip


@pytest.mark.parametrize(
    ("level", "priority"),
    [(logging.DEBUG, "7"), (logging.INFO, "6"), (25, "6"), (logging.WARNING, "4"), (logging.ERROR, "3"), (logging.CRITICAL, "2"), (99, "2")],
)  # fmt: skip
def test_levels_are_priorities(level: int, priority: str) -> None:
    """Those of syslog, the next lower where a level has no name."""
    assert record_event(logging.makeLogRecord({"levelno": level}))["PRIORITY"] == priority


def test_rules_for_services_hold_for_loggers(make: MakeHandler) -> None:
    """A program's records look like its lines in the journal: ``linux_eval`` finds them by the logger's name."""
    ruleset = load_rules(ROOT / "examples/rules/sshd_root_password.yml", pipeline="linux_eval")
    logger, handler, found = make(
        ruleset=ruleset, event_of=lambda record: record_event(record) | {"SYSLOG_IDENTIFIER": "sshd"}
    )
    logger.info("Accepted password for root from 203.0.113.7 port 51514 ssh2")
    handler.flush()
    assert [match.rule.title for match in found] == ["Root Logs In With A Password"]


def test_a_callback_that_logs_does_not_go_round(make: MakeHandler) -> None:
    """What it logs about a needle is no needle."""
    calls: list[str] = []

    def on_match(match: Match, record: logging.LogRecord) -> None:
        calls.append(record.getMessage())
        logger.error("found a needle: %s", record.getMessage())

    logger, handler, _ = make(on_match)
    logger.info("needle 1")
    logger.info("needle 2")
    handler.flush()
    assert calls == ["needle 1", "needle 2"]


AT_THE_END = """
import logging, os, sys, time
from sigma.pyeval import parse_rules
from sigma.pyeval.log_handler import DetectionHandler
def on_match(match, record):
    time.sleep(0.02)
    logging.warning("found a needle")
    os.write(1, (record.getMessage() + "\\n").encode())
logging.basicConfig(level="INFO", handlers=[DetectionHandler(parse_rules(sys.argv[1]), on_match)])
for number in range(50):
    logging.info("needle %d", number)
"""


def test_a_callback_that_logs_while_the_program_ends() -> None:
    """Logging holds the handler's lock while it waits for what is not judged yet; the callback does not wait for that lock."""
    command = [sys.executable, "-W", "ignore", "-c", AT_THE_END, rule_yaml("k: [needle]\ncondition: k", "Needle")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.splitlines() == [f"needle {number}" for number in range(50)]


def test_what_was_logged_is_judged_as_it_was(make: MakeHandler) -> None:
    """A program may go on with what it gave as ``extra``, long before it is judged."""
    release = threading.Event()
    seen: list[str] = []

    def on_match(match: Match, record: logging.LogRecord) -> None:
        release.wait(30)
        seen.append(record.getMessage())

    logger, handler, _ = make(on_match)
    logger.info("a needle")
    row: dict[str, Any] = {"inner": [{"text": "needle"}], "data": bytearray(b"x")}
    row["itself"] = row
    for name, value in (("d", {"inner": [{"text": "needle"}]}), ("l", ["needle"]), ("b", bytearray(b"needle"))):
        logger.info(name, extra={"row": value})
        value["inner"][0].clear() if isinstance(value, dict) else value.clear()
    logger.info("in a ring", extra={"row": row})
    release.set()
    handler.flush()
    assert seen == ["a needle", "d", "l", "b", "in a ring"]


def test_closing_waits_once(make: MakeHandler) -> None:
    """For a callback that does not return, ``stop_seconds`` in all."""
    release = threading.Event()
    logger, handler, _ = make(lambda match, record: release.wait(30), stop_seconds=0.5)
    logger.info("needle")
    started = time.monotonic()
    handler.close()
    assert 0.4 < time.monotonic() - started < 0.9
    release.set()


def test_an_exception_from_another_process() -> None:
    """Which has come as text alone."""
    record = logging.makeLogRecord({"levelno": 40, "exc_text": "Traceback ...\nValueError: inner"})
    assert record_event(record)["EXCEPTION_TEXT"].endswith("ValueError: inner")


def test_a_callback_that_fails_is_told_and_the_next_is_called(
    make: MakeHandler, capsys: pytest.CaptureFixture[str]
) -> None:
    """As logging tells of its own errors: on stderr, unless logging.raiseExceptions is off."""
    calls: list[str] = []

    def on_match(match: Match, record: logging.LogRecord) -> None:
        calls.append(record.getMessage())
        raise OSError("the pager is down")

    logger, handler, _ = make(on_match)
    logger.info("needle 1")
    logger.info("needle 2")
    handler.flush()
    assert calls == ["needle 1", "needle 2"]
    assert capsys.readouterr().err.count("OSError: the pager is down") == 2


def test_a_record_that_cannot_be_put_together(make: MakeHandler, capsys: pytest.CaptureFixture[str]) -> None:
    """The program goes on, and so does the handler."""
    logger, handler, found = make()
    logger.info("needle %d", "not a number")
    logger.info("needle")
    handler.flush()
    assert len(found) == 1
    assert "not all arguments converted" in (text := capsys.readouterr().err) or "%d format" in text


@pytest.mark.no_cover
def test_a_slow_callback_holds_nobody_up(make: MakeHandler) -> None:
    """Records beyond the queue's capacity are counted, and logging returns at once."""
    release = threading.Event()
    calls: list[str] = []

    def on_match(match: Match, record: logging.LogRecord) -> None:
        calls.append(record.getMessage())
        release.wait(30)

    logger, handler, _ = make(on_match, capacity=5, stop_seconds=0.2)
    logger.info("needle 0")
    until = time.monotonic() + 10
    while not calls and time.monotonic() < until:
        time.sleep(0.01)
    started = time.monotonic()
    for number in range(1, 101):
        logger.info("needle %d", number)
    handler.flush()
    assert time.monotonic() - started < 5
    assert handler.dropped == 95
    release.set()
    handler.flush()
    until = time.monotonic() + 10
    while len(calls) < 6 and time.monotonic() < until:
        time.sleep(0.01)
    assert calls == [f"needle {number}" for number in range(6)]


def test_the_level_and_the_capacity(make: MakeHandler) -> None:
    """Records below the level are not judged; a queue that holds nothing is refused."""
    logger, handler, found = make(level="ERROR")
    logger.warning("needle")
    logger.error("needle")
    handler.flush()
    assert len(found) == 1
    with pytest.raises(ValueError, match="capacity is at least 1, not 0"):
        DetectionHandler(NEEDLE, print, capacity=0)


def test_the_end(make: MakeHandler) -> None:
    """Closing judges what waits, ends the thread, and may be done twice; later records are let go."""
    logger, handler, found = make()
    for _ in range(50):
        logger.info("needle")
    handler.close()
    handler.close()
    handler.flush()
    logger.info("needle")
    assert len(found) == 50
    assert "sigma-pyeval-logging" not in [thread.name for thread in threading.enumerate()]


PROGRAM = """
import logging, os, sys, time
from sigma.pyeval import parse_rules
from sigma.pyeval.log_handler import DetectionHandler
ruleset = parse_rules(sys.argv[1])
def on_match(match, record):
    os.write(1, f"{match.rule.title}: {record.getMessage()}\\n".encode())
    if "exit" in record.getMessage():
        raise SystemExit
logging.basicConfig(level="INFO", handlers=[DetectionHandler(ruleset, on_match)])
logging.info("needle in the parent")
logging.getLogger().handlers[0].flush()
if os.fork() == 0:
    logging.info("needle in the child")
    logging.shutdown()
    os._exit(0)
os.wait()
logging.info("needle exit")
time.sleep(0.5)
logging.info("needle at the end")
"""


def test_processes_that_fork_and_end() -> None:
    """A forked process judges its own records; a thread that ended is begun anew; what waits at the end is judged."""
    command = [sys.executable, "-W", "ignore", "-c", PROGRAM, rule_yaml("k: [needle]\ncondition: k", "Needle")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.splitlines() == [
        "Needle: needle in the parent",
        "Needle: needle in the child",
        "Needle: needle exit",
        "Needle: needle at the end",
    ]
