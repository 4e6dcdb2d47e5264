"""The same rules and events through other programs: ``python benchmarks/peers.py NAME RULES EVENTS NUMBER``, JSON on stdout.

Runs in an environment of its own, without this package. About NUMBER events are taken from all over the file. What is timed
is CPU time of one process: decoding with json and matching; for SQLite, filling a table and one query a rule, as its queries
run on a table of many events.
"""

from __future__ import annotations

import contextlib
import gzip
import json
import re
import sqlite3
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path

_MOST_COLUMNS = 2_000
"""SQLite's own limit."""


def azuma(files: list[Path], lines: list[bytes]) -> dict[str, object]:
    from azuma import Rule

    rules, refused = [], Counter[str]()
    for file in files:
        try:
            rules.append(Rule.model_validate_file(str(file)))
        except Exception as error:  # noqa: BLE001 - whatever it raises, the rule was not taken
            refused[type(error).__name__] += 1
    matches = 0
    failed: set[int] = set()
    with _timed() as seconds:
        for line in lines:
            event = json.loads(line)
            for number, rule in enumerate(rules):
                try:
                    matches += rule.match(event)
                except Exception:  # noqa: BLE001 - as above
                    failed.add(number)
    return {
        "version": f"azuma {version('azuma')}", "taken": len(rules), "refused": refused, "failed": len(failed),
        "matches": matches, "seconds": seconds(),
    }  # fmt: skip


def sqlite(files: list[Path], lines: list[bytes]) -> dict[str, object]:
    from sigma.backends.sqlite import sqliteBackend
    from sigma.collection import SigmaCollection

    backend = sqliteBackend(fulltext_field="_text")
    queries: list[list[str]] = []
    fields = {"_text"}
    refused = Counter[str]()
    for file in files:
        try:
            rules = SigmaCollection.from_yaml(file.read_text(encoding="utf-8"))
            queries.append(list(backend.convert(rules)))
            fields.update(field for rule in rules for field in backend.required_fields(rule))
        except Exception as error:  # noqa: BLE001 - whatever it raises, the rule was not taken
            refused[type(error).__name__] += 1
    columns = {field.lower(): field for field in sorted(fields)}  # SQLite's names ignore case
    if len(columns) > _MOST_COLUMNS:
        raise SystemExit(f"{len(columns)} fields, more than a table's columns")
    patterns = _Patterns()
    matches = 0
    failed: set[int] = set()
    with contextlib.closing(sqlite3.connect(":memory:")) as database, _timed() as seconds:
        database.create_function("REGEXP", 2, patterns.search, deterministic=True)
        quoted = ", ".join('"' + name.replace('"', '""') + '" TEXT COLLATE NOCASE' for name in columns.values())
        database.execute(f"CREATE TABLE logs ({quoted})")
        insert = f"INSERT INTO logs VALUES ({','.join('?' * len(columns))})"
        database.executemany(insert, (_row(json.loads(line), columns) for line in lines))
        for number, of_rule in enumerate(queries):
            try:
                for query in of_rule:
                    counted = query.replace("SELECT *", "SELECT COUNT(*)", 1)
                    matches += database.execute(counted).fetchone()[0]
            except (sqlite3.Error, re.error):
                failed.add(number)
    versions = f"pySigma-backend-sqlite {version('pysigma-backend-sqlite')}, SQLite {sqlite3.sqlite_version}"
    return {
        "version": versions, "taken": len(queries), "refused": refused, "failed": len(failed), "matches": matches,
        "seconds": seconds(),
    }  # fmt: skip


class _Patterns:
    """SQLite's REGEXP, which SQLite leaves to whoever uses it: ``value REGEXP pattern`` calls search(pattern, value)."""

    def __init__(self) -> None:
        self._compiled: dict[str, re.Pattern[str]] = {}

    def search(self, pattern: str, value: str | None) -> bool:
        if value is None:
            return False
        compiled = self._compiled.get(pattern) or self._compiled.setdefault(pattern, re.compile(pattern))
        return compiled.search(value) is not None


def _row(event: dict[str, object], columns: dict[str, str]) -> list[str | None]:
    folded = {key.lower(): _text(value) for key, value in event.items()}
    folded["_text"] = "\n".join(filter(None, folded.values()))
    return [folded.get(name) for name in columns]


def _text(value: object) -> str | None:
    return value if value is None or isinstance(value, str) else json.dumps(value)


@contextlib.contextmanager
def _timed() -> Iterator[Callable[[], float]]:
    start = time.process_time()
    end = start

    def seconds() -> float:
        return end - start

    yield seconds
    end = time.process_time()


def main(name: str, rules: str, events: str, number: str) -> None:
    files = sorted(path for path in Path(rules).rglob("*.yml"))
    with gzip.open(events) as file:
        lines = file.read().splitlines()
    lines = lines[:: max(1, len(lines) // int(number))]
    found = {"azuma": azuma, "sqlite": sqlite}[name](files, lines)
    print(json.dumps(found | {"rules": len(files), "events": len(lines)}))


if __name__ == "__main__":
    main(*sys.argv[1:])
