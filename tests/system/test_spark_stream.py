"""``detect`` in Structured Streaming: files that arrive, a checkpoint, a stop in between; each match once."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from sigma.pyeval import parse_rules

from ..conftest import ROOT, rule_yaml

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

pytestmark = [pytest.mark.system, pytest.mark.filterwarnings("default")]  # pyspark's own warnings are not ours

RULE = rule_yaml("s: {Image|endswith: /sh}\ncondition: s", "Shell")
FILES, LINES = 12, 50


def write_files(folder: Path, numbers: range) -> None:
    """Write files of events, each put there whole; every third event matches, every tenth line is no event."""
    for file in numbers:
        lines = []
        for line in range(LINES):
            number = file * LINES + line
            image = "/bin/sh" if number % 3 == 0 else "/bin/true"
            lines.append("broken" if number % 10 == 9 else json.dumps({"n": number, "Image": image}))
        path = folder / f".{file}"
        path.write_text("\n".join(lines) + "\n")
        path.rename(folder / f"{file}.jsonl")


def expected(files: int) -> tuple[Counter[int], int]:
    """Return the numbers of the events that match, and how many lines are no events."""
    numbers = [number for number in range(files * LINES) if number % 10 != 9]
    return Counter(number for number in numbers if number % 3 == 0), files * LINES // 10


def found(folder: Path) -> tuple[Counter[int], int]:
    """Return the same of what was written."""
    return _counted(folder.glob("*.json"))


def _counted(paths: Iterable[Path]) -> tuple[Counter[int], int]:
    from_sink = [json.loads(line) for path in paths for line in path.read_text().splitlines()]
    numbers = Counter(json.loads(row["value"])["n"] for row in from_sink if "rule" in row)
    return numbers, sum("problem" in row for row in from_sink)


def test_a_stream_of_files_with_a_restart(session: SparkSession, delivery: str, tmp_path: Path) -> None:
    """What came before the stop is not judged again, what came after it is not left out; the second query is another one."""
    from sigma.pyeval.spark import detect

    ruleset = parse_rules(RULE)
    source, sink, checkpoint = (tmp_path / name for name in ("in", "out", "checkpoint"))
    source.mkdir()

    def run() -> None:
        lines = session.readStream.option("maxFilesPerTrigger", 2).text(str(source))
        matches = detect(lines, ruleset, event="value", delivery=delivery)  # type: ignore[arg-type]
        assert matches.isStreaming
        writer = matches.writeStream.format("json").option("checkpointLocation", str(checkpoint))
        writer.trigger(availableNow=True).start(str(sink)).awaitTermination(120)

    write_files(source, range(5))
    run()
    assert found(sink) == expected(5)
    write_files(source, range(5, FILES))
    run()
    run()  # nothing new
    assert found(sink) == expected(FILES)


PROGRAM = """
import sys
from pathlib import Path
from tests.system.spark_session import spark
from sigma.pyeval import parse_rules
from sigma.pyeval.spark import detect
delivery, rule, folder = sys.argv[1], sys.argv[2], Path(sys.argv[3])
with spark(delivery, folder) as session:
    lines = session.readStream.option("maxFilesPerTrigger", 1).text(str(folder / "in"))
    matches = detect(lines, parse_rules(rule), event="value", delivery=delivery)
    writer = matches.writeStream.format("json").option("checkpointLocation", str(folder / "checkpoint"))
    query = writer.start(str(folder / "out"))
    print("started", flush=True)
    query.awaitTermination()
"""


def test_killed_and_started_again(delivery: str, tmp_path: Path) -> None:
    """``kill -9`` of the whole application while files come: with Spark's file sink, every match is there, and once."""
    (tmp_path / "in").mkdir()
    metadata = tmp_path / "out" / "_spark_metadata"
    writing = 0
    for run in range(2):
        command = [sys.executable, "-W", "ignore", "-c", PROGRAM, delivery, RULE, str(tmp_path)]
        process = subprocess.Popen(
            command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True
        )
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == b"started\n"
            until = time.monotonic() + 120
            while time.monotonic() < until:
                if writing < FILES:
                    write_files(tmp_path / "in", range(writing, writing + 1))
                    writing += 1
                batches = len(list(metadata.glob("[0-9]*")))
                if (run == 0 and batches >= 3) or committed(tmp_path) == expected(FILES):
                    break
                time.sleep(0.5)
        finally:
            _kill_session(process.pid)
            process.communicate()
    assert committed(tmp_path) == expected(FILES)


def committed(folder: Path) -> tuple[Counter[int], int]:
    """Return what the files hold that the sink's own log names: others are of batches that were cut off."""
    paths = {
        json.loads(line)["path"].removeprefix("file://")
        for log in (folder / "out" / "_spark_metadata").glob("[0-9]*")
        for line in log.read_text().splitlines()[1:]
    }
    return _counted(map(Path, paths))


def _kill_session(leader: int) -> None:
    """Kill every process of the session that *leader* began: Python, its JVM, the workers."""
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = entry.read_text().rpartition(")")[2].split()
            if int(fields[3]) == leader:
                os.kill(int(entry.parent.name), signal.SIGKILL)
        except (OSError, IndexError):
            continue  # gone meanwhile
