"""The measured part of docs/scale.md, from the stored results of ``make bench-spark``."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from . import report

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results" / "spark.json"
PAGE = ROOT / "docs" / "scale.md"
BEGIN, END = "<!-- written by make bench-spark -->", "<!-- end -->"
MILLION = 1_000_000
BUSY = 0.5
"""How much of a core a plan may use: the other half is for bursts, restarts and garbage collection."""

_HEADS = ["events a second and core", "warm", "without rules", "events", "matches", "cores for a million a second"]


def tables(results: Mapping[str, Any]) -> str:
    """Return a table for each lane, and what it was measured on, in Markdown."""
    parts = []
    for lane, rows in results["lanes"].items():
        cells = [
            [
                row["what"], f"{row['warm']:,}", f"{row['without_rules']:,}", f"{row['events']:,}", f"{row['matches']:,}",
                f"{cores(row['warm']):,}",
            ]
            for row in rows
        ]  # fmt: skip
        parts.append(f"{report.LANE_NAMES[lane]}, {rows[0]['rules']:,} rules:\n\n{report.table(_HEADS, cells)}")
    facts = "; ".join(f"{name}: {value}" for name, value in results["facts"].items())
    return "\n\n".join([*parts, f"Measured on {results['date']}. {facts}."])


def cores(rate: int) -> int:
    """Return how many cores a million events a second take, each busy for half of the time."""
    return math.ceil(MILLION / (rate * BUSY))


def with_tables(page: str, results: Mapping[str, Any]) -> str:
    """Return *page* with what stands between its marks made anew."""
    section = f"{BEGIN}\n{tables(results)}\n{END}"
    return re.sub(f"{BEGIN}.*?{END}", lambda _: section, page, flags=re.DOTALL)
