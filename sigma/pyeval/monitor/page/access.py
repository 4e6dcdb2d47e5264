"""Who may use the page and its API, and what a browser is told to do with what it gets.

With a token: whoever sends it as a bearer token, or has a session begun with it. Without one, which ``ServerSettings`` allows
on loopback only, whoever is on this machine; the server's guard keeps out names that are not its own (DNS rebinding). Pages of
other origins are kept out in both cases: by ``Sec-Fetch-Site`` and ``Origin``, and the cookie by ``SameSite``.
"""

from __future__ import annotations

import hmac
from typing import Final

from pydantic import SecretStr
from starlette.requests import HTTPConnection, Request
from starlette.responses import JSONResponse, Response

from ..access import client_address, is_own_origin
from ..journal import Throttle
from ..rates import ClientRates
from .sessions import LIFETIME_SECONDS, Sessions

POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
    "frame-ancestors 'none'; base-uri 'none'; form-action 'self'; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)
HEADERS: Final = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "X-Frame-Options": "DENY",
    "Cache-Control": "no-store",
}
"""Of every reply of the page and its API."""

LOGINS_PER_SECOND: Final = 0.5
"""How often a client address may try to log in."""

_LONGEST_TOKEN = 4096


class Doorkeeper:
    """Lets requests of the page in.

    Args:
        token: The server's.
    """

    def __init__(self, token: SecretStr | None) -> None:
        self._token = token
        self._sessions = Sessions()
        self._rates = ClientRates(LOGINS_PER_SECOND)
        self._refused = Throttle("page")

    @property
    def has_token(self) -> bool:
        """Whether one has to log in."""
        return self._token is not None

    def refusal(self, request: Request) -> Response | None:
        """Return the reply to who may not make *request*, or ``None``."""
        if not _is_own_page(request):
            return refused(403, "pages of other origins may not use this address")
        if self._token is None or self._has_bearer(request):
            return None
        if not self.is_logged_in(request):
            reply = refused(401, "log in, or send the token: 'Authorization: Bearer ...'")
            reply.headers["WWW-Authenticate"] = 'Bearer realm="sigma-pyeval"'
            return reply
        if request.method not in {"GET", "HEAD"} and not {"origin", "sec-fetch-site"} & set(request.headers):
            return refused(403, "a change by a session needs the header Origin or Sec-Fetch-Site")
        return None

    def is_logged_in(self, request: HTTPConnection) -> bool:
        """Return whether *request* is one of a session."""
        return self._sessions.is_open(request.cookies.get(_cookie_name(request), ""))

    def log_in(self, request: Request, given: str) -> Response:
        """Return the reply to a login: with the cookie of a new session where *given* is the token."""
        if not _is_own_page(request):
            return refused(403, "pages of other origins may not log in")
        if self._token is None:
            return refused(404, "no token is set")
        address = client_address(request)
        if wait := self._rates.take(address):
            self._refused.warning(f"{address} tries to log in too often")
            return refused(429, "too many attempts", {"Retry-After": str(int(wait) + 1)})
        if not _same(given[:_LONGEST_TOKEN], self._token):
            self._refused.warning(f"{address} tried to log in with a wrong token")
            return refused(401, "that is not the token")
        reply = Response(status_code=204, headers=HEADERS)
        _set_cookie(reply, request, self._sessions.begin(), LIFETIME_SECONDS)
        return reply

    def log_out(self, request: Request) -> Response:
        """End the session of *request*."""
        self._sessions.end(request.cookies.get(_cookie_name(request), ""))
        reply = Response(status_code=204, headers=HEADERS)
        _set_cookie(reply, request, "", 0)
        return reply

    def end_period(self) -> None:
        """Say how many refusals were not logged; when the service ends."""
        self._refused.end_period()

    def _has_bearer(self, request: HTTPConnection) -> bool:
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        return self._token is not None and scheme.lower() == "bearer" and _same(given.strip(), self._token)


def refused(status: int, reason: str, headers: dict[str, str] | None = None) -> JSONResponse:
    """Return an error as all routes of the page tell it."""
    return JSONResponse({"error": reason}, status, {**HEADERS, **(headers or {})})


def _is_own_page(request: Request) -> bool:
    """Return whether a browser sent *request* for a page of this server or for its user, or no browser did.

    Sec-Fetch-Site: https://www.w3.org/TR/fetch-metadata/ (``none``: the user typed the address). Older browsers send
    ``Origin`` alone, with changes.
    """
    if request.headers.get("sec-fetch-site", "none") not in {"same-origin", "none"} and not _is_navigation(request):
        return False
    return is_own_origin(request)


def _is_navigation(request: Request) -> bool:
    """Return whether the user follows a link of another site to the page itself; what is sent back is for no script."""
    headers = request.headers
    is_followed = headers.get("sec-fetch-mode") == "navigate" and headers.get("sec-fetch-dest") == "document"
    return is_followed and request.method == "GET"  # a form's POST is a navigation as well


def _same(given: str, token: SecretStr) -> bool:
    return hmac.compare_digest(given.encode("utf-8", "surrogatepass"), token.get_secret_value().encode("utf-8"))


def _cookie_name(request: HTTPConnection) -> str:
    # The prefix lets no other host of the domain set it (RFC 6265bis, "__Host-"); browsers want Secure for it.
    return "__Host-sigma-pyeval" if request.url.scheme == "https" else "sigma-pyeval"


def _set_cookie(reply: Response, request: HTTPConnection, value: str, seconds: int) -> None:
    reply.set_cookie(
        _cookie_name(request),
        value,
        max_age=seconds,
        path="/",
        secure=request.url.scheme == "https",
        httponly=True,
        samesite="strict",
    )
