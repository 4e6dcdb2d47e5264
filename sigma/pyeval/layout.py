"""An expression laid out over several lines, for people to read."""

from __future__ import annotations

import ast

from .expression import call_arguments, parse_expression
from .literals import literal

WIDTH = 100
_INDENT = "    "


def layout(expression: str, indent: str = "") -> str:
    """Return *expression* with line breaks at ``and``, ``or`` and long lists; for use within parentheses.

    *indent* stands before each line but the first. The text means the same as before.
    """
    return ("\n" + indent).join(_lines(parse_expression(expression, unsafe_regex=True), WIDTH - len(indent)))


def _lines(node: ast.expr, width: int) -> list[str]:
    whole = emit_expression(node)
    if len(whole) <= width:
        return [whole]
    if isinstance(node, ast.BoolOp):
        word = "and " if isinstance(node.op, ast.And) else "or "
        lines: list[str] = []
        for operand in node.values:
            part = _operand_lines(operand, node, width - len(word))
            lines += [(word if lines else "") + part[0], *part[1:]]
        return lines
    if isinstance(node, ast.UnaryOp):
        part = _operand_lines(node.operand, node, width - 4)
        return ["not " + part[0], *part[1:]]
    return _call_lines(node, width)


def _operand_lines(operand: ast.expr, parent: ast.expr, width: int) -> list[str]:
    # Over several lines an "and" in an "or" gets parentheses too: they show where it ends.
    mixed = _joins(operand, ast.And) and _joins(parent, ast.Or)
    if not _needs_parentheses(operand, parent) and not (mixed and len(emit_expression(operand)) > width):
        return _lines(operand, width)
    lines = _lines(operand, width - len(_INDENT))
    if len(lines) == 1:
        return [f"({lines[0]})"]
    return ["(", *(_INDENT + line for line in lines), ")"]


def _call_lines(node: ast.expr, width: int) -> list[str]:
    assert isinstance(node, ast.Call)  # noqa: S101 - the grammar has nothing else
    name, arguments = call_arguments(node)
    if not arguments or not isinstance(arguments[-1], tuple):
        return [emit_expression(node)]
    first = "".join(f", {literal(argument)}" for argument in arguments[:-1])
    lines = [f"{name}(event{first}, ("]
    for value in arguments[-1]:
        text = literal(value) + ","
        if len(lines) > 1 and len(lines[-1]) + len(text) + 1 <= width:
            lines[-1] += " " + text
        else:
            lines.append(_INDENT + text)
    return [*lines, "))"]


def _needs_parentheses(operand: ast.expr, parent: ast.expr) -> bool:
    """Return whether *operand* binds less tightly than *parent*: an ``or`` in an ``and``, either in a ``not``."""
    if not isinstance(operand, ast.BoolOp):
        return False
    return isinstance(parent, ast.UnaryOp) or (isinstance(operand.op, ast.Or) and _joins(parent, ast.And))


def _joins(node: ast.expr, operator: type[ast.boolop]) -> bool:
    return isinstance(node, ast.BoolOp) and isinstance(node.op, operator)


def emit_expression(node: ast.expr) -> str:
    """Return the source of a checked expression's node on one line, every literal written anew by the literal writer."""
    if isinstance(node, ast.BoolOp):
        word = " and " if isinstance(node.op, ast.And) else " or "
        return word.join(_enclosed(operand, node) for operand in node.values)
    if isinstance(node, ast.UnaryOp):
        return "not " + _enclosed(node.operand, node)
    assert isinstance(node, ast.Call)  # noqa: S101 - the grammar has nothing else
    name, arguments = call_arguments(node)
    return f"{name}({', '.join(['event', *map(literal, arguments)])})"


def _enclosed(operand: ast.expr, parent: ast.expr) -> str:
    return f"({emit_expression(operand)})" if _needs_parentheses(operand, parent) else emit_expression(operand)
