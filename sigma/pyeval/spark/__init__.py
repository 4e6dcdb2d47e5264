"""Rules held against Spark's DataFrames, batch and Structured Streaming: ``detect``, ``correlate``. See docs/scale.md."""

from __future__ import annotations

from .correlating import correlate
from .driver import SparkDetectionError, detect

__all__ = ["SparkDetectionError", "correlate", "detect"]
