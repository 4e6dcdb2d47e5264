"""When an event happened: which fields are asked, and how each way of writing a time is read."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sigma.pyeval.event_time import event_time, parse_time

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def utc(*parts: int) -> datetime:
    """Return a moment in UTC."""
    return datetime(*parts, tzinfo=UTC)  # type: ignore[misc,arg-type]


EVENTS: list[tuple[dict[str, Any], datetime | None]] = [
    ({"_SOURCE_REALTIME_TIMESTAMP": 1_795_200_001_000_250}, utc(2026, 11, 20, 18, 40, 1, 250)),
    ({"__REALTIME_TIMESTAMP": "1795200010000000"}, utc(2026, 11, 20, 18, 40, 10)),
    ({"__REALTIME_TIMESTAMP": "5000000"}, utc(1970, 1, 1, 0, 0, 5)),
    ({"__REALTIME_TIMESTAMP": "1795200010000000", "_SOURCE_REALTIME_TIMESTAMP": "1795200009000000"}, utc(2026, 11, 20, 18, 40, 9)),
    ({"_SOURCE_REALTIME_TIMESTAMP": "yesterday", "@timestamp": "2026-02-03T04:05:06.789Z"}, utc(2026, 2, 3, 4, 5, 6, 789_000)),
    ({"UtcTime": "2026-02-03 04:05:06.789"}, utc(2026, 2, 3, 4, 5, 6, 789_000)),
    ({"TimeCreated": "2026-02-03T04:05:06.7891234Z"}, utc(2026, 2, 3, 4, 5, 6, 789_123)),
    ({"Event": {"System": {"TimeCreated": {"#attributes": {"SystemTime": "2026-02-03T04:05:06Z"}}}}}, utc(2026, 2, 3, 4, 5, 6)),
    ({"eventTime": "2026-02-03T04:05:06Z", "eventName": "GetObject"}, utc(2026, 2, 3, 4, 5, 6)),
    ({"SYSLOG_TIMESTAMP": "Feb  3 04:05:06"}, utc(2026, 2, 3, 4, 5, 6)),
    ({"SYSLOG_TIMESTAMP": "2026-02-03T04:05:06.789000+02:00"}, utc(2026, 2, 3, 2, 5, 6, 789_000)),
    ({"date": "2026-02-03", "time": "04:05:06"}, utc(2026, 2, 3, 4, 5, 6)),
    ({"time": "03/Feb/2026:04:05:06 -0700"}, utc(2026, 2, 3, 11, 5, 6)),
    ({"time": "Tue Feb 03 04:05:06.123456 2026", "level": "error"}, utc(2026, 2, 3, 4, 5, 6, 123_456)),
    ({"time": "2026/02/03 04:05:06"}, utc(2026, 2, 3, 4, 5, 6)),
    ({"timestamp": 1_795_200_001}, utc(2026, 11, 20, 18, 40, 1)),
    ({"timestamp": 1_795_200_001.5}, utc(2026, 11, 20, 18, 40, 1, 500_000)),
    ({"ts": 1_795_200_001_250}, utc(2026, 11, 20, 18, 40, 1, 250_000)),
    ({"timestamp": ["2026-02-03T04:05:06Z", "2027-01-01T00:00:00Z"]}, utc(2026, 2, 3, 4, 5, 6)),
    ({}, None),
    ({"_SOURCE_REALTIME_TIMESTAMP": None, "time": "12:00:00", "date": "2026-02-30"}, None),
    ({"MESSAGE": "2026-02-03T04:05:06Z"}, None),
    ({"timestamp": {"year": 2026}}, None),
]  # fmt: skip


@pytest.mark.parametrize(("event", "expected"), EVENTS, ids=lambda value: str(value)[:60])
def test_the_first_field_with_a_time_counts(event: dict[str, Any], expected: datetime | None) -> None:
    """Each log's own field is known; what cannot be read as a time is passed over."""
    assert event_time(event, now=NOW) == expected


def test_the_fields_asked_can_be_chosen() -> None:
    """Only the fields given are asked, in their order, dotted paths included."""
    event = {"@timestamp": "2026-02-03T04:05:06Z", "seen": {"at": "2026-02-03T04:05:07Z"}}
    assert event_time(event, ["seen.at", "@timestamp"]) == utc(2026, 2, 3, 4, 5, 7)
    assert event_time(event, ["never"]) is None


YEARS = [
    ("Mar  1 12:00:00", 2026),
    ("Mar  2 11:00:00", 2026),  # a clock that runs ahead, or a zone east of here
    ("Mar  3 12:00:00", 2025),
    ("Dec 31 23:59:59", 2025),
    ("Feb 29 10:00:00", 2024),
    ("Nov 5 2019 06:07:08", 2019),
    ("Nov  5 06:07:08 2018", 2018),
]


@pytest.mark.parametrize(("text", "year"), YEARS)
def test_a_time_without_year_lies_in_the_past(text: str, year: int) -> None:
    """RFC 3164 leaves the year out: the latest that does not lie ahead is meant."""
    found = parse_time(text, now=NOW)
    assert found is not None
    assert found.year == year


def test_a_zone_is_for_times_that_name_none() -> None:
    """A named offset is kept; without one the zone given counts, and UTC by default."""
    east = timezone(timedelta(hours=2))
    assert parse_time("2026-02-03 04:05:06", zone=east) == utc(2026, 2, 3, 2, 5, 6)
    assert parse_time("2026-02-03 04:05:06Z", zone=east) == utc(2026, 2, 3, 4, 5, 6)
    assert parse_time("Feb  3 04:05:06", zone=east, now=NOW) == utc(2026, 2, 3, 2, 5, 6)
    assert parse_time(datetime(2026, 2, 3), zone=east) == utc(2026, 2, 2, 22)


NO_TIMES: list[object] = [
    "", "now", "2026", "20261121", "12", "2026-02-03", "2026-13-01 00:00:00", "2026-02-03 25:00:00", "Foo  3 04:05:06",
    "03/Foo/2026:04:05:06 -0700", "Feb 31 04:05:06", "2026-02-03T04:05:06+99:00", "0000-01-01 00:00:00", "1" * 80, "9" * 30,
    "0001-01-01T00:00:00+05:00", "9999-12-31T23:59:59-05:00", True, None, float("inf"), float("nan"), 10**400, [], {}, b"1795200001", "x" * 100_000,
]  # fmt: skip


@pytest.mark.parametrize("value", NO_TIMES, ids=lambda value: repr(value)[:30])
def test_anything_else_is_no_time(value: object) -> None:
    """Neither a guess nor an exception."""
    assert parse_time(value, now=NOW) is None


@given(st.datetimes(min_value=datetime(1971, 1, 1), max_value=datetime(2900, 1, 1)))
def test_every_way_of_writing_a_moment_reads_back(moment: datetime) -> None:
    """Epoch numbers in four units and ISO text name the same moment, to the precision they are written with."""
    aware = moment.replace(tzinfo=UTC)
    microseconds = (aware - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
    assert event_time({"__REALTIME_TIMESTAMP": str(microseconds)}) == aware
    assert parse_time(aware.isoformat()) == aware
    assert parse_time(moment.isoformat(" ")) == aware
    if aware.year >= 1974:
        assert parse_time(microseconds * 1000) == aware
        assert parse_time(microseconds) == aware
        assert parse_time(microseconds // 1_000_000) == aware.replace(microsecond=0)


@given(st.text(), st.sampled_from(["SYSLOG_TIMESTAMP", "@timestamp", "time", "date", "__REALTIME_TIMESTAMP"]))
def test_no_text_raises(text: str, field: str) -> None:
    """Whatever an attacker writes there, the answer is an aware datetime or None."""
    found = event_time({field: text, "time": text})
    assert found is None or found.utcoffset() is not None
