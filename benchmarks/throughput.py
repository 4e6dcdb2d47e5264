"""How many events a second the engine judges, as a share of merely decoding them: ``python -m benchmarks.throughput``.

One core, CPU time of the process, the garbage collector as everybody has it, JSON decoding included, no routing: each event
is held against all rules of its lane. Decoding and matching take turns, so that a busy machine slows both alike; of
several runs the median counts. ``first`` is one pass with nothing learned yet (the plan is made before), ``warm`` a later
pass, ``unique`` a first pass over events in which every text is made unique, so that nothing learned of a value helps
later. ``scan`` evaluates rule by rule, on a few events.

The rules and events are read from the folder that the environment variable PYEVAL_SHARED names.
"""

from __future__ import annotations

import argparse
import gzip
import os
import resource
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import orjson

from sigma.pyeval import Ruleset, load_rules
from sigma.pyeval.engine.plan import Plan, dump, load, plan_rules
from sigma.pyeval.rules import Rule

SHARED = Path(os.environ.get("PYEVAL_SHARED", Path(__file__).resolve().parents[2] / "shared"))
LANES = {
    "all": ("rules", "windows-30k"),
    "process_creation": ("rules/windows/process_creation", "windows-30k"),
    "linux": ("rules/linux", "linux-20k"),
}
RULE_COUNTS = (100, 300, 1_000, 3_141)
SCANNED = 100


def read_lines(name: str) -> list[bytes]:
    with gzip.open(SHARED / "data" / "bench" / f"{name}.jsonl.gz") as file:
        return file.read().splitlines()


def made_unique(lines: Sequence[bytes]) -> list[bytes]:
    made = []
    for number, line in enumerate(lines):
        event = orjson.loads(line)
        made.append(
            orjson.dumps({key: f"{value} {number}" if type(value) is str else value for key, value in event.items()})
        )
    return made


def seconds(work: Callable[[], object]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


def decode(lines: Sequence[bytes]) -> None:
    loads = orjson.loads
    for line in lines:
        loads(line)


def judge(match: Callable[[dict[str, object]], object], lines: Sequence[bytes]) -> None:
    loads = orjson.loads
    for line in lines:
        match(loads(line))


def measure_lane(name: str, plan: Plan, lines: Sequence[bytes], runs: int) -> None:
    unique = made_unique(lines)
    found: dict[str, list[float]] = {"decode": [], "first": [], "warm": [], "unique": [], "decode unique": []}
    for _ in range(runs):
        ruleset = prepared(plan)
        found["decode"].append(seconds(lambda: decode(lines)))
        found["first"].append(seconds(lambda ruleset=ruleset: judge(ruleset.match, lines)))
        found["decode"].append(seconds(lambda: decode(lines)))
        found["warm"].append(seconds(lambda ruleset=ruleset: judge(ruleset.match, lines)))
        fresh = prepared(plan)
        found["decode unique"].append(seconds(lambda: decode(unique)))
        found["unique"].append(seconds(lambda fresh=fresh: judge(fresh.match, unique)))
    rates = {key: len(lines) / statistics.median(times) for key, times in found.items()}
    sample = lines[:: max(1, len(lines) // SCANNED)]
    plain = Ruleset(plan.rules)
    plain.scan({})
    rates["scan"] = len(sample) / seconds(lambda: judge(plain.scan, sample))
    print(f"\n{name}: {len(plan.rules):,} rules, {len(lines):,} events")
    for key, rate in rates.items():
        base = rates["decode unique" if "unique" in key else "decode"]
        print(f"  {key:14} {rate:12,.0f} events/s {100 * rate / base:7.2f} % of decoding")


def measure_rule_counts(rules: Sequence[Rule], lines: Sequence[bytes], runs: int) -> None:
    print("\nevents/s by number of rules (every n-th of all)")
    for count in RULE_COUNTS:
        chosen = rules[:: max(1, len(rules) // count)][:count]
        plan = plan_rules(chosen)
        first, warm = [], []
        for _ in range(runs):
            ruleset = prepared(plan)
            first.append(seconds(lambda ruleset=ruleset: judge(ruleset.match, lines)))
            warm.append(seconds(lambda ruleset=ruleset: judge(ruleset.match, lines)))
        rates = [len(lines) / statistics.median(times) for times in (first, warm)]
        print(f"  {len(chosen):6,} rules   first {rates[0]:10,.0f}   warm {rates[1]:10,.0f}")


def prepared(plan: Plan) -> Ruleset:
    """Return a ruleset that has learned nothing but is ready to match."""
    ruleset = Ruleset(plan.rules, plan=plan)
    ruleset.match({})
    return ruleset


def measure_memory() -> None:
    """Load all rules, judge all events once, as they are read; print what the process took at most."""
    folder, events = LANES["all"]
    start = time.process_time()
    ruleset = load_rules(SHARED / "data" / "sigmahq" / folder)
    loaded = time.process_time()
    ruleset.match({})
    print(
        f"loaded {len(ruleset):,} rules in {loaded - start:.2f} s, ready after {time.process_time() - loaded:.2f} s more"
    )
    with gzip.open(SHARED / "data" / "bench" / f"{events}.jsonl.gz") as file:
        for line in file:
            ruleset.match(orjson.loads(line))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"peak memory {peak:.0f} MB, of which the memos estimate {ruleset.statistics().memo_bytes / 1e6:.0f} MB theirs"
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--lane", action="append", choices=LANES, help="only this lane; may be given several times")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--counts", action="store_true", help="also throughput by number of rules")
    parser.add_argument("--memory", action="store_true", help="only the memory of one pass over all rules and events")
    options = parser.parse_args()
    if not (SHARED / "data").is_dir():
        print(f"no data at {SHARED}; set PYEVAL_SHARED to the folder that holds data/", file=sys.stderr)
        return 2
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    if options.memory:
        measure_memory()
        return 0
    for name in options.lane or LANES:
        folder, events = LANES[name]
        rules = load_rules(SHARED / "data" / "sigmahq" / folder).rules
        start = time.process_time()
        plan = plan_rules(rules)
        planned = time.process_time()
        kept = dump(plan)
        dumped = time.process_time()
        load(kept)
        print(
            f"\n{name}: planned in {planned - start:.2f} s; kept in {len(kept) / 1e6:.1f} MB, "
            f"loaded from there in {time.process_time() - dumped:.2f} s"
        )
        lines = read_lines(events)
        measure_lane(name, plan, lines, options.runs)
        if options.counts and name == "all":
            measure_rule_counts(rules, lines, options.runs)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
