"""Sigma rules as Python: load them, hold them against events. Importing this package loads no pySigma."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .correlation.calls import CorrelationError
from .correlation.results import CorrelationMatch
from .errors import RuleError, RuleLoadError
from .expression import ExpressionError, compile_expression
from .restrictiveness import Restrictiveness
from .rules import CorrelationRule, LogSource, Match, Rule
from .ruleset import Ruleset
from .version import __version__

if TYPE_CHECKING:
    from .loading import load_rules, parse_rules

__all__ = [
    "CorrelationError",
    "CorrelationMatch",
    "CorrelationRule",
    "ExpressionError",
    "LogSource",
    "Match",
    "Restrictiveness",
    "Rule",
    "RuleError",
    "RuleLoadError",
    "Ruleset",
    "__version__",
    "compile_expression",
    "load_rules",
    "parse_rules",
]


def __getattr__(name: str) -> Any:
    # Loading is imported when first used, so that detecting with ready-made rules stays light.
    if name in ("load_rules", "parse_rules"):
        from . import loading

        return getattr(loading, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
