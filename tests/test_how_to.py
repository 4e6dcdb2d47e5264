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

from .conftest import ROOT
from .how_to import CONFIGURATION, HOW_TO, INDEX, Block, Stage, blocks, pages
from .monitor.service import free_port
from .monitor.serving import serving
from .monitor.syslog_senders import Certificates
from .monitor.test_email import Mailbox
from .monitor.test_email import serving as serving_mail
from .monitor.webhook_vendor import Vendor

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


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.name)
def test_what_is_not_run_could_not_be(page: Path) -> None:
    """Blocks without a run hold what changes the machine and nothing else, and are shell at least."""
    assert page.read_text().count("```") == 2 * len(blocks(page)), "a block without a kind"
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


def test_a_log_format_of_ones_own_is_read(tmp_path: Path) -> None:
    """The page's second source, on a line that nginx would write with it."""
    main, part = blocks(HOW_TO / "from-web-servers.md", "yaml")
    line = (ROOT / "examples" / "logs" / "access.log").read_text().splitlines()[1]
    with any_machine(tmp_path) as stage:
        stage.write(CONFIGURATION, main.text)
        stage.replace(part.text)
        stage.write("/var/log/nginx/access.log", "")
        stage.start(MONITOR)
        stage.until_begun()
        with Path(stage.here("/var/log/nginx/access.log")).open("a") as log:
            log.write(f"{line} 0.004\n")
        stage.show("...Path Traversal In A Request...")
        assert "not read" not in stage.monitor.output
