"""The configuration: every mistake at once, each with its place and remedy; secrets in no message."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sigma.pyeval.monitor.configuration import ConfigurationError, load_configuration, parse_configuration

GOOD: dict[str, Any] = {
    "rules": {"paths": ["rules"]},
    "state": "state",
    "sources": [{"type": "stdin"}],
    "sinks": [{"type": "stdout"}],
}


def changed(**sections: Any) -> dict[str, Any]:
    return {key: value for key, value in {**GOOD, **sections}.items() if value is not None}


MISTAKES: list[tuple[str, dict[str, Any], list[tuple[str, str]]]] = [
    ("no rules", changed(rules=None), [("rules", "missing")]),
    ("no state", changed(state=None), [("state", "missing")]),
    ("no sources", changed(sources=None), [("sources", "missing")]),
    ("empty sources", changed(sources=[]), [("sources", "at least one is needed")]),
    ("no rule paths", changed(rules={"paths": []}), [("rules.paths", "at least one is needed")]),
    ("unknown section", changed(source=[]), [("source", "did you mean 'sources'?")]),
    ("unknown key of rules", changed(rules={"paths": ["r"], "pipeline": ["x"]}), [("rules.pipeline", "did you mean 'pipelines'?")]),
    ("unknown restrictiveness", changed(rules={"paths": ["r"], "restrictiveness": "utlra"}), [("rules.restrictiveness", "did you mean 'ultra'?")]),
    ("unknown kind", changed(sources=[{"type": "jounrald"}]), [("sources[0].type", "did you mean 'journald'?")]),
    ("kind without likeness", changed(sinks=[{"type": "pigeon"}]), [("sinks[0].type", "there are email, file, kafka")]),
    ("no kind", changed(sinks=[{"name": "x"}]), [("sinks[0]", "has no 'type'; it is one of email")]),
    ("misspelt key of a source", changed(sources=[{"type": "file", "path": ["x"]}]), [("sources[0].paths", "missing"), ("sources[0].path", "did you mean 'paths'?")]),
    ("unknown log format", changed(sources=[{"type": "stdin", "format": "sylog"}]), [("sources[0].format", "did you mean 'syslog'?")]),
    ("wrong type", changed(spool_bytes="much"), [("spool_bytes", "a whole number of bytes is needed, without a unit")]),
    ("too small", changed(spool_bytes=1), [("spool_bytes", "at least 1048576")]),
    ("no list", changed(sources={"type": "stdin"}), [("sources", "write a list: each part of it begins with '- '")]),
    ("names twice", changed(sinks=[{"type": "stdout"}, {"type": "stdout"}]), [("sinks[1].name", "'stdout' is also that of sinks[0]")]),
    ("hopeless name", changed(sinks=[{"type": "stdout", "name": "a b"}]), [("sinks[0].name", "a name is made of letters")]),
    ("unknown level", changed(sinks=[{"type": "stdout", "min_level": "hihg"}]), [("sinks[0].min_level", "did you mean 'high'?")]),
    ("no such variable", changed(state="${NOWHERE}/x"), [("state", "the environment has no NOWHERE")]),
    ("half a reference", changed(state="${x"), [("state", "'${' begins no reference")]),
    ("a field that is none", changed(redact=["a..b"]), [("redact", "is no field")]),
    ("server beyond loopback", changed(server={"listen": "0.0.0.0:80"}), [("server", "beyond loopback")]),
    ("several at once", changed(state=None, spool_bytes=1, sinks=[{"type": "stdout", "x": 1}]), [("state", "missing"), ("sinks[0].x", "unknown"), ("spool_bytes", "at least")]),
    ("no network", changed(sources=[{"type": "syslog", "udp": "127.0.0.1:1", "allow": ["10.0.0.0/33"]}]), [("sources[0].allow[0]", "not a network such as 10.0.0.0/8")]),
    ("a text for a list", changed(redact="password"), [("redact", "write a list: [...]")]),
    ("a text for a list of a sink", changed(sinks=[{"type": "stdout", "tags": "attack.t1059"}]), [("sinks[0].tags", "write a list: [...]")]),
    ("a text for a mapping", changed(server="127.0.0.1:1"), [("server", "its keys are listen, tls, token")]),
    ("nothing for a mapping", changed(rules=5), [("rules", "its keys are paths, pipelines")]),
    ("a text for a sink", changed(sinks=["stdout"]), [("sinks[0]", "write a mapping: its 'type' is one of email")]),
    ("a part's mapping", changed(sinks=[{"type": "email", "server": "mail", "from": "a@b.c", "to": ["a@b.c"]}]), [("sinks[0].server", "its keys are host, port")]),
    ("seconds with another unit", changed(sinks=[{"type": "syslog", "host": "h", "timeout": "10 s"}]),
     [("sinks[0].timeout", "a number of seconds, or a time with its unit, as 30s or 2m, is needed")]),
    ("seconds that are none", changed(sinks=[{"type": "syslog", "host": "h", "timeout": []}]),
     [("sinks[0].timeout", "a number of seconds, or a time with its unit, as 30s or 2m, is needed")]),
    ("a number with its unit", changed(stop_seconds="1s"), [("stop_seconds", "a number of seconds is needed, without a unit")]),
    ("a fraction", changed(sources=[{"type": "stdin", "queue": 1.5}]), [("sources[0].queue", "a whole number is needed")]),
    ("no finite number", changed(stop_seconds=float("nan")), [("stop_seconds", "a finite number")]),
    ("a number for a text", changed(sources=[{"type": "syslog", "udp": 514}]), [("sources[0].udp", "YAML reads this as a number; quote it")]),
    ("off for a text", changed(sinks=[{"type": "stdout", "name": False}]), [("sinks[0].name", "YAML reads this as true or false; quote it")]),
    ("nothing for a text", changed(sinks=[{"type": "file", "path": None}]), [("sinks[0].path", "empty; a text is needed")]),
    ("a list for a text", changed(state=["a"]), [("state", "a text is needed, not a list")]),
    ("off for a choice", changed(sinks=[{"type": "kafka", "brokers": ["a:1"], "topic": "a", "compression": False}]), [("sinks[0].compression", "quote it; there are none, gzip")]),
    ("wrong choice", changed(sources=[{"type": "file", "paths": ["a"], "start": "begining"}]), [("sources[0].start", "did you mean 'beginning'?")]),
    ("on for a number of a sink", changed(sinks=[{"type": "stdout", "rate_limit": True}]), [("sinks[0].rate_limit", "not true or false")]),
    ("on for a number", changed(spool_bytes=True), [("spool_bytes", "not true or false")]),
    ("on for a number within", changed(server={"limits": {"max_connections": True}}), [("server.limits.max_connections", "not true or false")]),
    ("on for a placeholder", changed(rules={"paths": ["r"], "placeholders": {"x": True}}), [("rules.placeholders.x", "write a list")]),
    ("a mapping for a placeholder", changed(rules={"paths": ["r"], "placeholders": {"str": [{}]}}), [("rules.placeholders.str[0]", "a text is needed, not a mapping")]),
    ("a number as key", changed(rules={"paths": ["r"], "placeholders": {5: "x"}}), [("rules.placeholders.5", "a key is a text; quote it")]),
    ("a short token", changed(server={"token": "short"}), [("server.token", "at least 16 characters")]),
    ("an empty text", changed(sources=[{"type": "kafka", "brokers": ["a:1"], "topics": ["a"], "group": ""}]), [("sources[0].group", "must not be empty")]),
    ("no such file", changed(sinks=[{"type": "webhook", "url": "https://example.org", "ca": "/nowhere"}]), [("sinks[0].ca", "no such file")]),
    ("a kind that is a number", changed(sinks=[{"type": 5}]), [("sinks[0].type", "there are email")]),
    ("an option that the format lacks", changed(sources=[{"type": "stdin", "format": "regex"}]), [("sources[0].options", "needs the option")]),
    ("an option that it does not have", changed(sources=[{"type": "stdin", "format": "jsonl", "options": {"x": "y"}}]), [("sources[0].options", "has no option 'x'")]),
    ("one line a place", changed(sinks=[{"type": "file", "name": "${NOWHERE}", "path": "a"}]), [("sinks[0].name", "the environment has no NOWHERE")]),
    ("names twice beside others", changed(state=None, sinks=[{"type": "stdout", "x": 1}, {"type": "stdout"}]), [("state", "missing"), ("sinks[0].x", "unknown"), ("sinks[1].name", "also that of sinks[0]")]),
    ("in the order of sections", changed(other=1, redact=["${NOWHERE}"], rules={"paths": []}), [("rules.paths", "at least one"), ("redact[0]", "NOWHERE"), ("other", "unknown")]),
]  # fmt: skip


@pytest.mark.parametrize(("value", "expected"), [row[1:] for row in MISTAKES], ids=[row[0] for row in MISTAKES])
def test_mistakes(value: dict[str, Any], expected: list[tuple[str, str]]) -> None:
    with pytest.raises(ConfigurationError) as caught:
        parse_configuration(value, {})
    problems = caught.value.problems
    assert [place for place, _ in problems] == [place for place, _ in expected]
    for (_, finding), (_, words) in zip(problems, expected, strict=True):
        assert words in finding


def test_a_good_one() -> None:
    configuration = parse_configuration(GOOD, {})
    assert [source.name for source in configuration.sources] == ["stdin"]
    assert configuration.rules.pipelines == ("linux_eval",)


def test_references_to_the_environment() -> None:
    value = changed(state="${HOME}/a$$b/${NONE:-c}/$d", redact=["${FIELD}"])
    configuration = parse_configuration(value, {"HOME": "/h", "FIELD": "password"})
    assert str(configuration.state) == "/h/a$b/c/$d"
    assert configuration.redact == ("password",)


@pytest.mark.parametrize(
    "more", [{"token": ["hunter2"]}, {"headers": "hunter2"}, {"headers": {"a": 1, "b": ["hunter2"]}}]
)
def test_secrets_are_in_no_message(more: dict[str, Any]) -> None:
    sinks = [{"type": "webhook", "url": "https://example.org/hunter2", "preset": "hunter2", **more}]
    with pytest.raises(ConfigurationError) as caught:
        parse_configuration(changed(sinks=sinks), {})
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: [", "not YAML"),
        ("a: 1\na: 2", "Duplicate key 'a'"),
        ("- a", "a configuration is a mapping"),
        ("", "a configuration is a mapping"),
        ("a: 1\n---\nb: 2", "several documents"),
        (None, "cannot be read: No such file"),
    ],
)
def test_files_that_are_none(tmp_path: Path, text: str | None, words: str) -> None:
    path = tmp_path / "monitor.yml"
    if text is not None:
        path.write_text(text)
    with pytest.raises(ConfigurationError, match=words) as caught:
        load_configuration(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert caught.value.path == path


def test_numbers_may_come_from_the_environment() -> None:
    assert parse_configuration(changed(spool_bytes="${SPOOL}"), {"SPOOL": "2097152"}).spool_bytes == 2_097_152


def test_the_example_is_good() -> None:
    assert load_configuration(Path(__file__).parents[2] / "examples" / "monitor.yml").sinks


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        (10, 10),
        (2.5, 2.5),
        ("10", 10),
        ("${SECONDS}", 7),
        ("10s", 10),
        ("2m", 120),
        ("0.5s", 0.5),
        ("0.2h", None),
        ("0s", None),
        (601, None),
    ],
)
def test_seconds_are_numbers_or_durations(written: object, seconds: float | None) -> None:
    """Within the same bounds."""
    value = changed(sinks=[{"type": "syslog", "host": "h", "timeout": written}])
    if seconds is None:
        with pytest.raises(ConfigurationError, match="sinks\\[0\\]"):
            parse_configuration(value, {})
    else:
        [sink] = parse_configuration(value, {"SECONDS": "7"}).sinks
        assert getattr(sink, "timeout", None) == seconds
