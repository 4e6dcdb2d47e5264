"""JSON text of logs to Python values: orjson, and a forgiving second reading of what orjson refuses."""

from __future__ import annotations

import json
import math
from typing import Any

import orjson

from sigma.pyeval.logs.text import BYTE_ORDER_MARK, values_without_surrogates

MAX_NUMBER_DIGITS = 19


class JsonError(ValueError):
    """A text that is no JSON value; the message says what is wrong."""


def parse_json(raw: bytes) -> Any:
    r"""Return the JSON value in *raw*.

    Where orjson refuses, the standard library reads again and these are accepted: bytes outside UTF-8 (become
    ``\xNN``), lone surrogates (``\uNNNN`` as text), control characters in strings, a byte order mark, ``NaN``
    and ``Infinity`` and numbers beyond a double (their text). Integers beyond 64 bits are floats in both
    readings.

    Raises:
        JsonError: *raw* is no JSON, or nests deeper than the readers go (about 1,000 levels).
    """
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        return _parse_leniently(raw, str(error))


def parse_json_text(text: str) -> Any:
    """Return the JSON value in *text*, as :func:`parse_json`."""
    return parse_json(text.encode("utf-8", "backslashreplace"))


def _parse_leniently(raw: bytes, reason: str) -> Any:
    text = raw.removeprefix(BYTE_ORDER_MARK).decode("utf-8", "surrogateescape")
    try:
        return values_without_surrogates(_LENIENT.decode(text))
    except RecursionError:
        raise JsonError("nested too deep") from None
    except ValueError:
        raise JsonError(f"not JSON: {reason}") from None


def _integer(text: str) -> int | float | str:
    return int(text) if len(text) < MAX_NUMBER_DIGITS else _real(text)


def _real(text: str) -> float | str:
    number = float(text)
    return number if math.isfinite(number) else text


_LENIENT = json.JSONDecoder(strict=False, parse_constant=str, parse_int=_integer, parse_float=_real)
