"""The figures of docs/scale.md are those of the stored results, and what follows from them."""

from __future__ import annotations

import json

import pytest

from benchmarks.spark_page import PAGE, RESULTS, cores, tables, with_tables


def test_the_page_is_that_of_the_results() -> None:
    """Nothing in the tables is typed by hand."""
    results = json.loads(RESULTS.read_text())
    assert with_tables(PAGE.read_text(), results) == PAGE.read_text()
    assert tables(results) in PAGE.read_text()


@pytest.mark.parametrize(("rate", "expected"), [(2_000_000, 1), (20_000, 100), (30_000, 67)])
def test_cores_for_a_million(rate: int, expected: int) -> None:
    """Each busy for half of the time, rounded up."""
    assert cores(rate) == expected
