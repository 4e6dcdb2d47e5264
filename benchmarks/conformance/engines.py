"""One engine's verdicts on vectors: ``python engines.py NAME < vectors.jsonl``, JSON on stdout.

Runs in the engine's own environment, so it imports nothing of this project. Each vector is a rule and an event; the verdict
is true, false, or the reason for none: what the engine raised when it was given the rule or the event. Each engine is used as
its documentation says, and gets the best of forms that it could be given: SQL engines get a table of the event's values with
their types, nested fields by dotted names.
"""

from __future__ import annotations

import json
import re
import sqlite3
import sys
from collections.abc import Callable, Iterator
from importlib.metadata import version
from typing import Any

Vector = dict[str, Any]
Engine = Callable[[Vector], bool]


def pyeval() -> tuple[str, Engine]:
    from sigma.pyeval import parse_rules

    def judge(vector: Vector) -> bool:
        return bool(parse_rules(vector["rule"], placeholders=vector["placeholders"]).match(vector["event"]))

    return f"pySigma-backend-pyeval {version('pySigma-backend-pyeval')}", judge


def azuma() -> tuple[str, Engine]:
    from azuma import Rule

    def judge(vector: Vector) -> bool:
        return bool(Rule.model_validate_yaml(vector["rule"]).match(vector["event"]))

    return f"azuma {version('azuma')}", judge


def sigma_rule_matcher() -> tuple[str, Engine]:
    from sigma_rule_matcher import RuleMatcher

    def judge(vector: Vector) -> bool:
        return any(RuleMatcher(rule).match(vector["event"]) for rule in _collection(vector["rule"]))

    return f"sigma-rule-matcher {version('sigma-rule-matcher')}", judge


def detkit() -> tuple[str, Engine]:
    import yaml
    from detkit.evaluator import event_matches_rule, scan_unsupported

    def judge(vector: Vector) -> bool:
        detection = yaml.safe_load(vector["rule"])["detection"]
        unsupported = scan_unsupported(detection)
        if unsupported:
            raise NotImplementedError("; ".join(unsupported))
        return bool(event_matches_rule(detection, vector["event"]))

    return f"detkit-cli {version('detkit-cli')}", judge


def sqlite() -> tuple[str, Engine]:
    from sigma.backends.sqlite import sqliteBackend

    def judge(vector: Vector) -> bool:
        rules = _collection(vector["rule"])
        backend = sqliteBackend(_placeholders(vector["placeholders"]), fulltext_field="_text")
        queries = backend.convert(rules)
        fields = {field for rule in rules for field in backend.required_fields(rule)}
        row = _row(vector["event"], fields)
        row["_text"] = "\n".join(str(value) for value in row.values() if value is not None)
        kinds = {
            name: _kind(value, "TEXT COLLATE NOCASE", "INTEGER", "REAL", "TEXT COLLATE NOCASE")
            for name, value in row.items()
        }
        with sqlite3.connect(":memory:") as database:
            database.create_function("REGEXP", 2, _search, deterministic=True)
            return _any_row(database, row, kinds, queries)

    return f"pySigma-backend-sqlite {version('pySigma-backend-sqlite')}, SQLite {sqlite3.sqlite_version}", judge


def duckdb() -> tuple[str, Engine]:
    import duckdb as library
    from sigma.processing.pipeline import ProcessingPipeline
    from sigma_backend_duckdb import DuckDBBackend

    def judge(vector: Vector) -> bool:
        rules = _collection(vector["rule"])
        backend = DuckDBBackend(_placeholders(vector["placeholders"]) or ProcessingPipeline())
        queries = backend.convert(rules)
        fields = {
            name for query in queries for name in re.findall(r'"((?:[^"]|"")+)"|(\w+)', query) for name in name if name
        }
        row = _row(vector["event"], {field for field in fields if field in _field_names(rules)})
        kinds = {name: _kind(value, "VARCHAR", "BIGINT", "DOUBLE", "BOOLEAN") for name, value in row.items()}
        with library.connect(":memory:") as database:
            return _any_row(database, row, kinds, queries)

    return f"pySigma-backend-duckdb {version('pySigma-backend-duckdb')}, DuckDB {version('duckdb')}", judge


ENGINES: dict[str, Callable[[], tuple[str, Engine]]] = {
    "pyeval": pyeval,
    "azuma": azuma,
    "sqlite": sqlite,
    "duckdb": duckdb,
    "sigma-rule-matcher": sigma_rule_matcher,
    "detkit": detkit,
}


def _collection(text: str) -> Any:
    """Return pySigma's rules, filters applied."""
    from sigma.collection import SigmaCollection

    return SigmaCollection.from_yaml(text)


def _placeholders(values: dict[str, Any] | None) -> Any:
    if values is None:
        return None
    from sigma.processing.pipeline import ProcessingItem, ProcessingPipeline
    from sigma.processing.transformations import ValueListPlaceholderTransformation

    lists = {name: value if isinstance(value, list) else [value] for name, value in values.items()}
    return ProcessingPipeline(items=[ProcessingItem(ValueListPlaceholderTransformation())], vars=lists)


def _field_names(rules: Any) -> set[str]:
    def names(detection: Any) -> Iterator[str]:
        for item in detection.detection_items:
            if hasattr(item, "detection_items"):
                yield from names(item)
            elif item.field is not None:
                yield item.field
                for value in item.value:
                    if type(value).__name__ == "SigmaFieldReference":
                        yield value.field

    return {name for rule in rules for detection in rule.detection.detections.values() for name in names(detection)}


def _row(event: dict[str, Any], fields: set[str]) -> dict[str, Any]:
    """Return the event as a table's row: nested fields by dotted names, lists as JSON; columns that rules ask for besides."""
    row: dict[str, Any] = {}

    def add(value: Any, name: str) -> None:
        if isinstance(value, dict) and value:
            for key, inner in value.items():
                add(inner, f"{name}.{key}" if name else key)
        else:
            row.setdefault(name, json.dumps(value) if isinstance(value, (list, dict)) else value)

    add(event, "")
    row.pop("", None)
    present = {name.lower() for name in row}
    return row | {field: None for field in sorted(fields) if field.lower() not in present}


def _kind(value: Any, text: str, whole: str, real: str, flag: str) -> str:
    return (
        flag
        if isinstance(value, bool)
        else whole
        if isinstance(value, int)
        else real
        if isinstance(value, float)
        else text
    )


def _any_row(database: Any, row: dict[str, Any], kinds: dict[str, str], queries: list[str]) -> bool:
    names = {name: '"' + name.replace('"', '""') + '"' for name in row}
    database.execute(f"CREATE TABLE logs ({', '.join(f'{names[name]} {kind}' for name, kind in kinds.items())})")
    values = [json.dumps(value) if isinstance(value, bool) else value for value in row.values()]
    database.execute(f"INSERT INTO logs VALUES ({', '.join('?' * len(values))})", values)
    return any(database.execute(query.replace("<TABLE_NAME>", "logs")).fetchone() for query in queries)


def _search(pattern: str, value: Any) -> bool:
    return value is not None and re.search(pattern, str(value)) is not None


def main(name: str) -> None:
    label, judge = ENGINES[name]()
    verdicts: dict[str, bool | str] = {}
    for line in sys.stdin:
        vector = json.loads(line)
        try:
            verdicts[vector["id"]] = judge(vector)
        except Exception as error:  # noqa: BLE001 - whatever it raises, it gave no verdict
            verdicts[vector["id"]] = f"{type(error).__name__}: {error}"[:200]
    print(json.dumps({"engine": label, "verdicts": verdicts}))


if __name__ == "__main__":
    main(*sys.argv[1:])
