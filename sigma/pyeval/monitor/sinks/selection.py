"""Which alerts a sink wants, or suppression is for: level, tags, rules and hosts, each of which has to agree."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase

from sigma.pyeval.restrictiveness import LEVELS

from ..batches import Json
from ..settings import Selection


def selects(settings: Selection, alert: Mapping[str, Json]) -> bool:
    """Return whether *settings*, those of a sink or of an entry of ``suppress``, mean *alert*.

    What an alert does not say passes no filter on it: a rule without a level passes only where no ``min_level`` is set, an
    event without a host only where no ``hosts`` are. Case is ignored everywhere; in tags and hosts ``*`` and ``?`` stand
    for any text and any character (``fnmatch``).
    """
    rule = alert["rule"]
    return (
        (settings.min_level is None or _reaches(rule.get("level"), settings.min_level))
        and (not settings.tags or fits(rule.get("tags") or (), settings.tags))
        and (not settings.rules or (rule.get("id") or "").lower() in {wanted.lower() for wanted in settings.rules})
        and (not settings.hosts or fits([alert["host"]] if alert["host"] else (), settings.hosts))
    )


def _reaches(level: str | None, least: str) -> bool:
    return level in LEVELS and LEVELS.index(level) >= LEVELS.index(least)


def fits(texts: Iterable[str], patterns: Iterable[str]) -> bool:
    """Return whether one of *texts* fits one of *patterns*; case is ignored, ``*`` and ``?`` stand for others."""
    folded = [pattern.lower() for pattern in patterns]
    return any(fnmatchcase(text.lower(), pattern) for text in texts for pattern in folded)
