"""One line of JSON becomes an event, or a reason why it does not."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import orjson


@dataclass(frozen=True, slots=True)
class JsonProblem:
    """Why a line is no event."""

    reason: str


def parse_json_line(line: bytes) -> dict[str, Any] | JsonProblem:
    """Return the object on *line*; what orjson refuses but Python's json reads (NaN, lone surrogates) is accepted."""
    try:
        value = orjson.loads(line)
    except orjson.JSONDecodeError:
        try:
            value = json.loads(line)
        except (ValueError, RecursionError) as error:
            return JsonProblem(f"not JSON: {error}")
    if not isinstance(value, dict):
        return JsonProblem(f"not a JSON object but {type(value).__name__}")
    return value
