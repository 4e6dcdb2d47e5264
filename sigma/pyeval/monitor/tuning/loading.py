"""The tuning of a configuration: its exceptions compiled, those of its files read, its suppression."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, Final

from pydantic import Field, ValidationError

from sigma.pyeval.documents import DocumentError, parse_yaml
from sigma.pyeval.pipelines import Placeholders
from sigma.pyeval.ruleset import Ruleset

from ..configuration import Configuration, ConfigurationError
from ..configuration_errors import Problem, problems_of
from ..settings import Settings
from .exceptions import Compiled, Exceptions, compile_exception, findings
from .foreign_fields import foreign_fields
from .settings import ExceptionSettings
from .suppression import Suppression

MOST_BYTES: Final = 8 << 20
"""A file of exceptions longer than this is refused."""


class ExceptionsFile(Settings):
    """A file of ``exceptions_files``."""

    exceptions: tuple[ExceptionSettings, ...] = Field(default=())
    """As in the configuration."""


class Tuning:
    """What becomes of matches before they are alerts, and of alerts before they are kept.

    Args:
        exceptions: Which matches raise no alert.
        suppression: How often alerts are repeated.
        findings: Place and text of what was found at loading that may not be meant.
    """

    def __init__(
        self,
        exceptions: Exceptions | None = None,
        suppression: Suppression | None = None,
        findings: Sequence[Problem] = (),
    ) -> None:
        self.exceptions = Exceptions() if exceptions is None else exceptions
        self.suppression = Suppression() if suppression is None else suppression
        self.findings = tuple(findings)


def load_tuning(configuration: Configuration, ruleset: Ruleset, today: date | None = None) -> Tuning:
    """Return the tuning of *configuration* for the rules that run.

    Args:
        configuration: With ``exceptions``, ``exceptions_files`` and ``suppress``.
        ruleset: The rules, loaded as the configuration says.
        today: For findings about expiry; the day in UTC unless given.

    Raises:
        ConfigurationError: Every exception that cannot be used, and every file that cannot be read.
    """
    today = datetime.now(UTC).date() if today is None else today
    problems: list[Problem] = []
    placed = [(f"exceptions[{number}]", one) for number, one in enumerate(configuration.exceptions)]
    for number, path in enumerate(configuration.exceptions_files):
        try:
            placed += [(f"exceptions_files[{number}]: {path}: {place}", one) for place, one in _read(path)]
        except ConfigurationError as error:
            problems += [
                (f"exceptions_files[{number}]", f"{path}: {f'{place}: ' if place else ''}{finding}")
                for place, finding in error.problems
            ]
    problems += _repeated(placed)
    placeholders: Placeholders = configuration.rules.placeholders
    compiled: list[tuple[str, Compiled]] = []
    for place, one in placed:
        try:
            compiled.append((place, compile_exception(one, placeholders)))
        except ValueError as error:
            problems.append((f"{place}.match", str(error)))
    if problems:
        raise ConfigurationError(problems)
    rules = ruleset.all_rules
    found = [(place, text) for place, one in compiled for text in findings(one.settings, rules, today)]
    found += foreign_fields([(place, one.settings) for place, one in compiled], rules, configuration.rules)
    found += _escalations(configuration)
    return Tuning(Exceptions([one for _, one in compiled], rules), Suppression(configuration.suppress), sorted(found))


def _escalations(configuration: Configuration) -> Iterator[Problem]:
    """Yield the sinks with ``after`` where there is no page: nobody can keep an alert from them."""
    server = configuration.server
    served = server is not None or any(source.type in {"http", "websocket"} for source in configuration.sources)
    if served and (server is None or server.page):
        return
    for number, sink in enumerate(configuration.sinks):
        if sink.after is not None:
            yield f"sinks[{number}].after", "alerts are acknowledged on the page, and there is none; see server.page"


def _read(path: Path) -> list[tuple[str, ExceptionSettings]]:
    """Return the exceptions of a file, each with its place there."""
    try:
        if path.stat().st_size > MOST_BYTES:
            raise ConfigurationError([("", f"longer than {MOST_BYTES} bytes; are these exceptions?")])
        value: Any = parse_yaml(path.read_bytes())
    except OSError as error:
        raise ConfigurationError([("", f"cannot be read: {error.strerror}")]) from error
    except DocumentError as error:
        raise ConfigurationError([("", str(error))]) from error
    if value is None:
        return []
    if not isinstance(value, dict):
        raise ConfigurationError([("", "write 'exceptions:' and the list below it")])
    try:
        read = ExceptionsFile.model_validate(value)
    except ValidationError as error:
        raise ConfigurationError(problems_of(error, ExceptionsFile, value)) from error
    return [(f"exceptions[{number}]", one) for number, one in enumerate(read.exceptions)]


def _repeated(placed: Sequence[tuple[str, ExceptionSettings]]) -> Iterator[Problem]:
    seen: dict[str, str] = {}
    for place, one in placed:
        if (first := seen.setdefault(one.name, place)) != place:
            yield f"{place}.name", f"{one.name!r} is also that of {first}; give it another name"
