"""Samples of metrics over time: rates of counters, highest values of gauges, bounded."""

from __future__ import annotations

import itertools

import pytest

from sigma.pyeval.monitor import trends as module
from sigma.pyeval.monitor.metrics import Metrics
from sigma.pyeval.monitor.trends import MOST_POINTS, MOST_SAMPLES, SAMPLE_SECONDS, Trends


class Clock:
    now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


def begun() -> tuple[Metrics, Trends, Clock]:
    metrics, clock = Metrics(), Clock()
    return metrics, Trends(metrics, clock), clock


def series(told: dict[str, object]) -> dict[tuple[str, str, str], list[float | None]]:
    return {(one["kind"], one["name"], one["unit"]): one["values"] for one in told["series"]}  # type: ignore[attr-defined]


def test_nothing_yet() -> None:
    _, trends, clock = begun()
    told = trends.told(60)
    assert (told["times"], told["series"], told["began"]) == ([], [], clock.now)
    trends.sample()
    assert trends.told(60)["times"] == []


def test_counters_become_rates_and_gauges_stay() -> None:
    metrics, trends, clock = begun()
    metrics.events.labels("auth").inc(7)
    trends.sample()
    for events, lag in ((10, 3), (0, 9), (20, 1)):
        clock.now += 5
        metrics.events.labels("auth").inc(events)
        metrics.lag.labels("auth", "one.log", "bytes").set(lag)
        metrics.lag.labels("auth", "other.log", "bytes").set(2)
        trends.sample()
    found = series(trends.told(60))
    assert found["events", "auth", ""] == [2.0, 0.0, 4.0]
    assert found["lag", "auth", "bytes"] == [3.0, 9.0, 2.0]  # the stream that is furthest behind


def test_a_counter_that_begins_later_began_at_zero() -> None:
    metrics, trends, clock = begun()
    trends.sample()
    clock.now += 5
    trends.sample()
    clock.now += 5
    metrics.alerts.labels("high").inc(5)
    trends.sample()
    assert series(trends.told(60))["alerts", "high", ""] == [None, 1.0]


def test_only_what_was_asked_and_never_more_points_than_a_plot_has() -> None:
    metrics, trends, clock = begun()
    for number in range(1_000):
        metrics.events.labels("auth").inc(5)
        metrics.waiting.labels("mail").set(number)
        trends.sample()
        clock.now += 5
    told = trends.told(3_600)
    assert 60 <= len(told["times"]) <= MOST_POINTS
    assert told["times"][0] > clock.now - 3_600
    assert told["times"][-1] == clock.now - 5
    assert {round(value, 6) for value in series(told)["events", "auth", ""]} == {1.0}
    assert series(told)["waiting", "mail", ""][-1] == 999  # the newest, and the highest of its bucket
    assert all(one < other for one, other in itertools.pairwise(series(told)["waiting", "mail", ""]))


def test_series_and_samples_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    assert MOST_SAMPLES * SAMPLE_SECONDS == 4 * 3600
    monkeypatch.setattr(module, "MOST_SERIES", 3)
    metrics, trends, clock = begun()
    for name in "abcde":
        metrics.events.labels(name).inc()
    for _ in range(MOST_SAMPLES + 5):
        clock.now += 5
        trends.sample()
    told = trends.told(10**9)
    assert told["left_out"] == 2
    assert [one["name"] for one in told["series"]] == ["a", "b", "c"]
    assert told["began"] == clock.now - (MOST_SAMPLES - 1) * 5
