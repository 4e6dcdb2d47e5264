"""rsyslog and logger send to the syslog source; rsyslog receives what the syslog sink sends."""

from __future__ import annotations

import asyncio
import json
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from sigma.pyeval.logs.syslog import parse_syslog
from sigma.pyeval.monitor.sinks.syslog import SyslogSink, SyslogSinkSettings

from ..monitor.intake import KeptIntake
from ..monitor.syslog_senders import LOOPBACK, Certificates, listening
from ..monitor.test_syslog_message import ALERT

pytestmark = pytest.mark.system

TEXTS = [f"message {number} of root, with ünicode" for number in range(200)]


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates(tmp_path_factory.mktemp("certificates"))


def program(name: str) -> str:
    """Return the path of a program; without it, the test is skipped."""
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin")
    if found is None:
        pytest.skip(f"no {name} on this machine (Debian: apt-get install rsyslog rsyslog-gnutls bsdutils)")
    return found


def needs_gnutls() -> None:
    if not list(Path("/usr/lib").glob("**/rsyslog/lmnsd_gtls.so")):
        pytest.skip("rsyslog cannot speak TLS on this machine (Debian: apt-get install rsyslog-gnutls)")


@contextmanager
def rsyslogd(folder: Path, configuration: str, ready: Any) -> Iterator[None]:
    """Run rsyslogd beside the body, from the moment *ready* says that it listens."""
    file = folder / "rsyslog.conf"
    file.write_text(f'global(workDirectory="{folder}" maxMessageSize="64k")\n{configuration}\n')
    command = [program("rsyslogd"), "-n", "-f", str(file), "-i", str(folder / "pid")]
    with (folder / "output").open("wb") as output, subprocess.Popen(command, stdout=output, stderr=output) as process:
        try:
            deadline = time.monotonic() + 10
            while not ready():
                assert process.poll() is None, (folder / "output").read_text()
                assert time.monotonic() < deadline, (folder / "output").read_text()
                time.sleep(0.05)
            yield
        finally:
            process.terminate()
            process.wait(10)


def global_certificates(certificates: Certificates, *, own: tuple[Path, Path] | None) -> str:
    text = f'global(DefaultNetstreamDriver="gtls" DefaultNetstreamDriverCAFile="{certificates.ca}"'
    if own is not None:
        text += f' DefaultNetstreamDriverCertFile="{own[0]}" DefaultNetstreamDriverKeyFile="{own[1]}"'
    return text + ")"


# rsyslog sends


FORWARDING = """
module(load="imuxsock" SysSock.Use="off")
input(type="imuxsock" Socket="{socket}" CreatePath="on" RateLimit.Interval="0" UseSpecialParser="off")
action(type="omfwd" target="127.0.0.1" port="{port}" template="{template}" {transport})
"""
TLS = (
    'protocol="tcp" TCP_Framing="octet-counted" StreamDriver="gtls" StreamDriverMode="1" '
    'StreamDriverAuthMode="x509/name" StreamDriverPermittedPeers="localhost"'
)


@pytest.mark.parametrize(
    "template", ["RSYSLOG_TraditionalForwardFormat", "RSYSLOG_ForwardFormat", "RSYSLOG_SyslogProtocol23Format"]
)
@pytest.mark.parametrize(
    ("listener", "transport"),
    [
        ("udp", 'protocol="udp"'),
        ("tcp", 'protocol="tcp" TCP_Framing="traditional"'),
        ("tcp", 'protocol="tcp" TCP_Framing="octet-counted"'),
        ("tls", TLS),
    ],
    ids=["udp", "newlines", "octets", "tls"],
)
def test_rsyslog_forwards_to_the_source(
    listener: str, transport: str, template: str, tmp_path: Path, certificates: Certificates
) -> None:
    local = tmp_path / "log"
    if listener == "tls":
        needs_gnutls()
    tls = certificates.listener(client_ca=certificates.ca)

    async def run() -> KeptIntake:
        intake = KeptIntake()
        async with listening(intake, **{listener: tls if listener == "tls" else LOOPBACK}) as source:
            configuration = FORWARDING.format(
                socket=local, port=source.bound[listener][1], template=template, transport=transport
            )
            if listener == "tls":
                own = (certificates.client_certificate, certificates.client_key)
                configuration = global_certificates(certificates, own=own) + configuration
            with ExitStack() as stack:
                await asyncio.to_thread(stack.enter_context, rsyslogd(tmp_path, configuration, local.exists))
                with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
                    for text in TEXTS:
                        sock.sendto(f"<38>Oct 11 22:14:15 sshd[123]: {text}".encode(), str(local))
                await intake.until(lambda: len(from_sshd(intake)) >= len(TEXTS), 20)
                await asyncio.to_thread(stack.close)
        return intake

    intake = asyncio.run(run())
    events = from_sshd(intake)
    # rsyslog's own template for RFC 5424 leaves the blank behind the tag in the message.
    assert sorted(event["MESSAGE"].removeprefix(" ") for event in events) == sorted(TEXTS)
    assert {(event["SYSLOG_FACILITY"], event["PRIORITY"], event["SYSLOG_PID"]) for event in events} == {
        ("4", "6", "123")
    }
    assert {place["listener"] for place in intake.places} == {listener}
    assert not intake.problems
    assert not intake.losses


def from_sshd(intake: KeptIntake) -> list[dict[str, Any]]:
    """Return the events of our messages; rsyslog also sends its own."""
    return [event for event in intake.events if event.get("SYSLOG_IDENTIFIER") == "sshd"]


@pytest.mark.parametrize("protocol", ["--rfc3164", "--rfc5424"])
@pytest.mark.parametrize("transport", [("--udp",), ("--tcp",), ("--tcp", "--octet-count")], ids=" ".join)
def test_logger_sends_to_the_source(protocol: str, transport: tuple[str, ...]) -> None:
    listener = transport[0].removeprefix("--")

    async def run() -> KeptIntake:
        intake = KeptIntake()
        async with listening(intake, **{listener: LOOPBACK}) as source:
            port = str(source.bound[listener][1])
            command = [program("logger"), "-n", "127.0.0.1", "-P", port, *transport, protocol, "-p", "auth.info", "-i"]
            for text in ("one", "two words"):
                child = await asyncio.create_subprocess_exec(*command, "-t", "sshd", text)
                assert await child.wait() == 0
            await intake.until(lambda: len(intake.events) == 2)
        return intake

    intake = asyncio.run(run())
    assert [event["MESSAGE"] for event in intake.events] == ["one", "two words"]
    assert {(event["SYSLOG_IDENTIFIER"], event["PRIORITY"]) for event in intake.events} == {("sshd", "6")}
    assert not intake.losses


# rsyslog receives


RECEIVING = """
module(load="{module}" {driver})
template(name="raw" type="string" string="%rawmsg%\\n")
ruleset(name="kept") {{ action(type="omfile" file="{output}" template="raw") }}
input(type="{module}" address="127.0.0.1" port="{port}" {buffer} ruleset="kept")
"""
GTLS = 'StreamDriver.Name="gtls" StreamDriver.Mode="1" StreamDriver.AuthMode="x509/name" PermittedPeer="client.example"'


@pytest.mark.parametrize("body", ["json", "text", "cef"])
@pytest.mark.parametrize("transport", ["udp", "tcp", "tls"])
def test_rsyslog_receives_what_the_sink_sends(
    transport: str, body: str, tmp_path: Path, certificates: Certificates
) -> None:
    kind = socket.SOCK_DGRAM if transport == "udp" else socket.SOCK_STREAM
    port = free_port(kind)
    output = tmp_path / "received"
    configuration = RECEIVING.format(
        module="imudp" if transport == "udp" else "imtcp",
        driver=GTLS if transport == "tls" else "",
        output=output,
        port=port,
        buffer='rcvbufSize="1m"' if transport == "udp" else "",  # a busy machine must not make it lose datagrams
    )
    tls = {}
    if transport == "tls":
        needs_gnutls()
        configuration = (
            global_certificates(certificates, own=(certificates.certificate, certificates.key)) + configuration
        )
        tls = {"ca": certificates.ca, "certificate": certificates.client_certificate, "key": certificates.client_key}
    settings = SyslogSinkSettings(
        type="syslog", host="127.0.0.1", port=port, transport=transport, message=body, **({"tls": tls} if tls else {})
    )
    alerts = [{**ALERT, "id": f"id-{number}", "host": "wéb\n1"} for number in range(150)]

    async def run() -> None:
        sink = SyslogSink(settings)
        await sink.send(alerts[:100])
        await sink.send(alerts[100:])
        await sink.close()

    with rsyslogd(tmp_path, configuration, lambda: is_taken(port, kind)):
        asyncio.run(run())
        deadline = time.monotonic() + 10
        while (not output.exists() or output.read_bytes().count(b"\n") < 150) and time.monotonic() < deadline:
            time.sleep(0.05)
    events = [parse_syslog(line) for line in output.read_bytes().splitlines()]
    assert [event["SYSLOG_STRUCTURED_DATA"]["sigma@32473"]["id"] for event in events] == [
        alert["id"] for alert in alerts
    ]
    assert {event["SYSLOG_MSGID"] for event in events} == {"ALERT"}
    if body == "json":
        assert [json.loads(event["MESSAGE"]) for event in events] == alerts
    else:
        assert {"wéb" in event["MESSAGE"] for event in events} == {True}


def free_port(kind: socket.SocketKind) -> int:
    with socket.socket(socket.AF_INET, kind) as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def is_taken(port: int, kind: socket.SocketKind) -> bool:
    with socket.socket(socket.AF_INET, kind) as sock:
        try:
            sock.bind(("127.0.0.1", port))
        except OSError:
            return True
    return False
