"""The canonical form of an expression: two expressions of one form mean the same, whatever was written in another way."""

from __future__ import annotations

import ast
from functools import lru_cache
from typing import Any, Final

from sigma.pyeval.correlation.calls import Correlation
from sigma.pyeval.correlation.source import parse_correlation
from sigma.pyeval.expression import call_arguments, parse_expression
from sigma.pyeval.literals import literal

_IGNORE_CASE: Final = frozenset({
    "equals", "contains", "startswith", "endswith", "wildcard", "keyword", "keyword_wildcard", "keyword_whole",
})  # fmt: skip


@lru_cache(maxsize=16_384)
def canonical(expression: str) -> str:
    """Return the canonical form of *expression*, itself an expression of the same meaning.

    ``not`` stands before calls only, lists are taken apart (``contains_any`` is an ``or``), text whose case does not count
    is in lower case, ``and`` and ``or`` within their like are opened, their parts are sorted and none stands there twice.
    The reverse does not hold: expressions of different form may still mean the same.

    Raises:
        ExpressionError: *expression* is none.
    """
    form = _form(parse_expression(expression, unsafe_regex=True), negated=False)
    return _emit(form)


def canonical_correlation(expression: str) -> Correlation:
    """Return what the call of a correlation rule says, its rules (where their order is nothing), groups and fields sorted.

    Raises:
        CorrelationError: *expression* is no such call.
    """
    found = parse_correlation(expression)
    rules = found.rules if found.kind == "temporal_ordered" else tuple(sorted(set(found.rules)))
    aliases = tuple(sorted((alias, tuple(sorted(fields))) for alias, fields in found.aliases))
    return found._replace(
        rules=rules,
        group_by=tuple(sorted(set(found.group_by))),
        fields=tuple(sorted(set(found.fields))),
        aliases=aliases,
    )


_Form = str | tuple[str, frozenset[Any]]
"""A call, perhaps negated, as text; or ``and`` or ``or`` with the forms of its parts."""


def _form(node: ast.expr, *, negated: bool) -> _Form:
    while isinstance(node, ast.UnaryOp):
        node, negated = node.operand, not negated
    if isinstance(node, ast.Call):
        return _call(node, negated)
    assert isinstance(node, ast.BoolOp)  # noqa: S101 - parse_expression lets nothing else through
    word = "and" if isinstance(node.op, ast.And) is not negated else "or"
    return _joined(word, [_form(value, negated=negated) for value in node.values])


def _joined(word: str, parts: list[_Form]) -> _Form:
    opened: set[_Form] = set()
    for part in parts:
        if isinstance(part, tuple) and part[0] == word:
            opened |= part[1]
        else:
            opened.add(part)
    return opened.pop() if len(opened) == 1 else (word, frozenset(opened))


def _call(node: ast.Call, negated: bool) -> _Form:
    name, arguments = call_arguments(node)
    single = name.removesuffix("_any").removesuffix("_all")
    if single == name:
        return _emit_call(name, arguments, negated)
    word = "or" if name.endswith("_any") is not negated else "and"
    return _joined(word, [_emit_call(single, (*arguments[:-1], value), negated) for value in arguments[-1]])


def _emit_call(name: str, arguments: tuple[Any, ...], negated: bool) -> str:
    if name in _IGNORE_CASE and isinstance(arguments[-1], str):
        arguments = (*arguments[:-1], arguments[-1].lower())
    return ("not " if negated else "") + f"{name}({', '.join(['event', *map(literal, arguments)])})"


def _emit(form: _Form) -> str:
    if isinstance(form, str):
        return form
    word, parts = form
    texts = sorted(f"({_emit(part)})" if isinstance(part, tuple) else part for part in parts)
    return f" {word} ".join(texts)
