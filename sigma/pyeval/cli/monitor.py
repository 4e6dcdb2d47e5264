"""``sigma-pyeval monitor``: rules held against live logs, alerts delivered."""

from __future__ import annotations

import asyncio
import errno
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sigma.pyeval.output import counted

from .messages import fail, warn
from .rule_options import EXIT_NOTHING_LOADED, load_ruleset

if TYPE_CHECKING:
    from sigma.pyeval.monitor.configuration import Configuration
    from sigma.pyeval.ruleset import Ruleset


@click.command("monitor")
@click.option(
    "-c", "--config", "path", required=True, type=click.Path(dir_okay=False, path_type=Path),
    help="The configuration, a YAML file; see docs/monitor.md.",
)  # fmt: skip
@click.option("--check", is_flag=True, help="Only say whether configuration and rules can be used.")
@click.option(
    "--log-level", type=click.Choice(["debug", "info", "warning", "error"]), default="info", show_default=True,
    help="The least that is logged to standard error.",
)  # fmt: skip
@click.option("--strict", is_flag=True, help="Stop at the first rule that cannot be loaded.")
def command(path: Path, check: bool, log_level: str, strict: bool) -> None:
    """Run rules over live logs and deliver alerts until SIGTERM or the end of all input.

    Exit codes: 0 stopped as asked; 2 configuration, rules or state cannot be used; 3 stopped by --strict; 4 a part did not end in
    time and was cut off; 5 a part failed for good. After each of them, alerts that sinks did not take are kept in the state.
    """
    try:
        from sigma.pyeval.monitor.configuration import ConfigurationError, load_configuration
        from sigma.pyeval.monitor.journal import LOGGER, log_to_stderr
        from sigma.pyeval.monitor.service import run_service
        from sigma.pyeval.monitor.store import StoreError
    except ModuleNotFoundError as error:
        fail(f"monitor needs {error.name}: pip install 'pySigma-backend-pyeval[monitor]'", EXIT_NOTHING_LOADED)
    try:
        configuration = load_configuration(path)
    except ConfigurationError as error:
        for place, finding in error.problems[:-1]:
            warn(f"{place}: {finding}" if place else finding)
        place, finding = error.problems[-1]
        fail(f"{place}: {finding}" if place else finding, EXIT_NOTHING_LOADED)
    ruleset = _rules(configuration, strict)
    if check:
        click.echo(
            f"{path}: usable; {counted(len(ruleset.rules), 'rule')}, {counted(len(ruleset.errors), 'rule')} left out"
        )
        return
    log_to_stderr(log_level)
    LOGGER.info("%d rules, %d left out", len(ruleset.rules), len(ruleset.errors))
    try:
        ending = asyncio.run(run_service(configuration, ruleset))
    except StoreError as error:
        fail(str(error), EXIT_NOTHING_LOADED)
    except OSError as error:
        fail(
            f"{error.filename or configuration.state}: {error.strerror or errno.errorcode.get(error.errno or 0)}",
            EXIT_NOTHING_LOADED,
        )
    LOGGER.info("stopped")
    raise SystemExit(int(ending))


def _rules(configuration: Configuration, strict: bool) -> Ruleset:
    rules = configuration.rules
    placeholders = tuple(
        f"{name}={value}"
        for name, values in rules.placeholders.items()
        for value in (values if isinstance(values, tuple) else (values,))
    )
    ruleset = load_ruleset(rules.paths, rules.pipelines, placeholders, rules.restrictiveness, strict)
    ruleset.match({})  # the engine is made before the first event waits for it
    return ruleset
