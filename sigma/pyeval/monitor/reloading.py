"""New rules and configurations for a running service: read beside what runs, taken over whole or not at all.

Files are looked at by their status every few seconds rather than watched: a directory that is replaced by renaming, a symbolic
link that is turned (as configuration volumes of containers are), and file systems of other machines are all seen that way.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Final

from sigma.pyeval.output import counted, printable
from sigma.pyeval.ruleset import Ruleset

from .batches import PartError
from .configuration import ConfigurationError
from .journal import LOGGER
from .service import Change, Service

LOOK_SECONDS: Final = 2.0
"""How often the files are looked at; a change is taken once they have stayed the same for as long."""

_SUFFIXES = (".yml", ".yaml")
_Status = tuple[int, int, int, int]
Load = Callable[[], Change]
"""Reads configuration and rules anew.

Raises:
    ConfigurationError, PartError: They cannot be used.
"""


class Reloader:
    """Takes over what the files say, on request and when they change.

    Args:
        service: What runs.
        path: The configuration file.
        load: Reads it and the rules that it names; called in a thread.
        during: What a reload takes place in: systemd is told of it.
    """

    def __init__(
        self,
        service: Service,
        path: Path,
        load: Load,
        during: Callable[[], AbstractContextManager[None]] = contextlib.nullcontext,
    ) -> None:
        self._service = service
        self._path = path
        self._load = load
        self._during = during
        self._wanted = asyncio.Event()
        self._seen = self._look()

    def request(self) -> None:
        """Ask for a reload, whether or not a file has changed."""
        self._wanted.set()

    async def run(self) -> None:
        """Reload whenever that was asked for or files have changed; never ends by itself."""
        while True:
            changed = await self._wait()
            self._wanted.clear()
            why = "as asked to"
            if changed:
                others = f" and {counted(len(changed) - 1, 'other file')}" if len(changed) > 1 else ""
                why = f"{printable(changed[0])}{others} changed"
            LOGGER.info("reloading: %s", why)
            with self._during():
                result = "ok" if await self.reload() else "refused"
            self._service.metrics.reloads.labels(result).inc()

    async def reload(self) -> bool:
        """Read everything anew and go over to it; return whether that was possible. What ran before runs on where not."""
        before = self._service.now
        try:
            digest = await asyncio.to_thread(digest_of, self._path)
            wanted = await asyncio.to_thread(self._load)
            _refuse_new_errors(before.ruleset, wanted.ruleset)
            if _same(wanted.ruleset, before.ruleset):  # what the engine has learned of events stays
                wanted = wanted._replace(ruleset=before.ruleset)
            await self._service.change(wanted)
        except ConfigurationError as error:
            self._kept(str(error).split("\n"))
        except PartError as error:
            self._kept([str(error)])
        except Exception as error:  # noqa: BLE001 - a mistake in a reload must not end what runs; it is logged whole
            LOGGER.error("a reload failed", exc_info=error)
            self._kept([f"{type(error).__name__}: {error}"])
        else:
            self._service.metrics.configured(digest)
            # Paths that are new are not news; a file that changed since it was read still is.
            self._seen = await asyncio.to_thread(self._look) | self._seen
            LOGGER.info("reloaded: %s", describe(before, wanted))
            return True
        return False

    def _kept(self, reasons: Iterable[str]) -> None:
        for reason in reasons:
            LOGGER.error("not reloaded: %s", reason)
        LOGGER.error("what ran before runs on, unchanged")

    async def _wait(self) -> list[str]:
        """Wait for a request, or for files that have changed and then stayed as they are; return which have changed."""
        found = self._seen
        while not self._wanted.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wanted.wait(), LOOK_SECONDS)
            if not (self._service.now.configuration.watch or self._wanted.is_set()):
                continue
            before, found = found, await asyncio.to_thread(self._look)
            if before == found != self._seen:
                break
        seen, self._seen = self._seen, found
        return sorted(path for path in found.keys() | seen.keys() if found.get(path) != seen.get(path))

    def _look(self) -> dict[str, _Status]:
        return dict(_statuses([self._path, *self._service.now.configuration.watched_paths()]))


def _statuses(paths: Iterable[Path]) -> Iterator[tuple[str, _Status]]:
    """Yield path and status of each file, of those below a directory only YAML ones; what cannot be read is as if not there."""
    for path in paths:
        if os.path.isdir(path):  # unlike Path.is_dir, it raises nothing where a parent cannot be read
            for folder, _, names in os.walk(path):
                for name in names:
                    if name.endswith(_SUFFIXES):
                        yield from _status(os.path.join(folder, name))
        else:
            yield from _status(str(path))


def _status(path: str) -> Iterator[tuple[str, _Status]]:
    try:
        found = os.stat(path)
    except OSError:
        return
    yield path, (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns)


def _refuse_new_errors(running: Ruleset, wanted: Ruleset) -> None:
    """Refuse rules of which some cannot be loaded that were not left out before.

    Raises:
        PartError: With what is wrong with the first of them, and how many there are.
    """
    new = [error for error in wanted.errors if error not in running.errors and not error.unsupported]
    if not wanted.rules:
        raise PartError("rules: none could be loaded")
    if new:
        more = f"; and {counted(len(new) - 1, 'other')}" if len(new) > 1 else ""
        raise PartError(f"rules: {new[0]}{more}; mend it, exclude it, or restart the service to run without it")


def _same(one: Ruleset, other: Ruleset) -> bool:
    return (one.all_rules, one.errors) == (other.all_rules, other.errors)


def describe(before: Change, after: Change) -> str:
    """Return on one line what is different."""
    old, new = ({rule.source_hash for rule in change.ruleset.all_rules} for change in (before, after))
    gone, came = old - new, new - old
    parts = [f"{counted(len(after.ruleset.all_rules), 'rule')}, {counted(len(after.ruleset.errors), 'rule')} left out"]
    if gone or came:
        parts.append(f"{len(came)} new or changed, {len(gone)} gone or as they were before")
    for section in ("sources", "sinks"):
        was = {part.name: part for part in getattr(before.configuration, section)}
        now = {part.name: part for part in getattr(after.configuration, section)}
        for word, names in (
            ("new", now.keys() - was.keys()),
            ("gone", was.keys() - now.keys()),
            ("changed", {name for name in now.keys() & was.keys() if now[name] != was[name]}),
        ):
            if names:
                parts.append(f"{word} {section}: {', '.join(sorted(names))}")
    return "; ".join(parts)


def digest_of(path: Path) -> str:
    """Return the SHA-256 of a file in hex, as ``sha256sum`` prints it; nothing where it cannot be read."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return ""
