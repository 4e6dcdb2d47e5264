"""Suppression: of alerts that repeat, so many pass in a window; the next one tells how many did not."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, Final

from sigma.pyeval.matchers.values import lookup, text_of
from sigma.pyeval.output import json_line
from sigma.pyeval.rules import Match

from ..batches import Json
from ..sinks.selection import selects
from .settings import HOST, SuppressSettings
from .windows import Claim

_MOST_VALUES: Final = 100
"""Values of a field with many that its key is made of."""


class Suppression:
    """The entries of ``suppress``.

    Args:
        entries: In order; the first that selects an alert decides.
    """

    def __init__(self, entries: Sequence[SuppressSettings] = ()) -> None:
        # By content: windows outlive a restart and a reload as long as their entry says the same.
        self._entries = [(one, _digest(one.model_dump(mode="json")).hex()) for one in entries]

    def __bool__(self) -> bool:
        return bool(self._entries)

    def claim(self, match: Match, alert: Mapping[str, Json], at: float) -> Claim | None:
        """Return what the alert of *match*, found at a time (epoch), needs to pass; ``None`` where no entry selects it."""
        for settings, entry in self._entries:
            if selects(settings, alert):
                rule = match.rule
                named = rule.id or rule.title
                key = _digest([rule.id or [rule.title, rule.source_hash], *_values(settings.key, match, alert)])
                return Claim(entry, key, named, settings.window, settings.most, at)
        return None


def _values(fields: Sequence[str], match: Match, alert: Mapping[str, Json]) -> list[Any]:
    """Return what stands in the fields of the event as it was read, also where the alert does not show it."""
    return [alert["host"] if field == HOST else _texts(match.event, field) for field in fields]


def _texts(event: Mapping[str, Any], field: str) -> list[str | None] | None:
    found = lookup(event, field)
    return None if found is None else [text_of(value) for value in found[:_MOST_VALUES]]


def _digest(value: Any) -> bytes:
    """Return what stands for *value* in the store: of one length, and not readable."""
    return hashlib.sha256(json_line(value)).digest()[:16]
