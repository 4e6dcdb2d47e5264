"""A local Spark whose workers are another Python than the driver's, and so see nothing of this project by accident."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from ..conftest import ROOT

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

WORKERS = {"standalone": ROOT / ".venv-spark-bare", "linked": ROOT / ".venv-spark-linked"}
"""By how rules are delivered: the environment that workers run in, made by ``make test-spark``."""


def require_spark() -> None:
    """Skip where Spark, Java or the workers' environments are missing."""
    if importlib.util.find_spec("pyspark") is None:
        pytest.skip("pyspark is not installed here; use make test-spark")
    if shutil.which("java") is None:
        pytest.skip("no Java on this machine (Debian: apt-get install openjdk-17-jre-headless)")
    for folder in WORKERS.values():
        if not (folder / "bin" / "python").exists():
            pytest.skip(f"no {folder.name}; make test-spark makes it")


def modules_of(delivery: str, names: str) -> set[str]:
    """Return which of these modules (separated by blanks) a worker's Python finds."""
    code = f"import importlib.util as u; print(*[n for n in {names!r}.split() if u.find_spec(n)])"
    command = [WORKERS[delivery] / "bin" / "python", "-I", "-c", code]
    return set(subprocess.run(command, capture_output=True, text=True, check=True).stdout.split())


@contextmanager
def spark(delivery: str, folder: Path) -> Iterator[SparkSession]:
    """Start Spark on two cores in *folder*, with few rows a batch, many partitions and a time zone far from UTC."""
    from pyspark.sql import SparkSession

    before = Path.cwd()
    os.chdir(folder)  # Spark's workers find modules in the folder that its JVM was started in
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYSPARK_PYTHON", str(WORKERS[delivery] / "bin" / "python"))
        patch.delenv("PYTHONPATH", raising=False)
        settings = {
            "spark.ui.enabled": "false",
            "spark.sql.caseSensitive": "true",
            "spark.sql.session.timeZone": "Asia/Tokyo",
            "spark.sql.shuffle.partitions": "3",
            "spark.sql.execution.arrow.maxRecordsPerBatch": "500",
            "spark.sql.warehouse.dir": str(folder / "warehouse"),
            "spark.log.level": "ERROR",
        }
        builder = SparkSession.builder.master("local[2]").appName("tests")
        session = builder.config(map=settings).getOrCreate()
        try:
            yield session
        finally:
            session.stop()
            os.chdir(before)
