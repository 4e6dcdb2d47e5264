"""Throughput on Spark beside ``scan``, into benchmarks/results/spark.json and docs/scale.md: ``make bench-spark``.

All in CPU time: of this process for ``scan``, of Spark's JVM and its workers together for Spark, so that it says what one
core does. Spark runs ``local[1]``, its workers in environments that ``make test-spark`` makes too.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sigma.pyeval import Ruleset, load_rules
from sigma.pyeval.scanning import Scan

from . import report, spark_page
from .data import LANES, are_here, read_lines

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

ROOT = Path(__file__).resolve().parent.parent
STANDALONE_EVENTS = 3_000
"""The standalone module judges rule by rule; so many events take half a minute."""
COPIES = 5
"""How often the events are repeated: a Spark job takes about a second whatever it does."""
RUNS = 2
_TICKS = os.sysconf("SC_CLK_TCK")

Row = dict[str, Any]


def measure_lane(session: SparkSession, delivery: str, lane: str, folder: Path, events: int | None) -> list[Row]:
    from sigma.pyeval.spark import detect

    rules, file = LANES[lane]
    ruleset = load_rules(rules)
    lines = read_lines(file) * COPIES if delivery == "linked" else read_lines(file)[:STANDALONE_EVENTS]
    lines = lines[:events]
    path = folder / f"{lane}-{delivery}.jsonl"
    path.write_bytes(b"\n".join(lines) + b"\n")
    rows = []
    for form, df, event in (
        ("JSON text", session.read.text(str(path)), "value"),
        ("columns", session.read.json(str(path)), None),
    ):
        place = str(folder / f"{path.stem}-{form}")
        df.coalesce(1).write.parquet(place)

        def run(ruleset: Ruleset, place: str = place, event: str | None = event) -> int:
            df = session.read.parquet(place)
            matches = detect(df, ruleset, event=event, keep=[], delivery=delivery)  # type: ignore[arg-type]
            return matches.where("rule IS NOT NULL").count()

        for _ in range(2):  # the JVM compiles what it runs often
            run(Ruleset([]))
        alone = min(spent(lambda run=run: run(Ruleset([]))) for _ in range(RUNS))  # type: ignore[misc]
        matches = run(ruleset)
        warm = min(spent(lambda run=run: run(ruleset)) for _ in range(RUNS))  # type: ignore[misc]
        rows.append(_row(f"Spark, {delivery}, {form}", ruleset, lines, matches, without_rules=alone, warm=warm))
    return rows


def _row(what: str, ruleset: Ruleset, lines: list[bytes], matches: int, **seconds: float) -> Row:
    rates = {name: round(len(lines) / spent) for name, spent in seconds.items()}
    return {"what": what, "rules": len(ruleset), "events": len(lines), "matches": matches, **rates}


def measure_scan(lane: str, folder: Path, events: int | None) -> Row:
    """Measure what ``sigma-pyeval scan`` does with the same lines, without writing what it finds."""
    rules, file = LANES[lane]
    ruleset = load_rules(rules)
    lines = (read_lines(file) * COPIES)[:events]
    path = folder / f"{lane}-scan.jsonl"
    path.write_bytes(b"\n".join(lines) + b"\n")
    ruleset.match({})

    def run(ruleset: Ruleset) -> int:
        return sum(1 for _ in Scan(ruleset, lambda *_: None, "jsonl").log(str(path)))

    empty = Ruleset([])
    empty.match({})
    alone = min(_own_cpu(lambda: run(empty)) for _ in range(RUNS))
    matches = run(ruleset)
    warm = min(_own_cpu(lambda: run(ruleset)) for _ in range(RUNS))
    return _row("scan, one process, JSON lines", ruleset, lines, matches, without_rules=alone, warm=warm)


def _own_cpu(run: Callable[[], object]) -> float:
    start = time.process_time()
    run()
    return time.process_time() - start


def spent(run: Callable[[], object]) -> float:
    """Return the CPU seconds of everything that descends from this process, the JVM and its workers."""
    start = descendants_cpu()
    run()
    time.sleep(1)  # what the workers still have to finish is theirs
    return descendants_cpu() - start


def descendants_cpu() -> float:
    children: dict[int, list[tuple[int, float]]] = {}
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = entry.read_text().rpartition(")")[2].split()
        except OSError:
            continue  # gone meanwhile
        children.setdefault(int(fields[1]), []).append((int(entry.parent.name), sum(map(int, fields[11:15])) / _TICKS))
    pending, total = [os.getpid()], 0.0
    while pending:
        for process, seconds in children.get(pending.pop(), ()):
            total += seconds
            pending.append(process)
    gone = resource.getrusage(resource.RUSAGE_CHILDREN)
    return total + gone.ru_utime + gone.ru_stime


@contextmanager
def spark(python: Path, folder: Path) -> Iterator[SparkSession]:
    from pyspark.sql import SparkSession

    os.environ["PYSPARK_PYTHON"] = str(python)
    settings = {
        "spark.ui.enabled": "false", "spark.sql.caseSensitive": "true", "spark.log.level": "ERROR",
        "spark.sql.warehouse.dir": str(folder), "spark.sql.files.maxPartitionBytes": "1g", "spark.sql.shuffle.partitions": "1",
        "spark.sql.files.minPartitionNum": "1",
    }  # fmt: skip
    session = SparkSession.builder.master("local[1]").config(map=settings).getOrCreate()
    try:
        yield session
    finally:
        session.stop()


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.spark", description=__doc__.partition("\n")[0])
    parser.add_argument("--events", type=int, help="only so many, to try it out; nothing is written then")
    options = parser.parse_args()
    if not are_here():
        print("nothing measured: no rules and events here; set PYEVAL_SHARED to the folder that holds data/")
        return 0
    import pyspark

    machine = report.describe_machine(ROOT, quick=options.events is not None)
    lanes = ("linux", "all")
    found: dict[str, list[Row]] = {lane: [] for lane in lanes}
    before = Path.cwd()
    with tempfile.TemporaryDirectory(prefix="sigma-pyeval-bench-") as name:
        folder = Path(name)
        for lane in lanes:
            found[lane].append(measure_scan(lane, folder, options.events))
        os.chdir(folder)  # workers find modules in the folder that the JVM was started in
        for delivery, environment in (("linked", ".venv-spark-linked"), ("standalone", ".venv-spark-bare")):
            with spark(ROOT / environment / "bin" / "python", folder) as session:
                for lane in lanes:
                    found[lane] += measure_lane(session, delivery, lane, folder, options.events)
        os.chdir(before)
    facts = {key: machine[key] for key in ("commit", "processor", "Python", "packages", "load average before")}
    facts |= {"Spark": f"{pyspark.__version__}, local[1]", "load average after": f"{os.getloadavg()[0]:.2f}"}
    results = {"date": machine["date"], "facts": facts, "lanes": found}
    print(spark_page.tables(results))
    if options.events is None:
        spark_page.RESULTS.write_text(json.dumps(results, indent=1) + "\n")
        spark_page.PAGE.write_text(spark_page.with_tables(spark_page.PAGE.read_text(), results))
    return 0


if __name__ == "__main__":
    sys.exit(main())
