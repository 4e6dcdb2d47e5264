"""What a person reads on stderr: one line a finding, safe to show whatever a rule or a log holds."""

from __future__ import annotations

from typing import NoReturn

import click

from sigma.pyeval.output import printable


def warn(message: str) -> None:
    """Write one line about something that was left out."""
    click.echo(f"warning: {printable(message)}", err=True)


def fail(message: str, exit_code: int) -> NoReturn:
    """Write one line about what went wrong, and end the program."""
    click.echo(f"error: {printable(message)}", err=True)
    raise SystemExit(exit_code)
