"""The e-mail sink: what the mail says, to whom it goes over which kind of connection, and what the server's answers mean."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
import trustme
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, Session
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from pydantic import ValidationError

from sigma.pyeval.monitor.batches import Refused, SendError
from sigma.pyeval.monitor.sinks.email import PATIENCE, EmailSettings, EmailSink
from sigma.pyeval.monitor.sinks.email_message import LONGEST_TITLE, compose
from sigma.pyeval.output import printable

ALERT: dict[str, Any] = {
    "schema_version": 1,
    "id": "0123456789abcdef0123456789abcdef",
    "rule": {
        "id": "11111111-1111-4111-8111-111111111111",
        "title": "Shell Opens A Network Device File",
        "level": "high",
        "tags": ["attack.execution"],
        "description": "A shell talks\nto another machine.",
        "references": ["https://example.org/shells"],
        "falsepositives": ["Port checks"],
        "author": "A. Author",
    },
    "attack": {"tactics": ["execution"], "techniques": ["T1059.004"], "groups": [], "software": []},
    "event": {"_CMDLINE": "bash -c cat </dev/tcp/203.0.113.7/4444", "user": "Jürgen"},
    "event_time": "2026-11-20T18:00:00.000000Z",
    "detected": "2026-11-20T18:00:01.000000Z",
    "host": "web-1",
    "logsource": {"product": "linux"},
    "source": {"name": "audit", "type": "file", "path": "/var/log/audit/audit.log", "offset": 4711, "serial": "77"},
    "matched": [
        {
            "matcher": "contains",
            "field": "_CMDLINE",
            "values": ["/dev/tcp/"],
            "found": [{"path": ["_CMDLINE"], "value": "bash -c cat </dev/tcp/203.0.113.7/4444", "spans": [[13, 22]]}],
        }
    ],
}


def alerts(*levels: str | None, **more: Any) -> list[dict[str, Any]]:
    """Return an alert of each level, with ids of their own."""
    return [
        {**ALERT, "id": f"{number:032x}", "rule": {**ALERT["rule"], "level": level}, **more}
        for number, level in enumerate(levels)
    ]


@dataclass
class Mailbox:
    """Handler of the server: keeps mail; answers as *answers* says for a command and what it is about."""

    answers: Callable[[str, str], str | None] = lambda command, about: None
    mails: list[tuple[list[str], bytes]] = field(default_factory=list)
    senders: list[str] = field(default_factory=list)
    hang_up: bool = False

    async def handle_MAIL(  # noqa: N802 - aiosmtpd's names
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if answer := self.answers("MAIL", address):
            return answer
        envelope.mail_from = address
        self.senders.append(address)
        return "250 OK"

    async def handle_RCPT(  # noqa: N802
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if answer := self.answers("RCPT", address):
            return answer
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        assert isinstance(envelope.content, bytes)
        if answer := self.answers("DATA", envelope.content.decode("ascii")):
            if self.hang_up:
                asyncio.get_running_loop().call_later(0.01, server.transport.close)
            return answer
        self.mails.append((list(envelope.rcpt_tos), envelope.content))
        return "250 OK"

    async def handle_QUIT(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        return self.answers("QUIT", "") or "221 Bye"

    @property
    def messages(self) -> list[EmailMessage]:
        """The mails as the standard library reads them."""
        return [parsed(content) for _, content in self.mails]


def parsed(content: bytes) -> EmailMessage:
    """Return a mail as the standard library reads it; no part of it may be defective."""
    message = message_from_bytes(content, policy=policy.default)
    assert isinstance(message, EmailMessage)
    assert not [defect for part in message.walk() for defect in part.defects]
    return message


def body(message: EmailMessage) -> str:
    part = message.get_body(("plain",))
    assert part is not None
    return str(part.get_content()).replace("\r\n", "\n")


def attachment(message: EmailMessage) -> list[Any]:
    return [json.loads(line) for part in message.iter_attachments() for line in part.get_content().splitlines()]


@dataclass
class Certificates:
    """A server's certificate for 127.0.0.1, and the file of the authority that signed it."""

    server: ssl.SSLContext
    ca: Path


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    path = tmp_path_factory.mktemp("ca") / "ca.pem"
    authority.cert_pem.write_to_path(str(path))
    return Certificates(context, path)


@asynccontextmanager
async def serving(handler: Mailbox, tls: ssl.SSLContext | None = None, **options: Any) -> AsyncIterator[int]:
    """Run an SMTP server on loopback; yield its port."""
    loop = asyncio.get_running_loop()
    sessions: list[SMTP] = []

    def session() -> SMTP:
        sessions.append(SMTP(handler, loop=loop, hostname="mx.example.org", **options))
        return sessions[-1]

    server = await loop.create_server(session, "127.0.0.1", 0, ssl=tls)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for one in sessions:
            if one.transport is not None:
                one.transport.abort()
        await asyncio.sleep(0)


def email_sink(port: int, clock: Callable[[], float] | None = None, **more: Any) -> EmailSink:
    server = {"host": "127.0.0.1", "port": port, "security": "none", "timeout": 5, **more.pop("server", {})}
    settings = EmailSettings(
        **{"type": "email", "server": server, "from": "sigma@example.org", "to": ["soc@example.org"], **more}
    )
    return EmailSink(settings) if clock is None else EmailSink(settings, clock)


def deliver(sent: list[dict[str, Any]], handler: Mailbox | None = None, **settings: Any) -> Mailbox:
    """Send *sent* with one call; return what the server got."""
    handler = handler or Mailbox()

    async def run() -> None:
        async with serving(handler) as port:
            sink = email_sink(port, **settings)
            await sink.send(sent)
            await sink.reopen()
            await sink.close()

    asyncio.run(run())
    return handler


# What a mail says


def test_one_alert_is_told_in_words_and_attached_whole() -> None:
    """Subject, who it is from and to, what matched where, and what the rule's author says of it."""
    [message] = deliver([ALERT], to=["soc@example.org", "night@example.org"]).messages
    assert message["Subject"] == "[sigma] high: Shell Opens A Network Device File on web-1"
    assert (message["From"], message["To"]) == ("sigma@example.org", "soc@example.org, night@example.org")
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["Date"].datetime is not None
    assert (
        body(message)
        == """\
high: Shell Opens A Network Device File on web-1

Event: bash -c cat </dev/tcp/203.0.113.7/4444
Event time: 2026-11-20T18:00:00.000000Z
Detected: 2026-11-20T18:00:01.000000Z
Host: web-1
Source: audit (file), path /var/log/audit/audit.log, offset 4711, serial 77
Matched:
  - _CMDLINE: bash -c cat </dev/tcp/203.0.113.7/4444
Description: A shell talks to another machine.
False positives:
  - Port checks
References:
  - https://example.org/shells
ATT&CK: execution, T1059.004
Rule author: A. Author
Rule id: 11111111-1111-4111-8111-111111111111
Alert id: 0123456789abcdef0123456789abcdef
"""
    )
    assert attachment(message) == [ALERT]
    [part] = message.iter_attachments()
    assert (part.get_filename(), part.get_content_type()) == ("alerts.jsonl", "application/jsonl")


def test_several_alerts_are_one_mail() -> None:
    """The subject counts them by level, the most urgent first."""
    sent = alerts("high", "critical", "high", None, host=None)
    [message] = deliver(sent).messages
    assert message["Subject"] == "[sigma] 4 alerts (1 critical, 2 high, 1 no level)"
    text = body(message)
    assert text.startswith("4 alerts: 1 critical, 2 high, 1 no level\n\n1. high: Shell Opens A Network Device File\n")
    assert [text.count(f"Alert id: {alert['id']}\n") for alert in sent] == [1, 1, 1, 1]
    assert attachment(message) == sent


CORRELATED = {
    "group": {"host": "web-1\nhost: other"}, "start": "2026-11-22T09:00:00Z", "end": "2026-11-22T09:00:02Z",
    "count": 3, "value": 3, "arrival_time": False, "events": [],
}  # fmt: skip
SAID = "3 events from 2026-11-22T09:00:00Z to 2026-11-22T09:00:02Z, host=web-1\\nhost: other"


def test_what_a_correlation_found_is_told() -> None:
    [message] = deliver(alerts("high", matched=[], correlation=CORRELATED)).messages
    assert f"Correlated: {SAID}\n" in body(message)


def test_an_alert_that_says_little_is_mailed_too() -> None:
    """Rules need neither id nor level, events neither host nor time."""
    bare = {"id": "ab", "rule": {"title": ""}, "event": {}, "event_time": None, "host": None, "matched": []}
    [message] = deliver([bare]).messages
    assert message["Subject"] == "[sigma] no level: untitled rule"
    assert "Event time: not told by the event" in body(message)


def test_the_attachment_can_be_left_out_or_be_short() -> None:
    """Without it the events stay here; one that is too long leaves alerts out and says so."""
    [message] = deliver([ALERT], attach=False).messages
    assert attachment(message) == []
    assert "Jürgen" not in body(message)
    long = {**ALERT, "event": {"MESSAGE": "x" * 2_000}}
    sent = [{**long, "id": "a"}, {**ALERT, "id": "b"}, {**long, "id": "c"}]
    [message] = deliver(sent, attach_bytes=2_000).messages
    assert [alert["id"] for alert in attachment(message)] == ["b"]
    assert "2 alerts had no room in the attachment; see attach_bytes.\n" in body(message)


def test_a_mail_that_is_sent_again_has_the_same_id() -> None:
    """So that mail servers and readers can tell; other alerts have another."""
    first, again, other = (deliver(sent).messages[0]["Message-ID"] for sent in ([ALERT], [dict(ALERT)], alerts("low")))
    assert first == again != other
    assert first.endswith("@example.org>")


HOSTILE = [
    "x\r\nBcc: victim@example.org",
    "x\r\n\r\n<script>alert(1)</script>",
    "x\nSubject: other",
    "x\r\n.\r\nMAIL FROM:<evil@example.org>",
    "=?utf-8?q?x=0D=0ABcc:_victim@example.org?=",
    "=?utf-8?b?eA0KQmNjOiB2aWN0aW1AZXhhbXBsZS5vcmc=?= =?utf-8?q?=0A?=",
    "\u202egnp.exe\u2066",
    "\x00\x1b[31m\x07\x85\u2028\u2029",
    "\ud800 lone \udcff",
    "ä" * 10_000,
    "x" * 10_000,
    "=?" * 5_000,
    "Ünïcödé 🦊 " * 40,
    "a, b <c@example.org>; \"d\" (e)",
    "From x\n.\n..",
    "Jürgen",
]  # fmt: skip


def hostile_alert(text: str) -> dict[str, Any]:
    """Return an alert with *text* wherever a stranger can write."""
    return {
        "id": text,
        "rule": dict.fromkeys(("id", "title", "level", "description", "author"), text)
        | {"references": [text] * 30, "falsepositives": [text]},
        "attack": {"techniques": [text]},
        "event": {text: text},
        "event_time": text,
        "detected": text,
        "host": text,
        "source": {"name": text, "type": text, text: text},
        "matched": [{"matcher": "keyword", "field": None, "found": [{"path": [text, 0], "value": text, "spans": []}]}],
    }


def check_harmless(message: EmailMessage) -> None:
    """Assert that the mail has the headers that it should have, each once and printable, and a printable text."""
    names = [name.lower() for name in message if name != "Content-Transfer-Encoding"]
    assert sorted(names) == sorted(
        ["from", "to", "subject", "date", "message-id", "auto-submitted", "mime-version", "content-type"]
    )
    assert str(message["Subject"]) == printable(str(message["Subject"]))
    assert len(message["Subject"]) < 4 * LONGEST_TITLE
    # Where the first words are too long for a line, the standard library begins the subject on the next one.
    assert str(message["Subject"]).lstrip().startswith("[sigma] ")
    assert message["To"] == "soc@example.org"
    text = body(message)
    assert all(line == printable(line) for line in text.split("\n"))
    assert len(text) < 20_000


@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: ascii(text)[:30])
def test_text_of_strangers_stays_text(text: str) -> None:
    """Neither a header nor another mail can be made by it, nothing hides in it, and it has an end."""
    mailbox = deliver([hostile_alert(text)])
    [message] = mailbox.messages
    check_harmless(message)
    [(recipients, content)] = mailbox.mails
    assert recipients == ["soc@example.org"]
    assert content.isascii()
    assert max(map(len, content.split(b"\r\n"))) <= 998  # RFC 5322 section 2.1.1
    assert b"\n" not in content.replace(b"\r\n", b"")


@hypothesis_settings(max_examples=60, deadline=None)
@given(st.text(st.characters() | st.sampled_from('=?\r\n \t,<>"\u202e\ud800ä'), max_size=300))
def test_any_title_makes_a_well_formed_mail(text: str) -> None:
    """The standard library's own header code included, which has had mistakes."""
    mail = compose(
        [hostile_alert(text)],
        sender="sigma@example.org", recipients=["soc@example.org"], prefix="[sigma] ", attach_bytes=1000, now=datetime.now(UTC),
    )  # fmt: skip
    check_harmless(parsed(mail.as_bytes()))


# Connections


@pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS:UserWarning")
@pytest.mark.parametrize("kind", ["starttls", "tls", "none"])
def test_each_kind_of_connection(kind: str, certificates: Certificates) -> None:
    """With login; the mail comes from the sender that is set."""
    handler = Mailbox()
    logins: list[Any] = []

    def authenticator(server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: Any) -> AuthResult:
        logins.append((data.login, data.password))
        return AuthResult(success=data.password == b"s3cret", handled=False)

    async def run() -> None:
        options: dict[str, Any] = {
            "authenticator": authenticator,
            "auth_required": True,
            "auth_require_tls": kind == "starttls",
        }
        if kind == "starttls":
            options |= {"tls_context": certificates.server, "require_starttls": True}
        tls = certificates.server if kind == "tls" else None
        async with serving(handler, tls, **options) as port:
            server: dict[str, Any] = {
                "security": kind,
                "username": "sigma",
                "password": "s3cret",
                "ca": certificates.ca,
            }
            await email_sink(port, server=server).send([ALERT])
            with pytest.raises(SendError, match="535"):
                await email_sink(port, server=server | {"password": "wrong"}).send([ALERT])

    asyncio.run(run())
    assert set(logins) == {(b"sigma", b"s3cret"), (b"sigma", b"wrong")}
    assert handler.senders == ["sigma@example.org"]
    assert len(handler.mails) == 1


@pytest.mark.parametrize("kind", ["starttls", "tls"])
def test_an_unknown_server_gets_nothing(kind: str, certificates: Certificates) -> None:
    """A certificate of an authority that is not ours, or for another name."""
    handler = Mailbox()

    async def run() -> None:
        tls = certificates.server if kind == "tls" else None
        options = {} if tls else {"tls_context": certificates.server}
        async with serving(handler, tls, **options) as port:
            with pytest.raises(SendError, match=r"(?i)certificate"):
                await email_sink(port, server={"security": kind}).send([ALERT])
            other = {"security": kind, "ca": certificates.ca, "host": "localhost"}
            with pytest.raises(SendError, match=r"(?i)certificate|mismatch"):
                await email_sink(port, server=other).send([ALERT])

    asyncio.run(run())
    assert handler.mails == []


def test_without_encryption_nothing_is_sent_where_it_was_asked_for() -> None:
    """A server, or somebody between, that does not offer STARTTLS."""
    with pytest.raises(SendError, match=r"(?i)starttls"):
        deliver([ALERT], server={"security": "starttls"})


def test_a_server_that_is_not_there_can_be_tried_again() -> None:
    """Nothing listens, then something does."""

    async def run() -> None:
        handler = Mailbox()
        async with serving(handler) as port:
            pass
        sink = email_sink(port)
        with pytest.raises(SendError, match=r"127\.0\.0\.1: "):
            await sink.send([ALERT])

    asyncio.run(run())


def test_a_server_that_says_nothing_is_given_up() -> None:
    """After ``timeout``; a call that is cancelled leaves no connection behind."""

    async def run() -> None:
        gone = asyncio.Event()

        async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read()
            writer.close()
            gone.set()

        server = await asyncio.start_server(silent, "127.0.0.1", 0)
        async with server:
            port = server.sockets[0].getsockname()[1]
            with pytest.raises(SendError):
                await email_sink(port, server={"timeout": 0.1}).send([ALERT])
            await asyncio.wait_for(gone.wait(), 5)
            gone.clear()
            task = asyncio.create_task(email_sink(port).send([ALERT]))
            await asyncio.sleep(0.05)
            task.cancel()
            await asyncio.wait_for(gone.wait(), 5)

    asyncio.run(run())


# Answers


def answering(**answers: str) -> Mailbox:
    """Return a mailbox that answers one command always the same."""
    return Mailbox(lambda command, about: answers.get(command))


@pytest.mark.parametrize(
    ("command", "answer"),
    [
        ("MAIL", "451 later"),
        ("MAIL", "550 sender unknown"),
        ("MAIL", "421 going down"),
        ("RCPT", "450 greylisted"),
        ("DATA", "452 disk full"),
        ("DATA", "421 going down"),
    ],
)
def test_what_may_be_taken_later_is_sent_again(command: str, answer: str) -> None:
    """4xx; and a sender that is refused, since that is the settings' fault and not the alert's."""
    with pytest.raises(SendError, match=answer):
        deliver([ALERT], answering(**{command: answer}))


@pytest.mark.parametrize(
    ("command", "answer"),
    [
        ("RCPT", "550 no such user"),
        ("DATA", "554 looks like spam"),
        ("MAIL", "552 too large"),
        ("DATA", "552 too large"),
    ],
)
def test_what_will_never_be_taken_is_refused(command: str, answer: str) -> None:
    """All alerts of the call, with the server's words."""
    with pytest.raises(Refused) as caught:
        deliver(alerts("low", "high"), answering(**{command: answer}))
    assert caught.value.reasons == {0: answer, 1: answer}


def test_how_the_server_says_goodbye_changes_nothing() -> None:
    """The mail was taken; sent again it would be there twice."""
    assert len(deliver([ALERT], answering(QUIT="421 what?")).mails) == 1


@pytest.mark.parametrize("hang_up", [False, True])
def test_of_a_mail_that_is_refused_only_the_alert_at_fault_is(hang_up: bool) -> None:
    """The halves are tried, over a new connection where the server has hung up."""
    sent = alerts("low", "low", "low", "low", "low")
    sent[3]["host"] = "poison"
    handler = Mailbox(lambda command, about: "554 no" if command == "DATA" and "Host: poison" in about else None)
    handler.hang_up = hang_up
    with pytest.raises(Refused) as caught:
        deliver(sent, handler)
    assert caught.value.reasons == {3: "554 no"}
    assert [alert["id"] for mail in handler.messages for alert in attachment(mail)] == [
        alert["id"] for alert in sent if alert is not sent[3]
    ]


class Recipients:
    """A mailbox of several recipients, some of them refused at present."""

    def __init__(self, **refused: str) -> None:
        self.refused = refused
        self.mailbox = Mailbox(lambda command, about: self.refused.get(about.partition("@")[0]))

    @property
    def got(self) -> dict[str, list[str]]:
        """Which alerts each has got, in order."""
        found: dict[str, list[str]] = {}
        for recipients, content in self.mailbox.mails:
            for recipient in recipients:
                ids = [alert["id"] for alert in attachment(parsed(content))]
                found.setdefault(recipient.partition("@")[0], []).extend(ids)
        return found


TWO = ["a@example.org", "b@example.org"]


def test_one_recipient_that_is_refused_for_good_stops_nobody(caplog: pytest.LogCaptureFixture) -> None:
    """The others get the mail, the log names who did not."""
    handler = Recipients(b="550 no such\x1b[1m user")
    deliver([ALERT], handler.mailbox, to=TWO)
    assert handler.got == {"a": [ALERT["id"]]}
    [message] = caplog.messages
    assert message == r"sink email: b@example.org did not get all alerts: 550 no such\x1b[1m user"


def test_one_recipient_that_is_refused_for_now_gets_its_mail_later_and_nobody_twice() -> None:
    """What others have got is remembered while the call is repeated, with further alerts too."""
    handler = Recipients(b="450 mailbox busy")
    first, second = alerts("low", "high")

    async def run() -> None:
        async with serving(handler.mailbox) as port:
            sink = email_sink(port, to=TWO)
            for sent in ([first], [first], [first, second]):
                with pytest.raises(SendError, match=r"^b@example\.org: 450 mailbox busy$"):
                    await sink.send(sent)
            handler.refused.clear()
            await sink.send([first, second])
            await sink.send([second])  # a later alert with the same id is not one that was sent by halves
            await sink.close()

    asyncio.run(run())
    assert handler.got == {
        "a": [first["id"], second["id"], second["id"]],
        "b": [first["id"], second["id"], second["id"]],
    }


def test_a_recipient_that_is_refused_for_long_holds_up_nobody(caplog: pytest.LogCaptureFixture) -> None:
    """After half an hour the mail counts as delivered to the others; everybody refused is waited for, for ever."""
    handler = Recipients(b="452 mailbox full")
    now = [1_000.0]

    async def run() -> None:
        async with serving(handler.mailbox) as port:
            sink = email_sink(port, clock=lambda: now[0], to=TWO)
            with pytest.raises(SendError):
                await sink.send(alerts("low"))
            now[0] += PATIENCE
            await sink.send(alerts("low"))
            await sink.send(alerts("low"))
            handler.refused["a"] = "450 too"
            with pytest.raises(SendError):
                await sink.send(alerts("low"))
            handler.refused.clear()
            await sink.send(alerts("low"))
            handler.refused["b"] = "452 mailbox full"
            with pytest.raises(SendError):
                await sink.send(alerts("low"))
            await sink.close()

    asyncio.run(run())
    assert {len(ids) for ids in handler.got.values()} == {4, 1}
    assert set(caplog.messages) == {"sink email: b@example.org did not get all alerts: 452 mailbox full"}


def test_alerts_accepted_before_the_connection_broke_are_not_sent_twice() -> None:
    """The first half was taken, then the server went down."""
    sent = alerts("low", "low")
    sent[0]["host"], sent[1]["host"] = "one", "two"

    def answer(command: str, about: str) -> str | None:
        if command == "DATA" and "Host: two" in about:
            return "552 too large" if "Host: one" in about else "421 going down"
        return None

    handler = Mailbox(answer)

    async def run() -> None:
        async with serving(handler) as port:
            sink = email_sink(port)
            with pytest.raises(SendError, match="421"):
                await sink.send(sent)
            handler.answers = lambda command, about: None
            await sink.send(sent)

    asyncio.run(run())
    assert [[alert["id"] for alert in attachment(mail)] for mail in handler.messages] == [
        [sent[0]["id"]],
        [sent[1]["id"]],
    ]


# Settings


@pytest.mark.parametrize(
    ("more", "finding"),
    [
        ({"server": {"host": "mail.example.org", "security": "none"}}, "insecure: true"),
        ({"server": {"host": "192.0.2.1", "security": "none"}}, "insecure: true"),
        ({"server": {"host": "h", "username": "u"}}, "username and password go together"),
        ({"server": {"host": "h", "password": "hidden"}}, "username and password go together"),
        ({"server": {"host": "h", "ca": __file__}}, "ca cannot be used"),
        ({"server": {"host": "h", "ca": "/nowhere/ca.pem"}}, "does not point to a file"),
        ({"server": {"host": "h\r\nx"}}, "host"),
        ({"server": {"host": ""}}, "host"),
        ({"server": {"host": "h", "port": 65_536}}, "port"),
        ({"from": "sigma"}, "no address"),
        ({"from": "Sigma <sigma@example.org>"}, "no address"),
        ({"to": []}, "to"),
        ({"to": ["a@example.org\r\nBcc: b@example.org"]}, "no address"),
        ({"to": ["ä@example.org"]}, "no address"),
        ({"subject_prefix": "[x]\r\nBcc: b@example.org"}, "printable"),
        ({"subject_prefix": "=?utf-8?q?x?="}, "printable"),
        ({"most": 0}, "most"),
        ({"linger": -1}, "linger"),
        ({"subject": "x"}, "Extra inputs"),
    ],
    ids=str,
)  # fmt: skip
def test_settings_that_cannot_work_are_refused(more: dict[str, Any], finding: str) -> None:
    """At the start, with what is wrong; a password is never shown."""
    good = {"type": "email", "server": {"host": "mail.example.org"}, "from": "a@example.org", "to": ["b@example.org"]}
    EmailSettings(**good)
    with pytest.raises(ValidationError, match=finding) as caught:
        EmailSettings(**(good | more))
    assert "hidden" not in "".join(error["msg"] for error in caught.value.errors())


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost", "LOCALHOST"])
def test_this_machine_may_be_spoken_to_in_the_clear(host: str) -> None:
    """Nobody else hears it; another machine needs ``insecure``."""
    common = {"type": "email", "from": "a@example.org", "to": ["b@example.org"]}
    EmailSettings(**common, server={"host": host, "security": "none"})
    EmailSettings(**common, server={"host": "mail.example.org", "security": "none", "insecure": True})


@pytest.mark.parametrize(("security", "port"), [("starttls", 587), ("tls", 465), ("none", 25)])
def test_usual_ports(security: str, port: int) -> None:
    """Submission, submission over TLS (RFC 8314), and the relay's."""
    sink = email_sink(0, server={"security": security})
    assert sink._settings.server.client().port == port
    assert (sink.name, sink.kind, sink.most, sink.linger) == ("email", "email", 100, 60.0)
