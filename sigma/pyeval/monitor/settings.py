"""What the settings of all sources and sinks share: nothing unknown is accepted, and every field says what it is."""

from __future__ import annotations

import re
from typing import Annotated, Final, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
)
from pydantic_core import CoreSchema

from sigma.pyeval.logs.formats import FORMATS
from sigma.pyeval.logs.reading import AUTO

from .lines import LineStream

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


def _name(value: str) -> str:
    if _NAME.fullmatch(value) is None:
        raise ValueError("a name is made of letters, digits, '.', '_' and '-', at most 64 of them")
    return value


_DURATION = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,9})?)(s|m|h|d)")
DURATION_PATTERN: Final = f"^{_DURATION.pattern}$"
"""Of a duration in the JSON Schema."""

_NUMBER = re.compile(r"[0-9]+(?:\.[0-9]*)?")
_SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
_LONGEST = 3_650 * 86_400.0


def _duration(value: object) -> float:
    found = _DURATION.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        raise ValueError("write a time with its unit, as 30s, 15m, 2h or 1d")
    seconds = float(found[1]) * _SECONDS[found[2]]
    if not 0 < seconds <= _LONGEST:
        raise ValueError("a time is longer than 0s and at most 3650d")
    return seconds


Name = Annotated[str, AfterValidator(_name)]
Duration = Annotated[float, BeforeValidator(_duration), WithJsonSchema({"type": "string", "pattern": DURATION_PATTERN})]
"""Seconds, written with a unit: ``30s``, ``15m``, ``2h``, ``1d``."""


def _seconds(value: object) -> object:
    """Return the seconds of a duration, a number as it is, also as text: a reference's value is one."""
    if isinstance(value, str) and (found := _DURATION.fullmatch(value)):
        return float(found[1]) * _SECONDS[found[2]]  # may be none, where no seconds may be
    if not isinstance(value, int | float) and not (isinstance(value, str) and _NUMBER.fullmatch(value)):
        raise ValueError("a number of seconds, or a time with its unit, as 30s or 2m, is needed")
    return value


class _OrDuration:
    """Says in the JSON Schema that a number may be written as a duration."""

    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, object]:
        return {"anyOf": [handler(core), {"type": "string", "pattern": DURATION_PATTERN}]}


Seconds = Annotated[float, BeforeValidator(_seconds), _OrDuration()]
"""Seconds, as a number or as a duration: ``30`` or ``30s``."""
Level = Literal["informational", "low", "medium", "high", "critical"]


class Settings(BaseModel):
    """A part of the configuration."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True, allow_inf_nan=False)


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

    options: dict[str, str | bool] = Field(default={}, validate_default=True)
    """Options of the log format."""

    @field_validator("format")
    @classmethod
    def _known_format(cls, value: str) -> str:
        if value != AUTO and value not in FORMATS:
            LineStream(value)  # which says what there is; options are looked at by themselves
        return value

    @field_validator("options")
    @classmethod
    def _known_options(cls, value: dict[str, str | bool], info: ValidationInfo) -> dict[str, str | bool]:
        if "format" in info.data:  # else it has a problem of its own
            LineStream(info.data["format"], value)
        return value


class Selection(Settings):
    """Which alerts are meant; each that is given has to agree."""

    min_level: Level | None = None
    """Only alerts of rules of this level or above."""

    tags: tuple[str, ...] = ()
    """Only alerts of rules with one of these tags; ``*`` stands for anything (``attack.t1059*``)."""

    rules: tuple[str, ...] = ()
    """Only alerts of the rules with these ids."""

    hosts: tuple[str, ...] = ()
    """Only alerts of these hosts; ``*`` stands for anything."""


class SinkSettings(Selection):
    """What every sink has. A kind adds ``type: Literal["..."]`` and its own fields."""

    name: Name = ""
    """Unique among the sinks; the type unless given."""

    required: bool = True
    """Whether alerts for it may fill the spool. Those of a sink that is not required are dropped, and counted, then."""

    after: Duration | None = None
    """Escalation: only alerts that nobody has acknowledged within this time (``15m``); they are sent when it is over."""

    rate_limit: float | None = Field(default=None, gt=0)
    """At most so many alerts a minute; others wait in the spool."""
