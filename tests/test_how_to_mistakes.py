"""What goes wrong, on each how-to page: every message that a page explains is one that the program prints for that mistake."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from anyio.from_thread import start_blocking_portal
from starlette.responses import PlainTextResponse

from .how_to import CONFIGURATION, HOW_TO, INDEX, Stage, blocks, messages, pages
from .monitor.service import free_port
from .monitor.serving import serving
from .monitor.syslog_senders import Certificates
from .monitor.webhook_vendor import Vendor
from .test_how_to import LOG, LOGIN, MONITOR, SECRETS

PLAIN = {
    "    tls:\n": "",
    "      listen: 0.0.0.0:6514\n": "",
    "      certificate: /etc/sigma-pyeval/server.pem\n": "",
    "      key: ${CREDENTIALS_DIRECTORY}/key\n": "",
}
POWERLESS = ("setpriv", "--bounding-set=-all")
"""Root without the capabilities by which it reads every file and takes every port."""

MISTAKES: list[tuple[str, str, dict[str, str], str, str]] = [
    # page, part of its message, changes of the configuration, what is done before, what then: --check, powerless, twice, a command once it runs
    ("index.md", "did you mean", {"paths: [/var": "pths: [/var"}, "", "--check"),
    ("index.md", "no rule could be loaded", {"[/etc/sigma-pyeval/rules]": "[/var/log]"}, "", "--check"),
    ("index.md", "another process uses it", {}, "", "twice"),
    ("index.md", "no rule files", {"[/etc/sigma-pyeval/rules]": "[/var/log]"}, "", "--check"),
    ("from-files.md", "there is no /var/log/auth.log", {}, "", "--check"),
    ("from-files.md", "no file matches", {}, "", "--check"),
    ("from-files.md", "not a regular file", {'"/var/log/app/*.log"': "/var/log/app"}, "mkdir /var/log/app", ""),
    ("from-files.md", "Permission denied", {}, "echo old > /var/log/auth.log; chmod 0 /var/log/auth.log", "powerless"),
    ("from-auditd.md", "Permission denied", {}, "mkdir /var/log/audit; echo old > /var/log/audit/audit.log; chmod 0 /var/log/audit/audit.log", "powerless"),
    ("from-web-servers.md", "not a line", {}, "mkdir /var/log/nginx; touch /var/log/nginx/access.log", "echo '203.0.113.7 200 GET /' >> /var/log/nginx/access.log"),
    ("from-journald.md", "cannot be started", {"type: journald": "type: journald\n    program: /usr/bin/journalctl-none"}, "", ""),
    ("from-journald.md", "patterns are not taken", {"type: journald": "type: journald\n    units: [ssh*]"}, "", "--check"),
    ("from-journald.md", "alerts may raise alerts", {"type: file\n    path: /var/log/sigma-pyeval/alerts.jsonl": "type: stdout"}, "", "--check"),
    ("from-stdin.md", "is closed", {}, "", "<&-"),
    ("from-http.md", "without TLS", {"127.0.0.1": "0.0.0.0"}, "", "--check"),
    ("from-http.md", "answered 401", {"listen:": "token: a-token-of-some-length\n  listen:"}, "", "curl -s -d '{}' http://127.0.0.1:8750/ingest/web"),
    ("from-http.md", "answered 400", {}, "", "curl -s -d 'no JSON' http://127.0.0.1:8750/ingest/web"),
    ("from-http.md", "in use", {}, "8750 is taken", ""),
    ("from-syslog.md", "beyond loopback", {**PLAIN, "    insecure: true\n": ""}, "", "--check"),
    ("from-syslog.md", "no such file", {}, "", "--check"),
    ("from-syslog.md", "CAP_NET_BIND_SERVICE", {**PLAIN, "5514": "514"}, "", "powerless"),
    ("from-syslog.md", "in use", PLAIN, "5514 is taken", ""),
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
    with contextlib.ExitStack() as stack:
        stage = stack.enter_context(with_mistakes(tmp_path))
        stage.write(CONFIGURATION, text)
        if before.endswith(" is taken"):
            stack.enter_context(socket.create_server(("127.0.0.1", int(stage.here(before.split(maxsplit=1)[0])))))
        else:
            assert stage.run(before or ":").returncode == 0
        if then == "powerless" and os.geteuid() == 0:
            if shutil.which(POWERLESS[0]) is None:
                pytest.skip(f"no {POWERLESS[0]} (Debian: apt-get install util-linux)")
            stage.within = POWERLESS
        if then == "twice":
            stage.start(MONITOR)
            stage.until_begun()
            assert message in stage.there(stage.run(MONITOR).stdout).splitlines()
            return
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
