"""What a Spark worker runs: batches of rows in, the rows that match out, with the rule beside each.

Shipped to workers as text, beside a standalone or a linked module of rules.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from types import ModuleType
from typing import TYPE_CHECKING, Any

from ..routing import recognise
from ..rules import LogSource
from .columns import column_events, row_events

if TYPE_CHECKING:
    import pyarrow

Judge = Callable[[Mapping[str, Any]], Sequence[int]]
"""Returns the numbers of the rules that match an event, in rule order."""

RULE_COLUMN = "rule"
PROBLEM_COLUMN = "problem"
RULE_TEXTS = ("id", "title", "level", "status", "author", "license", "source_hash")
"""What of a rule stands in the column ``rule``, besides its tags."""

MOST_MATCHES = 10_000
"""Rows of one batch that is handed back: a batch whose rows match many rules must not grow without limit."""

_judges: dict[tuple[str, bool, bool], Judge] = {}


def detect(  # noqa: PLR0913 - named by the driver
    batches: Iterator[pyarrow.RecordBatch],
    rules: ModuleType,
    *,
    columns: Sequence[str],
    fields: Sequence[str],
    event: str | None,
    keep: Sequence[str],
    route: bool,
    members: bool,
) -> Iterator[pyarrow.RecordBatch]:
    """Yield the rows that match, once for each rule: the columns *keep*, ``rule``, and with *event* ``problem``.

    Args:
        batches: Rows, as Spark's ``mapInArrow`` gives them.
        rules: A standalone or linked module of rules.
        columns: The names of the rows' columns, which Spark knows by number.
        fields: Those of them that are the event's fields, where the row is the event.
        event: The column that holds the event; None where the row is the event.
        keep: Columns to hand back, in this order.
        route: Whether an event's own log source leaves out the rules that are for another one.
        members: Whether rules that serve only correlations are judged too.
    """
    import pyarrow

    judge = _judge_of(rules, route, members)
    table = rule_table(rules.RULES)
    for numbered in batches:
        batch = pyarrow.RecordBatch.from_arrays(numbered.columns, names=columns)
        events = (
            row_events(batch.select(fields)) if event is None else column_events(batch.column(columns.index(event)))
        )
        rows: list[int] = []
        numbers: list[int | None] = []
        problems: list[str | None] = []
        for row, one in enumerate(events):
            found: Sequence[int | None] = (None,) if isinstance(one, str) else judge(one)
            if not found:
                continue
            rows += [row] * len(found)
            numbers += found
            problems += [one if isinstance(one, str) else None] * len(found)
            if len(rows) >= MOST_MATCHES:
                yield _result(batch, table, keep, rows, numbers, None if event is None else problems)
                rows, numbers, problems = [], [], []
        if rows:
            yield _result(batch, table, keep, rows, numbers, None if event is None else problems)


def _result(  # noqa: PLR0913, PLR0917 - the parts of one row
    batch: pyarrow.RecordBatch,
    table: pyarrow.Array,
    keep: Sequence[str],
    rows: Sequence[int],
    numbers: Sequence[int | None],
    problems: Sequence[str | None] | None,
) -> pyarrow.RecordBatch:
    import pyarrow

    at = pyarrow.array(rows, pyarrow.int64())
    columns = [batch.column(batch.schema.names.index(name)).take(at) for name in keep]
    columns.append(table.take(pyarrow.array(numbers, pyarrow.int64())))
    names = [*keep, RULE_COLUMN]
    if problems is not None:
        columns.append(pyarrow.array(problems, pyarrow.string()))
        names.append(PROBLEM_COLUMN)
    return pyarrow.RecordBatch.from_arrays(columns, names=names)


def rule_table(records: Sequence[Mapping[str, Any]]) -> pyarrow.Array:
    """Return the rules as an array of structs, from which each match takes its own."""
    import pyarrow

    kind = pyarrow.struct(
        [
            *(pyarrow.field(name, pyarrow.string()) for name in RULE_TEXTS),
            pyarrow.field("tags", pyarrow.list_(pyarrow.string())),
        ]
    )
    rows = [{name: record.get(name) for name in RULE_TEXTS} | {"tags": record.get("tags", [])} for record in records]
    return pyarrow.array(rows, kind)


def _judge_of(rules: ModuleType, route: bool, members: bool) -> Judge:
    """Return the judge of a module of rules, kept as long as the process: it remembers what it has learned."""
    key = (rules.__name__, route, members)
    if key not in _judges:
        judge = linked_judge if hasattr(rules, "_LINKED") else standalone_judge
        _judges[key] = judge(rules, route=route, members=members)
    return _judges[key]


def standalone_judge(rules: ModuleType, *, route: bool, members: bool) -> Judge:
    """Return the judge of a standalone module: the predicates one by one, those for other log sources left out."""
    holds = rules.holds
    judged = [
        (number, LogSource(**record.get("logsource", {})), predicate)
        for number, (record, predicate) in enumerate(rules._RULES)
        if members or record.get("generate", True)
    ]
    everything = [(number, predicate) for number, _, predicate in judged]
    by_source: dict[LogSource, list[tuple[int, Any]]] = {}

    def judge(event: Mapping[str, Any]) -> list[int]:
        chosen = everything
        if route:
            source = recognise(event)
            if source not in by_source:
                by_source[source] = [
                    (number, predicate) for number, of_rule, predicate in judged if not of_rule.conflicts(source)
                ]
            chosen = by_source[source]
        return [number for number, predicate in chosen if holds(predicate, event)]

    return judge


def linked_judge(rules: ModuleType, *, route: bool, members: bool) -> Judge:
    """Return the judge of a linked module: the installed matcher."""
    ruleset = rules._LINKED.ruleset
    numbers = {id(rule): number for number, rule in enumerate(ruleset.rules)}

    def judge(event: Mapping[str, Any]) -> list[int]:
        found = ruleset.match(event, recognise(event) if route else None, members=members)
        return [numbers[id(match.rule)] for match in found] if found else found

    return judge
