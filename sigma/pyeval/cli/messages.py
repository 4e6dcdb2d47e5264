"""What a person reads on stderr: one line a finding, safe to show whatever a rule or a log holds."""

from __future__ import annotations

import logging
from typing import NoReturn

import click

from sigma.pyeval.output import printable

_LOGGER = "sigma.pyeval.logger"


def log_messages(logger: logging.Logger) -> None:
    """Give what this command has to say to *logger* from now on, for who wants one form for all of stderr."""
    click.get_current_context().meta[_LOGGER] = logger


def warn(message: str) -> None:
    """Write one line about something that was left out."""
    _say(logging.WARNING, "warning: ", message)


def complain(message: str, *, prefix: str = "error: ") -> None:
    """Write one line about what went wrong."""
    _say(logging.ERROR, prefix, message)


def fail(message: str, exit_code: int) -> NoReturn:
    """Write one line about what went wrong, and end the program."""
    complain(message)
    raise SystemExit(exit_code)


def _say(level: int, prefix: str, message: str) -> None:
    context = click.get_current_context(silent=True)
    logger: logging.Logger | None = None if context is None else context.meta.get(_LOGGER)
    if logger is not None:
        logger.log(level, "%s", message)
    else:
        click.echo(f"{prefix}{printable(message)}", err=True)
