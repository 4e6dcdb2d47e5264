"""Frames of pandas and Polars: the verdicts of ``match`` on the equal dicts, and what a cell stands for."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings

from sigma.pyeval import Ruleset, frames, parse_rules
from sigma.pyeval.frames import FrameError, frame_events, matches_frame, plain

from .conftest import json_lines, rule_yaml
from .strategies import Case, cases
from .vocabulary import PLACEHOLDERS

RULES = parse_rules(
    "---\n".join(
        [
            rule_yaml("s: {A: x}\ncondition: s", "first", extra="id: 11111111-1111-4111-8111-111111111111\ntags: [attack.t1059]\nlevel: high\n"),
            rule_yaml("s: {A|contains: x, B|gt: 1}\ncondition: s", "second", "{category: process_creation, product: linux}"),
            rule_yaml("s: {B: null}\ncondition: s", "third", "{product: windows}"),
        ]
    )
)  # fmt: skip
ROWS = {"A": ["x", None, "yx"], "B": [2, 3, None], "C": ["p", "q", "r"]}
FRAMES = {"pandas": pd.DataFrame(ROWS, index=[10, 20, 30]), "polars": pl.DataFrame(ROWS)}


def records(frame: Any) -> list[dict[str, Any]]:
    """Return the rows of a frame as dicts, whichever library it is of, what is missing as None."""
    if isinstance(frame, pl.DataFrame):
        return frame.to_dicts()
    return frame.astype(object).where(frame.notna(), None).to_dict("records")


@pytest.mark.parametrize("library", FRAMES)
def test_a_frame_of_matches(library: str) -> None:
    """A row for each match, the rule beside it, in the library of the frame that was given."""
    found = matches_frame(FRAMES[library], RULES)
    assert type(found) is type(FRAMES[library])
    first, second, third = records(found)
    assert first == {
        "A": "x", "B": 2, "C": "p", "rule_id": "11111111-1111-4111-8111-111111111111", "rule_title": "first",
        "rule_level": "high", "rule_tags": ["attack.t1059"],
    }  # fmt: skip
    assert (second["C"], second["rule_title"], second["rule_id"], second["rule_tags"]) == ("p", "second", None, [])
    assert (third["C"], third["rule_title"], third["B"]) == ("r", "third", None)
    if isinstance(found, pd.DataFrame):
        assert list(found.index) == [10, 10, 30]


@pytest.mark.parametrize("library", FRAMES)
@pytest.mark.parametrize("keep", [[], ["C"], ["C", "A"]])
def test_what_is_kept(library: str, keep: list[str]) -> None:
    """The columns that were asked for, in that order."""
    found = matches_frame(FRAMES[library], RULES, keep=keep)
    assert list(found.columns) == [*keep, "rule_id", "rule_title", "rule_level", "rule_tags"]
    assert len(found) == 3


@pytest.mark.parametrize("library", FRAMES)
def test_nothing_matches(library: str) -> None:
    """The same columns, no rows; also without rules, and without rows."""
    for frame, ruleset in ((FRAMES[library], Ruleset([])), (FRAMES[library][:0], RULES)):
        found = matches_frame(frame, ruleset)
        assert len(found) == 0
        assert list(found.columns)[3:] == ["rule_id", "rule_title", "rule_level", "rule_tags"]


@pytest.mark.parametrize("make", [pd.DataFrame, pl.DataFrame])
def test_a_log_source_leaves_out_rules(make: Any) -> None:
    """With ``route``."""
    frame = make({"_EXE": ["/bin/sh"] * 2, "A": ["x", "y"], "B": [2, None]})
    assert [row["rule_title"] for row in records(matches_frame(frame, RULES))] == ["first", "second", "third"]
    assert [row["rule_title"] for row in records(matches_frame(frame, RULES, route=True))] == ["second"]


CELLS = [
    # pandas' dtype, a cell, what the event has (None: the field is missing)
    (object, "x", "x"),
    ("str", "x", "x"),
    *([("str", None, None)] if pd.__version__ >= "3" else []),  # before, "str" made text of it
    (object, None, None),
    (object, math.nan, None),
    (object, pd.NaT, None),
    (object, pd.NA, None),
    ("float64", math.nan, None),
    ("float32", 0.5, 0.5),
    ("int64", 2**53 + 1, 2**53 + 1),
    ("uint8", 7, 7),
    ("Int64", 7, 7),
    ("Int64", None, None),
    ("bool", True, True),
    ("boolean", None, None),
    ("category", "x", "x"),
    ("datetime64[ns]", datetime(2026, 1, 2, 3), datetime(2026, 1, 2, 3)),
    ("datetime64[ns, UTC]", datetime(2026, 1, 2, 3, tzinfo=UTC), datetime(2026, 1, 2, 3, tzinfo=UTC)),
    ("datetime64[ns]", pd.NaT, None),
    (object, np.int64(7), 7),
    (object, np.float32(0.5), 0.5),
    (object, np.bool_(True), True),
    (object, np.str_("x"), "x"),
    (object, np.bytes_(b"x"), b"x"),
    (object, np.datetime64("2026-01-02T03:04:05.123456789"), datetime(2026, 1, 2, 3, 4, 5, 123456)),
    (object, np.datetime64("2026-01-02"), datetime(2026, 1, 2)),
    (object, np.datetime64("NaT"), None),
    (object, pd.Timestamp("2026-01-02T03:04:05.000000001"), datetime(2026, 1, 2, 3, 4, 5)),
    (object, Decimal("1.50"), 1.5),
    (object, Decimal("100"), 100),
    (object, Decimal("NaN"), None),
    (object, date(2026, 1, 2), date(2026, 1, 2)),
    (object, time(3, 4), time(3, 4)),
    (object, np.array(["a", None], dtype=object), ["a", None]),
    (object, np.array([1, 2]), [1, 2]),
    (object, np.array(1), 1),
    (object, np.array([[1.5], [math.nan]]), [[1.5], [None]]),
    (object, np.array(["2026-01-02"], dtype="datetime64[ns]"), [datetime(2026, 1, 2)]),
    (object, [np.int64(1), math.nan, pd.NA, {"k": pd.NaT, "l": (1, {"m"})}], [1, None, None, {"k": None, "l": [1, ["m"]]}]),
    (object, {"k": None}, {"k": None}),
]  # fmt: skip


@pytest.mark.parametrize(("dtype", "cell", "expected"), CELLS, ids=lambda value: str(value)[:40])
def test_cells_of_pandas(dtype: Any, cell: object, expected: object) -> None:
    """Numpy's scalars and arrays are Python's; None, NaN, NaT and NA are missing, null within lists and mappings."""
    series = pd.Series([cell], dtype=object)
    [event] = frame_events(pd.DataFrame({"A": series.astype(dtype), "n": [1]}))
    assert repr(event) == repr({"n": 1} if expected is None else {"A": expected, "n": 1})


POLARS_CELLS = [
    (pl.String, "x", "x"),
    (pl.Int64, 7, 7),
    (pl.Boolean, True, True),
    (pl.Float64, math.nan, None),
    (pl.Float32, 0.5, 0.5),
    (pl.Decimal(10, 2), Decimal("1.50"), 1.5),
    (pl.Decimal(10, 2), Decimal("100.00"), 100),
    (pl.Date, date(2026, 1, 2), date(2026, 1, 2)),
    (pl.Time, time(3, 4), time(3, 4)),
    (pl.Datetime("us"), datetime(2026, 1, 2, 3), datetime(2026, 1, 2, 3)),
    (pl.Binary, b"x", b"x"),
    (pl.Categorical, "x", "x"),
    (pl.List(pl.Float64), [0.5, None, math.nan], [0.5, None, None]),
    (pl.Array(pl.Int64, 2), [1, None], [1, None]),
    (pl.Struct({"a": pl.String, "b": pl.Struct({"c": pl.Float64})}), {"a": None, "b": {"c": math.nan}}, {"b": {}}),
    (pl.List(pl.Struct({"a": pl.Int64})), [{"a": 1}, {"a": None}, None], [{"a": 1}, {}, None]),
]


@pytest.mark.parametrize(("dtype", "cell", "expected"), POLARS_CELLS, ids=lambda value: str(value)[:40])
def test_cells_of_polars(dtype: Any, cell: object, expected: object) -> None:
    """As Spark's: a null, and in a struct too, is a missing field; NaN as well."""
    frame = pl.DataFrame({"A": pl.Series([cell, None], dtype=dtype), "n": [1, 2]})
    first, second = frame_events(frame)
    assert repr(first) == repr({"n": 1} if expected is None else {"A": expected, "n": 1})
    assert second == {"n": 2}


def test_polars_keeps_python_objects() -> None:
    """A column of objects is read as pandas' are."""
    frame = pl.DataFrame({"A": pl.Series([{"k": np.int64(1)}, "x", None], dtype=pl.Object)})
    assert frame_events(frame) == [{"A": {"k": 1}}, {"A": "x"}, {}]


@settings(max_examples=60)
@given(case=cases())
def test_the_verdicts_of_match(case: Case) -> None:
    """Any rule on any events; what is null at the top of an event is missing from a frame."""
    ruleset = parse_rules(case.rule, placeholders=PLACEHOLDERS)
    for event in case.events:
        equal = {key: value for key, value in event.items() if value is not None and value == value}
        frame = pd.DataFrame({key: pd.Series([value], dtype=object) for key, value in event.items()} | {"n": ["-"]})
        assert len(matches_frame(frame, ruleset)) == len(ruleset.match(equal | {"n": "-"}))
        columns = {key: pl.Series([value], dtype=pl.Object) for key, value in event.items()} | {"n": ["-"]}
        assert len(matches_frame(pl.DataFrame(columns), ruleset, keep=[])) == len(ruleset.match(equal | {"n": "-"}))


def test_the_conformance_vectors(shared: Path) -> None:
    """Those with one rule and an event without nulls, which a frame cannot tell from what is missing."""
    count = 0
    for vector in json_lines(shared / "vectors" / "vectors.jsonl"):
        event = vector["event"]
        clean = not (vector.get("pysigma_error") or vector.get("disputed") or vector.get("expect") == "reject")
        if not clean or not event or "null" in json.dumps(event):
            continue
        ruleset = parse_rules(vector["rule"], placeholders=vector.get("placeholders"))
        frame = pd.DataFrame({key: pd.Series([value], dtype=object) for key, value in event.items()})
        assert bool(len(matches_frame(frame, ruleset))) == vector["match"], vector["id"]
        try:
            typed = pl.DataFrame([event])
        except (pl.exceptions.PolarsError, TypeError):
            continue  # lists of several types are no column of Polars
        assert bool(len(matches_frame(typed, ruleset))) == vector["match"], vector["id"]
        count += 1
    assert count > 250


def test_what_is_too_deep_or_holds_itself() -> None:
    """No event raises, in a frame neither."""
    deep: Any = "x"
    for _ in range(100_000):
        deep = [deep]
    ring: list[Any] = ["x"]
    ring.append(ring)
    frame = pd.DataFrame({"A": pd.Series([deep, ring], dtype=object)})
    assert [row["rule_title"] for row in records(matches_frame(frame, Ruleset(RULES.rules[:1]), keep=[]))] == [
        "first"
    ] * 2


def test_foreign_objects_have_no_text() -> None:
    """They are there, and that is all."""
    frame = pd.DataFrame({"A": pd.Series([timedelta(1), object()], dtype=object)})
    there = parse_rules(rule_yaml("s: {A|exists: true}\ncondition: s"))
    assert len(matches_frame(frame, there)) == 2
    assert len(matches_frame(frame, parse_rules(rule_yaml("s: {A|re: .}\ncondition: s")))) == 0
    structured = np.array([(1,)], dtype=[("a", "i4")])[0]
    assert plain(structured) == 1 or plain(structured) == [1]


@pytest.mark.parametrize(
    ("frame", "keep", "message"),
    [
        (pd.DataFrame({0: ["x"]}), None, "the column 0 is named by a int; the names of fields are text"),
        (pd.DataFrame([["x", "y"]], columns=["A", "A"]), None, "column 'A' is there twice"),
        (pd.DataFrame({"rule_id": ["x"]}), None, "column 'rule_id' is one of the result's; rename it"),
        (pd.DataFrame({"A": ["x"]}), ["A", "A"], "column 'A' is to be kept twice"),
        (pl.DataFrame({"A": ["x"]}), ["A", "A"], "column 'A' is to be kept twice"),
        (pd.DataFrame({"A": ["x"]}), ["B"], "there is no column 'B'; there are: 'A'"),
        (pl.DataFrame({"A": ["x"]}).lazy(), None, r"a LazyFrame has no rows yet; collect\(\) it first"),
        ([{"A": "x"}], None, "a DataFrame of pandas or Polars is needed, not list"),
    ],
)  # fmt: skip
def test_what_is_no_frame_of_events(frame: Any, keep: list[str] | None, message: str) -> None:
    """Named with the column, before anything is judged."""
    with pytest.raises(FrameError, match=message):
        matches_frame(frame, RULES, keep=keep)


def test_whole_numbers_stay_whole() -> None:
    """Pandas makes doubles of integers where some are missing; columns of fractions, and those that miss nothing, are doubles."""
    ruleset = parse_rules(rule_yaml("s: {EventID|re: ^4624$}\ncondition: s"))
    frame = pd.DataFrame([{"EventID": 4624, "n": 0}, {"n": 1}, {"EventID": 46240, "n": 2}])
    assert frame["EventID"].dtype == "float64"
    assert [row["n"] for row in records(matches_frame(frame, ruleset, keep=["n"]))] == [0]
    assert repr(frame_events(frame)) == repr([{"EventID": 4624, "n": 0}, {"n": 1}, {"EventID": 46240, "n": 2}])
    for values, expected in (
        ([1.0, 2.5, None], [1.0, 2.5]),
        ([1.0, 2.0], [1.0, 2.0]),
        ([2.0**80, None], [2.0**80]),
        ([math.inf, 1.0, None], [math.inf, 1.0]),
        ([None, math.nan], []),
    ):
        events = frame_events(pd.DataFrame({"A": pd.Series(values, dtype="float64")}))
        assert repr([event["A"] for event in events if event]) == repr(expected)
    for dtype in ("Float64", "double[pyarrow]"):  # these could miss integers as well
        assert repr(frame_events(pd.DataFrame({"A": pd.Series([1.0, None], dtype=dtype)}))) == repr([{"A": 1.0}, {}])


@pytest.mark.parametrize("library", FRAMES)
def test_many_rows_come_in_parts(library: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a column is of is told from all of its rows."""
    whole = matches_frame(FRAMES[library], RULES)
    monkeypatch.setattr(frames, "ROWS_AT_ONCE", 1)
    assert records(matches_frame(FRAMES[library], RULES)) == records(whole)
    assert repr(frame_events(pd.DataFrame({"A": [1.0, None, 2.0]}))) == repr([{"A": 1}, {}, {"A": 2}])


FAR = (
    pd.DataFrame({"n": [1, 2], "T": np.array([10**12, 0], dtype="datetime64[s]")}),
    pd.DataFrame({"T": pd.Series([np.datetime64("20000-01-01")], dtype=object)}),
    pl.DataFrame({"T": pl.Series([10**18, 0]).cast(pl.Datetime("us"))}),
    pl.DataFrame({"T": pl.Series([[5_000_000, 0]], dtype=pl.List(pl.Int32)).cast(pl.List(pl.Date))}),
    pl.DataFrame({"T": pl.Series([datetime(9999, 12, 31, 23)]).dt.replace_time_zone("America/Los_Angeles")}),
)


@pytest.mark.parametrize("frame", FAR, ids=range(len(FAR)))
def test_moments_beyond_the_calendar(frame: Any) -> None:
    """Python has no value for them; the column is named."""
    with pytest.raises(
        FrameError, match=r"column 'T' cannot be read \(.*\): moments end with the years 1 and 9999; make it text"
    ):
        frame_events(frame)


def test_events_of_a_frame_with_unclear_names() -> None:
    """One of two columns would be lost."""
    with pytest.raises(FrameError, match="column 'A' is there twice"):
        frame_events(pd.DataFrame([["x", "y"]], columns=["A", "A"]))


def test_neither_library_is_needed_for_the_other() -> None:
    """Importing the helper imports none; a frame of Polars is read without pandas."""
    code = (
        "import sys, polars; from sigma.pyeval import Ruleset; from sigma.pyeval.frames import matches_frame; "
        "matches_frame(polars.DataFrame({'A': ['x']}), Ruleset([])); print('pandas' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"
