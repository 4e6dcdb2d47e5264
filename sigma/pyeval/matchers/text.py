"""Text modifiers: equality, ``contains``, ``startswith``, ``endswith``, wildcards, each also ``cased``.

Every matcher is true where *any* value of the field passes; ``*_all`` asks that each pattern is met by *some* value
(``|all``). A missing field passes none. Comparison ignores case by ``str.lower`` on both sides, unless ``cased``
(Sigma specification 2.1, "Values" and "Modifiers"). Patterns are literal; only ``wildcard*`` know ``*`` and ``?``.
"""

from __future__ import annotations

import re
from functools import lru_cache

from .values import Event, folded, lookup, text_of, texts

Scalar = str | int | float
Texts = tuple[str, ...]

_WILDCARD_TOKEN = re.compile(r"\\([\\*?])|([*?])|(\\|[^\\*?]+)")


@lru_cache(maxsize=65_536)
def _lowered(patterns: Texts) -> Texts:
    return tuple(pattern.lower() for pattern in patterns)


def equals(event: Event, field: str, value: Scalar) -> bool:
    """``field: value``: the whole value is equal.

    Text ignores case. A number equals a numeric value by amount and text by its canonical form only (``1e2`` is not
    100). A boolean in the event has the text ``true`` or ``false``; it never equals 1 or 0.
    """
    if isinstance(value, str):
        return value.lower() in folded(event, field)
    return equals_any(event, field, (value,))


def equals_any(event: Event, field: str, values: tuple[Scalar, ...]) -> bool:
    """``field: [values]``: the whole value is equal to one of the list; see ``equals``."""
    wanted, numbers = _equality(values)
    value = event.get(field)
    if type(value) is str:
        return value.lower() in wanted
    for candidate in lookup(event, field) or ():
        text = text_of(candidate)
        if text is not None and text.lower() in wanted:
            return True
        if isinstance(candidate, (int, float)) and not isinstance(candidate, bool) and candidate in numbers:
            return True
    return False


def equals_all(event: Event, field: str, values: tuple[Scalar, ...]) -> bool:
    """``field|all: [values]``: each of the list equals some element of the field; see ``equals``."""
    return all(equals(event, field, value) for value in values)


@lru_cache(maxsize=65_536)
def _equality(values: tuple[Scalar, ...]) -> tuple[frozenset[str], frozenset[int | float]]:
    """Return the folded texts and the numbers that *values* stand for."""
    numbers = frozenset(value for value in values if not isinstance(value, str))
    wanted = {value.lower() for value in values if isinstance(value, str)}
    return frozenset(wanted | {canonical_number(number) for number in numbers}), numbers


def canonical_number(number: int | float) -> str:
    """Return the text that a number in a rule stands for: 1 and 1.0 are both ``1``."""
    return str(int(number)) if number == int(number) else repr(number)


def equals_cased(event: Event, field: str, value: str) -> bool:
    """``field|cased: value``: the whole text is equal, case included."""
    return value in texts(event, field)


def equals_cased_any(event: Event, field: str, values: Texts) -> bool:
    """``field|cased: [values]``: the whole text is one of the list, case included."""
    return any(text in values for text in texts(event, field))


def equals_cased_all(event: Event, field: str, values: Texts) -> bool:
    """``field|cased|all: [values]``: each of the list equals some element, case included."""
    found = texts(event, field)
    return all(value in found for value in values)


def contains(event: Event, field: str, value: str) -> bool:
    """``field|contains: value``: the text occurs anywhere in the value."""
    needle = value.lower()
    return any(needle in text for text in folded(event, field))


def contains_any(event: Event, field: str, values: Texts) -> bool:
    """``field|contains: [values]``: one of the texts occurs in the value."""
    needles = _lowered(values)
    return any(needle in text for text in folded(event, field) for needle in needles)


def contains_all(event: Event, field: str, values: Texts) -> bool:
    """``field|contains|all: [values]``: each of the texts occurs in some element of the field."""
    found = folded(event, field)
    return all(any(needle in text for text in found) for needle in _lowered(values))


def contains_cased(event: Event, field: str, value: str) -> bool:
    """``field|contains|cased: value``: the text occurs anywhere in the value, case included."""
    return any(value in text for text in texts(event, field))


def contains_cased_any(event: Event, field: str, values: Texts) -> bool:
    """``field|contains|cased: [values]``: one of the texts occurs in the value, case included."""
    return any(value in text for text in texts(event, field) for value in values)


def contains_cased_all(event: Event, field: str, values: Texts) -> bool:
    """``field|contains|all|cased: [values]``: each text occurs in some element, case included."""
    found = texts(event, field)
    return all(any(value in text for text in found) for value in values)


def startswith(event: Event, field: str, value: str) -> bool:
    """``field|startswith: value``: the value begins with the text."""
    needle = value.lower()
    return any(text.startswith(needle) for text in folded(event, field))


def startswith_any(event: Event, field: str, values: Texts) -> bool:
    """``field|startswith: [values]``: the value begins with one of the texts."""
    needles = _lowered(values)
    return any(text.startswith(needles) for text in folded(event, field))


def startswith_all(event: Event, field: str, values: Texts) -> bool:
    """``field|startswith|all: [values]``: each text begins some element of the field."""
    found = folded(event, field)
    return all(any(text.startswith(needle) for text in found) for needle in _lowered(values))


def startswith_cased(event: Event, field: str, value: str) -> bool:
    """``field|startswith|cased: value``: the value begins with the text, case included."""
    return any(text.startswith(value) for text in texts(event, field))


def startswith_cased_any(event: Event, field: str, values: Texts) -> bool:
    """``field|startswith|cased: [values]``: the value begins with one of the texts, case included."""
    return any(text.startswith(values) for text in texts(event, field))


def startswith_cased_all(event: Event, field: str, values: Texts) -> bool:
    """``field|startswith|all|cased: [values]``: each text begins some element, case included."""
    found = texts(event, field)
    return all(any(text.startswith(value) for text in found) for value in values)


def endswith(event: Event, field: str, value: str) -> bool:
    """``field|endswith: value``: the value ends with the text."""
    needle = value.lower()
    return any(text.endswith(needle) for text in folded(event, field))


def endswith_any(event: Event, field: str, values: Texts) -> bool:
    """``field|endswith: [values]``: the value ends with one of the texts."""
    needles = _lowered(values)
    return any(text.endswith(needles) for text in folded(event, field))


def endswith_all(event: Event, field: str, values: Texts) -> bool:
    """``field|endswith|all: [values]``: each text ends some element of the field."""
    found = folded(event, field)
    return all(any(text.endswith(needle) for text in found) for needle in _lowered(values))


def endswith_cased(event: Event, field: str, value: str) -> bool:
    """``field|endswith|cased: value``: the value ends with the text, case included."""
    return any(text.endswith(value) for text in texts(event, field))


def endswith_cased_any(event: Event, field: str, values: Texts) -> bool:
    """``field|endswith|cased: [values]``: the value ends with one of the texts, case included."""
    return any(text.endswith(values) for text in texts(event, field))


def endswith_cased_all(event: Event, field: str, values: Texts) -> bool:
    """``field|endswith|all|cased: [values]``: each text ends some element, case included."""
    found = texts(event, field)
    return all(any(text.endswith(value) for text in found) for value in values)


def wildcard(event: Event, field: str, glob: str) -> bool:
    r"""``field: value`` with wildcards inside: ``*`` is any text, ``?`` one character, the whole value must fit.

    Both also stand for newlines. ``\*``, ``\?`` and ``\\`` are literal characters; any other backslash is itself.
    """
    pattern = compile_glob(glob.lower())
    return any(pattern.fullmatch(text) for text in folded(event, field))


def wildcard_any(event: Event, field: str, globs: Texts) -> bool:
    """``field: [values]`` with wildcards inside: the whole value fits one of the patterns; see ``wildcard``."""
    patterns = [compile_glob(glob.lower()) for glob in globs]
    return any(pattern.fullmatch(text) for text in folded(event, field) for pattern in patterns)


def wildcard_all(event: Event, field: str, globs: Texts) -> bool:
    """``field|all: [values]`` with wildcards inside: each pattern fits some element; see ``wildcard``."""
    return all(wildcard(event, field, glob) for glob in globs)


def wildcard_cased(event: Event, field: str, glob: str) -> bool:
    """``field|cased: value`` with wildcards inside; see ``wildcard``."""
    pattern = compile_glob(glob)
    return any(pattern.fullmatch(text) for text in texts(event, field))


def parse_glob(glob: str) -> list[str]:
    r"""Return the parts of *glob*: ``"*"`` and ``"?"`` are wildcards, ``"=text"`` is literal text.

    Escapes as in the Sigma specification 2.1, "Escaping": ``\*``, ``\?``, ``\\``.
    """
    parts: list[str] = []
    for escaped, special, plain in _WILDCARD_TOKEN.findall(glob):
        if special:
            if special == "?" or parts[-1:] != ["*"]:
                parts.append(special)
        elif parts and parts[-1].startswith("="):
            parts[-1] += escaped or plain
        else:
            parts.append("=" + (escaped or plain))
    return parts


@lru_cache(maxsize=65_536)
def compile_glob(glob: str) -> re.Pattern[str]:
    """Return the regular expression of a wildcard pattern, for ``fullmatch``.

    Each run up to the next ``*`` is found as early as possible and never given up again (an atomic group), which is
    exact for wildcards and keeps the time linear in the value where backtracking would be polynomial.
    """
    runs: list[str] = [""]
    for part in parse_glob(glob):
        if part == "*":
            runs.append("")
        else:
            runs[-1] += "." if part == "?" else re.escape(part[1:])
    first, *rest = runs
    if not rest:
        return re.compile(first, re.DOTALL)
    middle = "".join(f"(?>.*?{run})" for run in rest[:-1] if run)
    return re.compile(f"{first}{middle}.*{rest[-1]}", re.DOTALL)
