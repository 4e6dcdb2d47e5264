"""Each how-to page does what it shows, with the page's own configuration; what needs other programs is in ``tests/system``."""

from __future__ import annotations

import os
import shutil
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from aiosmtpd.smtp import AuthResult
from anyio.from_thread import start_blocking_portal
from starlette.responses import JSONResponse, PlainTextResponse, Response

from sigma.pyeval.monitor.kinds import SINKS, SOURCES

from .how_to import CONFIGURATION, HOW_TO, INDEX, Block, Stage, blocks, messages, pages
from .monitor.service import free_port
from .monitor.serving import serving
from .monitor.syslog_senders import Certificates
from .monitor.test_email import Mailbox
from .monitor.test_email import serving as serving_mail
from .monitor.test_webhook import Vendor

EXTERNAL = {"from-journald.md", "from-auditd.md", "from-kafka.md", "from-syslog.md", "to-kafka.md", "to-syslog.md"}
"""Pages that ``tests/system/test_how_to.py`` follows."""

ADMITTED = {
    "apt-get",
    "auditctl",
    "install",
    "journalctl",
    "ln",
    "python3",
    "rm",
    "systemctl",
    "/opt/sigma-pyeval/bin/pip",
}
"""Programs in blocks that are not run: they change the machine, or need systemd as process 1 or the kernel's audit."""


@contextmanager
def any_machine(folder: Path) -> Iterator[Stage]:
    """A machine with the usual programs alone."""
    with Stage(folder / "root", stands={":8750": f":{free_port()}"}) as stage:
        yield stage


@contextmanager
def with_secrets_and_certificate(folder: Path) -> Iterator[Stage]:
    """The same with what the second configuration of the page names: a certificate and a token."""
    certificates = Certificates(folder)
    with any_machine(folder) as stage:
        stage.environment["CREDENTIALS_DIRECTORY"] = stage.here("/etc/sigma-pyeval.secrets")
        stage.write("/etc/sigma-pyeval/server.pem", certificates.certificate.read_text())
        for name, secret in (("key", certificates.key.read_text()), ("token", "a-token-of-some-length")):
            stage.write(f"/etc/sigma-pyeval.secrets/{name}", secret)
            Path(stage.here(f"/etc/sigma-pyeval.secrets/{name}")).chmod(0o600)
        yield stage


@contextmanager
def with_mail_server(folder: Path) -> Iterator[Stage]:
    """``mail.example.org`` takes mail after STARTTLS and a login."""
    certificates, mailbox = Certificates(folder), Mailbox()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates.certificate, certificates.key)

    def login(*arguments: Any) -> AuthResult:
        return AuthResult(success=arguments[-1].password == b"the password", handled=False)

    server = serving_mail(mailbox, authenticator=login, auth_required=True, tls_context=context, require_starttls=True)
    with (
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(server) as port,
        Stage(
            folder / "root",
            stands={"port: 587": f"port: {port}", "mail.example.org": "localhost"},
            environment={"SSL_CERT_FILE": str(certificates.ca)},
            shows={"eml": lambda: "".join(f"Subject: {mail['Subject']}\n" for mail in mailbox.messages)},
        ) as stage,
    ):
        yield stage


VENDORS = (
    "hooks.slack.com",
    "events.pagerduty.com",
    "splunk.example.org:8088",
    "elastic.example.org:9200",
    "hooks.example.org",
)


def vendor_answer(body: bytes) -> Response:
    """Answer a bulk request of Elasticsearch with a result for each document, any other with yes."""
    lines = body.splitlines()
    if lines[0].startswith(b'{"create"'):
        return JSONResponse({"errors": False, "items": [{"create": {"status": 201}} for _ in lines[::2]]})
    return PlainTextResponse("ok")


@contextmanager
def with_vendors(folder: Path) -> Iterator[Stage]:
    """All the addresses that the page names answer; ``stage.vendor`` has what they were sent."""
    certificates, vendor = Certificates(folder), Vendor(vendor_answer)
    tls = {"certificate": str(certificates.certificate), "key": str(certificates.key)}
    with (
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(serving(vendor.routes, tls=tls)) as address,
        Stage(
            folder / "root",
            stands=dict.fromkeys(VENDORS, address.replace("127.0.0.1", "localhost")),
            environment={"SSL_CERT_FILE": str(certificates.ca)},
            peer=vendor,
        ) as stage,
    ):
        yield stage


MACHINES = {
    "from-http.md": with_secrets_and_certificate,
    "to-email.md": with_mail_server,
    "to-webhook.md": with_vendors,
}


@pytest.mark.parametrize("name", sorted({page.name for page in pages()} - EXTERNAL))
def test_a_page_does_what_it_shows(name: str, tmp_path: Path) -> None:
    """From its first block to its last, behind what the index says to begin with."""
    with MACHINES.get(name, any_machine)(tmp_path) as stage:
        stage.follow(HOW_TO / name)


LOGIN = 'echo "$(date +%FT%T%:z) web-1 sshd[1]: Accepted password for root from 203.0.113.7" >> /var/log/auth.log'
MONITOR = f"sigma-pyeval monitor -c {CONFIGURATION}"
LOG = "touch /var/log/auth.log"
SECRETS = "mkdir -m 700 /etc/sigma-pyeval.secrets; echo https://hooks.slack.com/x | tee /etc/sigma-pyeval.secrets/webhook > /etc/sigma-pyeval.secrets/mail"
LISTENER = "python3 -c 'import socket, time; s = socket.create_server((\"127.0.0.1\", {})); time.sleep(60)' & sleep 1"
PLAIN = {
    "    tls:\n": "",
    "      listen: 0.0.0.0:6514\n": "",
    "      certificate: /etc/sigma-pyeval/server.pem\n": "",
    "      key: ${CREDENTIALS_DIRECTORY}/key\n": "",
}
POWERLESS = ("setpriv", "--bounding-set=-all")
"""Root without the capabilities by which it reads every file and takes every port."""

MISTAKES: list[tuple[str, str, dict[str, str], str, str]] = [
    # page, part of its message, changes of the configuration, what is done before, what then: --check, a command once it runs, or nothing
    ("index.md", "did you mean", {"paths: [/var": "pths: [/var"}, "", "--check"),
    ("index.md", "no rule could be loaded", {"[/etc/sigma-pyeval/rules]": "[/var/log]"}, "", "--check"),
    ("index.md", "no rule files", {"[/etc/sigma-pyeval/rules]": "[/var/log]"}, "", "--check"),
    ("from-files.md", "there is no /var/log/auth.log", {}, "", "--check"),
    ("from-files.md", "no file matches", {}, "", "--check"),
    ("from-files.md", "not a regular file", {'"/var/log/app/*.log"': "/var/log/app"}, "mkdir /var/log/app", ""),
    ("from-files.md", "Permission denied", {}, "echo old > /var/log/auth.log; chmod 0 /var/log/auth.log", "powerless"),
    ("from-auditd.md", "Permission denied", {}, "mkdir /var/log/audit; echo old > /var/log/audit/audit.log; chmod 0 /var/log/audit/audit.log", "powerless"),
    ("from-web-servers.md", "not a line", {}, "mkdir /var/log/nginx; touch /var/log/nginx/access.log", "echo '203.0.113.7 200 GET /' >> /var/log/nginx/access.log"),
    ("from-journald.md", "cannot be started", {"type: journald": "type: journald\n    program: /usr/bin/journalctl-none"}, "", ""),
    ("from-journald.md", "patterns are not taken", {"type: journald": "type: journald\n    units: [ssh*]"}, "", "--check"),
    ("from-stdin.md", "is closed", {}, "", "<&-"),
    ("from-http.md", "without TLS", {"127.0.0.1": "0.0.0.0"}, "", "--check"),
    ("from-http.md", "answered 401", {"listen:": "token: a-token-of-some-length\n  listen:"}, "", "curl -s -d '{}' http://127.0.0.1:8750/ingest/web"),
    ("from-http.md", "answered 400", {}, "", "curl -s -d 'no JSON' http://127.0.0.1:8750/ingest/web"),
    ("from-http.md", "in use", {}, LISTENER.format(8750), ""),
    ("from-syslog.md", "beyond loopback", {**PLAIN, "    insecure: true\n": ""}, "", "--check"),
    ("from-syslog.md", "no such file", {}, "", "--check"),
    ("from-syslog.md", "CAP_NET_BIND_SERVICE", {**PLAIN, "5514": "514"}, "", "powerless"),
    ("from-syslog.md", "in use", PLAIN, LISTENER.format(5514), ""),
    ("from-kafka.md", "bootstrap", {"kafka1.example:9092": "localhost:9092"}, "", ""),
    ("to-kafka.md", "bootstrap", {"kafka1.example:9092": "localhost:9092"}, LOG, LOGIN),
    ("to-file.md", "no folder", {"/var/log/sigma-pyeval/": "/var/log/alerts/"}, "", "--check"),
    ("to-file.md", "alerts are kept", {"/var/log/sigma-pyeval/": "/var/log/alerts/"}, LOG, LOGIN),
    ("to-webhook.md", "cannot be read", {}, LOG, "--check"),
    ("to-webhook.md", "everybody may read", {}, LOG + ";" + SECRETS + "; chmod 644 /etc/sigma-pyeval.secrets/webhook", "--check"),
    ("to-webhook.md", "takes no token", {"min_level: high": "token: xoxb"}, LOG + ";" + SECRETS, "--check"),
    ("to-webhook.md", "answers 404", {}, LOG + ";" + SECRETS, LOGIN),
    ("to-syslog.md", "Connect call failed", {}, LOG, LOGIN),
    ("to-syslog.md", "tls is given", {"port: 10514": "tls: {}"}, LOG, "--check"),
    ("to-email.md", "Connect call failed", {"mail.example.org": "127.0.0.1", "linger: 5": "linger: 0"}, LOG + ";" + SECRETS, LOGIN),
    ("to-email.md", "go together", {"username: sigma": "timeout: 10"}, LOG + ";" + SECRETS, "--check"),
]  # fmt: skip


@contextmanager
def with_mistakes(folder: Path) -> Iterator[Stage]:
    """A machine whose ports nobody listens on, but for Slack, which knows nobody."""
    certificates = Certificates(folder)
    tls = {"certificate": str(certificates.certificate), "key": str(certificates.key)}
    vendor = Vendor(lambda body: PlainTextResponse("no_service", 404))
    ports = {name: name.replace(port, str(free_port())) for name, port in (("8750", "8750"), ("5514", "5514"), ("9092", "9092"), ("587", "587"), ("10514", "10514"))}  # fmt: skip
    with (
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(serving(vendor.routes, tls=tls)) as address,
        Stage(
            folder / "root",
            stands={
                "hooks.slack.com answers": "localhost answers",
                "hooks.slack.com": address.replace("127.0.0.1", "localhost"),
                **ports,
            },
            environment={"SSL_CERT_FILE": str(certificates.ca)},
        ) as stage,
    ):
        stage.environment["CREDENTIALS_DIRECTORY"] = stage.here("/etc/sigma-pyeval.secrets")
        yield stage


@pytest.mark.parametrize(
    ("name", "part", "changes", "before", "then"), MISTAKES, ids=[f"{row[0]}: {row[1]}" for row in MISTAKES]
)
def test_a_mistake_is_told_as_the_page_says(
    name: str, part: str, changes: dict[str, str], before: str, then: str, tmp_path: Path
) -> None:
    """The line that the page explains is what the program prints."""
    [message] = [text for text in messages(HOW_TO / name) if part in text]
    page = HOW_TO / (name if name != INDEX.name else "from-files.md")
    text = next(block.text for block in blocks(page, "yaml") if block.path == CONFIGURATION)
    for old, new in changes.items():
        assert old in text
        text = text.replace(old, new)
    with with_mistakes(tmp_path) as stage:
        stage.write(CONFIGURATION, text)
        assert stage.run(f"({before or ':'}) > /dev/null 2>&1").returncode == 0
        if then == "powerless" and os.geteuid() == 0:
            if shutil.which(POWERLESS[0]) is None:
                pytest.skip(f"no {POWERLESS[0]} (Debian: apt-get install util-linux)")
            stage.within = POWERLESS
        if then.startswith("--"):
            assert message in stage.there(stage.run(f"{MONITOR} {then}").stdout).splitlines()
            return
        stage.start(f"{MONITOR} {then}" if then.startswith("<") else MONITOR)
        if " " in then:
            stage.until_begun()
            stage.run(then)
        stage.show(f"...{message}")
        stage.stop(in_order=False)


def test_each_message_of_a_page_was_printed_by_the_program() -> None:
    """None is explained that no test has seen."""
    seen = {(name, text) for name, part, *_ in MISTAKES for text in messages(HOW_TO / name) if part in text}
    assert {(page.name, text) for page in pages() for text in messages(page)} == seen


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.name)
def test_what_is_not_run_could_not_be(page: Path) -> None:
    """Blocks without a run hold what changes the machine and nothing else, and are shell at least."""
    for block in blocks(page, "sh"):
        assert {line.split()[0] for line in block.text.splitlines()} <= ADMITTED
        assert subprocess.run(["bash", "-n"], input=block.text, text=True, check=False).returncode == 0


def test_all_kinds_have_a_page_and_all_pages_are_listed() -> None:
    """Each type of source and sink is configured on a page; the index has a link to each page."""
    configured: dict[str, set[str]] = {"sources": set(), "sinks": set()}
    for page in pages():
        for block in blocks(page, "yaml"):
            for section, found in configured.items():
                found |= {part["type"] for part in yaml.safe_load(block.text).get(section, ())}
    assert configured == {"sources": set(SOURCES), "sinks": set(SINKS)}
    assert all(f"]({page.name})" in INDEX.read_text() for page in pages() if page != INDEX)


@pytest.mark.parametrize(
    "part", blocks(HOW_TO / "to-webhook.md", "yaml"), ids=lambda block: block.text.split("\n")[-2][:50]
)
def test_each_preset_of_the_page_delivers(part: Block, tmp_path: Path) -> None:
    """Every sink that the page writes sends the alert to the vendor it names."""
    main = next(block for block in blocks(HOW_TO / "to-webhook.md", "yaml") if block.path)
    with with_vendors(tmp_path) as stage:
        stage.write(CONFIGURATION, main.text)
        stage.run(f"{LOG}; {SECRETS}; chmod 600 /etc/sigma-pyeval.secrets/*")
        stage.environment["CREDENTIALS_DIRECTORY"] = stage.here("/etc/sigma-pyeval.secrets")
        stage.replace(part.text)
        Path(stage.here(CONFIGURATION)).write_text(
            Path(stage.here(CONFIGURATION)).read_text().replace("min_level: critical", "min_level: high")
        )
        sinks = len(stage.configuration()["sinks"])
        monitor = stage.start(MONITOR)
        stage.until_begun()
        stage.run(LOGIN)
        monitor.until(lambda: len(stage.peer.requests) >= sinks)
        assert all(b"Root Logs In With A Password" in body for _, _, body in stage.peer.requests)
