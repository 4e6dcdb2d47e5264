r"""Witnesses: texts of which at least one is there whenever a predicate holds, so that their absence rules it out.

The law, which tests hold for every matcher: if a predicate holds for a field's values, at least one literal of its witness
occurs in ``'\x02' + text.lower() + '\x03'`` of at least one text of the values (``wrapped``). With the two marks, a
prefix, a suffix and a whole value are ordinary literals: ``\x02c:\\``, ``.exe\x03``, ``\x02system\x03``. Witnesses of
keywords occur in the lower case of some value, unmarked.

- ``a and b`` has the better witness of the two; ``a or b`` has those of both, and none where one of them has none.
- ``not a`` has none. ``*_all`` may hit different elements of a list; each literal alone must occur in some element.
- ``cased`` text is sought in lower case too; where it is not ASCII, lower case may depend on its surroundings
  (``'ΑΣ'.lower()`` ends differently than ``'ΑΣΑ'.lower()`` begins), so it has none.
- A regular expression has the literals it requires; one that ignores case has them for ASCII values only.
- Everything unknown has none: its predicate is *open*, always evaluated.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from ..matchers.text import canonical_number, parse_glob
from .predicates import Call, Group, Not, Tree
from .regex_literals import required_literals

START = "\x02"
END = "\x03"
MARKS = (START, END)
_SHORTEST = 2


@dataclass(frozen=True, slots=True)
class Witness:
    """One of *literals* is there whenever the predicate holds; with *ascii_only*, for ASCII text only."""

    literals: tuple[str, ...]
    ascii_only: bool = False


def wrapped(text: str) -> str:
    """Return the form of *text* in which witnesses are sought."""
    return f"{START}{text.lower()}{END}"


def witness(tree: Tree) -> Witness | None:
    """Return the cheapest witness of a predicate, or ``None`` where none is known that is worth looking for."""
    found = _witness(tree)
    if found is None or any(_length(literal) < _SHORTEST for literal in found.literals):
        return None
    return found


def witness_cost(found: Witness) -> float:
    """Return how often, roughly, a witness is there without need: longer and anchored literals are rarer."""
    return max(map(_literal_cost, found.literals)) + 0.01 * len(found.literals)


def proofs(tree: Tree) -> frozenset[str]:
    """Return literals each of which alone proves that the predicate holds, for text without the marks in it."""
    if isinstance(tree, Call):
        derive = _LITERALS_THAT_PROVE.get(tree.name)
        values = () if derive is None else _as_tuple(tree.arguments[-1])
        return frozenset(derive(value)[0] for value in values if derive and not _holds_marks(value))
    if isinstance(tree, Group) and tree.word == "or":
        return frozenset().union(*map(proofs, tree.parts))
    return frozenset()


def beyond_witness(tree: Tree, found: Witness) -> Tree:
    """Return what is left to ask once a literal of a predicate's witness was found: the part that it proves is dropped."""
    if isinstance(tree, Group) and tree.word == "and" and not found.ascii_only:
        literals = frozenset(found.literals)
        proved = next((part for part in tree.parts if literals and literals <= proofs(part)), None)
        rest = tuple(part for part in tree.parts if part is not proved)
        return rest[0] if len(rest) == 1 else Group("and", rest)
    return tree


def _witness(tree: Tree) -> Witness | None:
    if isinstance(tree, Not):
        return None
    if isinstance(tree, Call):
        derive = _WITNESSES.get(tree.name)
        return None if derive is None else derive(tree)
    found = [_witness(part) for part in tree.parts]
    known = [one for one in found if one is not None]
    if tree.word == "and":
        return min(known, key=witness_cost, default=None)
    if len(known) < len(found):
        return None
    literals = tuple(dict.fromkeys(literal for one in known for literal in one.literals))
    return Witness(literals, any(one.ascii_only for one in known))


def _literal_cost(literal: str) -> float:
    anchored = literal.startswith(START) or literal.endswith(END)
    return 1.0 + (30.0 if anchored else 60.0) / (1.0 + math.pow(_length(literal), 1.5))


def _length(literal: str) -> int:
    # A character beyond ASCII is as telling in logs as several letters.
    return len(literal) if literal.isascii() else 3 * len(literal)


def _holds_marks(value: object) -> bool:
    return isinstance(value, str) and (START in value or END in value)


def _as_tuple(values: object) -> tuple[object, ...]:
    return values if isinstance(values, tuple) else (values,)


def _marked(prefix: str, suffix: str) -> Callable[[object], tuple[str, ...]]:
    def literals(values: object) -> tuple[str, ...]:
        texts = (v.lower() if isinstance(v, str) else canonical_number(v) for v in _as_tuple(values))  # type: ignore[arg-type]
        return tuple(dict.fromkeys(f"{prefix}{text}{suffix}" for text in texts))

    return literals


_EQUAL = _marked(START, END)
_CONTAINED = _marked("", "")
_BEGINNING = _marked(START, "")
_ENDING = _marked("", END)
_LITERALS_THAT_PROVE: dict[str, Callable[[object], tuple[str, ...]]] = {
    **dict.fromkeys(("equals", "equals_any"), _EQUAL),
    **dict.fromkeys(("contains", "contains_any", "keyword", "keyword_any"), _CONTAINED),
    **dict.fromkeys(("startswith", "startswith_any"), _BEGINNING),
    **dict.fromkeys(("endswith", "endswith_any"), _ENDING),
}


def _any_of(literals: Callable[[object], tuple[str, ...]], cased: bool = False) -> Callable[[Call], Witness | None]:
    def derive(call: Call) -> Witness | None:
        found = literals(call.arguments[-1])
        return Witness(found) if not cased or all(map(str.isascii, found)) else None

    return derive


def _all_of(literals: Callable[[object], tuple[str, ...]], cased: bool = False) -> Callable[[Call], Witness | None]:
    def derive(call: Call) -> Witness | None:
        found = [Witness((literal,)) for literal in literals(call.arguments[-1]) if not cased or literal.isascii()]
        return min(found, key=witness_cost, default=None)

    return derive


def _glob_literals(glob: str, anchored: bool) -> list[str]:
    parts = parse_glob(glob)
    literals = [part[1:] for part in parts if part.startswith("=")]
    if anchored and parts and parts[0].startswith("="):
        literals[0] = START + literals[0]
    if anchored and parts and parts[-1].startswith("="):
        literals[-1] += END
    return literals


def _glob(glob: str, anchored: bool, cased: bool) -> Witness | None:
    literals = _glob_literals(glob if cased else glob.lower(), anchored)
    found = [
        Witness((literal.lower() if cased else literal,)) for literal in literals if not cased or literal.isascii()
    ]
    return min(found, key=witness_cost, default=None)


def _globs(anchored: bool, cased: bool, word: str) -> Callable[[Call], Witness | None]:
    def derive(call: Call) -> Witness | None:
        found = [_glob(str(glob), anchored, cased) for glob in _as_tuple(call.arguments[-1])]
        known = [one for one in found if one is not None]
        if word == "all":
            return min(known, key=witness_cost, default=None)
        return Witness(_literals_of(known)) if len(known) == len(found) else None

    return derive


def _literals_of(witnesses: Iterable[Witness]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(literal for one in witnesses for literal in one.literals))


def _regex(pattern_place: int) -> Callable[[Call], Witness | None]:
    def derive(call: Call) -> Witness | None:
        required = required_literals(*call.arguments[pattern_place : pattern_place + 2])
        found = [Witness(group, required.ascii_only) for group in required.groups]
        return min(found, key=witness_cost, default=None)

    return derive


_WITNESSES: dict[str, Callable[[Call], Witness | None]] = {
    **{
        f"{name}{case}{quantifier}": (_all_of if quantifier == "_all" else _any_of)(literals, bool(case))
        for name, literals in (
            ("equals", _EQUAL),
            ("contains", _CONTAINED),
            ("startswith", _BEGINNING),
            ("endswith", _ENDING),
        )
        for case in ("", "_cased")
        for quantifier in ("", "_any", "_all")
    },
    "wildcard": _globs(True, False, "any"),
    "wildcard_any": _globs(True, False, "any"),
    "wildcard_all": _globs(True, False, "all"),
    "wildcard_cased": _globs(True, True, "any"),
    **{f"regex{variant}": _regex(1) for variant in ("", "_within", "_unbounded")},
    "keyword": _any_of(_CONTAINED),
    "keyword_any": _any_of(_CONTAINED),
    "keyword_all": _all_of(_CONTAINED),
    "keyword_cased": _any_of(_CONTAINED, cased=True),
    "keyword_wildcard": _globs(False, False, "any"),
    "keyword_wildcard_cased": _globs(False, True, "any"),
    "keyword_whole": _globs(False, False, "any"),
    "keyword_whole_cased": _globs(False, True, "any"),
    **{f"keyword_regex{variant}": _regex(0) for variant in ("", "_within", "_unbounded")},
}
