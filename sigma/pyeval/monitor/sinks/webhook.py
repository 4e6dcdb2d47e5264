"""The ``webhook`` sink: alerts posted as JSON, signed if wished, in the format of a vendor or in one's own."""

from __future__ import annotations

import asyncio
import email.utils
import hashlib
import hmac
import re
import ssl
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Final, Literal, Self

import httpx
from pydantic import Field, FilePath, JsonValue, SecretStr, field_validator, model_validator

from sigma.pyeval.output import json_line, printable

from ..batches import Json, Refused, SendError
from ..settings import Seconds, SinkSettings
from .webhook_presets import PRESETS, Preset, PresetName
from .webhook_template import check_template, fill

MOST_ANSWER_BYTES: Final = 8 << 20
"""So much of an answer is read; a longer one to a batch is as good as none, and the batch is sent again."""

LONGEST_WAIT: Final = 3600.0
"""Seconds; a ``Retry-After`` beyond is cut."""

_ABOUT_THE_BODY: Final = frozenset({400, 413, 422})
"""Answers of 4xx that the same alert would always get. The others (a token that has run out, a path that has moved) are for
the operator to put right, and the alerts wait for that."""
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110 section 5.6.2
_HEADER_VALUE = re.compile(r"[!-~](?:[ -~]*[!-~])?")
_OWN_HEADERS = frozenset({"host", "content-length", "transfer-encoding", "connection", "accept-encoding"})


class WebhookSettings(SinkSettings):
    """Alerts posted to a URL."""

    type: Literal["webhook"] = "webhook"
    """``webhook``."""

    url: SecretStr
    """Where to post, ``http`` or ``https``; never logged beyond its host, as URLs of webhooks are secrets often."""

    method: Literal["POST", "PUT", "PATCH"] = "POST"
    """The request's method."""

    headers: dict[str, SecretStr] = Field(default={})
    """Further headers; their values are never logged."""

    preset: PresetName = "none"
    """A vendor's format: ``slack``, ``teams``, ``pagerduty``, ``elasticsearch`` or ``splunk``; ``none`` for ``body``."""

    token: SecretStr | None = None
    """PagerDuty's routing key, Splunk's HEC token, Elasticsearch's API key; a bearer token where there is no preset."""

    body: JsonValue = None
    """Without a preset: JSON whose strings hold ``{{ rule.title }}``; the whole alert unless given."""

    secret: SecretStr | None = Field(default=None, min_length=16)
    """Key of the signature: ``X-Signature-256: sha256=`` and the HMAC-SHA256 of ``<X-Timestamp>.<body>`` in hex."""

    timeout: Seconds = Field(default=10, gt=0, le=60)
    """Seconds until the answer has to be there."""

    allowed_hosts: tuple[str, ...] = ()
    """Hosts that ``url`` may name, where it comes from a place that is trusted less; any unless given."""

    ca: FilePath | None = None
    """PEM file of the only authorities to trust; those of the system unless given."""

    certificate: FilePath | None = None
    """PEM file of a client certificate."""

    key: FilePath | None = None
    """PEM file of its private key, without a passphrase."""

    proxy: SecretStr | None = None
    """URL of an HTTP proxy; the environment's is not used."""

    @field_validator("headers")
    @classmethod
    def _header_lines(cls, value: dict[str, SecretStr]) -> dict[str, SecretStr]:
        for name, text in value.items():
            if _HEADER_NAME.fullmatch(name) is None or name.lower() in _OWN_HEADERS:
                raise ValueError(f"{name!r} cannot be set as a header")
            _require_header_value(f"the value of {name!r}", text)
        return value

    @field_validator("body")
    @classmethod
    def _placeholders(cls, value: JsonValue) -> JsonValue:
        check_template(value)
        return value

    @field_validator("proxy")
    @classmethod
    def _proxy_url(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None:
            _parsed(value)
        return value

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        url = _parsed(self.url)
        if self.allowed_hosts and url.host not in self.allowed_hosts:
            raise ValueError(f"url names {printable(url.host)!r}, which is not among allowed_hosts")
        if self.preset != "none" and self.body is not None:
            raise ValueError("a preset writes the body itself: leave out body, or preset")
        if self.preset == "elasticsearch" and not url.path.endswith("/_bulk"):
            raise ValueError("url ends with /_bulk for elasticsearch: https://host:9200/<index or data stream>/_bulk")
        if self.preset in ("pagerduty", "splunk") and self.token is None:
            raise ValueError(f"{self.preset} needs a token")
        if self.preset in ("slack", "teams") and self.token is not None:
            raise ValueError(f"{self.preset} takes no token; its url is the secret")
        if self.token is not None:
            _require_header_value("token", self.token)
        if self.key is not None and self.certificate is None:
            raise ValueError("key belongs to certificate, which is missing")
        self.context()
        return self

    def context(self) -> ssl.SSLContext:
        """Return what connections are verified with; there is no way to leave that out.

        Raises:
            ValueError: A file cannot be used.
        """
        try:
            context = ssl.create_default_context(cafile=self.ca)
            if self.certificate is not None:
                context.load_cert_chain(self.certificate, self.key)
        except (OSError, ssl.SSLError) as error:
            raise ValueError(f"ca, certificate or key cannot be used: {error}") from None
        return context


class WebhookSink:
    """``Sink`` that posts alerts; see ``docs/delivery.md`` for what counts as accepted."""

    kind = "webhook"
    linger = 0.0

    def __init__(self, settings: WebhookSettings) -> None:
        self.name = settings.name or settings.type
        self._settings = settings
        self._host = printable(_parsed(settings.url).host)
        self._preset = PRESETS.get(settings.preset) or Preset(
            1, "application/json", partial(_write_template, settings.body), authorization="Bearer"
        )
        self.most = self._preset.most
        self._client: httpx.AsyncClient | None = None
        self._stale = False

    async def send(self, alerts: Sequence[Mapping[str, Json]]) -> None:
        """Post *alerts* with one request; where a batch is refused for its body, in halves, to find which ones are meant.

        Raises:
            SendError: No connection, no answer, or any that is not about the alerts themselves.
            Refused: An answer of 400, 413 or 422.
        """
        token = self._settings.token.get_secret_value() if self._settings.token else ""
        body = self._preset.write(alerts, token)
        status, headers, answer = await self._post(body, token)
        if 200 <= status < 300:
            if self._preset.read is not None:
                self._preset.read(alerts, answer)
            return
        reason = f"{self._host} answers {status}: {self._shown(answer)}"
        if status not in _ABOUT_THE_BODY:
            raise SendError(reason, retry_after(headers.get("retry-after"), datetime.now(UTC)))
        if len(alerts) == 1:
            raise Refused(dict.fromkeys(range(len(alerts)), reason))
        await self._send_halves(alerts)

    async def reopen(self) -> None:
        """Read certificates anew with the next call; one that is being sent is not disturbed."""
        self._stale = True

    async def close(self) -> None:
        """Close the connections."""
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    async def _send_halves(self, alerts: Sequence[Mapping[str, Json]]) -> None:
        middle = len(alerts) // 2
        refused: dict[int, str] = {}
        for start, part in ((0, alerts[:middle]), (middle, alerts[middle:])):
            try:
                await self.send(part)
            except Refused as refusal:
                refused |= {start + number: reason for number, reason in refusal.reasons.items()}
        if refused:
            raise Refused(refused)

    async def _post(self, body: bytes, token: str) -> tuple[int, httpx.Headers, bytes]:
        """Return status, headers and body of the answer."""
        settings = self._settings
        if self._stale:
            self._stale = False
            await self.close()
        if self._client is None:
            self._client = self._open()
        headers = self._headers(body, token)
        try:
            async with (
                asyncio.timeout(settings.timeout),
                self._client.stream(
                    settings.method, settings.url.get_secret_value(), content=body, headers=headers
                ) as response,
            ):
                answer = bytearray()
                async for chunk in response.aiter_raw():
                    answer += chunk[: MOST_ANSWER_BYTES - len(answer)]
                    if len(answer) >= MOST_ANSWER_BYTES:
                        break
                return response.status_code, response.headers, bytes(answer)
        except TimeoutError:
            raise SendError(f"{self._host} has not answered within {settings.timeout:g} seconds") from None
        except httpx.HTTPError as error:
            why = printable(str(error)) or type(error).__name__
            raise SendError(f"{self._host}: {self._without_secrets(why)}") from None

    def _open(self) -> httpx.AsyncClient:
        settings = self._settings
        try:
            context = settings.context()
        except ValueError as error:  # they could be used at the start
            raise SendError(str(error)) from None
        return httpx.AsyncClient(
            verify=context,
            timeout=settings.timeout,
            trust_env=False,
            follow_redirects=False,
            proxy=settings.proxy.get_secret_value() if settings.proxy else None,
            limits=httpx.Limits(max_connections=1),
            headers={"User-Agent": "sigma-pyeval", "Accept-Encoding": "identity"},
        )

    def _headers(self, body: bytes, token: str) -> dict[str, str]:
        headers = {"Content-Type": self._preset.content_type}
        if token and self._preset.authorization:
            headers["Authorization"] = f"{self._preset.authorization} {token}"
        if self._settings.secret is not None:
            moment = str(int(time.time()))
            headers["X-Timestamp"] = moment
            headers["X-Signature-256"] = signature(self._settings.secret.get_secret_value(), moment, body)
        return headers | {name: value.get_secret_value() for name, value in self._settings.headers.items()}

    def _shown(self, answer: bytes) -> str:
        text = printable(answer[:300].decode("utf-8", "replace").strip())
        return self._without_secrets(text) or "no reason"

    def _without_secrets(self, text: str) -> str:
        settings = self._settings
        secrets = [settings.url, settings.token, settings.secret, settings.proxy, *settings.headers.values()]
        for secret in secrets:
            if secret is not None and secret.get_secret_value():
                text = text.replace(secret.get_secret_value(), "***")
        return text


def signature(secret: str, timestamp: str, body: bytes) -> str:
    """Return the value of ``X-Signature-256`` for *body* sent with ``X-Timestamp: timestamp``."""
    return "sha256=" + hmac.new(secret.encode(), timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()


def retry_after(value: str | None, now: datetime) -> float | None:
    """Return the seconds that a ``Retry-After`` asks to wait (RFC 9110 section 10.2.3), ``None`` if it says nothing."""
    if value is None:
        return None
    if value.isascii() and value.isdigit():
        return min(float(value), LONGEST_WAIT)
    try:
        moment = email.utils.parsedate_to_datetime(value)
    except ValueError:
        return None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return min(max((moment - now).total_seconds(), 0.0), LONGEST_WAIT)


def _write_template(template: JsonValue, alerts: Sequence[Mapping[str, Json]], _: str) -> bytes:
    (alert,) = alerts
    return json_line(alert if template is None else fill(template, alert))


def _parsed(url: SecretStr) -> httpx.URL:
    try:
        parsed = httpx.URL(url.get_secret_value())
    except httpx.InvalidURL:
        raise ValueError("not a URL") from None
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise ValueError("a URL begins with https:// or http:// and names a host")
    return parsed


def _require_header_value(what: str, value: SecretStr) -> None:
    if _HEADER_VALUE.fullmatch(value.get_secret_value()) is None:
        raise ValueError(f"{what} is not printable ASCII, or empty")
