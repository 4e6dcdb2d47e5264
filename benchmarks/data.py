"""Where the rules and events lie: in the folder that the environment variable PYEVAL_SHARED names."""

from __future__ import annotations

import gzip
import os
from pathlib import Path

SHARED = Path(os.environ.get("PYEVAL_SHARED") or Path(__file__).resolve().parents[2] / "shared")
RULES = SHARED / "data" / "sigmahq" / "rules"
LANES = {
    "all": (RULES, "windows-30k"),
    "process_creation": (RULES / "windows" / "process_creation", "windows-30k"),
    "linux": (RULES / "linux", "linux-20k"),
}
"""Name of the lane: its rules, its events."""
AUDIT_LOG = SHARED / "data" / "linux" / "auditd" / "lux_audit.log"


def are_here() -> bool:
    return RULES.is_dir()


def events_path(name: str) -> Path:
    return SHARED / "data" / "bench" / f"{name}.jsonl.gz"


def read_lines(name: str) -> list[bytes]:
    with gzip.open(events_path(name)) as file:
        return file.read().splitlines()
