"""Results for machines: one object of JSON types; docs/testing.md describes it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from sigma.pyeval.errors import RuleError
from sigma.pyeval.rules import Rule

from .item_coverage import RuleCoverage, UncoveredItem
from .running import Result
from .suite import Suite


def results_dict(
    suite: Suite, results: Sequence[Result], refused: Sequence[RuleError], coverage: Sequence[RuleCoverage] | None
) -> dict[str, Any]:
    """Return everything that a run of *suite* found; *refused* are rules that could not be loaded."""
    statuses = Counter(result.status for result in results)
    found: dict[str, Any] = {
        **{status: statuses[status] for status in ("passed", "failed", "error")},
        "cases": [_result(result) for result in results],
        "mistakes": [{"path": str(one.path), "place": one.place, "reason": one.reason} for one in suite.mistakes],
        "untested": [_rule(rule) for rule in suite.untested],
        "absent": dict(suite.absent),
        "refused": [str(error) for error in refused],
    }
    if coverage is not None:
        found["coverage"] = [_coverage(one) for one in coverage]
    return found


def _rule(rule: Rule) -> dict[str, Any]:
    return {"id": rule.id, "title": rule.title, "path": rule.path}


def _result(result: Result) -> dict[str, Any]:
    case = result.rule_case.case
    return {
        "rule": _rule(result.rule_case.rule),
        "name": case.name,
        "path": str(case.path),
        "place": case.place,
        "must_match": case.must_match,
        "status": result.status,
        "message": result.message,
        "events": result.events,
        "seconds": round(result.seconds, 6),
        "explanation": None if result.explanation is None else result.explanation.as_dict(),
    }


def _coverage(coverage: RuleCoverage) -> dict[str, Any]:
    return {
        "rule": _rule(coverage.rule),
        "events": coverage.events,
        "items": coverage.items,
        "share": round(coverage.share, 4),
        "uncovered": [_uncovered(one) for one in coverage.uncovered],
    }


def _uncovered(one: UncoveredItem) -> dict[str, Any]:
    call = one.item.call
    return {
        "item": one.item.number,
        "matcher": call.matcher,
        "field": call.field,
        "values": [list(value) if isinstance(value, tuple) else value for value in call.values],
        "never_true": one.never_true,
        "never_false": one.never_false,
    }
