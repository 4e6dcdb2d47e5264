"""How correlation rules are run, as the configuration says, and the zone of times that name none."""

from __future__ import annotations

import time
from datetime import datetime, timedelta, tzinfo
from typing import Literal, Self
from zoneinfo import ZoneInfo

from pydantic import Field, field_validator, model_validator

from .settings import Duration, Settings


class CorrelationSettings(Settings):
    """How correlation rules are run; see docs/correlations.md."""

    lateness: Duration = Field(default=10.0, le=86_400)
    """How much later than others an event may come and still count in order; alerts come so much later."""

    refire: Literal["each", "once", "cooldown"] = "each"
    """Whether every event at or over the threshold raises an alert, one a timespan and group, or one a ``cooldown``."""

    cooldown: Duration | None = Field(default=None, gt=0)
    """With ``refire: cooldown``: how long a group is quiet after an alert."""

    time_zone: str = "local"
    """The zone of times that name none: ``local``, that of this machine, or a name such as ``Europe/Berlin``."""

    groups: int = Field(default=50_000, ge=1, le=10_000_000)
    """Groups held at most; the least recent are given up, and counted."""

    group_events: int = Field(default=10_000, ge=1, le=1_000_000)
    """Events of one group's window held at most."""

    events: int = Field(default=1_000_000, ge=1, le=100_000_000)
    """Events of all windows held at most."""

    @field_validator("time_zone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        try:
            zone_of(value)
        except (OSError, ValueError, KeyError):
            raise ValueError(
                f"{value!r} is no time zone that this machine knows; write local, UTC or Europe/Berlin"
            ) from None
        return value

    @model_validator(mode="after")
    def _cooled(self) -> Self:
        if (self.refire == "cooldown") is (self.cooldown is None):
            raise ValueError("cooldown is given with refire: cooldown, and only then")
        return self


class LocalZone(tzinfo):
    """The zone that the machine is set to, daylight saving time included (localtime(3))."""

    def utcoffset(self, when: datetime | None) -> timedelta:
        """Return how far local time is ahead of UTC."""
        stamp = time.time() if when is None else time.mktime(when.replace(tzinfo=None).timetuple())
        return timedelta(seconds=time.localtime(stamp).tm_gmtoff)

    def dst(self, _: datetime | None) -> timedelta | None:
        """Return ``None``: not told apart."""
        return None

    def tzname(self, _: datetime | None) -> str:
        """Return the setting's word."""
        return "local"


def zone_of(name: str) -> tzinfo:
    """Return the zone of a setting; raises what ``ZoneInfo`` does where there is none."""
    return LocalZone() if name == "local" else ZoneInfo(name)
