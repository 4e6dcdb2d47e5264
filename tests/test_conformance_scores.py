"""The scoreboard: its tables are those of the stored results, and our own row is what this code does."""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from benchmarks.conformance.__main__ import OURS, PAGE, RESULTS, judge, read_vectors
from benchmarks.conformance.scores import CONSTRUCTS, construct, is_clean, score, tables, with_tables

from .conftest import ROOT


@pytest.fixture(scope="module")
def results() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(RESULTS.read_text())
    return found


def test_the_page_is_that_of_the_results(results: dict[str, Any]) -> None:
    """Nothing in the tables is typed by hand."""
    assert with_tables(PAGE.read_text(), results) == PAGE.read_text()
    assert tables(results) in PAGE.read_text()


def test_each_engine_judged_each_vector(results: dict[str, Any]) -> None:
    """All of those that are listed, and this package first."""
    listed = [line.split()[0] for line in (ROOT / "benchmarks/conformance/peers.txt").read_text().splitlines()]
    assert [engine["name"] for engine in results["engines"]] == [OURS, *listed]
    for engine in results["engines"]:
        assert sum(sum(of.values()) for of in engine["constructs"].values()) == results["vectors"]
        assert set(engine["constructs"]) <= set(CONSTRUCTS)


def test_our_row_is_what_this_code_does(results: dict[str, Any], shared: Path) -> None:
    """On the vectors themselves, where they are."""
    vectors = read_vectors()
    assert len(vectors) == results["vectors"]
    assert Counter(map(construct, vectors)) == {
        name: sum(of.values()) for name, of in results["engines"][0]["constructs"].items()
    }
    assert judge(OURS, sys.executable, vectors) == results["engines"][0]


@pytest.mark.parametrize(
    ("vector", "expected"),
    [
        ({"features": [], "modifiers": []}, "plain values, `and`, `or`"),
        ({"features": ["not", "of"], "modifiers": []}, "`1 of`, `all of`, `not`"),
        ({"features": ["wildcard", "keyword", "of"], "modifiers": None}, "keywords"),
        ({"features": ["keyword"], "modifiers": ["contains", "all"]}, "`contains`, `startswith`, `endswith`, `all`"),
        ({"features": [], "modifiers": ["contains", "windash"]}, "`windash`"),
        ({"features": ["filter"], "modifiers": ["re"]}, "filters, several documents"),
    ],
)
def test_a_vector_counts_for_the_rarest_construct(vector: dict[str, Any], expected: str) -> None:
    """So that each counts once."""
    assert construct(vector) == expected
    assert expected in CONSTRUCTS


def test_scores() -> None:
    """A reason is no verdict; the other verdict differs."""
    vectors = [{"id": str(n), "match": n % 2 == 0} for n in range(4)]
    found = score(vectors, {"0": True, "1": True, "2": "refused", "3": False})
    assert found == {"plain values, `and`, `or`": {"agree": 2, "differ": 1, "none": 1}}


@pytest.mark.parametrize(
    ("vector", "clean"),
    [
        ({}, True),
        ({"disputed": True}, False),
        ({"expect": "reject"}, False),
        ({"pysigma_error": "x"}, False),
        ({"pysigma_error": "x", "pysigma_ok_after_fix": True}, True),
    ],
)
def test_clean_vectors(vector: dict[str, Any], clean: bool) -> None:
    """As tests/test_vectors.py has it."""
    assert is_clean(vector) == clean
