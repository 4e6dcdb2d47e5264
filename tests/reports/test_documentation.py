"""docs/reports.md: its examples are what the writers write, its lists what the modules have."""

from __future__ import annotations

import io
import json
import re

import pytest

from sigma.pyeval.event_time import TIME_FIELDS
from sigma.pyeval.reports import FORMATS, CsvWriter, NavigatorLayer
from sigma.pyeval.reports.csv_rows import COLUMNS
from sigma.pyeval.reports.ecs import ECS_VERSION, ecs_document
from sigma.pyeval.reports.ocsf import OCSF_VERSION, ocsf_finding

from ..conftest import ROOT
from .samples import FILE, LOGIN, NOW, SHELL

TEXT = (ROOT / "docs" / "reports.md").read_text(encoding="utf-8")


def written(writer_type: type[CsvWriter] | type[NavigatorLayer], *findings: object) -> str:
    """Return what a writer writes of findings."""
    stream = io.BytesIO()
    writer = writer_type(stream)
    for finding in findings:
        writer.write(finding)  # type: ignore[arg-type]
    writer.close()
    return stream.getvalue().decode()


def test_the_examples_are_true() -> None:
    """Every JSON block, and the CSV."""
    blocks = [json.loads(block) for block in re.findall(r"```json\n(.*?)```", TEXT, re.DOTALL)]
    finding = ocsf_finding(FILE, NOW)
    finding["metadata"]["product"]["version"] = blocks[-1]["metadata"]["product"][
        "version"
    ]  # counts up with every release
    layer = json.loads(written(NavigatorLayer, SHELL, LOGIN))
    assert blocks == [FILE.as_dict(), layer, ecs_document(FILE, NOW), finding]
    assert written(CsvWriter, FILE).replace("\r", "") in TEXT


@pytest.mark.parametrize("name", [*TIME_FIELDS, *COLUMNS, *FORMATS, ECS_VERSION, OCSF_VERSION])
def test_the_lists_are_whole(name: str) -> None:
    """Each field asked for a time, each column, each format."""
    assert name in TEXT
