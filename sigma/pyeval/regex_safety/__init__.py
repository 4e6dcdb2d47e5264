"""How long can a regular expression keep Python busy? Decided from the pattern alone, before it ever sees a value."""

from __future__ import annotations

from .classification import (
    BOUNDS,
    Complexity,
    Growth,
    PatternRefusedError,
    check_pattern,
    classify,
)

__all__ = ["BOUNDS", "Complexity", "Growth", "PatternRefusedError", "check_pattern", "classify"]
