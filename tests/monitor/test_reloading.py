"""A running service goes over to new rules and another configuration, or stays as it is and says why."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import signal
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from sigma.pyeval.monitor import reloading
from sigma.pyeval.monitor.configuration import load_configuration
from sigma.pyeval.monitor.journal import LOGGER
from sigma.pyeval.monitor.program import load_anew, load_configured_rules
from sigma.pyeval.monitor.reloading import Reloader, _statuses
from sigma.pyeval.monitor.service import Ending, Service

from .privileges import as_nobody
from .service import RULE, Workplace, free_port
from .test_correlation import GUESSING, event, lines

OTHER = RULE.replace("evil-marker", "other-marker").replace("5d3f7a51", "6d3f7a51").replace("Marked line", "Other line")


def line(text: object) -> bytes:
    return f"Nov 22 03:00:00 web prog: {text}\n".encode()


def file_source(path: Path, **settings: Any) -> dict[str, Any]:
    return {"type": "file", "name": "log", "paths": [str(path)], "start": "beginning", "format": "syslog", **settings}


def json_source(path: Path) -> dict[str, Any]:
    return {"type": "file", "name": "log", "paths": [str(path)], "start": "beginning", "format": "jsonl"}


class Inside:
    """A service in this process, and its reloader."""

    def __init__(self, place: Workplace) -> None:
        self.place = place
        path = place.path / "monitor.yml"
        configuration = load_configuration(path)
        self.service = Service(configuration, load_configured_rules(configuration.rules))
        self.reloader = Reloader(self.service, path, lambda: load_anew(path))

    async def until(self, condition: Callable[[], object]) -> None:
        async with asyncio.timeout(20):
            while not condition():
                await asyncio.sleep(0.01)

    async def alerts(self, count: int) -> list[str]:
        """Wait for *count* alerts and return their rules' titles and messages."""
        await self.until(lambda: len(self.place.alerts()) >= count)
        return [f"{one['rule']['title']}: {one['event']['MESSAGE']}" for one in self.place.alerts()]

    def reloads(self, result: str) -> float:
        value = self.service.metrics.registry.get_sample_value("sigma_pyeval_reloads_total", {"result": result})
        return value or 0.0


@contextlib.asynccontextmanager
async def running(place: Workplace) -> AsyncIterator[Inside]:
    inside = Inside(place)
    task = asyncio.create_task(inside.service.run(inside.reloader.run))
    await inside.service.started.wait()
    try:
        yield inside
    finally:
        inside.service.stop()
        assert await task is Ending.CLEAN


@pytest.fixture(autouse=True)
def look_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reloading, "LOOK_SECONDS", 0.05)


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> pytest.LogCaptureFixture:
    monkeypatch.setattr(LOGGER, "propagate", True)
    caplog.set_level(logging.INFO, LOGGER.name)
    return caplog


def test_a_changed_rule_file_is_taken_over(tmp_path: Path, log: pytest.LogCaptureFixture) -> None:
    place = Workplace(tmp_path, sources=[file_source(tmp_path / "in")])
    (tmp_path / "in").write_bytes(line("evil-marker 1"))

    async def scenario() -> None:
        async with running(place) as inside:
            await inside.alerts(1)
            (tmp_path / "rules" / "other.yml").write_text(OTHER)
            await inside.until(lambda: inside.reloads("ok"))
            with (tmp_path / "in").open("ab") as file:
                file.write(line("other-marker") + line("evil-marker 2"))
            assert await inside.alerts(3) == [
                "Marked line: evil-marker 1",
                "Other line: other-marker",
                "Marked line: evil-marker 2",
            ]

    asyncio.run(scenario())
    assert f"reloading: {tmp_path}/rules/other.yml changed" in log.messages
    assert "reloaded: 2 rules, 0 rules left out; 1 new or changed, 0 gone or as they were before" in log.messages


def test_a_directory_replaced_by_renaming_is_seen(tmp_path: Path) -> None:
    place = Workplace(tmp_path, sources=[file_source(tmp_path / "in")])
    (tmp_path / "next").mkdir()
    (tmp_path / "next" / "other.yml").write_text(OTHER)

    async def scenario() -> None:
        async with running(place) as inside:
            os.rename(tmp_path / "rules", tmp_path / "rules.previous")
            os.rename(tmp_path / "next", tmp_path / "rules")
            await inside.until(lambda: inside.reloads("ok"))
            assert [rule.title for rule in inside.service.now.ruleset.rules] == ["Other line"]

    asyncio.run(scenario())


def test_without_watch_only_a_request_reloads(tmp_path: Path) -> None:
    place = Workplace(tmp_path, sources=[file_source(tmp_path / "in")], watch=False)

    async def scenario() -> None:
        async with running(place) as inside:
            (tmp_path / "rules" / "other.yml").write_text(OTHER)
            await asyncio.sleep(0.3)
            assert inside.reloads("ok") == 0
            inside.reloader.request()
            await inside.until(lambda: inside.reloads("ok"))
            assert len(inside.service.now.ruleset.rules) == 2

    asyncio.run(scenario())


BROKEN = [
    ("a rule that is no YAML", "rules/bad.yml", "title: [", "bad.yml"),
    ("a rule without a condition", "rules/bad.yml", RULE.replace("  condition: keywords\n", ""), "bad.yml"),
    ("a configuration that is no YAML", "monitor.yml", "rules: {", "monitor.yml"),
    ("an unknown key", "monitor.yml", "sourcs: []", "sourcs"),
]


@pytest.mark.parametrize(("name", "text", "told"), [row[1:] for row in BROKEN], ids=[row[0] for row in BROKEN])
def test_what_is_broken_keeps_the_running_set(
    name: str, text: str, told: str, tmp_path: Path, log: pytest.LogCaptureFixture
) -> None:
    place = Workplace(tmp_path, sources=[file_source(tmp_path / "in")])
    (tmp_path / "in").write_bytes(b"")

    async def scenario() -> None:
        async with running(place) as inside:
            before = inside.service.now
            good = (tmp_path / name).read_text() if (tmp_path / name).exists() else None
            (tmp_path / name).write_text(text)
            await inside.until(lambda: inside.reloads("refused"))
            assert inside.service.now is before
            (tmp_path / "in").write_bytes(line("evil-marker"))
            await inside.alerts(1)
            if good is None:
                (tmp_path / name).unlink()
            else:
                (tmp_path / name).write_text(good)
            await inside.until(lambda: inside.reloads("ok"))

    asyncio.run(scenario())
    refused = [message for message in log.messages if message.startswith("not reloaded: ")]
    assert [message for message in refused if told in message]
    assert "what ran before runs on, unchanged" in log.messages


def test_rules_that_stay_keep_what_the_engine_has_learned(tmp_path: Path) -> None:
    place = Workplace(tmp_path, sources=[file_source(tmp_path / "in")])

    async def scenario() -> None:
        async with running(place) as inside:
            before = inside.service.now
            assert await inside.reloader.reload()
            assert inside.service.now is not before
            assert inside.service.now.ruleset is before.ruleset

    asyncio.run(scenario())


def test_sources_and_sinks_come_and_go(tmp_path: Path, log: pytest.LogCaptureFixture) -> None:
    place = Workplace(tmp_path, sources=[file_source(tmp_path / "in")])
    (tmp_path / "in").write_bytes(line("evil-marker 1"))
    (tmp_path / "second").write_bytes(line("evil-marker 2"))

    async def scenario() -> None:
        async with running(place) as inside:
            await inside.alerts(1)
            place.configuration["sources"].append({**file_source(tmp_path / "second"), "name": "second"})
            place.configuration["sinks"].append({"type": "file", "name": "more", "path": str(tmp_path / "more.jsonl")})
            place.write()
            await inside.alerts(2)
            more = tmp_path / "more.jsonl"
            await inside.until(lambda: more.exists() and more.read_bytes().endswith(b"\n"))
            assert json.loads(more.read_text())["event"]["MESSAGE"] == "evil-marker 2"
            del place.configuration["sources"][0], place.configuration["sinks"][0]
            place.write()
            await inside.until(lambda: inside.reloads("ok") == 2)
            with (tmp_path / "in").open("ab") as first, (tmp_path / "second").open("ab") as second:
                first.write(line("evil-marker 3"))
                second.write(line("evil-marker 4"))
            await inside.until(lambda: b"marker 4" in (tmp_path / "more.jsonl").read_bytes())

    asyncio.run(scenario())
    assert len(place.alerts()) == 2
    assert b"marker 3" not in (tmp_path / "more.jsonl").read_bytes()
    assert "reloaded: 1 rule, 0 rules left out; new sources: second; new sinks: more" in log.messages
    assert "reloaded: 1 rule, 0 rules left out; gone sources: log; gone sinks: file" in log.messages


def test_a_changed_source_goes_on_where_it_was(tmp_path: Path) -> None:
    place = Workplace(tmp_path, sources=[file_source(tmp_path / "in")])
    (tmp_path / "in").write_bytes(line("evil-marker 1") + line("harmless"))

    async def scenario() -> None:
        async with running(place) as inside:
            await inside.alerts(1)
            place.configuration["sources"] = [file_source(tmp_path / "in", queue=3)]
            place.write()
            await inside.until(lambda: inside.reloads("ok"))
            with (tmp_path / "in").open("ab") as file:
                file.write(line("evil-marker 2"))
            assert await inside.alerts(2) == ["Marked line: evil-marker 1", "Marked line: evil-marker 2"]

    asyncio.run(scenario())


def test_a_source_that_cannot_run_is_taken_back(tmp_path: Path, log: pytest.LogCaptureFixture) -> None:
    """There is no directory for its socket: all of the reload is undone, and the sources that ran are started again."""
    place = Workplace(tmp_path, sources=[file_source(tmp_path / "in")])
    (tmp_path / "in").write_bytes(line("evil-marker 1"))

    async def scenario() -> None:
        async with running(place) as inside:
            await inside.alerts(1)
            before = inside.service.now
            syslog = {"type": "syslog", "unix": {"path": str(tmp_path / "missing" / "log")}}
            place.configuration["sources"] = [file_source(tmp_path / "in", queue=2), syslog]
            place.write()
            await inside.until(lambda: inside.reloads("refused"))
            assert inside.service.now is before
            with (tmp_path / "in").open("ab") as file:
                file.write(line("evil-marker 2"))
            assert await inside.alerts(2) == ["Marked line: evil-marker 1", "Marked line: evil-marker 2"]

    asyncio.run(scenario())
    refused = [message for message in log.messages if message.startswith("not reloaded: ")]
    assert refused[0].startswith("not reloaded: source syslog: cannot listen: No such file or directory")


def test_a_refused_reload_forgets_no_windows(tmp_path: Path) -> None:
    """A correlation rule changed together with a source that cannot run: the events before count on."""
    place = Workplace(tmp_path, sources=[json_source(tmp_path / "in")], correlation={"lateness": "1s"}, watch=False)
    (tmp_path / "rules" / "guessing.yml").write_text(GUESSING)
    (tmp_path / "in").write_bytes(lines(event("a", 0), event("a", 1)))

    async def scenario() -> None:
        async with running(place) as inside:
            await inside.until(lambda: inside.service._detection.correlation.statistics.events == 2)
            syslog = {"type": "syslog", "unix": {"path": str(tmp_path / "missing" / "log")}}
            place.configuration["sources"].append(syslog)
            place.write()
            (tmp_path / "rules" / "guessing.yml").write_text(GUESSING.replace("60s", "61s"))
            assert not await inside.reloader.reload()
            with (tmp_path / "in").open("ab") as file:
                file.write(lines(event("a", 2), event("b", 100)))
            await inside.until(place.alerts)

    asyncio.run(scenario())
    assert [alert["correlation"]["count"] for alert in place.alerts()] == [3]


def test_a_folder_that_becomes_unreadable_ends_nothing() -> None:
    """It is as if it were not there, and so are its rules: that reload is refused."""
    with as_nobody() as folder:
        (folder / "rules").mkdir()
        (folder / "rules" / "a.yml").write_text(RULE)
        (folder / "rules").chmod(0)
        try:
            assert dict(_statuses([folder / "rules" / "inner", folder / "rules" / "a.yml"])) == {}
        finally:
            (folder / "rules").chmod(0o755)
        assert dict(_statuses([folder / "rules"])).keys() == {str(folder / "rules" / "a.yml")}


@pytest.mark.parametrize(
    ("section", "value"),
    [("state", "elsewhere"), ("spool_bytes", 2 << 20), ("server", {"listen": "127.0.0.1:0"})],
)
def test_what_needs_a_restart_says_so(
    section: str, value: object, tmp_path: Path, log: pytest.LogCaptureFixture
) -> None:
    place = Workplace(tmp_path, sources=[file_source(tmp_path / "in")])

    async def scenario() -> None:
        async with running(place) as inside:
            place.configuration[section] = str(tmp_path / value) if isinstance(value, str) else value
            place.write()
            assert not await inside.reloader.reload()

    asyncio.run(scenario())
    assert f"not reloaded: {section} cannot be changed while the service runs; restart it" in log.messages


def test_nothing_is_lost_when_much_is_reloaded_under_load(tmp_path: Path) -> None:
    """Rules, sources and sinks change again and again while lines are written; each raises its alert, once."""
    place = Workplace(tmp_path, sources=[file_source(tmp_path / "in")])
    lines = 4_000

    async def write() -> None:
        with (tmp_path / "in").open("ab", buffering=0) as file:
            for number in range(0, lines, 20):
                file.write(b"".join(line(f"evil-marker {number + one}") for one in range(20)))
                await asyncio.sleep(0.005)

    async def scenario() -> None:
        async with running(place) as inside:
            writing = asyncio.create_task(write())
            turn = 0
            while not writing.done():
                turn += 1
                place.configuration["sources"] = [file_source(tmp_path / "in", queue=1 + turn % 3)]
                sink = {"type": "file", "path": str(tmp_path / "alerts.jsonl"), "rate_limit": 1e9 + turn}
                place.configuration["sinks"] = [sink]
                (tmp_path / "rules" / "other.yml").write_text(OTHER.replace("other-marker", f"marker-{turn}"))
                place.write()
                assert await inside.reloader.reload()
            assert turn > 1
            await inside.alerts(lines)

    asyncio.run(scenario())
    numbers = [int(one["event"]["MESSAGE"].split()[-1]) for one in place.alerts()]
    assert sorted(numbers) == list(range(lines))


def test_sighup_reloads_the_program(tmp_path: Path) -> None:
    port = free_port()
    place = Workplace(tmp_path, sources=[file_source(tmp_path / "in")], server={"listen": f"127.0.0.1:{port}"})
    with place.start() as service:
        service.until(lambda: "running: " in service.log)
        (tmp_path / "rules" / "other.yml").write_text(OTHER)
        service.process.send_signal(signal.SIGHUP)
        service.until(lambda: "reloaded: 2 rules" in service.log)
        (tmp_path / "in").write_bytes(line("other-marker"))
        service.until(place.alerts)
        (tmp_path / "rules" / "other.yml").write_text("title: [")
        service.process.send_signal(signal.SIGHUP)
        service.until(lambda: "what ran before runs on, unchanged" in service.log)
        assert service.stop() == 0
