"""JSON lines held against rules: decoded here, each line judged by itself, bad ones reported."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import orjson

from ..rules import Match

if TYPE_CHECKING:
    from ..ruleset import Ruleset

LineResult = tuple[int, list[Match]]
"""The number of a line, counted from 1, and the matches of the event on it."""


@dataclass(frozen=True, slots=True)
class Problem:
    """A line that holds no event.

    Attributes:
        line: Its number, counted from 1.
        reason: What was found in place of a JSON object.
    """

    line: int
    reason: str


def match_lines(ruleset: Ruleset, ndjson: bytes, route: bool) -> Iterator[LineResult | Problem]:
    """Yield, for each line that is not blank, its number and matches, or the problem with it."""
    match, decode = ruleset.match, orjson.loads
    for number, line in enumerate(ndjson.split(b"\n"), 1):
        try:
            event = decode(line)
        except orjson.JSONDecodeError as error:
            if line and not line.isspace():
                yield Problem(number, f"not JSON: {error}")
            continue
        if type(event) is not dict:
            yield Problem(number, f"a JSON object is needed, not {type(event).__name__}")
            continue
        yield number, match(event, ruleset.route(event) if route else None)
