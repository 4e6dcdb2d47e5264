"""Who may use a route of the server: a bearer token (RFC 6750), compared in constant time."""

from __future__ import annotations

import hmac
import ipaddress
from collections.abc import Collection
from urllib.parse import urlsplit

from pydantic import SecretStr
from starlette.requests import HTTPConnection
from starlette.responses import JSONResponse


def refusal(connection: HTTPConnection, token: SecretStr | None = None) -> JSONResponse | None:
    """Return the reply to a client that may not use the route, or ``None`` if it may.

    Without any token (which ``ServerSettings`` allows on loopback only) pages of other origins that a browser shows are kept
    out: what they send has an ``Origin`` header, and neither a form nor a WebSocket would ask the user.

    Args:
        connection: A request, or a WebSocket before it is accepted.
        token: The route's own; the server's unless given.
    """
    expected: SecretStr | None = token or connection.app.state.token
    if expected is None:
        return None if is_own_origin(connection) else _refused(403, "web pages may not use this address")
    scheme, _, given = connection.headers.get("authorization", "").partition(" ")
    known = hmac.compare_digest(given.strip().encode("latin-1"), expected.get_secret_value().encode("utf-8"))
    if scheme.lower() == "bearer" and known:
        return None
    reply = _refused(401, "a valid token is needed: 'Authorization: Bearer ...'")
    reply.headers["WWW-Authenticate"] = 'Bearer realm="sigma-pyeval"'
    return reply


def is_own_origin(connection: HTTPConnection) -> bool:
    """Return whether no web page sent this, or one of this server: its ``Origin`` (RFC 6454) names the ``Host`` that was called.

    That ``Host`` is no foreign name is for ``Guard`` to see to.
    """
    origin = connection.headers.get("origin")
    if origin is None:
        return True
    try:
        called = urlsplit(origin).netloc
    except ValueError:
        return False
    return bool(called) and called.lower() == connection.headers.get("host", "").lower()


def is_own_name(host: str, names: Collection[str]) -> bool:
    """Return whether a ``Host`` header cannot be a stranger's name: an address, ``localhost``, one of *names*, or nothing.

    Args:
        host: The header's value, with or without port; no browser leaves it out.
        names: Lower-case names that are the server's own.
    """
    try:
        name = (urlsplit(f"//{host}").hostname or "").rstrip(".")
    except ValueError:
        return False
    if not host or name == "localhost" or name in names:
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def client_address(connection: HTTPConnection) -> str:
    """Return the address that the connection comes from, without port; a proxy's, if there is one between."""
    return connection.client.host if connection.client is not None else ""


def _refused(status: int, reason: str) -> JSONResponse:
    return JSONResponse({"error": reason}, status)
