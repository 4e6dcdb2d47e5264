r"""Names of files as text that every store, log and metric takes: bytes outside UTF-8 as ``\xNN``, and back."""

from __future__ import annotations

import re

_ESCAPE_ITSELF = re.compile(r"\\(?=x(?:5c|[89a-f][0-9a-f]))")
_ESCAPED = re.compile(r"\\x(5c|[89a-f][0-9a-f])")
_UNDECODABLE = re.compile("[\udc80-\udcff]")
_BACKSLASH = 0x5C
_SURROGATES = 0xDC00


def path_text(path: str) -> str:
    r"""Return a path of this system (``os.fsdecode``) as text without surrogates; the same for each only.

    A byte outside UTF-8 becomes ``\xNN``. A backslash that would be read as the beginning of one becomes ``\x5c``; all
    other paths stay as they are.
    """
    escaped = _ESCAPE_ITSELF.sub(r"\\x5c", path)
    return _UNDECODABLE.sub(lambda found: f"\\x{ord(found[0]) - _SURROGATES:02x}", escaped)


def text_path(text: str) -> str:
    """Return the path that ``path_text`` made *text* of."""
    return _ESCAPED.sub(lambda found: _character(int(found[1], 16)), text)


def _character(byte: int) -> str:
    return "\\" if byte == _BACKSLASH else chr(_SURROGATES + byte)
