"""Which alerts a sink wants: its settings' level, tags, rules and hosts, each of which has to agree."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase

from sigma.pyeval.restrictiveness import LEVELS

from ..batches import Json
from ..settings import SinkSettings


def selects(settings: SinkSettings, alert: Mapping[str, Json]) -> bool:
    """Return whether a sink with *settings* wants *alert*.

    What an alert does not say passes no filter on it: a rule without a level passes only where no ``min_level`` is set, an
    event without a host only where no ``hosts`` are. Case is ignored everywhere; in tags and hosts ``*`` and ``?`` stand
    for any text and any character (``fnmatch``).
    """
    rule = alert["rule"]
    return (
        (settings.min_level is None or _reaches(rule.get("level"), settings.min_level))
        and (not settings.tags or _fits(rule.get("tags") or (), settings.tags))
        and (not settings.rules or (rule.get("id") or "").lower() in {wanted.lower() for wanted in settings.rules})
        and (not settings.hosts or _fits([alert["host"]] if alert["host"] else (), settings.hosts))
    )


def _reaches(level: str | None, least: str) -> bool:
    return level in LEVELS and LEVELS.index(level) >= LEVELS.index(least)


def _fits(texts: Iterable[str], patterns: Iterable[str]) -> bool:
    folded = [pattern.lower() for pattern in patterns]
    return any(fnmatchcase(text.lower(), pattern) for text in texts for pattern in folded)
