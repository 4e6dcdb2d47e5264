"""A frame of events becomes a frame of matches: ``matches_frame`` for pandas and Polars.

What a cell stands for is said in docs/embed.md; the verdicts are those of ``Ruleset.match`` on the equal dicts.
"""

from __future__ import annotations

import math
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from datetime import date, datetime, time
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

from .ruleset import Ruleset

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl

    Frame = TypeVar("Frame", pd.DataFrame, pl.DataFrame)

Event = dict[str, Any]
Convert = Callable[[Any], Any]

RULE_COLUMNS = ("rule_id", "rule_title", "rule_level", "rule_tags")
"""The columns that a frame of matches has beyond those of the events."""

ROWS_AT_ONCE = 20_000
"""Rows that are made events together: a frame may be larger than its events would be."""

_LARGEST_WHOLE: Final = 2.0**63
"""Larger doubles are no integers of any column."""

_PLAIN = frozenset({str, bool, int, bytes, bytearray, date, datetime, time})


class FrameError(ValueError):
    """A frame that no events can be read from; the message names the column and what to do."""


def matches_frame(df: Frame, ruleset: Ruleset, *, keep: Sequence[str] | None = None, route: bool = False) -> Frame:
    """Return the rows of *df* that match, once for each rule that does, in the order of rows, then of rules.

    A row is an event, its columns are the fields. The result is a frame of the same library with the columns *keep* and
    ``rule_id``, ``rule_title``, ``rule_level`` (text or missing) and ``rule_tags`` (lists of text). One of pandas keeps the
    labels of its rows.

    Args:
        df: The events, one a row: a pandas or a Polars DataFrame.
        ruleset: The rules.
        keep: Columns to hand back; None keeps all.
        route: Whether an event's own log source leaves out the rules for another one; see ``Ruleset.route``.

    Raises:
        FrameError: *df* is no such frame, or has a column whose name is no text, is there twice, or is one of the result's.
    """
    library = _library(df)
    kept = list(df.columns) if keep is None else list(keep)
    _check_columns(df, kept)
    rows: list[int] = []
    rules: list[Any] = []
    for row, matches in enumerate(ruleset.match_many(_events(df), route=route)):
        rows += [row] * len(matches)
        rules += [match.rule for match in matches]
    columns = [
        [rule.id for rule in rules],
        [rule.title for rule in rules],
        [rule.level for rule in rules],
        [list(rule.tags) for rule in rules],
    ]
    result: Any = _pandas_result if library == "pandas" else _polars_result
    return cast("Frame", result(df, kept, rows, columns))


def frame_events(df: pd.DataFrame | pl.DataFrame) -> list[Event]:
    """Return the event of each row of a pandas or Polars DataFrame.

    Raises:
        FrameError: *df* is no such frame, or has a column whose name is no text, or is there twice.
    """
    _library(df)
    _check_columns(df, ())
    return list(_events(df))


def _events(df: Any) -> Iterator[Event]:
    """Yield the event of each row; only so many rows are Python objects at a time."""
    pandas = _library(df) == "pandas"
    whole = _whole_numbers(df) if pandas else frozenset()
    for begin in range(0, len(df), ROWS_AT_ONCE):
        part = df.iloc[begin : begin + ROWS_AT_ONCE] if pandas else df.slice(begin, ROWS_AT_ONCE)
        events: list[Event] = [{} for _ in range(len(part))]
        for name, values in _pandas_columns(part, whole) if pandas else _polars_columns(part):
            for event, value in zip(events, values, strict=True):
                if value is not None:
                    event[name] = value
        yield from events


def _library(df: object) -> str:
    """Return which library the frame is of; neither is imported for the sake of the other's frames."""
    for library in ("pandas", "polars"):
        module = sys.modules.get(library)
        if module is not None and isinstance(df, module.DataFrame):
            return library
    if type(df).__name__ == "LazyFrame":
        raise FrameError("a LazyFrame has no rows yet; collect() it first")
    raise FrameError(f"a DataFrame of pandas or Polars is needed, not {type(df).__name__}")


def _check_columns(df: Any, kept: Sequence[str]) -> None:
    names = list(df.columns)
    for name, count in Counter(names).items():
        if not isinstance(name, str):
            raise FrameError(f"the column {name!r} is named by a {type(name).__name__}; the names of fields are text")
        if count > 1:
            raise FrameError(f"column {name!r} is there twice; rename one of them")
    for name in kept:
        if kept.count(name) > 1:
            raise FrameError(f"column {name!r} is to be kept twice")
        if name not in names:
            raise FrameError(f"there is no column {name!r}; there are: {', '.join(map(repr, names))}")
        if name in RULE_COLUMNS:
            raise FrameError(f"column {name!r} is one of the result's; rename it, or leave it out of keep")


def _unreadable(name: str, error: Exception) -> FrameError:
    return FrameError(f"column {name!r} cannot be read ({error}): moments end with the years 1 and 9999; make it text")


# -- pandas ------------------------------------------------------------------------------------------------------------


def _whole_numbers(df: Any) -> frozenset[str]:
    """Return the columns of doubles that pandas made of whole numbers, since some were missing."""
    import numpy

    return frozenset(
        name
        for name, series in df.items()
        if isinstance(series.dtype, numpy.dtype)  # its other types can miss integers
        and series.dtype.kind == "f"
        and bool(series.hasnans)
        and bool(((present := series.dropna()) % 1 == 0).all())
        and bool((present.abs() < _LARGEST_WHOLE).all())
        and len(present)
    )


def _pandas_columns(df: Any, whole: Set[str]) -> Iterable[tuple[str, list[Any]]]:
    import numpy

    for name, series in df.items():
        try:
            values = series.tolist()
            # These miss nothing, and are plain.
            if not (isinstance(series.dtype, numpy.dtype) and series.dtype.kind in "biu"):
                convert = int if name in whole else _cell
                absent = series.isna().tolist()
                values = [None if gone else convert(value) for value, gone in zip(values, absent, strict=True)]
        except (OverflowError, ValueError) as error:
            raise _unreadable(name, error) from error
        yield name, values


def _pandas_result(df: pd.DataFrame, kept: list[str], rows: list[int], columns: list[list[Any]]) -> pd.DataFrame:
    import pandas as pd

    found = df[kept].take(rows)
    texts = [pd.Series(values, index=found.index, dtype=object) for values in columns]
    return found.assign(**dict(zip(RULE_COLUMNS, texts, strict=True)))


def _cell(value: object) -> Any:
    """Return what a cell of pandas stands for; what is too deep, or holds itself, is left to the matchers."""
    if type(value) in _PLAIN:
        return value
    try:
        return plain(value)
    except RecursionError:
        return value


def plain(value: Any) -> Any:
    """Return *value* as the matchers know it: numpy's scalars and arrays, pandas' moments, decimals, and what holds them.

    NaN, NaT and NA within lists and mappings are null. Objects of any other kind are themselves, which have no text.
    """
    if type(value) in _PLAIN or value is None:
        return value
    if isinstance(value, float):
        return None if math.isnan(value) else float(value)
    if isinstance(value, Mapping):
        return {key: plain(one) for key, one in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(one) for one in value]
    if isinstance(value, Decimal):
        return _number(value)
    return _foreign_scalar(value)


def _foreign_scalar(value: Any) -> Any:
    """Return the Python value of a scalar or array of numpy, or of pandas."""
    numpy, pandas = sys.modules.get("numpy"), sys.modules.get("pandas")
    if pandas is not None and (value is pandas.NaT or value is pandas.NA):
        return None
    if pandas is not None and isinstance(value, pandas.Timestamp):
        return value.to_pydatetime(warn=False)  # a datetime ends at microseconds
    if numpy is not None and isinstance(value, numpy.datetime64):
        moment = value.astype("datetime64[us]").item()  # finer ones would become integers
        if isinstance(moment, int):
            raise OverflowError(f"the moment {value}")
        return plain(moment)
    if numpy is not None and isinstance(value, numpy.ndarray):
        items = value[()] if value.ndim == 0 else list(value) if value.dtype.kind == "M" else value.tolist()
        return plain(items)
    if numpy is not None and isinstance(value, numpy.generic):
        item = value.item()
        return value if isinstance(item, numpy.generic) else plain(item)
    return value


def _number(value: Decimal) -> int | float | None:
    """Return the number that JSON would hold: an integer where there is no fraction."""
    if not value.is_finite():
        return None if value.is_nan() else float(value)
    return int(value) if value == value.to_integral_value() else float(value)


# -- Polars ------------------------------------------------------------------------------------------------------------


def _polars_columns(df: Any) -> Iterable[tuple[str, list[Any]]]:
    for series in df.iter_columns():
        convert = _polars_converter(series.dtype)
        try:
            values = series.to_list()
        except (OverflowError, ValueError) as error:
            raise _unreadable(series.name, error) from error
        yield series.name, values if convert is None else [None if one is None else convert(one) for one in values]


def _polars_converter(dtype: Any) -> Convert | None:
    """Return what makes a plain value of what ``to_list`` gives for this type; None where it is plain already."""
    import polars as pl

    if dtype.is_float():
        return lambda value: None if math.isnan(value) else value
    if dtype.is_decimal():
        return _number
    if dtype == pl.Object:
        return _cell
    if dtype == pl.Struct:
        fields = {field.name: _polars_converter(field.dtype) for field in dtype.fields}
        return lambda value: _without_nulls(value, fields)
    if dtype in (pl.List, pl.Array):
        inner = _polars_converter(dtype.inner) or (lambda value: value)
        return lambda value: [None if one is None else inner(one) for one in value]
    return None


def _without_nulls(value: Mapping[str, Any], fields: Mapping[str, Convert | None]) -> Event:
    """Return a struct as a mapping: every struct of a column has every field, so that a null is one that is missing."""
    converted = {
        name: one if (convert := fields[name]) is None else convert(one)
        for name, one in value.items()
        if one is not None
    }
    return {name: one for name, one in converted.items() if one is not None}


def _polars_result(df: pl.DataFrame, kept: list[str], rows: list[int], columns: list[list[Any]]) -> pl.DataFrame:
    import polars as pl

    kinds: tuple[Any, ...] = (pl.String, pl.String, pl.String, pl.List(pl.String))
    texts = [pl.Series(name, values, kind) for name, values, kind in zip(RULE_COLUMNS, columns, kinds, strict=True)]
    if not kept:
        return pl.DataFrame(texts)
    found = df.select(kept)
    return (found[rows] if rows else found.clear()).with_columns(texts)
