"""Commands run in this process, as on a terminal."""

from __future__ import annotations

from click.testing import CliRunner, Result

from sigma.pyeval.cli import main


def run(*arguments: object, text: str | bytes | None = None, columns: int = 80) -> Result:
    """Run ``sigma-pyeval`` with *arguments*, *text* on its standard input, on a terminal of *columns*."""
    return CliRunner().invoke(
        main, [str(argument) for argument in arguments], input=text, env={"COLUMNS": str(columns)}
    )
