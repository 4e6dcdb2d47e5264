"""How far the time of events has come, over several sources."""

from __future__ import annotations

import pytest

from sigma.pyeval.monitor.watermark import IDLE_SECONDS, Watermark

# What happens one after the other: (seconds of the clock, call, arguments), and the watermark then.
CASES = [
    ("nothing has come", [], None),
    ("a source is waited for at first", [(0, "begin", "a")], None),
    ("one source", [(0, "begin", "a"), (1, "tell", "a", 100.0)], 95.0),
    ("it goes back", [(0, "begin", "a"), (1, "tell", "a", 100.0), (2, "tell", "a", 50.0)], 95.0),
    ("the one behind counts", [(0, "tell", "a", 100.0), (1, "tell", "b", 70.0)], 65.0),
    ("one that has not told yet", [(0, "begin", "b"), (1, "tell", "a", 100.0)], None),
    (
        "one that is silent is not waited for",
        [(0, "tell", "b", 70.0), (IDLE_SECONDS + 1, "tell", "a", 100.0)],
        95.0,
    ),
    ("one that has ended neither", [(0, "tell", "b", 70.0), (1, "tell", "a", 100.0), (2, "end", "b")], 95.0),
    ("all are silent: time passes", [(0, "tell", "a", 100.0), (IDLE_SECONDS + 2, "look")], 107.0),
    ("all have ended: time passes", [(0, "tell", "a", 100.0), (0, "end", "a"), (3, "look")], 98.0),
]


@pytest.mark.parametrize(("steps", "expected"), [row[1:] for row in CASES], ids=[row[0] for row in CASES])
def test_watermark(steps: list[tuple], expected: float | None) -> None:
    now = 0.0
    watermark = Watermark(5.0, lambda: now)
    for moment, call, *arguments in steps:
        now = moment
        if call != "look":
            getattr(watermark, call)(*arguments)
    assert watermark.now() == expected
