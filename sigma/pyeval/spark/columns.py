"""Arrow columns become events: dicts of what JSON has, as the matchers know it. Embedded in what Spark's workers run.

A null is a field that is missing, since a DataFrame has every column in every row. Within arrays and maps, which can
tell the two apart, a null stays one. See docs/scale.md for what becomes of each type.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timezone
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, Any

from .moments import day_of, moment_of

if TYPE_CHECKING:
    import pyarrow

Event = dict[str, Any]
Convert = Callable[[Any], Any]

_WIDEST_INT_BITS = 64
_A_SECOND = {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}


def row_events(batch: pyarrow.RecordBatch) -> list[Event]:
    """Return an event a row; its fields are the columns that are not null there, in the order of the columns."""
    from pyarrow.compute import indices_nonzero

    events: list[Event] = [{} for _ in range(batch.num_rows)]
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        if column.null_count == len(column):
            continue
        targets: Iterable[Event] = events
        values = column
        if column.null_count:
            # Wide frames are mostly null: only what is there becomes Python objects.
            targets = map(events.__getitem__, indices_nonzero(column.is_valid()).to_pylist())
            values = column.drop_null()
        for event, value in zip(targets, python_values(values), strict=True):
            if value is not None:
                event[name] = value
    return events


def column_events(column: pyarrow.Array) -> list[Event | str]:
    """Return what the values of one column stand for: events, or why there is none.

    Structs and maps are events themselves, text and bytes are read as JSON.
    """
    import pyarrow.types

    of_text = not (pyarrow.types.is_struct(column.type) or pyarrow.types.is_map(column.type))
    if of_text:
        column = column.cast(pyarrow.large_binary())
    return [
        "null" if value is None else json_event(value) if of_text else value for value in python_values(column)
    ]  # fmt: skip


def json_event(text: bytes) -> Event | str:
    """Return the event in a JSON text, or why there is none.

    ``NaN``, ``Infinity`` and numbers beyond a double are their text, integers beyond 64 bits are floats, a byte order mark is
    passed over, as elsewhere where logs are read.
    """
    try:
        value = _read_json(text)
    except (ValueError, RecursionError) as error:
        return f"not JSON: {error}"
    return value if isinstance(value, dict) else f"a JSON object is needed, not {type(value).__name__}"


def python_values(column: pyarrow.Array) -> list[Any]:
    """Return the values of an Arrow array as plain Python data; a null, and a number that is NaN, is None."""
    try:
        convert, values = converter(column.type), column.to_pylist()
    except (ValueError, OverflowError):
        # Spark's strings may hold any bytes, and its moments lie beyond Python's.
        convert, values = raw_converter(column.type), column.cast(_raw_type(column.type)).to_pylist()
    return values if convert is None else [None if value is None else convert(value) for value in values]


def converter(kind: pyarrow.DataType) -> Convert | None:
    """Return what makes a plain value of what ``to_pylist`` gives for this type; None where it is plain already."""
    from pyarrow import types

    if types.is_floating(kind):
        return _number
    if types.is_decimal(kind):
        return _decimal
    if types.is_timestamp(kind) and kind.tz is not None:
        return _instant
    return _container_converter(kind, converter)


def raw_converter(kind: pyarrow.DataType) -> Convert | None:
    """Return the same for what ``to_pylist`` gives once text was made bytes and moments numbers."""
    from pyarrow import types

    if _is_text(kind):
        return _decoded
    if types.is_date32(kind):
        return day_of
    if types.is_timestamp(kind):
        return partial(moment_of, a_second=_A_SECOND[kind.unit], aware=kind.tz is not None)
    return _container_converter(kind, raw_converter) or converter(kind)


def _container_converter(kind: pyarrow.DataType, inner: Callable[[pyarrow.DataType], Convert | None]) -> Convert | None:
    from pyarrow import types

    if types.is_struct(kind):
        return _struct_converter({field.name: inner(field.type) for field in kind})
    if types.is_map(kind):
        return _map_converter(inner(kind.key_type), inner(kind.item_type))
    if types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind):
        of_item = inner(kind.value_type)
        return None if of_item is None else _list_converter(of_item)
    return None


def _raw_type(kind: pyarrow.DataType) -> pyarrow.DataType:
    """Return the type with bytes in place of text, and numbers in place of days and moments."""
    import pyarrow
    from pyarrow import types

    if _is_text(kind):
        return pyarrow.large_binary()
    if types.is_date32(kind):
        return pyarrow.int32()
    if types.is_timestamp(kind):
        return pyarrow.int64()
    if types.is_struct(kind):
        return pyarrow.struct([field.with_type(_raw_type(field.type)) for field in kind])
    if types.is_map(kind):
        return pyarrow.map_(_raw_type(kind.key_type), kind.item_field.with_type(_raw_type(kind.item_type)))
    if types.is_list(kind):
        return pyarrow.list_(kind.value_field.with_type(_raw_type(kind.value_type)))
    return kind


def _is_text(kind: pyarrow.DataType) -> bool:
    from pyarrow import types

    return bool(types.is_string(kind) or types.is_large_string(kind))


def _number(value: float) -> float | None:
    return None if math.isnan(value) else value


def _decimal(value: Decimal) -> int | float:
    """Return the number that JSON would hold: an integer where there is no fraction."""
    return int(value) if value == value.to_integral_value() else float(value)


def _instant(value: datetime) -> datetime:
    """Return the moment in UTC: the zone of the session that asks must not change the verdict."""
    return value.astimezone(timezone.utc)  # noqa: UP017 - workers may run Python 3.10


def _decoded(value: bytes) -> str:
    return value.decode("utf-8", "replace")


def _struct_converter(fields: dict[str, Convert | None]) -> Convert:
    def convert(value: Event) -> Event:
        plain = {name: _converted(one, fields[name]) for name, one in value.items()}
        return {name: one for name, one in plain.items() if one is not None}

    return convert


def _map_converter(of_key: Convert | None, of_value: Convert | None) -> Convert:
    def convert(value: Sequence[tuple[Any, Any]]) -> Event:
        return {_converted(name, of_key): _converted(one, of_value) for name, one in value}

    return convert


def _list_converter(inner: Convert) -> Convert:
    def convert(value: Sequence[Any]) -> list[Any]:
        return [_converted(one, inner) for one in value]

    return convert


def _converted(value: Any, convert: Convert | None) -> Any:
    return value if value is None or convert is None else convert(value)


def _json_reader() -> Callable[[bytes], Any]:
    """Return a reader of JSON: orjson where a worker has it, and the standard library for what that refuses."""

    def real(text: str) -> float | str:
        number = float(text)
        return number if math.isfinite(number) else text

    def integer(text: str) -> int | float | str:
        value = int(text) if len(text) <= _WIDEST_INT_BITS else None
        return real(text) if value is None or value.bit_length() > _WIDEST_INT_BITS else value

    lenient = json.JSONDecoder(strict=False, parse_constant=str, parse_int=integer, parse_float=real)

    def read(text: bytes) -> Any:
        return lenient.decode(text.decode("utf-8-sig", "replace"))

    try:
        import orjson
    except ImportError:
        return read

    def read_fast(text: bytes) -> Any:
        try:
            return orjson.loads(text)
        except ValueError:
            return read(text)

    return read_fast


_read_json = _json_reader()
