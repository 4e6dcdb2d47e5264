"""What the tests on Spark share: a session for each way in which rules reach workers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from .spark_session import WORKERS, require_spark, spark

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


@pytest.fixture(scope="module", params=WORKERS)
def delivery(request: pytest.FixtureRequest) -> str:
    """How rules reach workers."""
    require_spark()
    return str(request.param)


@pytest.fixture(scope="module")
def session(delivery: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkSession]:
    """Spark with the workers of this delivery."""
    with spark(delivery, tmp_path_factory.mktemp("spark")) as session:
        yield session
