"""How fast correlation rules run: events a second against the length of a window and the number of groups.

``python -m benchmarks.correlation`` (``make bench-correlation``) prints both tables and writes two charts into docs/images;
``--quick`` measures little and writes nothing. One group whose window holds so many events shows what an event costs as the
window grows; one event_count with so many groups, what it costs as they do. Matching is not measured: its result is handed in.
"""

from __future__ import annotations

import argparse
import logging
import time
from pathlib import Path
from typing import Any

from sigma.pyeval.correlation.calls import CORRELATION_CALLS, Correlation
from sigma.pyeval.correlation.correlator import Correlator
from sigma.pyeval.correlation.groups import Limits

from .plot import Line, svg

CHARTS = Path(__file__).parents[1] / "docs" / "images"
COLOURS = ("#0969da", "#1a7f37", "#9a6700", "#cf222e", "#8250df", "#bf3989", "#57606a", "#0a3069")
WINDOWS = (10, 100, 1_000, 10_000)
GROUPS = (1, 100, 10_000, 100_000)
NEVER = ("gte", 10**15)


def correlation(kind: str, seconds: int) -> Correlation:
    """Return a rule over a window of so many seconds that never becomes true: what is measured is the window."""
    said: dict[str, Any] = {"rules": ("a", "b"), "timespan": seconds, "group_by": ("g",), "condition": NEVER}
    if kind.startswith("value_"):
        said["fields"] = ("v",)
    if kind == "value_percentile":
        said["percentile"] = 95
    if kind in ("event_count", "value_count"):
        said["condition"] = ("gte", 900_000)
    return CORRELATION_CALLS[kind](**said)


def rate(made: Correlation, groups: int, begin: int, events: int, limits: Limits) -> float:
    """Return events a second of processor time, one event a second of the stream, after *begin* of them to fill the windows."""
    correlator = Correlator([("rule", "rule", made, True)], ["a", "b"], lambda _: (), lambda name: name, limits=limits)
    rows = [{"g": f"group {number % groups}", "v": number * 7919 % 10_007} for number in range(begin + events)]
    names = (["a"], ["a", "b"], ["a"], ["a"])
    for number in range(begin):
        correlator.observe(names[number % 4], rows[number], number)
    started = time.process_time()
    for number in range(begin, begin + events):
        correlator.observe(names[number % 4], rows[number], number)
    return events / (time.process_time() - started)


def main() -> None:
    """Measure, print, draw."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="measure little, write nothing")
    quick = parser.parse_args().quick
    logging.disable(logging.WARNING)
    events = 1_000 if quick else 10_000
    windows, groups = (WINDOWS[:2], GROUPS[:2]) if quick else (WINDOWS, GROUPS)
    limits = Limits(groups=2_000_000, events=2_000_000, total=4_000_000)
    by_window = {
        kind: [(size, rate(correlation(kind, size), 1, size, events, limits)) for size in windows]
        for kind in CORRELATION_CALLS
    }
    show("events in the window", by_window)
    by_groups = {
        name: [
            (count, rate(correlation("event_count", 10**8), count, min(count, 10**6), events, bound))
            for count in groups
        ]
        for name, bound in (("all held", limits), ("10,000 held", Limits(groups=10_000)))
    }
    show("groups", by_groups)
    if quick:
        return
    draw(
        "correlation-window.svg", "Correlation: events a second by length of window", "events in the window", by_window
    )
    draw("correlation-groups.svg", "Correlation: events a second by number of groups", "groups, event_count", by_groups)


def show(what: str, table: dict[str, list[tuple[int, float]]]) -> None:
    sizes = [size for size, _ in next(iter(table.values()))]
    print(f"events a second | {what}: " + " | ".join(f"{size:,}" for size in sizes))
    for name, row in table.items():
        print(f"{name:18}" + " | ".join(f"{found:>8,.0f}" for _, found in row))


def draw(file: str, title: str, along: str, table: dict[str, list[tuple[int, float]]]) -> None:
    lines = [Line(name, colour, row) for (name, row), colour in zip(table.items(), COLOURS, strict=False)]
    (CHARTS / file).write_text(svg(title, "by processor time; matching not included", lines, along), encoding="utf-8")


if __name__ == "__main__":
    main()
