"""``sigma-pyeval monitor``: rules held against live logs, alerts delivered."""

from __future__ import annotations

import asyncio
import signal
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import click

from sigma.pyeval.output import counted, printable

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
@click.option(
    "--check", is_flag=True, help="Only say whether configuration and rules can be used, and what they will meet."
)
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
    # ``run`` lets SIGPIPE end the program, as suits a filter. A service must survive a client that has gone away, and a sink
    # has to see the error of a write to it.
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    try:
        from sigma.pyeval.monitor.configuration import ConfigurationError, load_configuration
        from sigma.pyeval.monitor.journal import log_to_stderr
        from sigma.pyeval.monitor.preflight import files_met, rules_met
    except ModuleNotFoundError as error:
        fail(f"monitor needs {error.name}: pip install 'pySigma-backend-pyeval[monitor]'", EXIT_NOTHING_LOADED)
    try:
        configuration = load_configuration(path)
    except ConfigurationError as error:
        _refuse(path, error.problems)
    ruleset = _rules(configuration, strict)
    findings = list(files_met(configuration)) if check else []
    findings += rules_met(configuration, ruleset.rules)
    for finding in findings:
        if not finding.certain:
            warn(f"{path}: {finding.place}: {finding.text}")
    if certain := [(finding.place, finding.text) for finding in findings if finding.certain]:
        _refuse(path, certain)
    if check:
        click.echo(f"{printable(str(path))}: usable; {_loaded(ruleset)}")
        return
    log_to_stderr(log_level)
    raise SystemExit(_run(configuration, ruleset))


def _refuse(path: Path, problems: Sequence[tuple[str, str]]) -> NoReturn:
    """Write one line for each problem and how many there are, and end the program."""
    for place, finding in problems:
        text = f"{path}: {place}: {finding}" if place else f"{path}: {finding}"
        click.echo(f"error: {printable(text)}", err=True)
    click.echo(f"{counted(len(problems), 'error')} in {printable(str(path))}", err=True)
    raise SystemExit(EXIT_NOTHING_LOADED)


def _run(configuration: Configuration, ruleset: Ruleset) -> int:
    """Run the service to its end and return the exit code."""
    from sigma.pyeval.monitor.batches import PartError
    from sigma.pyeval.monitor.journal import LOGGER
    from sigma.pyeval.monitor.service import Ending, run_service
    from sigma.pyeval.monitor.store import StoreError, StoreFull

    LOGGER.info("%s", _loaded(ruleset))
    state = configuration.state
    try:
        state.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        reason = f"state: {state} cannot be made: {error.strerror}"
        fail(f"{reason}; name a directory that this user can write", EXIT_NOTHING_LOADED)
    try:
        ending = asyncio.run(run_service(configuration, ruleset))
    except StoreError as error:
        fail(f"state: {error}", EXIT_NOTHING_LOADED)
    except PartError as error:  # a library that is missing
        fail(str(error), EXIT_NOTHING_LOADED)
    except StoreFull:
        fail(f"state: the disk of {state} is full; make room, what was not saved is read again", Ending.FAILED)
    except (sqlite3.Error, OSError) as error:
        fail(f"state: {state}: {error}", Ending.FAILED)
    if ending is Ending.CLEAN:
        LOGGER.info("stopped")
    else:
        what = "a part did not end in time" if ending is Ending.DEADLINE else "a part failed"
        LOGGER.error("stopped: %s (exit code %d)", what, ending)
    return int(ending)


def _loaded(ruleset: Ruleset) -> str:
    return f"{counted(len(ruleset.rules), 'rule')}, {counted(len(ruleset.errors), 'rule')} left out"


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
