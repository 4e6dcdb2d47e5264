"""What a configuration that can be read will meet: the machine's files and the rules. Nothing is made or opened.

A finding is certain where the service would fail whoever runs it; the others may be meant, mended in time, or due to
``--check`` being run by another user than the service.
"""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from sigma.pyeval.rules import Rule

from .configuration import Configuration
from .settings import SinkSettings
from .sinks.file import FileSinkSettings
from .sinks.selection import selects
from .sinks.stdout import StdoutSettings
from .sources.file import FileSourceSettings
from .sources.journald import JournaldSettings


class Finding(NamedTuple):
    """Place as in errors of the configuration, what was found, and whether the service is sure to fail by it."""

    place: str
    text: str
    certain: bool = False


def files_met(configuration: Configuration) -> Iterator[Finding]:
    """Yield what is amiss with the state, with files of sources, with those of sinks, and where alerts would be read again."""
    yield from _state(configuration.state)
    for secret in configuration.secret_files:
        if secret.is_open_to_others():
            yield Finding(secret.place, f"everybody may read {secret.path}; chmod o= {secret.path}")
    for number, source in enumerate(configuration.sources):
        if isinstance(source, FileSourceSettings):
            for index, path in enumerate(source.paths):
                yield from _source_file(f"sources[{number}].paths[{index}]", path)
    for number, sink in enumerate(configuration.sinks):
        if isinstance(sink, FileSinkSettings):
            yield from _sink_file(f"sinks[{number}].path", Path(sink.path))
    yield from _own_alerts(configuration)


def rules_met(configuration: Configuration, rules: Iterable[Rule]) -> Iterator[Finding]:
    """Yield rules among the filters, and what sinks select that none of *rules* has: their alerts would never come."""
    rules = tuple(rules)
    filters = tuple(path.absolute() for path in configuration.rules.filters)
    for rule in rules:
        if any(Path(rule.path or "").absolute().is_relative_to(path) for path in filters):
            yield Finding("rules.filters", f"{rule.path} holds a rule, no filter; it runs like those of rules.paths")
    told = [{"rule": {"id": rule.id, "level": rule.level, "tags": list(rule.tags)}, "host": None} for rule in rules]
    for number, sink in enumerate(configuration.sinks):
        for field, wanted in [("rules", one) for one in sink.rules] + [("tags", one) for one in sink.tags]:
            alone = SinkSettings.model_validate({"name": sink.name, field: (wanted,)})
            if not any(selects(alone, alert) for alert in told):
                yield Finding(f"sinks[{number}].{field}", f"no loaded rule has {wanted!r}")
        whole = sink.model_copy(update={"hosts": ()})
        if not any(selects(whole, alert) for alert in told):
            text = f"min_level, tags and rules select none of the loaded rules; {sink.name} will get no alert"
            yield Finding(f"sinks[{number}]", text)


def _state(state: Path) -> Iterator[Finding]:
    there = next(path for path in (state, *state.absolute().parents) if path.exists() or path.is_symlink())
    if not there.is_dir():
        yield Finding("state", f"{there} is in the way, it is no directory", certain=True)
    elif not os.access(there, os.W_OK | os.X_OK):
        yield Finding("state", f"this user cannot write to {there}")
    elif there not in (state, state.absolute().parent):
        yield Finding("state", f"{state.absolute().parent} is not there; it will be made")


def _source_file(place: str, path: str) -> Iterator[Finding]:
    if glob.has_magic(path):
        if next(glob.iglob(path, recursive=True), None) is None:
            yield Finding(place, f"no file matches {path} yet")
    elif not os.path.exists(path):
        yield Finding(place, f"there is no {path} yet")
    elif os.path.isdir(path):
        yield Finding(place, f"{path} is a directory; write a pattern such as {path.rstrip('/')}/*.log")
    elif not os.access(path, os.R_OK):
        yield Finding(place, f"this user cannot read {path}")


def _own_alerts(configuration: Configuration) -> Iterator[Finding]:
    # What a rule matched stands in its alert: one without a service matches that again, for ever.
    reads_all = [
        number
        for number, source in enumerate(configuration.sources)
        if isinstance(source, JournaldSettings)
        and not (
            source.units or source.matches or source.directory or source.files or source.namespace not in (None, "*")
        )
    ]
    for number, sink in enumerate(configuration.sinks):
        if reads_all and isinstance(sink, StdoutSettings):
            text = f"a service's standard output is the journal, which sources[{reads_all[0]}] reads: alerts may raise alerts"
            yield Finding(f"sinks[{number}]", f"{text}; write to a file instead")


def _sink_file(place: str, path: Path) -> Iterator[Finding]:
    folder = path.parent
    if path.is_dir():
        yield Finding(place, f"{path} is a directory; name a file", certain=True)
    elif path.is_symlink():
        yield Finding(place, f"{path} is a symbolic link; name the file itself", certain=True)
    elif not folder.exists():
        yield Finding(place, f"there is no folder {folder}; alerts wait until it is made")
    elif not folder.is_dir():
        yield Finding(place, f"{folder} is no directory", certain=True)
    elif not os.access(path if path.exists() else folder, os.W_OK):
        yield Finding(place, f"this user cannot write to {path if path.exists() else folder}")
