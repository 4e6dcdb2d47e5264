"""Rules held against Spark's DataFrames, batch and Structured Streaming: ``detect``. See docs/scale.md."""

from __future__ import annotations

from .driver import SparkDetectionError, detect

__all__ = ["SparkDetectionError", "detect"]
