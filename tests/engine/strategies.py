"""Random rules and events for the engine's tests: few fields and a small alphabet, so that they meet."""

from __future__ import annotations

import inspect
import re
from datetime import UTC, date, datetime
from typing import Any

from hypothesis import strategies as st

from sigma.pyeval.expression import ExpressionError, parse_expression
from sigma.pyeval.literals import literal
from sigma.pyeval.matchers import MATCHERS
from sigma.pyeval.matchers.numbers import COMPARISONS, TIME_PARTS
from sigma.pyeval.rules import LogSource, Rule

FIELDS = ("A", "B", "a.b", "a.0", "a.b.c", "Image")

# Letters whose lower case is longer, is another letter's, or depends on what stands around them; marks; wildcards.
_LETTERS = "abAB sSkKi0159.-*?\\\n\x02\x03" + "\u212a\u0130\u0131\u017fß\u00dfΣσςé\u0307"
texts = st.one_of(
    st.text(st.sampled_from(_LETTERS), max_size=4),
    st.sampled_from(["abc", "ABC", "ab", "bc", "true", "False", "1", "10", "1.0", "nan", "10.0.0.7", "::1", "", "\ud800",
                     "2024-02-29T12:30:00", "1700000000", "ΑΣ", "ΑΣΑ", "straße", "STRASSE", "x" * 40 + "abc"]),
)  # fmt: skip
numbers = st.one_of(st.integers(-2, 12), st.sampled_from([0.5, 1.0, -0.0, 10.0, 2**63, 2**70, 1700000000]))
patterns = st.one_of(
    st.sampled_from(["a+b", "(?i)abc", "(?i:s)k", "a(?:b|c)d?", "^ab$", "[Aa]b", "(ab){2,}", "a|b", "ab(?=c)", "\\d+",
                     "(?:ab)?c", "s", "k", "ss", "(?>ab)c", "a*?b+", "(?P<x>b)(?P=x)", "[^a]b", "a.b", "i", "\u212a"]),
    texts.map(re.escape),
)  # fmt: skip

_ARGUMENTS: dict[str, st.SearchStrategy[Any]] = {
    "field": st.sampled_from(FIELDS),
    "other": st.sampled_from(FIELDS),
    "value": texts,
    "values": st.lists(texts, min_size=1, max_size=3).map(tuple),
    "glob": texts,
    "globs": st.lists(texts, min_size=1, max_size=3).map(tuple),
    "number": numbers,
    "network": st.sampled_from(["10.0.0.0/8", "::/16"]),
    "networks": st.just(("10.0.0.0/24", "::/16")),
    "pattern": patterns,
    "characters": st.integers(1, 6),
    "flags": st.sampled_from(["", "i", "ms", "ims"]),
    "part": st.sampled_from(sorted(TIME_PARTS)),
    "comparison": st.sampled_from(sorted(COMPARISONS)),
}
_SCALARS = {
    "value": st.one_of(texts, numbers),
    "values": st.lists(st.one_of(texts, numbers), min_size=1, max_size=3).map(tuple),
}


# What searches for any regular expression is the same function as regex, for rules that are trusted.
TESTED = tuple(name for name in MATCHERS if not name.endswith("_unbounded"))


def admitted(source: str) -> bool:
    try:
        parse_expression(source)
    except ExpressionError:  # a regular expression that may take too long, say
        return False
    return True


def calls(names: tuple[str, ...] = TESTED) -> st.SearchStrategy[str]:
    """Return a strategy for calls of the matchers named, of all by default."""
    return made_calls(names).filter(admitted)


@st.composite
def made_calls(draw: st.DrawFn, names: tuple[str, ...]) -> str:
    name = draw(st.sampled_from(names))
    known = _ARGUMENTS | _SCALARS if name in ("equals", "equals_any", "equals_all") else _ARGUMENTS
    parameters = list(inspect.signature(MATCHERS[name]).parameters)[1:]
    arguments = [draw(known[parameter]) for parameter in parameters]
    return f"{name}({', '.join(['event', *map(literal, arguments)])})"


def _groups(parts: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    several = st.lists(parts, min_size=2, max_size=4)
    return st.one_of(
        parts.map(lambda part: f"not ({part})"),
        several.map(lambda some: f"({' and '.join(some)})"),
        several.map(lambda some: f"({' or '.join(some)})"),
    )


expressions = st.recursive(calls(), _groups, max_leaves=8)
logsources = st.builds(LogSource, st.sampled_from([None, "x", "y"]), st.sampled_from([None, "linux"]))


@st.composite
def rule_lists(draw: st.DrawFn) -> list[Rule]:
    """Draw some rules."""
    found = draw(st.lists(st.tuples(expressions, logsources), min_size=1, max_size=8))
    return [Rule(str(number), f"rule {number}", one, logsource=source) for number, (one, source) in enumerate(found)]


scalars = st.one_of(
    texts,
    numbers,
    st.booleans(),
    st.none(),
    st.sampled_from(
        [b"abc", datetime(2024, 2, 29, tzinfo=UTC), date(2024, 2, 29), float("nan"), float("inf"), 10**4250]
    ),
)
values = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.lists(inner, max_size=3).map(tuple),
        st.dictionaries(st.sampled_from(["b", "0", "c", "A"]), inner, max_size=3),
    ),
    max_leaves=6,
)
events = st.dictionaries(st.sampled_from([*FIELDS, "a", "other", "more"]), values, max_size=6)
