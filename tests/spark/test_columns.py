"""Arrow columns become events: what JSON would have held, nulls left out."""

from __future__ import annotations

import json
import math
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sigma.pyeval.spark.columns import column_events, json_event, python_values, row_events

BERLIN = timezone(timedelta(hours=1))
MAP = pa.map_(pa.string(), pa.float64())
STRUCT = pa.struct([("x", pa.int64()), ("y", pa.struct([("z", pa.string())]))])

CASES = [
    # Arrow type, what stands in the column, what the event has
    (pa.string(), "text", "text"),
    (pa.large_string(), "text", "text"),
    (pa.int64(), 7, 7),
    (pa.bool_(), True, True),
    (pa.float64(), 1.5, 1.5),
    (pa.float64(), math.nan, None),
    (pa.float32(), math.inf, math.inf),
    (pa.decimal128(10, 2), Decimal("1.50"), 1.5),
    (pa.decimal128(10, 2), Decimal("100.00"), 100),
    (pa.date32(), date(2026, 1, 2), date(2026, 1, 2)),
    (pa.timestamp("us"), datetime(2026, 1, 2, 3), datetime(2026, 1, 2, 3)),
    (pa.timestamp("us", "Europe/Berlin"), datetime(2026, 1, 2, 3, tzinfo=BERLIN), datetime(2026, 1, 2, 2, tzinfo=UTC)),
    (pa.time64("us"), time(3, 4), time(3, 4)),
    (pa.binary(), b"ab", b"ab"),
    (pa.list_(pa.string()), ["a", None], ["a", None]),
    (pa.list_(pa.float64()), [1.0, math.nan, None], [1.0, None, None]),
    (pa.list_(pa.list_(pa.decimal128(3, 1))), [[Decimal(2)], []], [[2], []]),
    (MAP, [("k", None), ("l", math.nan), ("m", 1.0)], {"k": None, "l": None, "m": 1.0}),
    (pa.map_(pa.string(), STRUCT), [("k", {"x": 1, "y": None})], {"k": {"x": 1}}),
    (STRUCT, {"x": None, "y": {"z": "deep"}}, {"y": {"z": "deep"}}),
    (STRUCT, {"x": None, "y": {"z": None}}, {"y": {}}),
    (pa.list_(STRUCT), [{"x": 1, "y": None}, None], [{"x": 1}, None]),
]


@pytest.mark.parametrize(("kind", "value", "expected"), CASES, ids=lambda value: str(value)[:40])
def test_a_value_of_each_type(kind: pa.DataType, value: object, expected: object) -> None:
    """As JSON would have held it; next to it, a null is a missing field."""
    batch = pa.RecordBatch.from_arrays([pa.array([value, None], kind), pa.array([1, 2])], names=["a.b", "n"])
    [event, without] = row_events(batch)
    assert event == ({"n": 1} if expected is None else {"a.b": expected, "n": 1})
    assert repr(event.get("a.b")) == repr(expected)  # 1 is not True, nor 1.0
    assert without == {"n": 2}


def test_rows_keep_the_order_of_columns() -> None:
    """However sparse the columns are."""
    columns = [pa.array([None, "x", None]), pa.nulls(3), pa.array(["a", None, "c"]), pa.array([1, 2, 3])]
    events = row_events(pa.RecordBatch.from_arrays(columns, names=["p", "q", "r", "s"]))
    assert [list(event.items()) for event in events] == [
        [("r", "a"), ("s", 1)],
        [("p", "x"), ("s", 2)],
        [("r", "c"), ("s", 3)],
    ]


BROKEN = pa.array([b"\xffA", b"7"]).view(pa.string())
READ = "\N{REPLACEMENT CHARACTER}A"


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        (BROKEN, [READ, "7"]),
        (BROKEN.cast(pa.large_binary()).view(pa.large_string()), [READ, "7"]),
        (pa.ListArray.from_arrays([0, 2], BROKEN), [[READ, "7"]]),
        (pa.StructArray.from_arrays([BROKEN, pa.array([1.5, math.nan])], ["x", "y"]), [{"x": READ, "y": 1.5}, {"x": "7"}]),
        (pa.MapArray.from_arrays([0, 2], BROKEN, pa.array([Decimal(1), None])), [{READ: 1, "7": None}]),
        (pa.MapArray.from_arrays([0, 2], ["k", "l"], BROKEN), [{"k": READ, "l": "7"}]),
        (
            pa.StructArray.from_arrays([BROKEN, pa.array([b"\xff", None]), pa.array([date(2026, 1, 2), None])], ["x", "y", "z"]),
            [{"x": READ, "y": b"\xff", "z": date(2026, 1, 2)}, {"x": "7"}],
        ),
    ],
    ids=["text", "large text", "list", "struct", "key", "value", "other types"],
)  # fmt: skip
def test_text_that_is_no_utf_8(column: pa.Array, expected: list[Any]) -> None:
    """Spark's strings may hold any bytes: what is broken is replaced, in that value alone, and text stays text."""
    assert python_values(column) == expected


FAR = (
    # days or microseconds since 1970, Arrow type, what the event has
    (2_932_896, pa.date32(), date(9999, 12, 31)),
    (2_932_897, pa.date32(), "+10000-01-01"),
    (-719_163, pa.date32(), "+00000-12-31"),
    (2**31 - 1, pa.date32(), "+5881580-07-11"),
    (2**62, pa.timestamp("us"), "+148108-07-06T14:00:27.387904"),
    (2**63 - 1, pa.timestamp("us", "Asia/Tokyo"), "+294247-01-10T04:00:54.775807+00:00"),
    (253_402_326_000_000_000, pa.timestamp("us", "America/Los_Angeles"), "+10000-01-01T07:00:00+00:00"),
    (-62_135_629_200_000_000, pa.timestamp("us", "Asia/Tokyo"), "+00000-12-31T15:00:00+00:00"),
    (253_402_300_799_999_999, pa.timestamp("us", "UTC"), datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)),
    (-62_135_596_800, pa.timestamp("s"), datetime(1, 1, 1)),
)


@pytest.mark.parametrize(("count", "kind", "expected"), FAR, ids=str)
def test_moments_beyond_the_calendar(count: int, kind: pa.DataType, expected: object) -> None:
    """Spark counts further than Python does; such a moment is text, and changes nothing of those beside it."""
    array = pa.array([0, count, None], pa.int32() if kind == pa.date32() else pa.int64()).cast(kind)
    near = python_values(array.slice(0, 1))[0]
    assert repr(python_values(array)) == repr([near, expected, None])
    assert repr(python_values(pa.ListArray.from_arrays([0, 3], array))) == repr([[near, expected, None]])
    deep = pa.StructArray.from_arrays([array, BROKEN.take(pa.array([0, 1, 1]))], ["t", "x"])
    assert repr(python_values(deep)) == repr([{"t": near, "x": READ}, {"t": expected, "x": "7"}, {"x": "7"}])


@given(st.integers(-(2**63), 2**63 - 1))
def test_any_moment(count: int) -> None:
    """Within the calendar Arrow's own answer; later moments are later."""
    array = pa.array([count, max(count - 86_400_000_000, -(2**63))]).cast(pa.timestamp("us", "UTC"))
    found = python_values(array)[0]
    try:
        expected = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=count)
    except OverflowError:
        assert isinstance(found, str)
        assert found[0] in "+-"
    else:
        assert found == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b'{"a": null, "b": [1, {"c": true}]}', {"a": None, "b": [1, {"c": True}]}),
        (b'{"a": NaN, "b": -Infinity}', {"a": "NaN", "b": "-Infinity"}),
        (b'{"a": 18446744073709551615, "b": 18446744073709551616}', {"a": 2**64 - 1, "b": 2.0**64}),
        (b'{"a": 1e999, "b": ' + b"9" * 400 + b"}", {"a": "1e999", "b": "9" * 400}),
        (b'\xef\xbb\xbf{"a": 1}', {"a": 1}),
        (b'{"a": "\\ud800"}', {"a": "\ud800"}),
        (b'{"a": "\xff"}', {"a": "\N{REPLACEMENT CHARACTER}"}),
        (b"[1]", "a JSON object is needed, not list"),
        (b"null", "a JSON object is needed, not NoneType"),
        (b"{", "not JSON: "),
        (b"", "not JSON: "),
        (b'{"a":' * 100_000, "not JSON: "),
    ],
    ids=lambda value: repr(value)[:30],
)
def test_json_text(text: bytes, expected: dict[str, Any] | str) -> None:
    """An object is an event; for anything else the reason is told."""
    found = json_event(text)
    assert found.startswith(expected) if isinstance(found, str) and isinstance(expected, str) else found == expected


def test_a_column_of_events() -> None:
    """Text and bytes are JSON, structs and maps the events themselves, a null is none."""
    for kind in (pa.string(), pa.large_string(), pa.binary()):
        assert column_events(pa.array(['{"a": null}', None], pa.string()).cast(kind)) == [{"a": None}, "null"]
    assert column_events(pa.array([{"x": 1, "y": None}, None], STRUCT)) == [{"x": 1}, "null"]
    assert column_events(pa.array([[("k", None)], None], MAP)) == [{"k": None}, "null"]


Typed = tuple[pa.DataType, Any, Any]
"""An Arrow type, a value of it, and what the event has (None: nothing)."""

SCALARS: st.SearchStrategy[Typed] = st.one_of(
    st.text(max_size=5).map(lambda text: (pa.string(), text, text)),
    st.integers(-(2**63), 2**63 - 1).map(lambda number: (pa.int64(), number, number)),
    st.floats().map(lambda number: (pa.float64(), number, None if math.isnan(number) else number)),
    st.booleans().map(lambda flag: (pa.bool_(), flag, flag)),
    st.decimals(-(10**9), 10**9, places=3).map(
        lambda number: (pa.decimal128(20, 3), number, int(number) if number % 1 == 0 else float(number))
    ),
    st.binary(max_size=5).map(lambda data: (pa.binary(), data, data)),
    st.just((pa.string(), None, None)),
)


def _nested(inner: st.SearchStrategy[Typed]) -> st.SearchStrategy[Typed]:
    """Return lists of one value, and structs."""

    def struct(fields: dict[str, Typed]) -> Typed:
        kind = pa.struct([(name, kind) for name, (kind, _, _) in fields.items()])
        plain = {name: plain for name, (_, _, plain) in fields.items() if plain is not None}
        return kind, {name: value for name, (_, value, _) in fields.items()}, plain

    return st.one_of(
        inner.map(lambda one: (pa.list_(one[0]), [one[1]], [one[2]])),
        inner.map(lambda one: (pa.map_(pa.string(), one[0]), [("k", one[1])], {"k": one[2]})),
        st.dictionaries(st.sampled_from("xyz"), inner, min_size=1).map(struct),
    )


@given(columns=st.dictionaries(st.sampled_from(["A", "B", "C.d"]), st.recursive(SCALARS, _nested, max_leaves=6)))
def test_any_row(columns: dict[str, Typed]) -> None:
    """Nested as it may be, a row is what its values are, without nulls."""
    arrays = [pa.array([value], kind) for kind, value, _ in columns.values()]
    batch = pa.RecordBatch.from_arrays([*arrays, pa.array([0])], names=[*columns, "n"])
    expected = {name: plain for name, (_, _, plain) in columns.items() if plain is not None} | {"n": 0}
    assert repr(row_events(batch)) == repr([expected])


@given(
    value=st.recursive(
        st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_any_json(value: object) -> None:
    """What was written is read."""
    for ascii_only in (True, False):
        try:
            text = json.dumps({"v": value}, ensure_ascii=ascii_only).encode()
        except UnicodeEncodeError:  # lone surrogates
            continue
        assert json_event(text) == {"v": value}
