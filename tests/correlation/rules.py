"""Correlation rules as YAML, short."""

from __future__ import annotations

from typing import Any

import yaml

from sigma.pyeval import Ruleset, parse_rules


def member(name: str, **more: Any) -> dict[str, Any]:
    """A rule that matches events whose field ``is`` holds its name."""
    detection = {"sel": {"is": name}, "condition": "sel"}
    return {"title": name.upper(), "name": name, "logsource": {"category": "test"}, "detection": detection} | more


def correlation(kind: str = "event_count", rules: Any = ("a",), title: str = "Found", **more: Any) -> dict[str, Any]:
    """A correlation rule; words of the correlation itself by keyword, ``name``, ``id`` and ``level`` beside it."""
    outside = {key: more.pop(key) for key in ("name", "id", "level") if key in more}
    said: dict[str, Any] = {
        "type": kind,
        "rules": list(rules) if not isinstance(rules, str) else rules,
        "timespan": "10s",
    }
    said |= {key.replace("_", "-") if key == "group_by" else key: value for key, value in more.items()}
    if said["rules"] == []:
        del said["rules"]
    return {"title": title, "correlation": said} | outside


def text_of(*documents: dict[str, Any]) -> str:
    return yaml.safe_dump_all(documents, sort_keys=False)


def ruleset(*documents: dict[str, Any], **options: Any) -> Ruleset:
    return parse_rules(text_of(*documents), **options)


def counts(loaded: Ruleset, *events: tuple[float, dict[str, Any]], **options: Any) -> list[int]:
    """How many matches each event raises, and, last, the end of the stream."""
    correlator = loaded.correlator(**options)
    return [*(len(correlator.process(event, time)) for time, event in events), len(correlator.finish())]


def rows(names: str, step: float = 1, **fields: Any) -> list[tuple[float, dict[str, Any]]]:
    """Events a step apart, one a letter; a blank is a step without."""
    return [(number * step, {"is": name, **fields}) for number, name in enumerate(names) if name != " "]
