"""How far the time of events has come, over several sources."""

from __future__ import annotations

from typing import Any

import pytest

from sigma.pyeval.monitor.watermark import IDLE_SECONDS, Watermark

# What happens one after the other: (seconds of the clock, call, arguments), and the watermark then.
CASES: list[tuple[str, list[tuple[Any, ...]], float | None]] = [
    ("nothing has come", [], None),
    ("a source is waited for at first", [(0, "begin", "a")], None),
    ("one source", [(0, "begin", "a"), (1, "tell", "a", "", 100.0, 500.0)], 95.0),
    ("one stream of it", [(0, "begin", "a"), (1, "tell", "a", "x", 100.0, 500.0)], 95.0),
    (
        "streams of before are waited for",
        [(0, "begin", "a", ["", "x", "y"]), (1, "tell", "a", "x", 100.0, 500.0)],
        None,
    ),
    (
        "the stream behind counts",
        [(0, "begin", "a", ["x", "y"]), (1, "tell", "a", "x", 100.0, 500.0), (1, "tell", "a", "y", 60.0, 500.0)],
        55.0,
    ),
    ("it goes back", [(1, "tell", "a", "", 100.0, 500.0), (2, "tell", "a", "", 50.0, 500.0)], 95.0),
    ("the source behind counts", [(0, "tell", "a", "", 100.0, 500.0), (1, "tell", "b", "", 70.0, 500.0)], 65.0),
    ("one that has not told yet", [(0, "begin", "b"), (1, "tell", "a", "", 100.0, 500.0)], None),
    (
        "one that is silent is not waited for",
        [(0, "tell", "b", "", 70.0, 500.0), (IDLE_SECONDS + 1, "tell", "a", "", 100.0, 500.0)],
        95.0,
    ),
    (
        "one that has ended neither",
        [(0, "tell", "b", "", 70.0, 0.0), (1, "tell", "a", "", 100.0, 0.0), (2, "end", "b")],
        95.0,
    ),
    ("all are silent: time passes", [(0, "tell", "a", "", 100.0, 500.0), (IDLE_SECONDS + 2, "look")], 107.0),
    ("all have ended: time passes", [(0, "tell", "a", "", 100.0, 500.0), (0, "end", "a"), (3, "look")], 98.0),
    (
        "an event without a time moves nothing",
        [(0, "tell", "a", "", 100.0, 500.0), (1, "tell", "a", "", None, 500.0)],
        95.0,
    ),
    ("a stream without times comes with the clock", [(0, "tell", "a", "", None, 500.0)], 495.0),
    ("until it tells one", [(0, "tell", "a", "", None, 500.0), (1, "tell", "a", "", 100.0, 500.0)], 95.0),
    ("after a restart time passes", [(0, "resume", 100.0), (3, "look")], 98.0),
    ("but sources are waited for", [(0, "resume", 100.0), (1, "begin", "a"), (3, "look")], None),
]


@pytest.mark.parametrize(("steps", "expected"), [row[1:] for row in CASES], ids=[row[0] for row in CASES])
def test_watermark(steps: list[tuple[Any, ...]], expected: float | None) -> None:
    now = 0.0
    watermark = Watermark(5.0, lambda: now)
    for moment, call, *arguments in steps:
        now = moment
        if call != "look":
            getattr(watermark, call)(*arguments)
    assert watermark.now() == expected
