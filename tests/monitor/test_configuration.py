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
    ("empty sources", changed(sources=[]), [("sources", "at least 1 item")]),
    ("no rule paths", changed(rules={"paths": []}), [("rules.paths", "at least 1 item")]),
    ("unknown section", changed(source=[]), [("source", "did you mean 'sources'?")]),
    ("unknown key of rules", changed(rules={"paths": ["r"], "pipeline": ["x"]}), [("rules.pipeline", "did you mean 'pipelines'?")]),
    ("unknown restrictiveness", changed(rules={"paths": ["r"], "restrictiveness": "utlra"}), [("rules", "'utlra' is unknown")]),
    ("unknown kind", changed(sources=[{"type": "jounrald"}]), [("sources[0].type", "did you mean 'journald'?")]),
    ("kind without likeness", changed(sinks=[{"type": "pigeon"}]), [("sinks[0].type", "there are email, file, kafka")]),
    ("no kind", changed(sinks=[{"name": "x"}]), [("sinks[0]", "has no 'type'; it is one of email")]),
    ("misspelt key of a source", changed(sources=[{"type": "file", "path": ["x"]}]), [("sources[0].paths", "missing"), ("sources[0].path", "did you mean 'paths'?")]),
    ("unknown log format", changed(sources=[{"type": "stdin", "format": "sylog"}]), [("sources[0]", "did you mean 'syslog'?")]),
    ("wrong type", changed(spool_bytes="much"), [("spool_bytes", "valid integer")]),
    ("too small", changed(spool_bytes=1), [("spool_bytes", "greater than or equal to 1048576")]),
    ("no list", changed(sources={"type": "stdin"}), [("sources", "valid tuple")]),
    ("names twice", changed(sinks=[{"type": "stdout"}, {"type": "stdout"}]), [("sinks[1].name", "'stdout' is also that of sinks[0]")]),
    ("hopeless name", changed(sinks=[{"type": "stdout", "name": "a b"}]), [("sinks[0].name", "a name is made of letters")]),
    ("unknown level", changed(sinks=[{"type": "stdout", "min_level": "hihg"}]), [("sinks[0].min_level", "'high'")]),
    ("no such variable", changed(state="${NOWHERE}/x"), [("state", "the environment has no NOWHERE")]),
    ("half a reference", changed(state="${x"), [("state", "'${' begins no reference")]),
    ("a field that is none", changed(redact=["a..b"]), [("redact", "is no field")]),
    ("server beyond loopback", changed(server={"listen": "0.0.0.0:80"}), [("server", "beyond loopback")]),
    ("several at once", changed(state=None, spool_bytes=1, sinks=[{"type": "stdout", "x": 1}]), [("state", "missing"), ("sinks[0].x", "unknown"), ("spool_bytes", "greater")]),
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


def test_secrets_are_in_no_message() -> None:
    sinks = [{"type": "webhook", "url": "https://example.org/hunter2", "token": ["hunter2"], "preset": "hunter2"}]
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
    assert str(path) in str(caught.value)


def test_the_example_is_good() -> None:
    assert load_configuration(Path(__file__).parents[2] / "examples" / "monitor.yml").sinks
