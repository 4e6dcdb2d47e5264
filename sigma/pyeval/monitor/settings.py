"""What the settings of all sources and sinks share: nothing unknown is accepted, and every field says what it is."""

from __future__ import annotations

import re
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from .lines import LineStream

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


def _name(value: str) -> str:
    if _NAME.fullmatch(value) is None:
        raise ValueError("a name is made of letters, digits, '.', '_' and '-', at most 64 of them")
    return value


Name = Annotated[str, AfterValidator(_name)]
Level = Literal["informational", "low", "medium", "high", "critical"]


class Settings(BaseModel):
    """A part of the configuration."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class SourceSettings(Settings):
    """What every source has. A kind adds ``type: Literal["..."]`` and its own fields."""

    name: Name = ""
    """Unique among the sources; the type unless given. Alert ids are made from it."""

    queue: int = Field(default=8, ge=1, le=1_000)
    """Batches that may wait for detection; beyond, the source waits (or drops and counts, if it cannot)."""


class LineSettings(SourceSettings):
    """What sources of log lines have besides."""

    format: str = "auto"
    """The lines' log format; told from the first lines unless given."""

    options: dict[str, str | bool] = {}
    """Options of the log format."""

    @model_validator(mode="after")
    def _known_format(self) -> Self:
        LineStream(self.format, self.options)
        return self


class SinkSettings(Settings):
    """What every sink has. A kind adds ``type: Literal["..."]`` and its own fields."""

    name: Name = ""
    """Unique among the sinks; the type unless given."""

    required: bool = True
    """Whether alerts for it may fill the spool. Those of a sink that is not required are dropped, and counted, then."""

    min_level: Level | None = None
    """Only alerts of rules of this level or above."""

    tags: tuple[str, ...] = ()
    """Only alerts of rules with one of these tags; ``*`` stands for anything (``attack.t1059*``)."""

    rules: tuple[str, ...] = ()
    """Only alerts of the rules with these ids."""

    hosts: tuple[str, ...] = ()
    """Only alerts of these hosts; ``*`` stands for anything."""

    rate_limit: float | None = Field(default=None, gt=0)
    """At most so many alerts a minute; others wait in the spool."""
