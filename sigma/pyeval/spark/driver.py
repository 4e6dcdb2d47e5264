"""``detect``: a DataFrame of events and a rule set become a DataFrame of matches. Runs where the Spark session is."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ..codegen import emit_linked, emit_runtime, emit_standalone
from ..conditions import fields_read
from ..routing import FIELDS_ASKED
from .worker import PROBLEM_COLUMN, RULE_COLUMN, RULE_TEXTS

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession
    from pyspark.sql.types import StructType

    from ..ruleset import Ruleset

_WORKER_FILES = ("rules.py", "events.py", "routing.py", "spark/moments.py", "spark/columns.py", "spark/worker.py")
"""The files of this package, in order, that workers run: shipped with either delivery, so that they are the driver's."""

_PLAIN_TYPES = frozenset({
    "StringType", "CharType", "VarcharType", "BooleanType", "ByteType", "ShortType", "IntegerType", "LongType", "FloatType",
    "DoubleType", "DecimalType", "DateType", "TimestampType", "TimestampNTZType", "TimeType", "BinaryType", "NullType",
})  # fmt: skip
_TEXT_TYPES = frozenset({"StringType", "CharType", "VarcharType", "BinaryType"})

_shipped: dict[str, tuple[tempfile.TemporaryDirectory[str], set[str]]] = {}
"""By Spark application: where the modules lie that its workers fetch, as long as this process runs, and their names."""


class SparkDetectionError(ValueError):
    """Rules or a DataFrame that cannot be used this way; the message names the rule or column and what to do."""


def detect(  # noqa: PLR0913 - a caller names each
    df: DataFrame,
    ruleset: Ruleset,
    *,
    event: str | None = None,
    keep: Sequence[str] | None = None,
    route: bool = True,
    members: bool = False,
    delivery: Literal["standalone", "linked"] = "standalone",
) -> DataFrame:
    """Return the rows of *df* that match, once for each rule that does; *df* may be a stream.

    The result has the columns *keep*, as they are in *df*, and ``rule``: a struct of id, title, level, status, author,
    license, source_hash (text each) and tags (array of text). With *event* it has ``problem`` besides, null but for rows
    that hold no event: these come back with no rule and the reason, so that none is lost unseen.

    The verdicts are those of ``ruleset.match`` on the same events, whatever the partitions; docs/scale.md says what event
    a row is: which Spark types become what.

    Args:
        df: The events, one a row.
        ruleset: The rules.
        event: The column that holds the event, a struct, a map with text as keys, or JSON text (string or binary); None:
            the row is the event, its columns are the fields.
        keep: Columns of *df* to hand back; None keeps all.
        route: Whether an event's own log source leaves out the rules for another one, as ``sigma-pyeval scan`` does.
        members: Whether the matches of rules that serve only correlations are among them, for a correlator that takes them
            next; *ruleset* may then have correlation rules, which are left to that.
        delivery: ``"standalone"`` ships all that workers need; ``"linked"`` needs this package, of the same semantics,
            on each worker (``pip install --no-deps pySigma-backend-pyeval ahocorasick-rs orjson``) and is much faster.

    Raises:
        SparkDetectionError: A correlation rule, which needs what was before, without *members*; a router of one's own; a
            column that is not there, is there twice, has a type that no event has, or is named as one of the result's.
        ValueError: *delivery* is none of its allowed values.
    """
    if delivery not in ("standalone", "linked"):
        raise ValueError(f"delivery is 'standalone' or 'linked', not {delivery!r}")
    _check_rules(ruleset, route, members)
    names = df.columns
    kept = names if keep is None else list(keep)
    fields = columns_judged(ruleset, names, route) if event is None else [event]
    _check_columns(df.schema, event, kept, fields, _folds_case(df))
    read = [name for name in names if name in {*kept, *fields}]
    emit = emit_standalone if delivery == "standalone" else emit_linked
    rules = _ship(df.sparkSession, "sigma_rules", emit(ruleset.rules))
    worker = _ship(df.sparkSession, "sigma_worker", emit_runtime(_WORKER_FILES))
    # By number: names may have dots, which mapInArrow takes for paths, and differ in case only, which select does not tell.
    rows = df.toDF(*map(str, range(len(names)))).select(*(str(names.index(name)) for name in read))
    options = {"columns": read, "fields": fields, "event": event, "keep": kept, "route": route, "members": members}
    function = _batch_function(worker, rules, options)
    return rows.mapInArrow(function, _result_schema(df.schema, kept, with_problem=event is not None))


def columns_judged(ruleset: Ruleset, names: Sequence[str], route: bool) -> Sequence[str]:
    """Return which of the columns *names* can change a verdict where the row is the event; at least one.

    These are the fields that rules ask and what dotted ones begin with, and what tells the log source; with keywords, all.
    """
    asked = set(FIELDS_ASKED) if route else set()
    for rule in ruleset.rules:
        fields = fields_read(rule.expression, unsafe_regex=True)
        if fields is None:
            return names
        asked.update(fields, (field.partition(".")[0] for field in fields))
    return [name for name in names if name in asked] or names[:1]  # rows without a column could not be counted


def _folds_case(df: DataFrame) -> bool:
    return bool(df.sparkSession.conf.get("spark.sql.caseSensitive", "false") != "true")


def _batch_function(worker: str, rules: str, options: dict[str, Any]) -> Callable[[Iterator[Any]], Iterator[Any]]:
    """Return what each partition runs. A function within a function travels by value: workers need not import this file."""

    def detect_in_batches(batches: Iterator[Any]) -> Iterator[Any]:
        import importlib

        module = importlib.import_module(worker)
        found: Iterator[Any] = module.detect(batches, importlib.import_module(rules), **options)
        return found

    return detect_in_batches


def _check_rules(ruleset: Ruleset, route: bool, members: bool) -> None:
    if ruleset.correlations and not members:
        raise SparkDetectionError(
            f"{len(ruleset.correlations)} correlation rules (the first is {ruleset.correlations[0].title!r}) need what came "
            "before an event: pass members=True and give what matches to Ruleset.correlator (docs/scale.md), or leave "
            "them out: Ruleset(ruleset.rules)"
        )
    if route and ruleset._router is not None:
        raise SparkDetectionError("the rule set's own router is not shipped to workers; pass route=False")


def _check_columns(
    schema: StructType, event: str | None, kept: Sequence[str], fields: Sequence[str], folds_case: bool
) -> None:
    types: dict[str, Any] = {}
    for field in schema:
        if field.name in types:
            raise SparkDetectionError(f"column {field.name!r} is there twice; rename one of them")
        types[field.name] = field.dataType
    for name in [*kept, *([] if event is None else [event])]:
        if name not in types:
            raise SparkDetectionError(f"there is no column {name!r}; there are: {', '.join(map(repr, types))}")
    for name in kept:
        if kept.count(name) > 1:
            raise SparkDetectionError(f"column {name!r} is to be kept twice")
        told = name.lower() if folds_case else name
        if told == RULE_COLUMN or (event is not None and told == PROBLEM_COLUMN):
            raise SparkDetectionError(f"column {name!r} is one of the result's; rename it, or leave it out of keep")
    for name, kind in types.items():
        if name in kept or name in fields:
            _check_type(name, kind)
    if event is not None and type(types[event]).__name__ not in {*_TEXT_TYPES, "StructType", "MapType"}:
        found = types[event].simpleString()
        raise SparkDetectionError(f"column {event!r} is of type {found}; an event is a struct, a map, or JSON text")


def _check_type(place: str, kind: Any) -> None:
    # Types are told by their names: a version of Spark that lacks one need not be asked for it.
    name = type(kind).__name__
    if name == "StructType":
        names = kind.names
        if len(set(names)) < len(names):
            raise SparkDetectionError(f"column {place!r} is a struct with two fields of one name; rename one of them")
        for field in kind.fields:
            _check_type(f"{place}.{field.name}", field.dataType)
    elif name == "ArrayType":
        _check_type(f"{place}[]", kind.elementType)
    elif name == "MapType":
        if type(kind.keyType).__name__ not in _TEXT_TYPES - {"BinaryType"}:
            found = kind.keyType.simpleString()
            raise SparkDetectionError(
                f"column {place!r} is a map with keys of type {found}; the names of fields are text"
            )
        _check_type(f"{place}{{}}", kind.valueType)
    elif name not in _PLAIN_TYPES:
        remedy = "to_json" if name == "VariantType" else "cast it to string"
        raise SparkDetectionError(
            f"column {place!r} is of type {kind.simpleString()}, which no event has; {remedy} first"
        )


def _result_schema(schema: StructType, kept: Sequence[str], *, with_problem: bool) -> StructType:
    from pyspark.sql.types import ArrayType, StringType, StructField, StructType

    rule = [StructField(name, StringType()) for name in RULE_TEXTS]
    fields = [schema[name] for name in kept]
    fields.append(StructField(RULE_COLUMN, StructType([*rule, StructField("tags", ArrayType(StringType()))])))
    if with_problem:
        fields.append(StructField(PROBLEM_COLUMN, StringType()))
    return StructType(fields)


def _ship(session: SparkSession, kind: str, text: str) -> str:
    """Have workers fetch a module of this text; return its name, which is that of its content."""
    content = text.encode("utf-8")
    name = f"{kind}_{hashlib.sha256(content).hexdigest()[:20]}"
    context = getattr(session, "sparkContext", None)
    if context is None:
        raise SparkDetectionError(
            "a Spark Connect session has no sparkContext to ship modules by; use a classic session"
        )
    if context.applicationId not in _shipped:
        _shipped[context.applicationId] = (tempfile.TemporaryDirectory(prefix="sigma-pyeval-spark-"), set())
    folder, names = _shipped[context.applicationId]
    if name not in names:
        path = Path(folder.name, f"{name}.py")
        path.write_bytes(content)
        context.addPyFile(str(path))
        names.add(name)
    return name
