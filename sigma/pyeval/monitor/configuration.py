"""One YAML file says all; every mistake in it is told at once, each with its place and what is near it."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, Self

from pydantic import BaseModel, Field, TypeAdapter, ValidationError, field_validator, model_validator
from pydantic_core import ErrorDetails

from sigma.pyeval.documents import DocumentError, parse_yaml
from sigma.pyeval.redaction import Redaction
from sigma.pyeval.restrictiveness import Restrictiveness

from .kinds import AnySink, AnySource
from .server import ServerSettings
from .settings import Settings

MOST_BYTES: Final = 1 << 20
"""A configuration file longer than this is refused."""

_REFERENCE = re.compile(r"\$(?:\$|\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\}|\{)")


class ConfigurationError(ValueError):
    """What is wrong with a configuration: place and finding of each problem, in the order of the file's sections.

    Attributes:
        problems: (place as ``sources[0].path``, finding).
    """

    def __init__(self, problems: Iterable[tuple[str, str]]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(f"{place}: {finding}" if place else finding for place, finding in self.problems))


class RulesSettings(Settings):
    """Which rules to run."""

    paths: tuple[Path, ...] = Field(min_length=1)
    """Rule files and directories."""

    pipelines: tuple[str, ...] = ("linux_eval",)
    """Pipelines by name, or YAML files."""

    placeholders: dict[str, tuple[str | int, ...] | str | int] = Field(default_factory=dict)
    """Values for ``%name%`` in rules that use ``expand``."""

    restrictiveness: str | None = None
    """Keep only these rules: permissive, balanced, restrictive or ultra."""

    @model_validator(mode="after")
    def _known(self) -> Self:
        if self.restrictiveness is not None:
            Restrictiveness.parse(self.restrictiveness)
        return self


class Configuration(Settings):
    """The whole file."""

    rules: RulesSettings
    """Which rules to run."""

    state: Path
    """Directory of checkpoints, of alerts that wait, and of dead letters; made with mode 0700."""

    sources: tuple[AnySource, ...] = Field(min_length=1)
    """Where events come from."""

    sinks: tuple[AnySink, ...] = Field(min_length=1)
    """Where alerts go."""

    server: ServerSettings | None = None
    """The address of ``http`` and ``websocket`` sources and of metrics; none is opened without it or such a source."""

    redact: tuple[str, ...] = ()
    """Fields whose values alerts don't show."""

    spool_bytes: int = Field(default=1 << 30, ge=1 << 20)
    """How much the alerts that wait for sinks may take on disk."""

    stop_seconds: float = Field(default=30.0, gt=0, le=3600)
    """How long stopping may take; what was not delivered by then is when the service starts again."""

    @model_validator(mode="before")
    @classmethod
    def _names(cls, value: Any) -> Any:
        """Name sources and sinks that have no name by their type."""
        if not isinstance(value, dict):
            return value
        return value | {
            section: [
                {**part, "name": part["type"]}
                if isinstance(part, dict) and "type" in part and "name" not in part
                else part
                for part in value[section]
            ]
            for section in ("sources", "sinks")
            if isinstance(value.get(section), list)
        }

    @field_validator("redact")
    @classmethod
    def _fields(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        Redaction(value)
        return value

    @property
    def redaction(self) -> Redaction:
        """What alerts don't show."""
        return Redaction(self.redact)


def load_configuration(path: Path, environment: Mapping[str, str] = os.environ) -> Configuration:
    """Read a configuration file; relative paths in it are those of the working directory.

    Args:
        path: The YAML file.
        environment: Where ``${NAME}`` and ``${NAME:-default}`` come from; ``$$`` is a dollar sign.

    Raises:
        ConfigurationError: Every problem found.
    """
    try:
        if path.stat().st_size > MOST_BYTES:
            raise ConfigurationError([("", f"{path}: longer than {MOST_BYTES} bytes; is this a configuration?")])
        text = path.read_bytes()
    except OSError as error:
        raise ConfigurationError([("", f"{path}: cannot be read: {error.strerror}")]) from error
    try:
        value = parse_yaml(text)
    except DocumentError as error:
        raise ConfigurationError([("", f"{path}: {error}")]) from error
    if not isinstance(value, dict):
        raise ConfigurationError([("", f"{path}: a configuration is a mapping of keys; see docs/monitor.md")])
    return parse_configuration(value, environment)


def parse_configuration(value: Mapping[str, Any], environment: Mapping[str, str] = os.environ) -> Configuration:
    """Return the configuration that *value*, of JSON types, says; arguments and errors as ``load_configuration``."""
    problems: list[tuple[str, str]] = []
    filled = _filled(dict(value), environment, "", problems)
    try:
        configuration = TypeAdapter(Configuration).validate_python(filled)
    except ValidationError as error:
        problems += _problems(error)
        raise ConfigurationError(problems) from None  # the values that were found may be secrets
    problems += _repeated("sources", configuration.sources)
    problems += _repeated("sinks", configuration.sinks)
    if problems:
        raise ConfigurationError(problems)
    return configuration


def _filled(value: Any, environment: Mapping[str, str], place: str, problems: list[tuple[str, str]]) -> Any:
    """Return *value* with references to the environment replaced in every text."""
    if isinstance(value, dict):
        return {
            key: _filled(inner, environment, f"{place}.{key}".lstrip("."), problems) for key, inner in value.items()
        }
    if isinstance(value, list):
        return [_filled(inner, environment, f"{place}[{number}]", problems) for number, inner in enumerate(value)]
    if not isinstance(value, str) or "$" not in value:
        return value

    def replacement(found: re.Match[str]) -> str:
        if found[0] == "$$":
            return "$"
        if found[1] is None:
            problems.append((place, "'${' begins no reference; write ${NAME}, or $$ for a dollar sign"))
            return ""
        text = environment.get(found[1], found[2])
        if text is None:
            problems.append((place, f"the environment has no {found[1]}; set it, or write ${{{found[1]}:-default}}"))
        return text or ""

    return _REFERENCE.sub(replacement, value)


def _repeated(section: str, parts: Iterable[Any]) -> Iterator[tuple[str, str]]:
    seen: dict[str, int] = {}
    for number, part in enumerate(parts):
        first = seen.setdefault(part.name, number)
        if first != number:
            yield f"{section}[{number}].name", f"{part.name!r} is also that of {section}[{first}]; give it another name"


def _problems(error: ValidationError) -> list[tuple[str, str]]:
    """Return pydantic's errors; of a section the one that it is empty only where nothing else explains it."""
    details = error.errors(include_url=False)
    places = [detail["loc"] for detail in details]
    return [
        _problem(detail)
        for detail in details
        if detail["type"] != "too_short" or not any(_is_within(place, detail["loc"]) for place in places)
    ]


def _is_within(place: tuple[int | str, ...], outer: tuple[int | str, ...]) -> bool:
    return len(place) > len(outer) and place[: len(outer)] == outer


def _problem(detail: ErrorDetails) -> tuple[str, str]:
    """Return place and finding of one of pydantic's errors, the value itself left out: it may be a secret."""
    location = [part for part in detail["loc"] if part != "function-after"]
    model, path = _followed(location)
    kind = detail["type"]
    if kind == "extra_forbidden" and model is not None:
        return path, f"unknown; {_nearest(str(location[-1]), _keys(model))}"
    if kind == "missing":
        return path, "missing"
    if kind == "union_tag_not_found":
        return path, f"has no 'type'; it is one of {_tags(detail)}"
    if kind == "union_tag_invalid":
        tag = str(detail.get("ctx", {}).get("tag", ""))
        return f"{path}.type", f"{tag!r} is unknown; {_nearest(tag, _tags(detail).split(', '))}"
    return path, detail["msg"].removeprefix("Value error, ")


def _tags(detail: ErrorDetails) -> str:
    from .kinds import SINKS, SOURCES

    return ", ".join(SOURCES if detail["loc"][0] == "sources" else SINKS)


def _keys(model: type[BaseModel]) -> list[str]:
    """Return the keys of *model* as the file writes them."""
    return [field.alias or name for name, field in model.model_fields.items()]


def _nearest(name: str, names: list[str]) -> str:
    close = difflib.get_close_matches(name, names, 1, 0.6)
    return f"did you mean {close[0]!r}?" if close else f"there are {', '.join(names)}"


def _followed(location: list[int | str]) -> tuple[type[BaseModel] | None, str]:
    """Return the model that the last step of *location* is a field of, and the place as people write it."""
    from .kinds import SINKS, SOURCES

    model: type[BaseModel] | None = Configuration
    path = ""
    holder: type[BaseModel] | None = model
    for index, step in enumerate(location):
        if index == 2 and location[0] in ("sources", "sinks") and step in {**SOURCES, **SINKS}:
            table = SOURCES if location[0] == "sources" else SINKS
            model = table[str(step)][0]  # pydantic names the type, which the file does not
            continue
        holder = model
        path += f"[{step}]" if isinstance(step, int) else f".{step}"
        field = model.model_fields.get(str(step)) if model is not None else None
        model = _model_of(field.annotation) if field is not None else None if isinstance(step, str) else model
    return holder, path.lstrip(".")


def _model_of(annotation: Any) -> type[BaseModel] | None:
    """Return the model within an annotation such as ``Tls | None``."""
    candidates = [annotation, *getattr(annotation, "__args__", ())]
    return next((one for one in candidates if isinstance(one, type) and issubclass(one, BaseModel)), None)
