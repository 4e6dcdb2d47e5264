"""For tests of what only root may do: they run as somebody else for a while."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

NOBODY = 65534


@contextmanager
def without_low_ports() -> Iterator[None]:
    """Run the body without the right to ports below 1024."""
    first = Path("/proc/sys/net/ipv4/ip_unprivileged_port_start")
    if not first.exists() or int(first.read_text()) < 1024:
        pytest.skip("this machine lets anybody use ports below 1024")
    root = os.geteuid() == 0
    if root:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)


@contextmanager
def as_nobody() -> Iterator[Path]:
    """Run the body without root's rights, and give it a folder that everybody may read and write."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o777)
        user = os.geteuid()
        if user == 0:
            os.setresuid(NOBODY, NOBODY, 0)  # access(2) asks the real user
        try:
            yield folder
        finally:
            if user == 0:
                os.setresuid(0, 0, 0)
