"""Predicates rewritten for the common case, one text: source of functions of the text and its lower case.

The functions are asked once a literal of the predicate's witness was found, so what that alone proves is left out.
``l`` is the lower case and ``o`` the text of a field's only value. For keywords, ``o`` holds the texts of all values of the
event with a mark between them, ``l`` the lower case of that, and ``e`` is the event. For comparisons of two fields, ``l`` and
``o`` are the texts of both in lower case. Matchers without a form of their own
here are called as they are, on an event of that one field. Tests compare each form with its matcher.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..matchers import MATCHERS
from ..matchers.text import canonical_number, compile_glob, parse_glob
from .predicates import Call, Group, Not, Reading, Tree, emit_call, emit_value, reading
from .regex_literals import required_literals
from .witnesses import MARKS

PARAMETERS = "l, o, e"
_QUICK = ("exists", "has_value", "is_null", "startswith", "startswith_any", "endswith", "endswith_any")
_PATTERN_PLACES = {
    f"{name}{variant}": place
    for name, place in (("regex", 1), ("keyword_regex", 0))
    for variant in ("", "_within", "_unbounded")
}
_LONGEST_CHAIN = 48


def any_in(text: str, needles: tuple[str, ...]) -> bool:
    """Return whether one of *needles* is part of *text*."""
    for needle in needles:  # noqa: SIM110 - a generator would double the time
        if needle in text:
            return True
    return False


NAMESPACE: dict[str, Any] = {**MATCHERS, "compile_glob": compile_glob, "any_in": any_in}
"""What emitted functions may name."""


def has_text_form(reading: Reading) -> bool:
    """Return whether predicates with this reading have a function of texts: of one field, of two, or keywords."""
    return reading is None or len(reading) <= 2


def emit_text_form(tree: Tree) -> str:
    """Return the body of the function of one text, or of all texts of an event, for a predicate."""
    if isinstance(tree, Call):
        return _emit(tree)
    if isinstance(tree, Not):
        return "not " + _emit(tree.call)
    return "(" + f" {tree.word} ".join(map(emit_text_form, sorted(tree.parts, key=_effort))) + ")"


def _effort(tree: Tree) -> int:
    """Return how long an answer takes, roughly; the order of evaluation has no meaning."""
    if isinstance(tree, Group):
        return sum(map(_effort, tree.parts))
    call = tree.call if isinstance(tree, Not) else tree
    needles = len(_tuple(call.arguments[-1]))
    if call.name in _QUICK or call.name.startswith("equals"):
        return 1
    return 2 * needles if call.name in _FORMS else 200 * needles


def _emit(call: Call) -> str:
    form = _FORMS.get(call.name)
    body = None if form is None else form(*call.arguments)
    if body is not None:
        return body
    fields = reading(call)
    if fields is None or len(fields) > 1:
        return _guarded(call, emit_call(call, "e"))
    return _guarded(call, emit_call(call, f"{{{emit_value(call.arguments[0])}: o}}"))


def _guarded(call: Call, body: str) -> str:
    """Return *body* behind a look for the literals that a regular expression requires; searching takes longer."""
    place = _PATTERN_PLACES.get(call.name)
    if place is None:
        return body
    required = required_literals(*call.arguments[place : place + 2])
    if not required.groups:
        return body
    guard = " and ".join(_contains_any("l", group) for group in required.groups)
    return f"(({guard} or not o.isascii()) and {body})" if required.ascii_only else f"({guard} and {body})"


def _contains_any(text: str, needles: tuple[str, ...]) -> str:
    if len(needles) > _LONGEST_CHAIN:
        return f"any_in({text}, {emit_value(needles)})"
    return "(" + " or ".join(f"{emit_value(needle)} in {text}" for needle in needles) + ")"


def _contains_all(text: str, needles: tuple[str, ...]) -> str:
    return "(" + " and ".join(f"{emit_value(needle)} in {text}" for needle in needles) + ")"


def _tuple(values: Any) -> tuple[Any, ...]:
    return values if isinstance(values, tuple) else (values,)


def _lowered(values: Any) -> tuple[str, ...]:
    texts = (value.lower() if isinstance(value, str) else canonical_number(value) for value in _tuple(values))
    return tuple(dict.fromkeys(texts))


def _equals(_: str, values: Any) -> str:
    return f"l in {{{', '.join(map(emit_value, _lowered(values)))}}}"


def _equals_all(_: str, values: Any) -> str:
    return " == ".join(["l", *map(emit_value, _lowered(values))])


def _wildcard(_: str, globs: Any) -> str:
    return "(" + " or ".join(_fits("l", glob.lower()) for glob in _tuple(globs)) + ")"


def _wildcard_all(_: str, globs: Any) -> str:
    return "(" + " and ".join(_fits("l", glob.lower()) for glob in _tuple(globs)) + ")"


def _fits(text: str, glob: str) -> str:
    guards = [f"{emit_value(part[1:])} in {text}" for part in parse_glob(glob) if part.startswith("=")]
    return "(" + " and ".join([*guards, f"compile_glob({emit_value(glob)}).fullmatch({text}) is not None"]) + ")"


def _in_any_value(needles: tuple[str, ...], chain: Callable[[str, tuple[str, ...]], str]) -> str | None:
    # The values stand in one text with marks between; a needle with a mark in it, or none, could span or miss values.
    if all(needle and not any(mark in needle for mark in MARKS) for needle in needles):
        return chain("l", needles)
    return None


def _keyword_wildcard(glob: str) -> str:
    parts = tuple(part[1:] for part in parse_glob(glob.lower()) if part.startswith("="))
    body = emit_call(Call("keyword_wildcard", (glob,)), "e")
    guard = _in_any_value(parts, _contains_all) if parts else None
    return body if guard is None else f"({guard} and {body})"


_FORMS: dict[str, Callable[..., str | None]] = {
    "equals": _equals,
    "equals_any": _equals,
    "equals_all": _equals_all,
    "equals_cased": lambda _, value: f"o == {emit_value(value)}",
    "equals_cased_any": lambda _, values: f"o in {{{', '.join(map(emit_value, values))}}}",
    "equals_cased_all": lambda _, values: " == ".join(["o", *map(emit_value, values)]),
    "contains": lambda _, value: _contains_any("l", _lowered(value)),
    "contains_any": lambda _, values: _contains_any("l", _lowered(values)),
    "contains_all": lambda _, values: _contains_all("l", _lowered(values)),
    "contains_cased": lambda _, value: _contains_any("o", (value,)),
    "contains_cased_any": lambda _, values: _contains_any("o", values),
    "contains_cased_all": lambda _, values: _contains_all("o", values),
    "startswith": lambda _, value: f"l.startswith({emit_value(_lowered(value))})",
    "startswith_any": lambda _, values: f"l.startswith({emit_value(_lowered(values))})",
    "startswith_cased": lambda _, value: f"o.startswith({emit_value(value)})",
    "startswith_cased_any": lambda _, values: f"o.startswith({emit_value(values)})",
    "endswith": lambda _, value: f"l.endswith({emit_value(_lowered(value))})",
    "endswith_any": lambda _, values: f"l.endswith({emit_value(_lowered(values))})",
    "endswith_cased": lambda _, value: f"o.endswith({emit_value(value)})",
    "endswith_cased_any": lambda _, values: f"o.endswith({emit_value(values)})",
    "wildcard": _wildcard,
    "wildcard_any": _wildcard,
    "wildcard_all": _wildcard_all,
    "exists": lambda _: "True",
    "has_value": lambda _: "True",
    "is_null": lambda _: "False",
    "equals_field": lambda *_: "l == o",
    "startswith_field": lambda *_: "l.startswith(o)",
    "endswith_field": lambda *_: "l.endswith(o)",
    "contains_field": lambda *_: "o in l",
    "keyword": lambda value: _in_any_value(_lowered(value), _contains_any),
    "keyword_any": lambda values: _in_any_value(_lowered(values), _contains_any),
    "keyword_all": lambda values: _in_any_value(_lowered(values), _contains_all),
    "keyword_wildcard": _keyword_wildcard,
}
