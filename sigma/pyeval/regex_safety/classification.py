"""Linear, polynomial or exponential: the verdict on a pattern, what to search for instead, and how far."""

from __future__ import annotations

import enum
import re
import warnings
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from ..matchers.regexes import flag_bits
from .cost import Cost, search_cost
from .rewriting import chained, shortened
from .syntax import parse_pattern

BOUNDS: Final = {2: 4096, 3: 256, 4: 64}
"""How many characters of a value are searched, by degree: each keeps ``characters ** degree`` at 2**24 steps, tens of
milliseconds of Python's ``re``. Above the fourth degree too little would be left to search."""

LONGEST_PATTERN: Final = 10_000
_FACTOR = (
    512  # steps a character that still count as linear; each further such factor counts as one more degree
)
_EXPANSIONS = (3, 40, 1_200)  # how long counted repetitions may be to be written out
_POSIX_CLASS = re.compile(r"(?<!\\)(?:\\\\)*(\[[:.=]\^?[a-z]+[:.=]\])")


class Growth(enum.Enum):
    """How the time of a search grows with the length of the value."""

    LINEAR = "linear"
    POLYNOMIAL = "polynomial"
    EXPONENTIAL = "exponential"


@dataclass(frozen=True, slots=True)
class Complexity:
    """The verdict on a pattern.

    Attributes:
        growth: Linear, polynomial or exponential in the value's length at worst. Exponential includes: not known.
        degree: The exponent: 1 for linear, from 2 for polynomial; 0 for exponential.
        reason: Which part of the pattern takes the time; empty for linear.
        pattern: What to search for: the pattern itself, or one that is found in exactly the same values in less time.
    """

    growth: Growth
    degree: int
    reason: str
    pattern: str

    @property
    def characters(self) -> int | None:
        """How many characters of a value may be searched: ``None`` for all of them, 0 for none."""
        return None if self.growth is Growth.LINEAR else BOUNDS.get(self.degree, 0)


class PatternRefusedError(ValueError):
    """A pattern that Python cannot read, reads otherwise than meant, or that is too long. Says where and why."""


@lru_cache(maxsize=16_384)
def check_pattern(pattern: str, flags: str) -> None:
    """Raise PatternRefusedError where *pattern* is none, or other engines and Python differ about it."""
    if len(pattern) > LONGEST_PATTERN:
        raise PatternRefusedError(f"longer than {LONGEST_PATTERN} characters")
    posix = _POSIX_CLASS.search(pattern)
    if posix:
        raise PatternRefusedError(
            f"{posix[1]} at position {posix.start(1)}: Python has no POSIX classes and would read single characters; "
            r"write a set such as [A-Za-z], \d, \w or \s"
        )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", FutureWarning)
            re.compile(pattern, flag_bits(flags))
    except re.error as error:
        place = "" if error.pos is None else f" at position {error.pos}"
        raise PatternRefusedError(f"not a regular expression of Python: {error.msg}{place}") from error
    except FutureWarning as error:
        finding = str(error).split("\n", 1)[0]
        raise PatternRefusedError(
            f"{finding}: Python may come to read it otherwise; escape the characters"
        ) from error
    except (RecursionError, OverflowError, MemoryError) as error:
        raise PatternRefusedError("nested too deeply or repeated too often for Python") from error


@lru_cache(maxsize=16_384)
def classify(pattern: str, flags: str = "") -> Complexity:
    """Return how the time to search for *pattern* with *flags* (letters i, m, s) grows; never too low.

    Raises:
        PatternRefusedError: *pattern* is not a regular expression; see ``check_pattern``.
    """
    check_pattern(pattern, flags)
    bits = flag_bits(flags)
    try:
        parsed = parse_pattern(pattern, bits)
        candidates = [(pattern, parsed.root)]
        if not parsed.references:
            short = shortened(parsed.root)
            for root in (short, chained(short)):
                text = parsed.emit(root)
                candidates.append((text, parse_pattern(text, bits).root))
        best = Complexity(Growth.EXPONENTIAL, 0, "", pattern)
        # The cheap look first; most patterns need no other, and the pattern as it is wins where it is as good.
        for expand in _EXPANSIONS:
            for text, root in candidates:
                found = _verdict(text, search_cost(root, expand))
                if found.growth is Growth.LINEAR:
                    return found if text == pattern else classify(text, flags)
                if not best.reason or _rank(found) < _rank(best):
                    best = found
    except RecursionError:
        return Complexity(Growth.EXPONENTIAL, 0, "the pattern is nested too deeply to be analysed", pattern)
    # What was rewritten may be rewritten further; this ends, as each round is better or found at a cheaper look.
    return best if best.pattern == pattern else classify(best.pattern, flags)


def _verdict(pattern: str, cost: Cost) -> Complexity:
    if cost.degree is None:
        return Complexity(Growth.EXPONENTIAL, 0, cost.reason, pattern)
    degree, factor = cost.degree, cost.factor
    reason = cost.reason
    while factor > _FACTOR:
        factor //= _FACTOR
        degree += 1
        reason = reason or "its counted repetitions can be read in very many ways"
    if degree == 1:
        return Complexity(Growth.LINEAR, 1, "", pattern)
    return Complexity(Growth.POLYNOMIAL, degree, reason, pattern)


def _rank(complexity: Complexity) -> int:
    return 1_000 if complexity.growth is Growth.EXPONENTIAL else complexity.degree
