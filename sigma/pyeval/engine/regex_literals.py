"""Literal texts that every match of a regular expression holds, read from the parsed pattern.

Whatever is not plainly literal is passed over: a missing literal costs time, a wrong one would lose matches. Only ASCII
characters count: their lower case never depends on what stands around them.
"""

from __future__ import annotations

import re
import re._constants as sre  # type: ignore[import-not-found]
import re._parser as parser  # type: ignore[import-not-found]
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

_REPEATS = (sre.MAX_REPEAT, sre.MIN_REPEAT, sre.POSSESSIVE_REPEAT)
_MOST_ALTERNATIVES = 16


@dataclass(frozen=True, slots=True)
class Required:
    """What a pattern needs.

    Attributes:
        groups: Of each group at least one text, in lower case, occurs in the lower case of any text that the pattern is
            found in.
        ascii_only: Whether that is known for ASCII text only, as where case is ignored: there ``s`` also finds ``ſ``.
    """

    groups: tuple[tuple[str, ...], ...]
    ascii_only: bool


def required_literals(pattern: str, flags: str = "") -> Required:
    """Return the texts that a match of *pattern* needs; no groups where none is known. *flags*: letters of ``ims``."""
    try:
        with warnings.catch_warnings():  # who compiles the pattern is warned of what looks odd in it
            warnings.simplefilter("ignore")
            tree = parser.parse(pattern, re.IGNORECASE if "i" in flags else 0)
        ascii_only = bool(tree.state.flags & re.IGNORECASE) or _ignores_case(tree)
        groups = _required(tree)
    except (re.error, RecursionError, OverflowError):
        return Required((), False)
    return Required(tuple(dict.fromkeys(groups)), ascii_only)


def _required(items: Iterable[Any]) -> list[tuple[str, ...]]:
    groups: list[tuple[str, ...]] = []
    run = ""
    for operator, argument in items:
        character = _character(operator, argument)
        if character:
            run += character
            continue
        if operator is sre.AT:  # takes no text: what stands before and behind it touches
            continue
        if run:
            groups.append((run,))
            run = ""
        groups += _inner(operator, argument)
    return [*groups, (run,)] if run else groups


def _inner(operator: Any, argument: Any) -> list[tuple[str, ...]]:
    if operator is sre.SUBPATTERN:
        return _required(argument[3])
    if operator is sre.ATOMIC_GROUP:
        return _required(argument)
    if operator in _REPEATS:
        return _required(argument[2]) if argument[0] >= 1 else []
    if operator is sre.BRANCH:
        return _either([sorted(_required(branch), key=_worth, reverse=True) for branch in argument[1]])
    return []


def _either(branches: list[list[tuple[str, ...]]]) -> list[tuple[str, ...]]:
    """Return what is needed whichever branch is taken: the best groups of all in one, the second best in another, and so on."""
    if not all(branches):
        return []
    merged = [
        tuple(dict.fromkeys(text for groups in branches for text in groups[min(rank, len(groups) - 1)]))
        for rank in range(max(map(len, branches)))
    ]
    return [group for group in merged if len(group) <= _MOST_ALTERNATIVES]


def _worth(group: tuple[str, ...]) -> tuple[int, int]:
    return min(map(len, group)), -len(group)


def _character(operator: Any, argument: Any) -> str:
    """Return the lower case of the one ASCII letter or sign that a pattern's item stands for, or nothing."""
    if operator is sre.LITERAL and argument < 128:
        return chr(argument).lower()
    if operator is sre.IN and all(kind is sre.LITERAL and code < 128 for kind, code in argument):
        characters = {chr(code).lower() for _, code in argument}
        if len(characters) == 1:
            return characters.pop()
    return ""


def _ignores_case(items: Iterable[Any]) -> bool:
    """Return whether some part of a pattern switches case off for itself, as ``(?i:...)`` does."""
    for operator, argument in items:
        if operator is sre.SUBPATTERN and argument[1] & re.IGNORECASE:
            return True
        if any(map(_ignores_case, _sequences(operator, argument))):
            return True
    return False


def _sequences(operator: Any, argument: Any) -> list[Any]:
    if operator is sre.SUBPATTERN:
        return [argument[3]]
    if operator is sre.ATOMIC_GROUP:
        return [argument]
    if operator in _REPEATS:
        return [argument[2]]
    return list(argument[1]) if operator is sre.BRANCH else []
