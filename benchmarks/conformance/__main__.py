"""Conformance of this package and of others on the shared vectors: ``python -m benchmarks.conformance`` (``make scoreboard``).

Writes the counts to benchmarks/results/conformance.json and the tables of docs/comparison.md. The vectors themselves are
no part of the project.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from ..data import SHARED
from .scores import is_clean, score, with_tables

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "benchmarks" / "results" / "conformance.json"
PAGE = ROOT / "docs" / "comparison.md"
VECTORS = SHARED / "data" / "vectors" / "vectors.jsonl"
OURS = "pyeval"


def read_vectors() -> list[dict[str, Any]]:
    vectors = map(json.loads, VECTORS.read_text().splitlines())
    return [vector for vector in vectors if is_clean(vector)]


def judge(name: str, python: Path | str, vectors: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the engine's version, and its agreements by construct.

    Raises:
        RuntimeError: The engine could not be run at all.
    """
    rows = [
        {
            "id": one["id"],
            "rule": one.get("rule_fixed") or one["rule"],
            "event": one["event"],
            "placeholders": one.get("placeholders"),
        }
        for one in vectors
    ]
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    command = [str(python), str(Path(__file__).with_name("engines.py")), name]
    done = subprocess.run(command, input=lines, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{name}: {(done.stderr.strip().splitlines() or ['ended without a word'])[-1]}")
    found = json.loads(done.stdout.splitlines()[-1])
    return {"name": name, "engine": found["engine"], "constructs": score(vectors, found["verdicts"])}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.conformance", description=__doc__.partition("\n")[0])
    parser.add_argument("--peers", type=Path, required=True, help="the folder with an environment for each engine")
    options = parser.parse_args()
    if not VECTORS.is_file():
        print("nothing scored: no vectors here; set PYEVAL_SHARED to the folder that holds data/")
        return 0
    vectors = read_vectors()
    engines = [judge(OURS, sys.executable, vectors)]
    for line in Path(__file__).with_name("peers.txt").read_text().splitlines():
        name = line.split()[0]
        engines.append(judge(name, options.peers.absolute() / name / "bin" / "python", vectors))
    results = {"vectors": len(vectors), "engines": engines}
    RESULTS.write_text(json.dumps(results, indent=1) + "\n")
    PAGE.write_text(with_tables(PAGE.read_text(), results))
    for engine in engines:
        print(engine["engine"], sum(of["agree"] for of in engine["constructs"].values()))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
