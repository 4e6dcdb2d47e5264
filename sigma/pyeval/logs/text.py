r"""How the bytes of a log become text: UTF-8, with every byte that is not kept visible as ``\xNN``."""

from __future__ import annotations

import re
from typing import Any

BYTE_ORDER_MARK = b"\xef\xbb\xbf"

_SURROGATE = re.compile("[\ud800-\udfff]")


def decode(raw: bytes) -> str:
    r"""Return *raw* as text that can always be encoded again; a byte outside UTF-8 becomes ``\xNN``.

    The same rule holds in every parser, so a keyword finds the same text in a syslog line, a journal entry or
    JSON.
    """
    return raw.decode("utf-8", "backslashreplace")


def without_surrogates(text: str) -> str:
    r"""Return *text* with undecodable bytes (``surrogateescape``) as ``\xNN``, others as ``\uNNNN``."""
    return _SURROGATE.sub(_escape, text)


def values_without_surrogates(value: Any) -> Any:
    """Return the JSON *value* with :func:`without_surrogates` applied to every text in it, keys included."""
    if isinstance(value, str):
        return without_surrogates(value)
    if isinstance(value, list):
        return [values_without_surrogates(element) for element in value]
    if isinstance(value, dict):
        return {without_surrogates(key): values_without_surrogates(element) for key, element in value.items()}
    return value


def _escape(found: re.Match[str]) -> str:
    code = ord(found[0])
    return f"\\x{code - 0xDC00:02x}" if 0xDC80 <= code <= 0xDCFF else f"\\u{code:04x}"
