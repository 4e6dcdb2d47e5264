"""Expressions: the source text a rule becomes; read, checked against the grammar, and compiled to a predicate.

An expression is ``and``, ``or``, ``not``, parentheses, and calls of the functions in ``matchers.MATCHERS`` on ``event`` with
literal arguments. Nothing else is ever compiled, whoever wrote the text. A regular expression that can take more than linear
time is admitted only with a bound on what is searched (``regex_within``), or where the caller trusts the source.
"""

from __future__ import annotations

import ast
import inspect
import linecache
import math
import re
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from .matchers import MATCHERS
from .matchers.network import parse_network
from .matchers.numbers import COMPARISONS, TIME_PARTS

Predicate = Callable[[Mapping[str, Any]], bool]

EVENT = "event"


class ExpressionError(ValueError):
    """Text is no expression: it does not parse, holds something outside the grammar, or a wrong argument."""


def parse_expression(source: str, *, unsafe_regex: bool = False) -> ast.expr:
    """Return the syntax tree of *source* after checking every node of it.

    *unsafe_regex* admits ``regex_unbounded`` and ``keyword_regex_unbounded``: say so only of a source you trust.

    Raises:
        ExpressionError: With the place and what was found there.
    """
    try:
        tree = ast.parse(source, mode="eval").body
    except SyntaxError as error:
        raise ExpressionError(f"not an expression: {error.msg} at column {error.offset}") from error
    except (ValueError, MemoryError, RecursionError) as error:
        raise ExpressionError(f"not an expression: {error or 'nested too deeply for Python'}") from error
    pending: list[ast.AST] = [tree]
    while pending:
        node = pending.pop()
        match node:
            case ast.BoolOp():
                pending.extend(node.values)
            case ast.UnaryOp(op=ast.Not()):
                pending.append(node.operand)
            case ast.Call():
                _check_call(node, unsafe_regex)
            case _:
                raise ExpressionError(
                    f"column {getattr(node, 'col_offset', 0) + 1}: only and, or, not and calls of matchers may stand here, "
                    f"not {ast.unparse(node)[:60]!r}"
                )
    return tree


def call_arguments(call: ast.Call) -> tuple[str, tuple[Any, ...]]:
    """Return the matcher's name and its literal arguments behind ``event`` of a call in a checked expression."""
    assert isinstance(call.func, ast.Name)  # noqa: S101 - parse_expression lets nothing else through
    return call.func.id, tuple(ast.literal_eval(argument) for argument in call.args[1:])


def _check_call(call: ast.Call, unsafe_regex: bool) -> None:
    place = f"column {call.col_offset + 1}"
    if not isinstance(call.func, ast.Name) or call.func.id not in MATCHERS:
        raise ExpressionError(f"{place}: {ast.unparse(call.func)[:60]!r} is not a matcher")
    name = call.func.id
    required, checks = _signature(name)
    if call.keywords or not call.args or not isinstance(call.args[0], ast.Name) or call.args[0].id != EVENT:
        raise ExpressionError(f"{place}: {name} takes {EVENT} first and no keyword arguments")
    arguments = call.args[1:]
    if not required <= len(arguments) <= len(checks):
        number = required if required == len(checks) else f"{required} to {len(checks)}"
        raise ExpressionError(f"{place}: {name} takes {number} arguments behind {EVENT}")
    values: dict[str, Any] = {}
    for argument, (parameter, check) in zip(arguments, checks, strict=False):
        try:
            values[parameter] = _literal(argument)
            check(values[parameter])
        except (ValueError, KeyError, TypeError, re.error, RecursionError) as error:
            raise ExpressionError(f"{place}: {name}: {parameter}: {error}") from error
    if "pattern" in values and not unsafe_regex:
        finding = _regex_finding(name, values["pattern"], values.get("flags", ""), values.get("characters"))
        if finding:
            raise ExpressionError(f"{place}: {name}: {finding}")


def _regex_finding(name: str, pattern: str, flags: str, characters: int | None) -> str | None:
    """Return why a regular expression may not be searched for in this way, or ``None``."""
    if name.endswith("_unbounded"):
        return "only a source that is trusted may search without a bound; use the option unsafe_regex for such a one"
    from .regex_safety import classify  # only rules with regular expressions need it

    found = classify(pattern, flags)
    most = found.characters
    if most == 0:
        return f"{pattern!r:.200} can take too long: {found.reason}; {REGEX_REMEDY}"
    if found.pattern != pattern:
        return (
            f"{pattern!r:.200} can take long: {found.reason}; {found.pattern!r} is found in the same values, write that"
        )
    if most is not None and (characters is None or characters > most):
        within = f"{name.removesuffix('_within')}_within"
        return f"{pattern!r:.200} can take long: {found.reason}; search at most {most} characters, with {within}"
    return None


REGEX_REMEDY = (
    "separate repetitions by something that they cannot take up themselves, or trust the rule with unsafe_regex"
)
"""What to do about a pattern that is refused."""


def _literal(node: ast.expr) -> object:
    if isinstance(node, ast.Tuple):
        return tuple(_literal(element) for element in node.elts)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub) and isinstance(node.operand, ast.Constant):
        number = node.operand.value
        if isinstance(number, (int, float)) and not isinstance(number, bool):
            return -number
    if isinstance(node, ast.Constant):
        return node.value
    raise TypeError(f"not a literal: {ast.unparse(node)[:60]!r}")


def _text(value: object) -> None:
    if type(value) is not str:
        raise TypeError(f"text is needed, not {value!r:.60}")


def _number(value: object) -> None:
    if not isinstance(value, (int, float)) or isinstance(value, bool) or not math.isfinite(value):
        raise TypeError(f"a number is needed, not {value!r:.60}")


def _scalar(value: object) -> None:
    if type(value) is not str:
        _number(value)


def _network(value: object) -> None:
    _text(value)
    parse_network(str(value))


def _pattern(value: object) -> None:
    from .regex_safety import check_pattern

    _text(value)
    check_pattern(str(value), "")


def _flags(value: object) -> None:
    _text(value)
    if not set(str(value)) <= set("ims"):
        raise ValueError(f"flags are letters of 'ims', not {value!r:.60}")


def _characters(value: object) -> None:
    if type(value) is not int or value < 1:
        raise TypeError(f"a number of characters is needed, not {value!r:.60}")


def _one_of(names: Mapping[str, object]) -> Callable[[object], None]:
    def check(value: object) -> None:
        if value not in names:
            raise ValueError(f"one of {', '.join(names)} is needed, not {value!r:.60}")

    return check


def _each(check: Callable[[object], None]) -> Callable[[object], None]:
    def check_each(values: object) -> None:
        if not isinstance(values, tuple) or not values:
            raise TypeError(f"a tuple of at least one value is needed, not {values!r:.60}")
        for value in values:
            check(value)

    return check_each


# What an argument must be, by the name of the matcher's parameter.
_CHECKS: dict[str, Callable[[object], None]] = {
    "field": _text,
    "other": _text,
    "value": _text,
    "values": _each(_text),
    "glob": _text,
    "globs": _each(_text),
    "number": _number,
    "network": _network,
    "networks": _each(_network),
    "pattern": _pattern,
    "flags": _flags,
    "characters": _characters,
    "part": _one_of(TIME_PARTS),
    "comparison": _one_of(COMPARISONS),
}
# The equality matchers that take numbers beside text.
_SCALAR_MATCHERS = ("equals", "equals_any", "equals_all")


@cache
def _signature(name: str) -> tuple[int, list[tuple[str, Callable[[object], None]]]]:
    """Return how many arguments a matcher needs behind the event, and each parameter with its check."""
    parameters = list(inspect.signature(MATCHERS[name]).parameters.values())[1:]
    checks = dict(_CHECKS)
    if name in _SCALAR_MATCHERS:
        checks |= {"value": _scalar, "values": _each(_scalar)}
    required = sum(parameter.default is inspect.Parameter.empty for parameter in parameters)
    return required, [(parameter.name, checks[parameter.name]) for parameter in parameters]


def compile_expression(source: str, name: str = "expression", *, unsafe_regex: bool = False) -> Predicate:
    """Return the predicate of an expression: a function of one event (a mapping) that returns a bool.

    *name* says in tracebacks whose expression it is; the source line is shown there too. *unsafe_regex* as in
    ``parse_expression``.

    Raises:
        ExpressionError: *source* is no expression.
    """
    parse_expression(source, unsafe_regex=unsafe_regex)
    filename = f"<sigma {''.join(c if c.isprintable() else '?' for c in name)}>"
    text = f"def predicate({EVENT}):\n    return ({source}\n    )\n"
    linecache.cache[filename] = (len(text), None, text.splitlines(keepends=True), filename)
    namespace: dict[str, Any] = {"__builtins__": {}, **MATCHERS}
    try:
        exec(compile(text, filename, "exec"), namespace)  # noqa: S102 - checked against the grammar above
    except (SyntaxError, MemoryError, RecursionError) as error:
        raise ExpressionError(f"nested too deeply for Python: {error}") from error
    predicate: Predicate = namespace["predicate"]
    return predicate
