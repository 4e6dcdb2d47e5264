"""Reading a large audit log: ``python -m benchmarks.logs WHAT FILE``, JSON on stdout.

``generate`` repeats the audit log of the shared data with new serials and later times until FILE has the given number of MB;
``bytes`` and ``lines`` read that and split its lines; ``read`` makes records of it, ``scan`` holds them against rules too.
Except for generating, each is a process of its own, pinned to one core, and tells its CPU time and peak memory.
"""

from __future__ import annotations

import json
import re
import sys
import time
from pathlib import Path

from sigma.pyeval.benchmark import pin

from .data import AUDIT_LOG, LANES
from .loading import peak_mb

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
    from sigma.pyeval.scanning import Scan

    ruleset = load_rules(LANES["linux"][0], pipeline="linux_eval", on_error="collect")
    ruleset.match({})
    start = time.process_time()
    run = Scan(ruleset, lambda *_: None)
    for _ in run.log(str(path)):
        pass
    return {
        "rules": len(ruleset),
        "records": run.events,
        "problems": run.problems,
        "matches": run.findings,
        "seconds": time.process_time() - start,
    }


def main(what: str, name: str, megabytes: str = "200") -> None:
    path = Path(name)
    if what == "generate":
        generate(path, int(megabytes))
        return
    pin()
    start = time.process_time()
    found = {"bytes": read_bytes, "lines": split_lines, "read": read, "scan": scan}[what](path)
    seconds = time.process_time() - start
    print(json.dumps({"seconds": seconds, "peak_mb": peak_mb(), "bytes": path.stat().st_size} | found))


if __name__ == "__main__":
    main(*sys.argv[1:])
