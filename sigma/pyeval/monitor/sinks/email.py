"""Alerts by mail: one message for what came together within a while, handed to an SMTP server (RFC 5321)."""

from __future__ import annotations

import ipaddress
import re
import ssl
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from typing import Annotated, Final, Literal, Self

import aiosmtplib
from pydantic import AfterValidator, Field, FilePath, SecretStr, model_validator

from sigma.pyeval.output import printable

from ..batches import Json, Refused, SendError
from ..journal import Throttle
from ..settings import Seconds, Settings, SinkSettings
from .email_message import compose

PATIENCE: Final = 1_800.0
"""Seconds that a recipient whom the server refuses for now can hold up mail that others have got."""

_TOO_LARGE: Final = 552
_PORTS: Final = {"starttls": 587, "tls": 465, "none": 25}
_ADDRESS = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9.-]{0,252}[A-Za-z0-9])?")


def _address(value: str) -> str:
    if _ADDRESS.fullmatch(value) is None:
        raise ValueError(f"{value!r} is no address of ASCII such as soc@example.org; names of domains go in punycode")
    return value


Address = Annotated[str, AfterValidator(_address)]


class SmtpServer(Settings):
    """The server that takes the mail, and how it is spoken to."""

    host: str = Field(pattern=r"\A[A-Za-z0-9._:-]{1,255}\z")
    """Its name or address."""

    port: int = Field(default=0, ge=0, le=65_535)
    """Its port; unless given 587 for ``starttls``, 465 for ``tls``, 25 for ``none``."""

    security: Literal["starttls", "tls", "none"] = "starttls"
    """``starttls`` asks for encryption first and sends nothing without it; ``tls`` is encrypted from the first byte."""

    ca: FilePath | None = None
    """PEM file of the authorities that the server's certificate must come from; those of the system unless given."""

    username: str | None = None
    """Who logs in; nobody unless given."""

    password: SecretStr | None = None
    """The password; never logged."""

    insecure: bool = False
    """Allow ``security: none`` to a server that is not this machine: mail and password can be read on the way then."""

    timeout: Seconds = Field(default=30.0, gt=0, le=100)
    """Seconds for each answer of the server."""

    @model_validator(mode="after")
    def _usable(self) -> Self:
        if (self.username is None) != (self.password is None):
            raise ValueError("username and password go together")
        if self.security == "none" and not self.insecure and not _is_loopback(self.host):
            raise ValueError(
                "security: none to another machine: use starttls or tls, or insecure: true if that is meant"
            )
        try:
            self.context()
        except OSError as error:
            raise ValueError(f"ca cannot be used: {error}") from None
        return self

    def context(self) -> ssl.SSLContext:
        """Return a context of the files as they are now: TLS 1.2 or newer, the server's certificate and name checked.

        Raises:
            OSError: ``ca`` cannot be read, or holds no certificates (``ssl.SSLError`` is one).
        """
        context = ssl.create_default_context(cafile=self.ca)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        return context

    def client(self) -> aiosmtplib.SMTP:
        """Return a client that is not connected yet; certificates are read now."""
        return aiosmtplib.SMTP(
            hostname=self.host,
            port=self.port or _PORTS[self.security],
            username=self.username,
            password=None if self.password is None else self.password.get_secret_value(),
            timeout=self.timeout,
            use_tls=self.security == "tls",
            start_tls=self.security == "starttls",
            tls_context=None if self.security == "none" else self.context(),
        )


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


class EmailSettings(SinkSettings):
    """Mail to people."""

    type: Literal["email"]

    server: SmtpServer
    """The server that takes the mail."""

    sender: Address = Field(alias="from")
    """The sender's address; what cannot be delivered comes back to it."""

    to: tuple[Address, ...] = Field(min_length=1, max_length=100)
    """The recipients' addresses."""

    subject_prefix: str = Field(default="[sigma] ", max_length=60)
    """What every subject begins with."""

    linger: Seconds = Field(default=60.0, ge=0, le=86_400)
    """Seconds that an alert waits for others, to be sent in one mail; 0 sends at once what is there."""

    most: int = Field(default=100, ge=1, le=1_000)
    """At most so many alerts in a mail; it is sent without further waiting when it has them."""

    attach: bool = True
    """Attach the whole alerts as JSON lines. They hold the events: without it the mail shows only what matched."""

    attach_bytes: int = Field(default=1_000_000, ge=1_000, le=20_000_000)
    """At most so many bytes of alerts are attached (a third more on the way); the mail says how many had no room."""

    @model_validator(mode="after")
    def _one_line(self) -> Self:
        if printable(self.subject_prefix) != self.subject_prefix or "=?" in self.subject_prefix:
            raise ValueError("subject_prefix: printable characters only, and no '=?'")
        return self


class EmailSink:
    """Sends mail over a new connection each time; ``Sink``.

    Args:
        settings: What to send to whom.
        clock: Tells seconds.
    """

    kind = "email"

    def __init__(self, settings: EmailSettings, clock: Callable[[], float] = time.monotonic) -> None:
        self.name = settings.name or settings.type
        self.most = settings.most
        self.linger = settings.linger
        self._settings = settings
        self._clock = clock
        self._log = Throttle(f"sink {self.name}")
        # Who has got which alerts already, while others are refused for now; and since when they are.
        self._taken: dict[str, set[str]] = {}
        self._waiting_since: dict[str, float] = {}

    async def send(self, alerts: Sequence[Mapping[str, Json]]) -> None:
        """Mail *alerts* to all recipients that have not got them; see docs/delivery.md for which answer means what."""
        mailing = _Mailing(alerts)
        try:
            async with self._connected() as client:
                for indexes, recipients in self._missing(alerts).items():
                    await self._mail(client, mailing, indexes, recipients)
        except (aiosmtplib.SMTPException, OSError) as error:
            raise SendError(f"{self._settings.server.host}: {_reason(error)}") from error
        finally:
            for index, recipient in mailing.taken:
                self._taken.setdefault(str(alerts[index]["id"]), set()).add(recipient)
        self._settle(alerts, mailing)

    def _settle(self, alerts: Sequence[Mapping[str, Json]], mailing: _Mailing) -> None:
        """Decide what the answers mean, all of which are there."""
        now = self._clock()
        for recipient in {recipient for _, recipient in mailing.taken}:
            self._waiting_since.pop(recipient, None)
        waiting = {}
        for (_, recipient), reason in mailing.for_now.items():
            since = self._waiting_since.setdefault(recipient, now)
            if not self._taken or now - since < PATIENCE:
                waiting[recipient] = reason
        if waiting:
            raise SendError("; ".join(f"{recipient}: {reason}" for recipient, reason in waiting.items()))
        taken = [self._taken.pop(str(alert["id"]), set()) for alert in alerts]
        failed = mailing.for_good | mailing.for_now
        for recipient, reason in {recipient: reason for (_, recipient), reason in failed.items()}.items():
            self._log.warning(f"{recipient} did not get all alerts: {reason}")
        refused = {index: reason for (index, _), reason in failed.items() if not taken[index]}
        if refused:
            raise Refused(refused)

    def _missing(self, alerts: Sequence[Mapping[str, Json]]) -> dict[tuple[int, ...], list[str]]:
        """Return who has not got which alerts, those with the same ones together: nearly always all of both."""
        groups: dict[tuple[int, ...], list[str]] = {}
        for recipient in dict.fromkeys(self._settings.to):
            indexes = tuple(
                index for index, alert in enumerate(alerts) if recipient not in self._taken.get(str(alert["id"]), ())
            )
            if indexes:
                groups.setdefault(indexes, []).append(recipient)
        return groups

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[aiosmtplib.SMTP]:
        client = self._settings.server.client()
        try:
            await client.connect()
            yield client
            # The mail is accepted; whether the server says good-bye changes nothing about it.
            with suppress(aiosmtplib.SMTPException, OSError):
                await client.quit()
        finally:
            client.close()

    async def _mail(
        self, client: aiosmtplib.SMTP, mailing: _Mailing, indexes: Sequence[int], recipients: Sequence[str]
    ) -> None:
        """Send one mail; where the message itself is refused for good, try its halves."""
        if not client.is_connected:
            await client.connect()
        settings = self._settings
        message = compose(
            [mailing.alerts[index] for index in indexes],
            sender=settings.sender,
            recipients=settings.to,
            prefix=settings.subject_prefix,
            attach_bytes=settings.attach_bytes if settings.attach else 0,
            now=datetime.now(UTC),
        )
        try:
            answers, _ = await client.sendmail(settings.sender, recipients, message.as_bytes())
        except aiosmtplib.SMTPRecipientsRefused as error:
            answers = {one.recipient: aiosmtplib.SMTPResponse(one.code, one.message) for one in error.recipients}
        except (aiosmtplib.SMTPDataError, aiosmtplib.SMTPSenderRefused) as error:
            if not _is_about_message(error):
                raise
            client.close()  # some servers hang up behind such an answer, a moment later
            if len(indexes) > 1:
                middle = len(indexes) // 2
                await self._mail(client, mailing, indexes[:middle], recipients)
                await self._mail(client, mailing, indexes[middle:], recipients)
                return
            answers = {recipient: aiosmtplib.SMTPResponse(error.code, error.message) for recipient in recipients}
        mailing.note(indexes, recipients, answers)

    async def reopen(self) -> None:
        """Nothing: each ``send`` reads the certificates anew."""

    async def close(self) -> None:
        """Say what was not logged; no connection stays open between mails."""
        self._log.end_period()


class _Mailing:
    """What became of alerts (by index) and recipients in one call.

    Attributes:
        alerts: All alerts of the call.
        taken: The server took this alert for this recipient.
        for_good: It never will (5xx), and why.
        for_now: It may later (4xx), and why.
    """

    def __init__(self, alerts: Sequence[Mapping[str, Json]]) -> None:
        self.alerts = alerts
        self.taken: set[tuple[int, str]] = set()
        self.for_good: dict[tuple[int, str], str] = {}
        self.for_now: dict[tuple[int, str], str] = {}

    def note(
        self, indexes: Sequence[int], recipients: Sequence[str], answers: Mapping[str, aiosmtplib.SMTPResponse]
    ) -> None:
        """Remember what became of one mail; who is not in *answers* was not refused."""
        for recipient in recipients:
            answer = answers.get(recipient)
            for pair in ((index, recipient) for index in indexes):
                if answer is None:
                    self.taken.add(pair)
                else:
                    failed = self.for_good if answer.code >= 500 else self.for_now
                    failed[pair] = f"{answer.code} {answer.message}"


def _is_about_message(error: aiosmtplib.SMTPDataError | aiosmtplib.SMTPSenderRefused) -> bool:
    """Return whether an answer says that this message will never be taken; other refusals of a sender are of settings."""
    return error.code >= 500 if isinstance(error, aiosmtplib.SMTPDataError) else error.code == _TOO_LARGE


def _reason(error: Exception) -> str:
    if isinstance(error, aiosmtplib.SMTPResponseException):
        return f"{error.code} {error.message}"
    return str(error) or type(error).__name__
