"""``sigma-pyeval monitor``: rules held against live logs, alerts delivered."""

from __future__ import annotations

import asyncio
import json
import signal
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NoReturn

import click

from sigma.pyeval.errors import RuleLoadError, errors_in_brief
from sigma.pyeval.output import counted, printable

from .messages import complain, fail, log_messages, warn
from .rule_options import EXIT_NOTHING_LOADED, EXIT_STRICT, left_out

if TYPE_CHECKING:
    from sigma.pyeval.monitor.configuration import Configuration
    from sigma.pyeval.monitor.tuning.loading import Tuning
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
@click.option(
    "--log-format", type=click.Choice(["text", "json"]), default="text", show_default=True,
    help="Lines for people, or one JSON object a line.",
)  # fmt: skip
@click.option("--strict", is_flag=True, help="Stop at the first rule that cannot be loaded.")
@click.option(
    "--schema", is_flag=True, is_eager=True, expose_value=False, callback=lambda *given: _print_schema(given[2]),
    help="Print the configuration's JSON Schema, for editors, and end.",
)  # fmt: skip
def command(path: Path, check: bool, log_level: str, log_format: Literal["text", "json"], strict: bool) -> None:
    """Run rules over live logs and deliver alerts until SIGTERM or the end of all input.

    Exit codes: 0 stopped as asked; 2 configuration, rules or state cannot be used; 3 stopped by --strict; 4 a part did not end in
    time and was cut off; 5 a part failed for good. After each of them, alerts that sinks did not take are kept in the state.
    """
    # ``run`` lets SIGPIPE end the program, as suits a filter. A service must survive a client that has gone away, and a sink
    # has to see the error of a write to it.
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    try:
        from sigma.pyeval.monitor.configuration import ConfigurationError, load_configuration
        from sigma.pyeval.monitor.correlation import correlation_problem
        from sigma.pyeval.monitor.journal import LOGGER, log_to_stderr
        from sigma.pyeval.monitor.preflight import Finding, files_met, rules_met
        from sigma.pyeval.monitor.tuning.loading import load_tuning
    except ModuleNotFoundError as error:
        fail(f"monitor needs {error.name}: pip install 'pySigma-backend-pyeval[monitor]'", EXIT_NOTHING_LOADED)
    if log_format == "json":  # what is said before the log begins is JSON too then
        log_to_stderr(log_level, log_format)
        log_messages(LOGGER)
    try:
        configuration = load_configuration(path)
    except ConfigurationError as error:
        _refuse(path, error.problems)
    ruleset = _rules(configuration, strict)
    findings = list(files_met(configuration)) if check else []
    findings += rules_met(configuration, ruleset.all_rules)
    if problem := correlation_problem(ruleset, configuration.correlation, configuration.spool_bytes):
        _refuse(path, [("correlation", problem)])
    try:
        tuning = load_tuning(configuration, ruleset)
    except ConfigurationError as error:
        _refuse(path, error.problems)
    findings += [Finding(place, text) for place, text in tuning.findings]
    for finding in findings:
        if not finding.certain:
            warn(f"{path}: {finding.place}: {finding.text}")
    if certain := [(finding.place, finding.text) for finding in findings if finding.certain]:
        _refuse(path, certain)
    if check:
        click.echo(f"{printable(str(path))}: usable; {_loaded(ruleset)}")
        return
    log_to_stderr(log_level, log_format)
    raise SystemExit(_run(path, configuration, ruleset, tuning))


def _refuse(path: Path, problems: Sequence[tuple[str, str]]) -> NoReturn:
    """Write one line for each problem and how many there are, and end the program."""
    for place, finding in problems:
        complain(f"{path}: {place}: {finding}" if place else f"{path}: {finding}")
    complain(f"{counted(len(problems), 'error')} in {path}", prefix="")
    raise SystemExit(EXIT_NOTHING_LOADED)


def _run(path: Path, configuration: Configuration, ruleset: Ruleset, tuning: Tuning) -> int:
    """Run the service to its end and return the exit code."""
    from sigma.pyeval.monitor.batches import PartError
    from sigma.pyeval.monitor.journal import LOGGER
    from sigma.pyeval.monitor.program import run_program
    from sigma.pyeval.monitor.service import Ending
    from sigma.pyeval.monitor.store import StoreError, StoreFull

    LOGGER.info("%s", _loaded(ruleset))
    state = configuration.state
    try:
        state.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        reason = f"state: {state} cannot be made: {error.strerror}"
        fail(f"{reason}; name a directory that this user can write", EXIT_NOTHING_LOADED)
    try:
        ending = asyncio.run(run_program(path, configuration, ruleset, tuning))
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
    return f"{counted(len(ruleset.all_rules), 'rule')}, {left_out(ruleset)}"


def _print_schema(wanted: bool) -> None:
    """Print the configuration's JSON Schema and end the program, where that is wanted."""
    if not wanted:
        return
    try:
        from sigma.pyeval.monitor.schema import configuration_schema
    except ModuleNotFoundError as error:
        fail(f"monitor needs {error.name}: pip install 'pySigma-backend-pyeval[monitor]'", EXIT_NOTHING_LOADED)
    click.echo(json.dumps(configuration_schema(), indent=2))
    raise SystemExit(0)


def _rules(configuration: Configuration, strict: bool) -> Ruleset:
    """Load the rules, naming on stderr each that cannot be; end the program where none is left."""
    from sigma.pyeval.monitor.batches import PartError
    from sigma.pyeval.monitor.program import load_configured_rules

    try:
        ruleset = load_configured_rules(configuration.rules, strict=strict)
    except RuleLoadError as error:
        fail(str(error), EXIT_STRICT)
    except PartError as error:
        fail(str(error), EXIT_NOTHING_LOADED)
    for problem in errors_in_brief(ruleset.errors):
        warn(str(problem))
    for section, text in ruleset.notes:
        warn(f"rules.{section}: {text}")
    if not ruleset.rules:
        chosen = f"; {left_out(ruleset)}" if ruleset.left_out else ""
        fail(f"no rule could be loaded{chosen}", EXIT_NOTHING_LOADED)
    return ruleset
