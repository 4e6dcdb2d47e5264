"""Which rules to run: a documented selection by level, status and tag."""

from __future__ import annotations

from collections.abc import Collection
from enum import Enum

LEVELS = ("informational", "low", "medium", "high", "critical")
_THREAT_HUNTING = "detection.threat-hunting"


class Restrictiveness(Enum):
    """From every rule to the few that are worth waking somebody for.

    Each value is (lowest level, admitted statuses). Every selection but ``PERMISSIVE`` leaves rules tagged
    ``detection.threat-hunting`` out. A level or status that a rule does not state never excludes it.
    """

    PERMISSIVE = (None, None)
    """Every rule."""
    BALANCED = ("medium", ("stable", "test", "experimental"))
    """Level medium and up; not what its authors call deprecated or unsupported."""
    RESTRICTIVE = ("medium", ("stable", "test"))
    """Level medium and up, tested."""
    ULTRA = ("high", ("stable", "test"))
    """Level high and up, tested."""

    @classmethod
    def parse(cls, value: Restrictiveness | str) -> Restrictiveness:
        """Return the member named *value*, in any case; raises ValueError with the names where there is none."""
        if isinstance(value, cls):
            return value
        try:
            return cls[str(value).upper()]
        except KeyError:
            names = ", ".join(member.name.lower() for member in cls)
            raise ValueError(f"restrictiveness {value!r} is unknown; it is one of {names}") from None

    def admits(self, level: str | None, status: str | None, tags: Collection[str]) -> bool:
        """Return whether a rule of this level and status, with these tags, belongs to this selection."""
        lowest, statuses = self.value
        if lowest is None:
            return True
        if level in LEVELS and LEVELS.index(level) < LEVELS.index(lowest):
            return False
        if status is not None and status not in statuses:
            return False
        return _THREAT_HUNTING not in tags
