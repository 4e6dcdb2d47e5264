"""The state of correlation rules as bytes: versioned, checked, and refused where it is damaged or of other rules."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Any, Final

from .engine import Engine
from .groups import TOTALS, Group, Groups
from .keys import from_json
from .observing import read_contribution, read_observation
from .results import Contribution

STATE_FORMAT: Final = 1
_MAGIC: Final = b"sigma.pyeval correlation state "


class StateError(ValueError):
    """Bytes are no state that these correlation rules can go on from."""


def rules_digest(engine: Engine) -> str:
    """Return a SHA-256, hexadecimal, over what the rules say; settings such as lateness and limits may change between runs."""
    return hashlib.sha256(repr(engine.digest_parts()).encode("utf-8", "surrogatepass")).hexdigest()


def dump_state(engine: Engine) -> bytes:
    """Return all that *engine* knows, as one line of ASCII that says what it is and one of JSON."""
    table: dict[int, int] = {}
    contributions: list[list[Any]] = []

    def numbered(one: Contribution) -> int:
        # A contribution stands in the groups of several rules; the object is the same in all of them.
        if id(one) not in table:
            table[id(one)] = len(contributions)
            contributions.append(list(one))
        return table[id(one)]

    state = {
        "rules": rules_digest(engine),
        "newest": engine.newest,
        "watermark": engine.watermark,
        "serial": engine.serial,
        "counts": {name: getattr(engine.counts, name) for name in TOTALS},
        "pending": [[serial, observation.as_json()] for _, serial, observation in sorted(engine.pending)],
        "groups": [
            {
                "open": [
                    [
                        list(key),
                        group.opened,
                        group.last,
                        group.last_arrival,
                        list(group.window.entries),
                        [numbered(one) for one in group.sample],
                    ]
                    for key, group in groups.open.items()
                ],
                "quiet": [[list(key), until] for key, until in groups.quiet_until.items()],
            }
            for groups in engine.groups
        ],
        "contributions": contributions,
    }
    body = json.dumps(state, separators=(",", ":"), default=str).encode("ascii")
    return _MAGIC + f"{STATE_FORMAT} {hashlib.sha256(body).hexdigest()}\n".encode() + body


def load_state(engine: Engine, data: bytes) -> None:
    """Make a fresh *engine* go on from what ``dump_state`` wrote.

    Raises:
        StateError: *data* is no such state, is damaged, of another version, or of other rules.
    """
    if not isinstance(data, (bytes, bytearray)) or not data.startswith(_MAGIC):
        raise StateError("this is no correlation state; start without one")
    header, _, body = bytes(data).partition(b"\n")
    number, _, digest = header.removeprefix(_MAGIC).partition(b" ")
    if number != str(STATE_FORMAT).encode():
        raise StateError(f"this correlation state has format {number[:20]!r}, not {STATE_FORMAT}; start without one")
    if hashlib.sha256(body).hexdigest().encode() != digest:
        raise StateError("this correlation state is damaged; restore it from a copy, or start without one")
    try:
        state = json.loads(body)
        if state["rules"] != rules_digest(engine):
            raise StateError("this correlation state is that of other rules; start without one")
        _restore(engine, state)
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        if isinstance(error, StateError):
            raise
        raise StateError(f"this correlation state cannot be read ({error!r:.80}); start without one") from error


def _restore(engine: Engine, state: dict[str, Any]) -> None:
    contributions = [read_contribution(one) for one in state["contributions"]]
    engine.newest, engine.watermark, engine.serial = (int(state[name]) for name in ("newest", "watermark", "serial"))
    for name in TOTALS:
        setattr(engine.counts, name, int(state["counts"][name]))
    engine.pending = [
        (made.time, int(serial), made) for serial, one in state["pending"] for made in [read_observation(one)]
    ]
    engine.counts.pending = len(engine.pending)
    for groups, kept in zip(engine.groups, state["groups"], strict=True):
        for row in kept["open"]:
            _restore_group(groups, row, contributions)
        groups.quiet_until.update((tuple(map(from_json, key)), int(until)) for key, until in kept["quiet"])
    engine.restored()


def _restore_group(groups: Groups, row: Sequence[Any], contributions: Sequence[Contribution]) -> None:
    key, opened, last, last_arrival, entries, sample = row
    group = Group(groups.new_window(), int(opened))
    group.last = int(last)
    group.last_arrival = last_arrival
    for time, value in entries:
        group.window.add(int(time), from_json(value))
    group.sample.extend(contributions[number] for number in sample)
    groups.restore(tuple(map(from_json, key)), group)
