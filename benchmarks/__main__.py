"""All measurements, one process after the other, into a dated file of results: ``python -m benchmarks`` (``make bench``).

A measurement that fails is named in the results, and the others go on. A whole run also writes the section on speed in
README.md anew; ``--quick`` measures few events once, writes to a temporary folder, and is for trying out only.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from . import report
from .data import LANES, RULES, SHARED, are_here, events_path

ROOT = Path(__file__).resolve().parent.parent
QUICK_EVENTS = 600
SQLITE_EVENTS, AZUMA_EVENTS = 3_000, 300
"""What takes half a minute; SQLite needs many events for each query to pay."""
LOG_MEGABYTES = 200


class Run:
    """One run: calls a measurement in a process of its own and keeps what it says under a name."""

    def __init__(self, environment: dict[str, str]) -> None:
        self.found: dict[str, Any] = {}
        self.failed: dict[str, str] = {}
        self._environment = environment

    def measure(self, name: str, *command: str, python: str = sys.executable) -> None:
        started = time.monotonic()
        try:
            done = subprocess.run(
                [python, *command], capture_output=True, text=True, check=False, cwd=ROOT, env=self._environment
            )
        except OSError as error:
            self.failed[name] = f"cannot be started: {error.strerror}"
        else:
            if done.returncode == 0:
                self.found[name] = json.loads(done.stdout or "null")
            else:
                self.failed[name] = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        outcome = f"failed: {self.failed[name]}" if name in self.failed else f"{time.monotonic() - started:.0f} s"
        print(f"{name:24} {outcome}", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__.partition("\n")[0])
    parser.add_argument("--peers", default=sys.executable, help="the Python that has the programs compared with")
    parser.add_argument("--quick", action="store_true", help="few events, once; nothing of it is worth quoting")
    options = parser.parse_args()
    if not are_here():
        print("nothing measured: no rules and events here; set PYEVAL_SHARED to the folder that holds data/")
        return 0
    machine = report.describe_machine(ROOT, options.quick)
    with tempfile.TemporaryDirectory(prefix="sigma-pyeval-bench-") as folder:
        environment = os.environ | {"XDG_CACHE_HOME": folder, "PYEVAL_SHARED": str(SHARED.resolve())}
        run = Run(environment)
        measure_all(run, Path(folder), str(Path(options.peers).absolute()), options.quick)
    output = Path(tempfile.mkdtemp(prefix="sigma-pyeval-bench-")) if options.quick else ROOT / "benchmarks" / "results"
    written = report.write(output, machine, run.found, run.failed)
    if not options.quick and "counts" in run.found:
        report.write_readme(ROOT / "README.md", written, run.found)
    print(f"written: {written if options.quick else written.relative_to(ROOT)}")
    return 0


def measure_all(run: Run, folder: Path, peers: str, quick: bool) -> None:
    few = ["--events", str(QUICK_EVENTS), "--runs", "1"] if quick else []
    module = folder / "linked_rules.py"
    log = folder / "audit.log"
    run.measure("load cold", "-m", "benchmarks.loading", "load")
    run.measure("load cached", "-m", "benchmarks.loading", "load")
    run.measure("memory", "-m", "benchmarks.loading", "memory")
    run.measure("memory, no cache", "-m", "benchmarks.loading", "memory-no-cache")
    run.measure("linked", "-m", "benchmarks.loading", "linked", str(module))
    run.measure("import cold", "-m", "benchmarks.loading", "import", str(module))
    run.measure("import again", "-m", "benchmarks.loading", "import", str(module))
    for lane in LANES:
        run.measure(lane, "-m", "benchmarks.throughput", lane, *few)
        run.measure(f"{lane} routed", "-m", "benchmarks.throughput", lane, "--routed", *few)
    run.measure("counts", "-m", "benchmarks.throughput", "counts", *few)
    events = str(events_path(LANES["all"][1]))
    for peer, number in (("sqlite", SQLITE_EVENTS), ("azuma", AZUMA_EVENTS)):
        count = str(number // 30 if quick else number)
        run.measure(f"beside {peer}", "-m", "benchmarks.throughput", "all", "--matches", "--events", count)
        run.measure(peer, "benchmarks/peers.py", peer, str(RULES), events, count, python=peers)
    run.measure(
        "log", "-m", "benchmarks.logs", "generate", str(log), str(LOG_MEGABYTES // 20 if quick else LOG_MEGABYTES)
    )
    for what in ("bytes", "lines", "read", "scan", "monitor"):
        run.measure(f"log {what}", "-m", "benchmarks.logs", what, str(log))


if __name__ == "__main__":
    raise SystemExit(main())
