"""What a run of the benchmarks writes: tables and a plot from made-up figures; nothing is measured."""

from __future__ import annotations

import dataclasses
import itertools
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import pytest

from benchmarks import plot, report
from sigma.pyeval.benchmark import Throughput

MACHINE = {
    "date": "2026-01-02", "commit": "abc1234", "state": "", "processor": "P, 2 cores", "Python": "CPython 3.11.0, Linux",
    "packages": "orjson 3.10", "load average before": "0.10",
}  # fmt: skip


def measured(rules: int) -> dict[str, Any]:
    """Return made-up figures for so many rules."""
    one = Throughput(rules, 1_000, 100, 3, False, 1000.0, 1000.0, 200.0, 500.0, 100.0, 1_000 / rules)
    return dataclasses.asdict(one) | {"passes": one.passes()}


FOUND = {"all": measured(3_000), "counts": [measured(100), measured(3_000)]}


def test_results_name_what_was_measured_and_what_was_not(tmp_path: Path) -> None:
    """Commit and machine, the rates with their shares, and the reason where a measurement failed."""
    text = report.write(tmp_path, MACHINE, FOUND, {"azuma": "No module named 'azuma'"}).read_text()
    assert "- commit: abc1234\n" in text
    assert "| 200 (20.0%) | 500 (50.0%) | 100 (10.0%) | 1,000 | 0.33; first = 600 times scan |" in text
    assert "| azuma | none |  | not measured |  |" in text
    assert "- azuma: No module named 'azuma'" in text
    assert sorted(path.name for path in tmp_path.iterdir()) == ["2026-01-02-abc1234.md", "2026-01-02-abc1234.svg"]


def test_the_plot_is_xml_with_a_line_for_each() -> None:
    """Four kinds of passes and decoding, each named."""
    root = ElementTree.fromstring(report.rule_count_plot(FOUND["counts"]))
    namespace = "{http://www.w3.org/2000/svg}"
    assert len(root.findall(f"{namespace}polyline")) == 5
    texts = " ".join(element.text or "" for element in root.iter(f"{namespace}text"))
    assert all(name in texts for name in ("first", "warm", "unique", "scan", "decoding alone"))


@pytest.mark.parametrize("rates", [(100.0, 100.0, 100.0), (100.0, 101.0, 5_000.0)])
def test_names_in_the_plot_never_touch(rates: tuple[float, ...]) -> None:
    """Lines that end in one place are named below each other."""
    lines = [plot.Line(f"line{n}", "#000", [(1, rate), (10, rate)]) for n, rate in enumerate([10.0, *rates])]
    root = ElementTree.fromstring(plot.svg("<title> & more", "", lines))
    heights = sorted(
        float(text.get("y", ""))
        for text in root.iter("{http://www.w3.org/2000/svg}text")
        if "line" in (text.text or "")
    )
    assert len(heights) == 4
    assert all(below - above >= 17 for above, below in itertools.pairwise(heights))


def test_the_readme_is_changed_between_its_marks_only(tmp_path: Path) -> None:
    """Written twice, it is the same."""
    readme = tmp_path / "README.md"
    readme.write_text("before\n<!-- written by make bench -->\nold\n<!-- end -->\nafter\n")
    results = tmp_path / "benchmarks" / "results" / "2026-01-02-abc1234.md"
    report.write_readme(readme, results, FOUND)
    text = readme.read_text()
    assert text.startswith("before\n<!-- written by make bench -->\n![")
    assert text.endswith("<!-- end -->\nafter\n")
    assert "benchmarks/results/2026-01-02-abc1234.svg" in text
    assert "old" not in text
    report.write_readme(readme, results, FOUND)
    assert readme.read_text() == text
