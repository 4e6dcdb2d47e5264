"""Each how-to page does what it shows, with the page's own configuration; what needs other programs is in ``tests/system``."""

from __future__ import annotations


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

from .how_to import CONFIGURATION, HOW_TO, INDEX, Stage, blocks, pages
from .monitor.serving import serving
from .monitor.service import free_port
from .monitor.syslog_senders import Certificates
from .monitor.test_email import Mailbox
from .monitor.test_email import serving as serving_mail
from .monitor.test_webhook import Vendor

EXTERNAL = {"from-journald.md", "from-auditd.md", "from-kafka.md", "from-syslog.md", "to-kafka.md", "to-syslog.md"}
"""Pages that ``tests/system/test_how_to.py`` follows."""

ADMITTED = {"apt-get", "auditctl", "install", "journalctl", "ln", "python3", "rm", "systemctl", "/opt/sigma-pyeval/bin/pip"}
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
        for source, name in ((certificates.certificate, "server.pem"), (certificates.key, "server.key")):
            stage.write(f"/etc/sigma-pyeval/{name}", source.read_text())
        stage.write("/etc/sigma-pyeval.secrets/token", "a-token-of-some-length")
        Path(stage.here("/etc/sigma-pyeval.secrets/token")).chmod(0o600)
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




@pytest.mark.parametrize("name", sorted({page.name for page in pages()} - EXTERNAL - {INDEX.name}))
def test_a_page_does_what_it_shows(name: str, tmp_path: Path) -> None:
    """From its first block to its last, behind what the index says to begin with."""
    with MACHINES.get(name, any_machine)(tmp_path) as stage:
        stage.follow(HOW_TO / name)


ROOT_LOGS_IN = 'echo "$(date +%FT%T%:z) web-1 sshd[1]: Accepted password for root from 203.0.113.7" >> /var/log/auth.log'
SENT = "touch /var/log/auth.log"

MISTAKES: list[tuple[str, str, dict[str, str], str, str]] = [
    # page, a part of the message, in the configuration: what -> what instead, before the monitor is run, once it runs
    ("index.md", "did you mean", {"paths: [/var": "pths: [/var"}, "", ""),
    ("index.md", "no rule could be loaded", {"[/etc/sigma-pyeval/rules]": "[/var/log]"}, "", ""),
    ("from-files.md", "there is no /var/log/auth.log", {}, "--check", ""),
    ("from-files.md", "no file matches", {}, "--check", ""),
    ("from-files.md", "is a directory", {'"/var/log/app/*.log"': "/var/log/app"}, "mkdir /var/log/app --check", ""),
    ("from-files.md", "Permission denied", {}, "touch /var/log/auth.log; chmod 0 /var/log/auth.log; nobody", ""),
]
