"""``correlate``: the matches of the correlator that sees every event, in one batch and over a stream that is stopped."""

from __future__ import annotations

import json
import random
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from sigma.pyeval import CorrelationMatch, LogSource, Ruleset, parse_rules

from ..conftest import rule_yaml

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

pytestmark = [pytest.mark.system, pytest.mark.filterwarnings("default")]  # pyspark's own warnings are not ours

LATENESS = 120
RULES = parse_rules(
    "---\n".join(
        [
            rule_yaml("s: {action: fail}\ncondition: s", "Failure", extra="name: failure\n"),
            rule_yaml("s: {action: login}\ncondition: s", "Login", extra="name: login\n"),
            rule_yaml("s: {action: [fail, login]}\ncondition: s", "Any", extra="name: any\n"),
            rule_yaml("s: {action: noise}\ncondition: s", "Uncorrelated"),
            "title: Many failures\nname: many\ncorrelation: {type: event_count, rules: [failure], group-by: [user.name], timespan: 2m, condition: {gte: 3}}\n",
            "title: Many users\ncorrelation: {type: value_count, rules: [failure, any], group-by: [host], timespan: 1m, condition: {field: user.name, gte: 3}}\n",
            "title: Anywhere\ncorrelation: {type: event_count, rules: [login], timespan: 30s, condition: {gte: 4}}\n",
            "title: Then a login\ncorrelation:\n  type: temporal_ordered\n  rules: [failure, login]\n  group-by: [who]\n  timespan: 1m\n"
            "  aliases: {who: {failure: user.name, login: account}}\n",
            "title: Chain\ncorrelation: {type: event_count, rules: [many], group-by: [user.name], timespan: 5m, condition: {gte: 2}}\n",
        ]
    )
)  # fmt: skip
START = datetime(2026, 1, 2, tzinfo=UTC)
Found = list[tuple[str, dict[str, Any], int, int, int]]


def generated(count: int) -> list[dict[str, Any]]:
    """Return events in order of time, the same ones in every run; no two at one time."""
    draw = random.Random(9)
    moment, events = START, []
    for _ in range(count):
        moment += timedelta(seconds=draw.randrange(1, 12))
        event: dict[str, Any] = {
            "timestamp": moment.isoformat(),
            "action": draw.choice(["fail", "fail", "login", "noise", "x"]),
        }
        name = draw.choice(["eve", "mallory", "trent", None])
        event |= {"host": draw.choice(["a", "b"])} | ({"user": {"name": name}} if name else {})
        events.append(event | ({"account": name} if name and event["action"] == "login" else {}))
    return events  # fmt: skip


EVENTS = generated(400)


def told(matches: list[CorrelationMatch]) -> Found:
    """Return what matches say, in one order."""
    rows = [(one.rule.title, dict(one.group), one.start_time, one.end_time, one.count) for one in matches]
    return sorted(rows, key=repr)


def expected(ruleset: Ruleset = RULES) -> Found:
    """Return what the correlator says that sees every event."""
    correlator = ruleset.correlator()
    return told([match for event in EVENTS for match in correlator.process(event)] + correlator.finish())


def texts(session: SparkSession) -> DataFrame:
    """Return the events as lines in any order, some of which hold no event."""
    lines = [json.dumps(event) for event in EVENTS] + ["broken", "[]"]
    random.Random(1).shuffle(lines)
    return session.createDataFrame([(line,) for line in lines], "line string").repartition(5)


def columns(session: SparkSession) -> DataFrame:
    """Return the events as columns, over five partitions."""
    schema = "timestamp timestamp, action string, host string, user struct<name: string>, account string"
    rows = [event | {"timestamp": datetime.fromisoformat(event["timestamp"])} for event in EVENTS]
    return session.createDataFrame(rows, schema).repartition(5)


def test_the_matches_of_the_correlator(session: SparkSession, delivery: str) -> None:
    """Whatever the order of rows and their form; rows that hold no event are passed over."""
    from sigma.pyeval.spark import correlate

    known = expected()
    assert {title for title, *_ in known} == {"Many users", "Anywhere", "Then a login", "Chain"}
    for df, event in ((texts(session), "line"), (columns(session), None)):
        correlator = RULES.correlator()
        found = correlate(df, RULES, correlator, event=event, delivery=delivery)  # type: ignore[arg-type]
        assert told(found + correlator.finish()) == known


def test_log_sources_are_told_apart(session: SparkSession, delivery: str) -> None:
    """With ``route``, as ``scan`` does; a router of one's own is for this process alone."""
    from sigma.pyeval.spark import SparkDetectionError, correlate

    rules = (
        rule_yaml("s: {action: fail}\ncondition: s", "Failure", "{product: windows}", "name: failure\n")
        + "---\ntitle: C\ncorrelation: {type: event_count, rules: [failure], timespan: 1h, condition: {gte: 1}}\n"
    )
    df = session.sql("SELECT 'fail' AS action, '/bin/sh' AS _EXE, '2026-01-02T00:00:00Z' AS timestamp")
    ruleset = parse_rules(rules)
    for route, count in ((True, 0), (False, 1)):
        found = correlate(df, ruleset, ruleset.correlator(), route=route, delivery=delivery)  # type: ignore[arg-type]
        assert len(found) == count
    routed = Ruleset(ruleset.rules, correlations=ruleset.correlations, router=lambda event: LogSource())
    with pytest.raises(SparkDetectionError, match="router is not shipped to workers; pass route=False"):
        correlate(df, routed, routed.correlator())


def test_a_stream_that_is_stopped(session: SparkSession, delivery: str, tmp_path: Path) -> None:
    """What the correlator held is taken up again; a batch that is given twice raises the same matches once more."""
    from sigma.pyeval.spark import correlate

    source, state = tmp_path / "in", tmp_path / "state"
    source.mkdir()
    state.mkdir()
    raised: dict[int, list[CorrelationMatch]] = {}

    def correlate_batch(batch: DataFrame, number: int) -> None:
        known = (state / f"{number - 1}").read_bytes() if number else None
        for _ in range(2):
            correlator = RULES.correlator(lateness=LATENESS, state=known)
            before = raised.get(number)
            raised[number] = correlate(batch, RULES, correlator, event="value", source={"batch": number}, delivery=delivery)  # type: ignore[arg-type]  # fmt: skip
            assert before is None or [one.id for one in before] == [one.id for one in raised[number]]
        (state / f"{number}").write_bytes(correlator.snapshot())

    def run() -> None:
        lines = session.readStream.option("maxFilesPerTrigger", 1).text(str(source))
        writer = lines.writeStream.foreachBatch(correlate_batch).option(
            "checkpointLocation", str(tmp_path / "checkpoint")
        )
        writer.trigger(availableNow=True).start().awaitTermination(120)

    for part in range(4):
        lines = [json.dumps(event) for event in EVENTS[part * 100 : part * 100 + 100]]
        (tmp_path / "new").write_text("\n".join(lines))
        (tmp_path / "new").rename(source / f"{part}.jsonl")
        if part != 1:
            run()
    assert sorted(raised) == [0, 1, 2, 3]
    end = RULES.correlator(lateness=LATENESS, state=(state / "3").read_bytes())
    assert told([one for matches in raised.values() for one in matches] + end.finish()) == expected()
