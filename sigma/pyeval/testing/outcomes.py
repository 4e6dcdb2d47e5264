"""How a case can end."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, Literal

from sigma.pyeval.explain import Explanation
from sigma.pyeval.explained_correlation import CorrelationExplanation
from sigma.pyeval.rules import Rule

Status = Literal["passed", "failed", "error"]
Observer = Callable[[Rule, Mapping[str, Any]], None]
"""Called with each event that a rule was held against."""

Outcome = tuple[Status, str, Explanation | CorrelationExplanation | None]
"""Status, what is wrong, and why the rule said so; see ``running.Result``."""

PASSED: Final[Outcome] = ("passed", "", None)
