"""A port scan of the running service: it listens where it was told to, and nowhere else."""

from __future__ import annotations

import errno
import os
import socket
import subprocess
from collections.abc import Iterable
from pathlib import Path

import pytest

from ..monitor.service import Running, Workplace, free_port

pytestmark = pytest.mark.system

LISTENING = "0A"
UNCONNECTED = "07"


def sockets_of(service: Running) -> set[str]:
    """Return the inodes of the sockets that the process and its children hold."""
    tree = subprocess.run(
        ["ps", "-o", "pid=", "--ppid", str(service.process.pid)], capture_output=True, text=True, check=False
    )
    found = set()
    for process in (service.process.pid, *map(int, tree.stdout.split())):
        folder = Path(f"/proc/{process}/fd")
        for name in os.listdir(folder):
            try:
                target = os.readlink(folder / name)
            except FileNotFoundError:
                continue
            if target.startswith("socket:["):
                found.add(target[8:-1])
    return found


def bound(service: Running) -> dict[str, list[tuple[str, int]]]:
    """Return by table of /proc/net which addresses and ports the process listens on or has bound."""
    own = sockets_of(service)
    found: dict[str, list[tuple[str, int]]] = {}
    for table in ("tcp", "tcp6", "udp", "udp6"):
        rows = [line.split() for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]]
        found[table] = sorted(
            (_address(row[1]), int(row[1].rpartition(":")[2], 16))
            for row in rows
            if row[9] in own and row[3] in {LISTENING, UNCONNECTED}
        )
    rows = [line.split() for line in Path("/proc/net/unix").read_text().splitlines()[1:]]
    found["unix"] = [(row[7], 0) for row in rows if row[6] in own and len(row) > 7]
    return found


def _address(text: str) -> str:
    raw = bytes.fromhex(text.rpartition(":")[0])
    if len(raw) == 4:
        return socket.inet_ntop(socket.AF_INET, raw[::-1])
    words = b"".join(raw[start : start + 4][::-1] for start in range(0, 16, 4))
    return socket.inet_ntop(socket.AF_INET6, words)


def open_ports(host: str, ports: Iterable[int]) -> set[int]:
    """Return the TCP ports of *host* that accept a connection."""
    found = set()
    for port in ports:
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as attempt:
            attempt.settimeout(1)
            result = attempt.connect_ex((host, port))
            if result == 0 and attempt.getsockname()[:2] != attempt.getpeername()[:2]:  # not a connection to itself
                found.add(port)
            assert result in {0, errno.ECONNREFUSED, errno.EAGAIN}, os.strerror(result)
    return found


def has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


def test_without_anything_to_listen_on_nothing_is_open(tmp_path: Path) -> None:
    place = Workplace(tmp_path, sources=[{"type": "file", "paths": [str(tmp_path / "*.log")], "format": "syslog"}])
    with place.start() as service:
        service.until(lambda: "running" in service.log)
        assert bound(service) == {"tcp": [], "tcp6": [], "udp": [], "udp6": [], "unix": []}
        assert service.stop() == 0


def test_all_ports_of_loopback(tmp_path: Path) -> None:
    """All 65,535 TCP ports by connecting, and everything that the process has bound by the kernel's tables."""
    http, tcp, udp = free_port(), free_port(), free_port()
    hosts = ["127.0.0.1", "127.0.0.2", *(["::1"] if has_ipv6() else [])]
    others = {host: open_ports(host, range(1, 65_536)) for host in hosts}
    place = Workplace(
        tmp_path,
        sources=[{"type": "http"}, {"type": "syslog", "tcp": f"127.0.0.1:{tcp}", "udp": f"127.0.0.1:{udp}"}],
        server={"listen": f"127.0.0.1:{http}"},
    )
    with place.start() as service:
        service.until(lambda: {http, tcp} <= open_ports("127.0.0.1", (http, tcp)))
        configured = {
            "tcp": sorted([("127.0.0.1", http), ("127.0.0.1", tcp)]),
            "tcp6": [],
            "udp": [("127.0.0.1", udp)],
            "udp6": [],
            "unix": [],
        }
        assert bound(service) == configured
        found = {host: open_ports(host, range(1, 65_536)) for host in hosts}
        # Other programs may come and go meanwhile; what is new is looked at again, by whom it is held.
        assert {http, tcp} <= found["127.0.0.1"]
        for host in hosts:
            new = found[host] - others[host] - ({http, tcp} if host == "127.0.0.1" else set())
            assert not new & {port for table in bound(service).values() for _, port in table}
        assert bound(service) == configured
        assert service.stop() == 0
