"""The unit as systemd's own tools judge it, and what they say stands in the documentation."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import urllib.request
from pathlib import Path

import pytest

from ..monitor.service import Workplace, free_port

pytestmark = pytest.mark.system

ROOT = Path(__file__).resolve().parents[2]
UNIT = ROOT / "packaging" / "sigma-pyeval.service"
OPERATIONS = ROOT / "docs" / "operations.md"


@pytest.fixture(autouse=True)
def _program() -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("no systemd-analyze (Debian: apt-get install systemd)")


@pytest.fixture
def unit(tmp_path: Path) -> Path:
    """Return the unit with the program that runs here: ``verify`` looks whether it is there."""
    program = Path(sys.executable).with_name("sigma-pyeval")
    text = UNIT.read_text()
    assert "/opt/sigma-pyeval/bin/sigma-pyeval" in text
    path = tmp_path / UNIT.name
    path.write_text(text.replace("/opt/sigma-pyeval/bin/sigma-pyeval", str(program)))
    return path


def analyze(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["systemd-analyze", *arguments], capture_output=True, text=True, timeout=60, check=False)


def test_the_unit_passes_verify(unit: Path) -> None:
    done = analyze("verify", "--man=no", unit)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_verify_would_find_mistakes(unit: Path) -> None:
    unit.write_text(unit.read_text().replace("MemoryMax=1G", "MemoryMax=plenty\nNoSuchSetting=1"))
    done = analyze("verify", "--man=no", unit)
    assert "Invalid memory limit" in done.stderr
    assert "NoSuchSetting" in done.stderr


def exposure(unit: Path) -> float:
    done = analyze("security", "--offline=true", "--no-pager", unit)
    found = re.search(r"Overall exposure level for \S+: ([0-9.]+)", done.stdout)
    assert found is not None, done.stdout + done.stderr
    return float(found[1])


def test_the_exposure_is_at_most_the_documented_one(unit: Path) -> None:
    told = re.search(r"exposure by `systemd-analyze security`[^.]*is \*\*([0-9.]+)\*\*", OPERATIONS.read_text())
    assert told is not None
    assert exposure(unit) <= float(told[1])
    unit.write_text(unit.read_text().replace("ProtectSystem=strict", "").replace("PrivateDevices=yes", ""))
    assert exposure(unit) > float(told[1])


@pytest.mark.parametrize("capability", ["CAP_DAC_READ_SEARCH", "CAP_NET_BIND_SERVICE"])
def test_the_override_for_a_capability_is_valid(unit: Path, capability: str) -> None:
    lines = f"CapabilityBoundingSet={capability}\nAmbientCapabilities={capability}"
    assert lines.replace("\n", "\n#   ") in UNIT.read_text()
    text = unit.read_text().replace("CapabilityBoundingSet=\nAmbientCapabilities=\n", f"{lines}\n")
    unit.write_text(text)
    assert analyze("verify", "--man=no", unit).returncode == 0
    assert exposure(unit) < 3


def syscalls_allowed() -> set[str]:
    """Return the system calls that ``SystemCallFilter=`` of the unit lets through, by systemd's own lists."""
    allowed: set[str] = set()
    for line in UNIT.read_text().splitlines():
        if line.startswith("SystemCallFilter="):
            value = line.partition("=")[2]
            named = {call for group in value.lstrip("~").split() for call in _group(group)}
            allowed = allowed - named if value.startswith("~") else allowed | named
    return allowed


def _group(name: str) -> set[str]:
    if not name.startswith("@"):
        return {name}
    words = [line.strip() for line in analyze("syscall-filter", "--no-pager", name).stdout.splitlines()[1:]]
    return {call for word in words if word and not word.startswith("#") for call in _group(word)}


STRICT = (
    "setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--no-new-privs", "--inh-caps=-all", "--bounding-set=-all",
)  # fmt: skip


def test_it_runs_without_root_and_within_the_filter() -> None:
    """As nobody, without capabilities, each system call one that the unit allows; sources, sinks, page and reload included."""
    if shutil.which("strace") is None or shutil.which("setpriv") is None:
        pytest.skip("no strace and setpriv (Debian: apt-get install strace util-linux)")
    port = free_port()
    with tempfile.TemporaryDirectory() as name:
        path = Path(name)
        path.chmod(0o777)
        log = path / "in.log"
        log.write_bytes(b"")
        place = Workplace(
            path,
            sources=[{"type": "file", "paths": [str(log)], "start": "beginning", "format": "syslog"}, {"type": "http"}],
            server={"listen": f"127.0.0.1:{port}"},
        )
        within = ("strace", "-f", "-qq", "-o", str(path / "trace"), *STRICT)
        environment = {"HOME": name, "XDG_CACHE_HOME": f"{name}/cache", "PYTHONDONTWRITEBYTECODE": "1"}
        with pytest.MonkeyPatch.context() as patch:
            for key, value in environment.items():
                patch.setenv(key, value)
            with place.start(within=within) as service:
                service.until(lambda: "running" in service.log, 60)
                with log.open("ab") as file:
                    file.write(b"Nov 22 03:00:00 web prog: evil-marker\n")
                service.until(lambda: len(place.alerts()) == 1, 60)
                request = urllib.request.Request(f"http://127.0.0.1:{port}/ingest/http", b'{"MESSAGE": "evil-marker"}')
                with urllib.request.urlopen(request, timeout=20) as reply:
                    assert reply.status == 200
                service.until(lambda: len(place.alerts()) == 2, 60)
                (tracee,) = subprocess.run(
                    ["pgrep", "-P", str(service.process.pid)], capture_output=True, text=True, check=True
                ).stdout.split()
                assert "\nUid:\t65534\t65534\t65534\t65534\n" in Path(f"/proc/{tracee}/status").read_text()
                os.kill(int(tracee), signal.SIGHUP)
                service.until(lambda: "reloaded: " in service.log, 60)
                os.kill(int(tracee), signal.SIGTERM)
                assert service.process.wait(60) == 0
        assert (path / "state").stat().st_uid == 65534
        calls = set(re.findall(r"^\d+ +([a-z0-9_]+)\(", (path / "trace").read_text(errors="replace"), re.MULTILINE))
    assert {"execve", "futex", "openat", "epoll_wait"} <= calls
    # execve itself and what sets the user are before systemd's filter holds, or not the program's.
    assert calls - syscalls_allowed() - {"setresuid", "setresgid", "setgroups", "capset", "prctl"} == set()
