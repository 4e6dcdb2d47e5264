"""What Prometheus reads: names as its rules want them, values that are right, labels that nobody can forge or flood."""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from prometheus_client import disable_created_metrics, enable_created_metrics
from prometheus_client.parser import text_string_to_metric_families

from sigma.pyeval import parse_rules
from sigma.pyeval.monitor import metrics as metrics_module
from sigma.pyeval.monitor.configuration import parse_configuration
from sigma.pyeval.monitor.metrics import Metrics
from sigma.pyeval.monitor.service import Service
from sigma.pyeval.monitor.sources import tail
from sigma.pyeval.rules import Rule

from .service import RULE

ROOT = Path(__file__).resolve().parents[2]
OPERATIONS = (ROOT / "docs" / "operations.md").read_text()
ALERTING = yaml.safe_load((ROOT / "packaging" / "prometheus-rules.yml").read_text())
UNITS = ("seconds", "bytes")


@pytest.fixture(autouse=True)
def _as_in_the_program() -> Iterator[None]:
    disable_created_metrics()
    yield
    enable_created_metrics()


def families(metrics: Metrics) -> dict[str, tuple[str, tuple[str, ...]]]:
    """Return by name as it is exposed: type, and labels."""
    labels = {
        name: tuple(getattr(collector, "_labelnames", ()))
        for name, collector in metrics.registry._names_to_collectors.items()
    }
    found = {}
    for family in metrics.registry.collect():
        ending = {"counter": "_total", "info": "_info"}.get(family.type, "")
        sampled = tuple(sorted(family.samples[0].labels)) if family.type == "info" and family.samples else ()
        declared = labels.get(family.name, ()) or tuple(getattr(family, "_labelnames", ()))
        found[family.name + ending] = (family.type, declared or sampled)
    return found


def own_families() -> dict[str, tuple[str, tuple[str, ...]]]:
    metrics = Metrics()
    metrics.configured("0" * 64)
    return {name: one for name, one in families(metrics).items() if name.startswith("sigma_pyeval_")}


def values(metrics: Metrics) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """Return what Prometheus' own parser reads."""
    text = metrics.exposition().decode()
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_documentation_has_every_metric_and_no_other() -> None:
    rows = re.findall(r"^\| `([a-z_]+)` \| (\w+) \| *([^|]*)\|", OPERATIONS, flags=re.MULTILINE)
    documented = {f"sigma_pyeval_{name}": (kind, tuple(re.findall(r"`(\w+)`", labels))) for name, kind, labels in rows}
    assert documented == own_families()


def test_names_are_as_promtool_wants_them() -> None:
    """https://prometheus.io/docs/practices/naming/ and ``promtool check metrics``."""
    for name, (kind, labels) in own_families().items():
        assert re.fullmatch(r"[a-z][a-z0-9_]*[a-z0-9]", name)
        assert name.endswith("_total") == (kind == "counter"), name
        assert name.endswith("_info") == (kind == "info"), name
        assert kind in {"counter", "gauge", "info"}
        assert not re.search(r"_(count|sum|bucket)(_|$)|counter|gauge|_(ms|milliseconds|kb|mb|minutes)(_|$)", name)
        stem = name.removesuffix("_total")
        for unit in UNITS:
            assert unit not in stem.split("_") or stem.endswith(unit), name
        assert not {"le", "quantile", "job", "instance"} & set(labels)
    for family in Metrics().registry.collect():
        assert family.documentation.endswith("."), family.name


def test_alerting_rules_name_what_there_is() -> None:
    known = {*own_families(), "up"}
    words = {"and", "or", "on", "increase", "deriv", "time", "instance", "job", "result", "refused", "sigma", "pyeval"}
    names = set()
    for group in ALERTING["groups"]:
        for rule in group["rules"]:
            expression = re.sub(r'"[^"]*"|\[[^]]*\]', "", rule["expr"])
            names |= set(re.findall(r"[a-z_]{2,}", expression)) - words
            assert rule["annotations"]["summary"]
            assert rule["labels"]["severity"] in {"info", "warning", "critical"}
    assert names <= known
    assert len(names) > 10
    # a label that a summary shows is one of the metric's
    labels = {label for _, found in own_families().values() for label in found} | {"instance"}
    assert set(re.findall(r"\$labels\.(\w+)", str(ALERTING))) <= labels


def test_hostile_labels_are_read_back_as_they_are() -> None:
    metrics = Metrics()
    hostile = 'a"} 1\n# TYPE x counter\nx\\{b="\u202e\x00\r'
    metrics.lag.labels("s", hostile, "bytes").set(7)
    found = values(metrics)
    assert (
        found["sigma_pyeval_source_lag", tuple(sorted({"source": "s", "stream": hostile, "unit": "bytes"}.items()))]
        == 7
    )
    assert not any(name == "x" for name, _ in found)


def test_rules_are_named_by_id_alone_and_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics_module, "MOST_RULES", 2)
    metrics = Metrics()
    for rule_id in ("one", "two", "three", "one", "four"):
        metrics.matched(Rule(rule_id, 'evil title"} 1', "True"), 0.5)
    metrics.matched(Rule(None, "no id", "True"), 0.5)
    found = {labels: value for (name, labels), value in values(metrics).items() if name.endswith("rule_matches_total")}
    assert found == {(("rule", "one"),): 2, (("rule", "two"),): 1, (("rule", "other"),): 3}
    assert b"title" not in metrics.exposition()
    assert values(metrics)["sigma_pyeval_rule_alert_seconds_total", (("rule", "one"),)] == 1.0


def test_rules_without_id_share_a_label() -> None:
    metrics = Metrics()
    for title in ("a", "b"):
        metrics.matched(Rule(None, title, "True"), 0.0)
    assert values(metrics)["sigma_pyeval_rule_matches_total", (("rule", "no-id"),)] == 2


def test_the_engine_is_counted_over_a_change_of_rules() -> None:
    metrics = Metrics()
    first, second = parse_rules(RULE), parse_rules(RULE)
    metrics.took_over(first)
    for event in ({"a": "evil-marker"}, {"a": "evil-marker"}, {"a": "fine"}):
        first.match(event)
    assert values(metrics)["sigma_pyeval_engine_events_total", ()] == 3
    misses = values(metrics)["sigma_pyeval_engine_verdict_misses_total", ()]
    assert 0 < misses < 3
    metrics.took_over(first)  # a reload that changed something else
    assert values(metrics)["sigma_pyeval_engine_events_total", ()] == 3
    metrics.took_over(second)
    assert values(metrics)["sigma_pyeval_engine_events_total", ()] == 3
    second.match({"a": "fine"})
    found = values(metrics)
    assert found["sigma_pyeval_engine_events_total", ()] == 4
    assert found["sigma_pyeval_rules_loaded", ()] == 1
    assert found["sigma_pyeval_engine_memo_bytes", ()] > 0


def test_undecided_searches_are_counted_without_their_patterns() -> None:
    metrics = Metrics()
    ruleset = parse_rules(RULE.replace("keywords: [evil-marker]", "keywords: {field|re: '\\bfoo\\b.*\\bsecret\\b'}"))
    metrics.took_over(ruleset)
    before = values(metrics)["sigma_pyeval_regex_undecided_total", ()]
    ruleset.match({"field": "." * 200_000 + "foo secret"})
    found = values(metrics)
    assert found["sigma_pyeval_regex_undecided_total", ()] == before + 1
    assert found["sigma_pyeval_regexes_undecided", ()] >= 1
    assert b"secret" not in metrics.exposition()


def test_what_is_gone_is_not_exposed() -> None:
    metrics = Metrics()
    metrics.connected.labels("s").set(1)
    metrics.last_event.labels("s").set(1)
    metrics.lag.labels("s", "a", "bytes").set(1)
    metrics.accepting.labels("t").set(1)
    metrics.oldest.labels("t").set(1)
    metrics.end_source("s")
    metrics.end_sink("t")
    assert not [one for one in values(metrics) if ("source", "s") in one[1] or ("sink", "t") in one[1]]


def test_a_running_service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tail, "LINGER_SECONDS", 0.1)
    logs = tmp_path / "logs"
    logs.mkdir()
    (logs / "a.log").write_text("Nov 22 03:00:00 web prog: evil-marker\nNov 22 03:00:00 web prog: fine\n")
    configuration = parse_configuration(
        {
            "rules": {"paths": ["not read here"]},
            "state": str(tmp_path / "state"),
            "sources": [{"type": "file", "paths": [f"{logs}/*.log"], "start": "beginning", "format": "syslog"}],
            "sinks": [{"type": "file", "path": str(tmp_path / "alerts.jsonl")}],
        },
        {},
    )

    async def scenario() -> None:
        service = Service(configuration, parse_rules(RULE))
        running = asyncio.create_task(service.run())
        value = service.metrics.registry.get_sample_value
        lag = {"source": "file", "stream": f"{logs}/a.log", "unit": "bytes"}
        async with asyncio.timeout(20):
            while not value("sigma_pyeval_ready"):
                await asyncio.sleep(0.02)
            while value("sigma_pyeval_source_events_total", {"source": "file"}) != 2:
                await asyncio.sleep(0.02)
            rule = {"rule": "5d3f7a51-6d0c-4d5e-9b1a-0f3c2a7b9e10"}
            assert value("sigma_pyeval_rule_matches_total", rule) == 1
            assert 0 < (value("sigma_pyeval_rule_alert_seconds_total", rule) or 0) < 1
            assert 0 < (value("sigma_pyeval_source_judging_seconds_total", {"source": "file"}) or 0) < 5
            assert (value("sigma_pyeval_source_last_event_timestamp_seconds", {"source": "file"}) or 0) > 1.7e9
            assert (value("sigma_pyeval_last_load_timestamp_seconds") or 0) > 1.7e9
            assert value("sigma_pyeval_spool_limit_bytes") == 1 << 30
            assert value("sigma_pyeval_sink_accepting", {"sink": "file"}) == 1
            assert value("sigma_pyeval_sink_oldest_waiting_seconds", {"sink": "file"}) is not None
            assert value("sigma_pyeval_source_lag", lag) == 0
            (logs / "a.log").unlink()  # over the months, the paths of dated files must not pile up
            while value("sigma_pyeval_source_lag", lag) is not None:
                await asyncio.sleep(0.02)
            service.stop()
            await running

    asyncio.run(scenario())


def test_the_configuration_is_told_by_its_hash() -> None:
    metrics = Metrics()
    digest = hashlib.sha256(b"token: secret").hexdigest()
    metrics.configured(digest)
    assert values(metrics)["sigma_pyeval_configuration_info", (("sha256", digest),)] == 1
    metrics.configured("b" * 64)
    assert digest.encode() not in metrics.exposition()
    assert (
        values(metrics)["process_resident_memory_bytes", ()] > 1e6
    )  # ProcessCollector's, whose start time Prometheus shows
