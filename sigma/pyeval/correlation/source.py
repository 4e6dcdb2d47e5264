"""The second small grammar: a correlation as one call with literal arguments; written, laid out, read and verified."""

from __future__ import annotations

import ast
from typing import Any

from ..literals import LiteralError, literal
from .calls import CORRELATION_CALLS, Correlation, CorrelationError

WIDTH = 100
_INDENT = "    "
_ARGUMENTS = ("rules", "group_by", "aliases", "timespan", "condition", "fields", "percentile")
_OPTIONAL: dict[str, Any] = {"group_by": (), "aliases": (), "fields": (), "percentile": None}


def emit_correlation(correlation: Correlation) -> str:
    """Return the call on one line.

    Raises:
        CorrelationError: A part cannot be written as a literal.
    """
    return f"{correlation.kind}({', '.join(_arguments(correlation))})"


def layout_correlation(correlation: Correlation, indent: str = "") -> str:
    """Return the call, a line for each argument where one line is too long; *indent* stands before each line but the first."""
    whole = emit_correlation(correlation)
    if len(whole) + len(indent) <= WIDTH:
        return whole
    lines = [f"{correlation.kind}(", *(f"{_INDENT}{argument}," for argument in _arguments(correlation)), ")"]
    return ("\n" + indent).join(lines)


def _arguments(correlation: Correlation) -> list[str]:
    try:
        return [
            f"{name}={literal(getattr(correlation, name))}"
            for name in _ARGUMENTS
            if name not in _OPTIONAL or getattr(correlation, name) != _OPTIONAL[name]
        ]
    except LiteralError as error:
        raise CorrelationError(str(error), "write text and finite numbers") from error


def parse_correlation(source: str) -> Correlation:
    """Return what a call says, after checking every part of it; nothing of it is run.

    Raises:
        CorrelationError: It is no call of a correlation type, or its arguments are no literals or have no meaning.
    """
    try:
        tree = ast.parse(source, mode="eval").body
    except (SyntaxError, ValueError, MemoryError, RecursionError) as error:
        raise CorrelationError(f"no correlation: {error or type(error).__name__}") from error
    if not isinstance(tree, ast.Call) or not isinstance(tree.func, ast.Name) or tree.func.id not in CORRELATION_CALLS:
        raise CorrelationError("no correlation: one call is needed", f"of {', '.join(CORRELATION_CALLS)}")
    if tree.args:
        raise CorrelationError(f"{tree.func.id} takes arguments by name only")
    arguments: dict[str, Any] = {}
    for keyword in tree.keywords:
        if keyword.arg is None or keyword.arg not in _ARGUMENTS or keyword.arg in arguments:
            raise CorrelationError(f"{tree.func.id} does not take {keyword.arg or '**'!r:.60}")
        try:
            arguments[keyword.arg] = _value(keyword.value)
        except RecursionError as error:
            raise CorrelationError("the condition is nested too deeply", "split the rule") from error
    return CORRELATION_CALLS[tree.func.id](**arguments)


def _value(node: ast.expr) -> Any:
    if isinstance(node, ast.Tuple):
        return tuple(map(_value, node.elts))
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub) and isinstance(node.operand, ast.Constant):
        number = node.operand.value
        if isinstance(number, (int, float)) and not isinstance(number, bool):
            return -number
    if isinstance(node, ast.Constant) and isinstance(node.value, (str, int, float, type(None))):
        return node.value
    raise CorrelationError(f"no literal: {ast.unparse(node)[:60]!r}")
