"""Throughput of the three lanes, and against the number of rules: ``python -m benchmarks.throughput`` prints it as JSON.

One core, CPU time, the garbage collector as everybody has it, JSON decoding included. See ``sigma.pyeval.benchmark`` for what
the passes are.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import orjson

from sigma.pyeval import Ruleset, load_rules
from sigma.pyeval.benchmark import Throughput, measure_throughput, pin

from .data import LANES, read_lines

RULE_COUNTS = (100, 300, 1_000, 3_141)


def measure_lane(name: str, routed: bool, runs: int, events: int | None) -> Throughput:
    folder, file = LANES[name]
    return measure_throughput(load_rules(folder), _with_typical_prefix(_spread(file, events)), runs=runs, routed=routed)


def measure_rule_counts(runs: int, events: int | None) -> list[Throughput]:
    """Every n-th of all rules, so that each number of rules has all kinds of them."""
    folder, file = LANES["all"]
    rules = load_rules(folder).rules
    lines = _with_typical_prefix(_spread(file, events))
    return [
        measure_throughput(Ruleset(rules[:: max(1, len(rules) // count)][:count]), lines, runs=runs)
        for count in RULE_COUNTS
    ]


def count_matches(name: str, events: int | None) -> int:
    folder, file = LANES[name]
    match = load_rules(folder).match
    return sum(len(match(orjson.loads(line))) for line in _spread(file, events))


def _spread(file: str, events: int | None) -> list[bytes]:
    """Return about so many *events* from all over the file, as ``peers`` takes them; all where None."""
    lines = read_lines(file)
    return lines if events is None else lines[:: max(1, len(lines) // events)]


def _with_typical_prefix(lines: Sequence[bytes]) -> list[bytes]:
    """Return *lines* with a hundred from all over put first: those that ``scan`` gets, as the file is sorted by kind."""
    step = max(1, len(lines) // 100)
    return [*lines[::step], *(line for number, line in enumerate(lines) if number % step)]


def as_dict(measured: Throughput) -> dict[str, Any]:
    return asdict(measured) | {"passes": measured.passes()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("lane", choices=[*LANES, "counts"])
    parser.add_argument("--routed", action="store_true")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--events", type=int, help="only about so many events")
    parser.add_argument("--matches", action="store_true", help="also how many there are")
    options = parser.parse_args()
    pin()
    if options.lane == "counts":
        found: Any = [as_dict(one) for one in measure_rule_counts(options.runs, options.events)]
    else:
        found = {"matches": count_matches(options.lane, options.events)} if options.matches else {}
        found |= as_dict(measure_lane(options.lane, options.routed, options.runs, options.events))
    print(json.dumps(found))


if __name__ == "__main__":
    main()
