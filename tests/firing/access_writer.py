"""Writes the line of an access log in Apache's combined format."""

from __future__ import annotations

_ESCAPES = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"}


def access_line(
    request: str,
    *,
    status: int = 200,
    agent: str = "Mozilla/5.0 (X11; Linux x86_64; rv:115.0) Gecko/20100101 Firefox/115.0",
    referer: str = "-",
    user: str = "-",
    size: int = 1843,
) -> str:
    """Return the line of *request* (method and target); a dash is a header that was not sent."""
    return (
        f'198.51.100.23 - {escaped(user)} [14/Nov/2023:22:13:20 +0000] "{escaped(request)} HTTP/1.1" {status} {size} '
        f'"{escaped(referer)}" "{escaped(agent)}"'
    )


def escaped(value: str) -> str:
    """Return *value* as Apache writes it (``ap_escape_logitem``)."""
    printable = "".join(_ESCAPES.get(c, c) for c in value)
    return "".join(c if " " <= c <= "~" else "".join(f"\\x{b:02x}" for b in c.encode()) for c in printable)
