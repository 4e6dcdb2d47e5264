"""The service as a program: what it is started with, and the signals that stop and reload it."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

from prometheus_client import disable_created_metrics

from sigma.pyeval.ruleset import Ruleset

from .batches import PartError
from .configuration import Configuration, ConfigurationError, load_configuration
from .correlation import correlation_problem
from .journal import LOGGER
from .notification import Notifier
from .preflight import files_met, rules_met
from .reloading import Reloader, digest_of
from .rules_settings import RulesSettings
from .service import Change, Ending, Service
from .tuning.loading import Tuning, load_tuning


def load_configured_rules(settings: RulesSettings, *, strict: bool = False) -> Ruleset:
    """Return the rules that *settings* name, ready for the first event; what could not be loaded is in its ``errors``.

    Raises:
        PartError: A pipeline cannot be used.
        RuleLoadError: A rule cannot be loaded, and *strict*.
    """
    from sigma.exceptions import SigmaError

    try:
        ruleset = settings.load("raise" if strict else "collect")
    except SigmaError as error:
        raise PartError(f"pipeline: {error}") from error
    ruleset.match({})  # the engine is made before the first event waits for it
    return ruleset


def load_anew(path: Path) -> Change:
    """Return what the file at *path* says by now.

    Raises:
        ConfigurationError: The file cannot be used, or the service would fail by it.
        PartError: A pipeline cannot be used.
    """
    configuration = load_configuration(path)
    if certain := [(finding.place, finding.text) for finding in files_met(configuration) if finding.certain]:
        raise ConfigurationError(certain, path)
    ruleset = load_configured_rules(configuration.rules)
    if problem := correlation_problem(ruleset, configuration.correlation, configuration.spool_bytes):
        raise ConfigurationError([("correlation", problem)], path)
    try:
        tuning = load_tuning(configuration, ruleset)
    except ConfigurationError as error:
        raise ConfigurationError(error.problems, path) from error
    notes = [(f"rules.{section}", text) for section, text in ruleset.notes]
    met = [(finding.place, finding.text) for finding in rules_met(configuration, ruleset.all_rules)]
    for place, text in [*notes, *tuning.findings, *met]:
        LOGGER.warning("%s: %s: %s", path, place, text)
    return Change(configuration, ruleset, tuning)


async def run_program(path: Path, configuration: Configuration, ruleset: Ruleset, tuning: Tuning) -> Ending:
    """Run a service as a program does: SIGTERM and SIGINT stop it, SIGHUP opens its files anew and reloads.

    Args:
        path: The file that *configuration* was read from, for reloading.
        configuration: What to run.
        ruleset: The rules that it names.
        tuning: Exceptions and suppression, made for these.

    Raises:
        StoreError: The state cannot be used.
    """
    disable_created_metrics()  # type: ignore[no-untyped-call]
    service = Service(configuration, ruleset, tuning)
    notifier = Notifier()
    service.metrics.configured(await asyncio.to_thread(digest_of, path))
    reloader = Reloader(service, path, lambda: load_anew(path), notifier.reloading)
    loop = asyncio.get_running_loop()
    reopening: set[asyncio.Task[None]] = set()

    def hang_up() -> None:
        LOGGER.info("SIGHUP: files and certificates of sinks are opened anew")
        task = loop.create_task(service.reopen())
        reopening.add(task)
        task.add_done_callback(reopening.discard)
        reloader.request()

    def stop() -> None:
        notifier.stopping()
        service.stop()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    loop.add_signal_handler(signal.SIGHUP, hang_up)
    telling = loop.create_task(_keep_told(notifier, service), name="notification")
    try:
        return await service.run(reloader.run)
    finally:
        telling.cancel()
        await asyncio.wait({telling})
        if not telling.cancelled() and (failure := telling.exception()) is not None:
            LOGGER.error("systemd was not told any more how the service is", exc_info=failure)
        notifier.close()


async def _keep_told(notifier: Notifier, service: Service) -> None:
    """Tell systemd when the service runs and how it is; also while it stops, until it has ended."""
    await service.started.wait()
    notifier.ready()
    await notifier.run(service.readiness)
