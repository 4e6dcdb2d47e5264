"""One YAML file says all; every mistake in it is told at once, each with its place and what is near it."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from pydantic import Field, PrivateAttr, ValidationError, field_validator, model_validator

from sigma.pyeval.documents import DocumentError, parse_yaml
from sigma.pyeval.redaction import Redaction

from .configuration_errors import KINDS, Problem, is_within, problems_of, truth_for_numbers
from .correlation_settings import CorrelationSettings
from .kinds import AnySink, AnySource
from .rules_settings import RulesSettings
from .secret_files import SecretFile, read_secrets
from .server import ServerSettings
from .settings import Settings
from .tuning.settings import ExceptionSettings, SuppressSettings

MOST_BYTES: Final = 1 << 20
"""A configuration file longer than this is refused."""

_REFERENCE = re.compile(r"\$(?:\$|\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\}|\{)")


class ConfigurationError(ValueError):
    """What is wrong with a configuration: place and finding of each problem, in the order of the file's sections.

    Attributes:
        problems: (place as ``sources[0].path``, finding); the place is empty where it is the file itself.
        path: The file, where it was one.
    """

    def __init__(self, problems: Iterable[Problem], path: Path | None = None) -> None:
        self.problems = tuple(problems)
        self.path = path
        start = "" if path is None else f"{path}: "
        lines = (f"{place}: {finding}" if place else finding for place, finding in self.problems)
        super().__init__("\n".join(start + line for line in lines))


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

    exceptions: tuple[ExceptionSettings, ...] = ()
    """Matches that raise no alert, each with an owner and a reason; see docs/tuning.md."""

    exceptions_files: tuple[Path, ...] = ()
    """YAML files with more of them, each with a key ``exceptions`` as here."""

    correlation: CorrelationSettings = CorrelationSettings()
    """How correlation rules are run."""

    suppress: tuple[SuppressSettings, ...] = ()
    """How often alerts are repeated; of several entries, the first that selects an alert decides."""

    redact: tuple[str, ...] = ()
    """Fields whose values alerts don't show."""

    spool_bytes: int = Field(default=1 << 30, ge=1 << 20)
    """How much the alerts that wait for sinks may take on disk."""

    history: int = Field(default=10_000, ge=0, le=1_000_000)
    """How many alerts are kept after their delivery, the newest ones, while the spool has room."""

    stop_seconds: float = Field(default=30.0, gt=0, le=3600)
    """How long stopping may take; what was not delivered by then is when the service starts again."""

    watch: bool = True
    """Whether to reload when this file, or files of rules or pipelines, change; else on SIGHUP alone."""

    _secret_files: tuple[SecretFile, ...] = PrivateAttr(default=())

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

    def watched_paths(self) -> list[Path]:
        """Return the files and directories, beside the configuration file, that decide what the service does."""
        return [*self.rules.files(), *self.exceptions_files, *(file.path for file in self.secret_files)]

    @property
    def secret_files(self) -> tuple[SecretFile, ...]:
        """The files that secrets were read from."""
        return self._secret_files

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
        return parse_configuration(_mapping_in(path), environment)
    except ConfigurationError as error:
        raise ConfigurationError(error.problems, path) from error.__cause__


def _mapping_in(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > MOST_BYTES:
            raise ConfigurationError([("", f"longer than {MOST_BYTES} bytes; is this a configuration?")])
        value = parse_yaml(path.read_bytes())
    except OSError as error:
        raise ConfigurationError([("", f"cannot be read: {error.strerror}")]) from error
    except DocumentError as error:
        raise ConfigurationError([("", str(error))]) from error
    if not isinstance(value, dict):
        raise ConfigurationError([("", "a configuration is a mapping of keys; see docs/monitor.md")])
    return value


def parse_configuration(value: Mapping[str, Any], environment: Mapping[str, str] = os.environ) -> Configuration:
    """Return the configuration that *value*, of JSON types, says; arguments and errors as ``load_configuration``."""
    problems: list[Problem] = []
    filled = _filled(dict(value), environment, "", problems)
    problems += truth_for_numbers(filled, Configuration)
    secret_files: list[SecretFile] = []
    filled = read_secrets(filled, Configuration, problems, secret_files)
    configuration = None
    try:
        configuration = Configuration.model_validate(filled)
        configuration._secret_files = tuple(secret_files)
    except ValidationError as error:
        unset = [place for place, _ in problems]  # what is around them may be wrong only by that
        found = problems_of(error, Configuration, filled)
        problems += [one for one in found if not any(is_within(place, one[0]) for place in unset)]
    for section in KINDS:
        problems += _repeated(section, filled.get(section))
    if configuration is None or problems:
        raise ConfigurationError(_one_a_place(problems))
    return configuration


def _filled(value: Any, environment: Mapping[str, str], place: str, problems: list[Problem]) -> Any:
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


def _repeated(section: str, parts: Any) -> Iterator[Problem]:
    """Yield the names that are given twice; of what was read, so that they are told beside other problems."""
    seen: dict[str, int] = {}
    for number, part in enumerate(parts if isinstance(parts, list) else ()):
        if not isinstance(part, dict) or part.get("type") not in tuple(KINDS[section]):
            continue
        name = part.get("name", part["type"])
        if isinstance(name, str) and (first := seen.setdefault(name, number)) != number:
            yield f"{section}[{number}].name", f"{name!r} is also that of {section}[{first}]; give it another name"


def _one_a_place(problems: Iterable[Problem]) -> list[Problem]:
    """Return the first problem of each place, in the order of the sections; unknown ones are the last."""
    sections = list(Configuration.model_fields)
    found: dict[str, str] = {}
    for place, finding in problems:
        found.setdefault(place, finding)

    def order(problem: Problem) -> int:
        section = re.split(r"[.\[]", problem[0], maxsplit=1)[0]
        return sections.index(section) if section in sections else len(sections)

    return sorted(found.items(), key=order)
