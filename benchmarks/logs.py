"""Reading a large audit log: ``python -m benchmarks.logs WHAT FILE``, JSON on stdout.

``generate`` repeats the audit log of the shared data with new serials and later times until FILE has the given number of MB;
``bytes`` and ``lines`` read that and split its lines; ``read`` makes records of it, ``scan`` holds them against rules too and
writes what matches to a file, and so does ``monitor``, with all that the service does for delivery. Except for generating, each
is a process of its own, pinned to one core, and tells its CPU time and peak memory.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from sigma.pyeval.benchmark import pin
from sigma.pyeval.restrictiveness import LEVELS

from .data import AUDIT_LOG, LANES
from .loading import peak_mb

if TYPE_CHECKING:
    from sigma.pyeval import Ruleset
    from sigma.pyeval.monitor.configuration import Configuration

_STAMP = re.compile(rb"audit\((\d+)\.(\d+):(\d+)\)")
_CHUNK = 1 << 20


def generate(path: Path, megabytes: int) -> None:
    block = AUDIT_LOG.read_bytes()
    stamps = [(int(second), int(serial)) for second, _, serial in _STAMP.findall(block)]
    seconds = max(second for second, _ in stamps) - min(second for second, _ in stamps) + 1
    serials = max(serial for _, serial in stamps) + 1
    with path.open("wb") as file:
        copy = 0
        while file.tell() < megabytes * 1_000_000:
            later, more = copy * seconds, copy * serials
            file.write(
                _STAMP.sub(
                    lambda m, later=later, more=more: (  # type: ignore[misc]
                        b"audit(%d.%s:%d)" % (int(m[1]) + later, m[2], int(m[3]) + more)
                    ),
                    block,
                )
            )
            copy += 1


def read_bytes(path: Path) -> dict[str, float]:
    with path.open("rb") as file:
        while file.read(_CHUNK):
            pass
    return {}


def split_lines(path: Path) -> dict[str, float]:
    lines = 0
    with path.open("rb") as file:
        for line in file:
            line.rstrip(b"\r\n")
            lines += 1
    return {"lines": lines}


def read(path: Path) -> dict[str, float]:
    from sigma.pyeval.logs.reading import read_log
    from sigma.pyeval.logs.records import Problem

    records = problems = 0
    for record in read_log(path):
        if isinstance(record, Problem):
            problems += 1
        else:
            records += 1
    return {"records": records, "problems": problems}


def scan(path: Path) -> dict[str, float]:
    from sigma.pyeval import load_rules
    from sigma.pyeval.reports.jsonl import JsonlWriter
    from sigma.pyeval.scanning import Scan

    ruleset = load_rules(LANES["linux"][0], pipeline="linux_eval", on_error="collect")
    ruleset.match({})
    start, elapsed = time.process_time(), time.monotonic()
    run = Scan(ruleset, lambda *_: None)
    with path.with_name("findings.jsonl").open("wb") as file:
        writer = JsonlWriter(file)
        for finding in run.log(str(path)):
            writer.write(finding)
        writer.close()
    return {
        "rules": len(ruleset),
        "records": run.events,
        "problems": run.problems,
        "matches": run.findings,
        "seconds": time.process_time() - start,
        "elapsed": time.monotonic() - elapsed,
    }


def monitor(path: Path) -> dict[str, float]:
    from sigma.pyeval import load_rules
    from sigma.pyeval.monitor.configuration import parse_configuration

    alerts = path.with_name("alerts.jsonl")
    configuration = parse_configuration(
        {
            "rules": {"paths": [str(LANES["linux"][0])]},
            "state": str(path.with_name("state")),
            "sources": [{"type": "file", "paths": [str(path)], "start": "beginning", "format": "auditd"}],
            "sinks": [{"type": "file", "path": str(alerts)}],
        }
    )
    ruleset = load_rules(LANES["linux"][0], pipeline="linux_eval", on_error="collect")
    ruleset.match({})
    lines = int(split_lines(path)["lines"])
    return asyncio.run(_monitored(configuration, ruleset, lines))


async def _monitored(configuration: Configuration, ruleset: Ruleset, lines: int) -> dict[str, float]:
    """Run the service until it has judged so many lines and delivered what matched."""
    from sigma.pyeval.monitor.service import Service

    service = Service(configuration, ruleset)
    value = service.metrics.registry.get_sample_value
    start, elapsed = time.process_time(), time.monotonic()
    running = asyncio.create_task(service.run())
    while (value("sigma_pyeval_source_lines_total", {"source": "file"}) or 0) < lines:
        await asyncio.sleep(0.05)
    service.stop()
    ending = await running
    assert ending == 0, ending
    found = {level: value("sigma_pyeval_alerts_total", {"level": level}) or 0 for level in ("none", *LEVELS)}
    return {
        "records": value("sigma_pyeval_source_events_total", {"source": "file"}) or 0,
        "problems": value("sigma_pyeval_source_problems_total", {"source": "file"}) or 0,
        "matches": sum(found.values()),
        "sent": value("sigma_pyeval_sink_sent_total", {"sink": "file"}) or 0,
        "seconds": time.process_time() - start,
        "elapsed": time.monotonic() - elapsed,
    }


def main(what: str, name: str, megabytes: str = "200") -> None:
    path = Path(name)
    if what == "generate":
        generate(path, int(megabytes))
        return
    pin()
    start = time.process_time()
    found = {"bytes": read_bytes, "lines": split_lines, "read": read, "scan": scan, "monitor": monitor}[what](path)
    seconds = time.process_time() - start
    print(json.dumps({"seconds": seconds, "peak_mb": peak_mb(), "bytes": path.stat().st_size} | found))


if __name__ == "__main__":
    main(*sys.argv[1:])
