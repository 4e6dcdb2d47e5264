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
from .rewriting import chained, shortened, split_at_newlines
from .syntax import longest_count, parse_pattern, readings

BOUNDS: Final = {1: 65_536, 2: 4096, 3: 256, 4: 64}
"""How many characters of a value are searched at most, by degree: ``characters ** degree`` is at most 2**24, tens of
milliseconds of Python's ``re``. Above the fourth degree too little would be left to search."""

LONGEST_PATTERN: Final = 50_000
_MOST_WORDS = 4096  # alternatives without repetitions, as a list of words: each is tried once at each character
_LINEAR_FACTOR = 512  # steps for each character that still count as linear
_MOST_STEPS = 2**25  # what a bounded search may need by the (pessimistic) estimate
_FEWEST_CHARACTERS = 32  # a search of less would find nothing
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
        degree: The exponent; 0 for exponential, 1 also for polynomial where each character takes too many steps.
        reason: Which part of the pattern takes the time; empty for linear.
        pattern: What to search for: itself, or one that is found in exactly the same values in less time.
        characters: How many characters of a value may be searched: ``None`` for all of them, 0 for none.
    """

    growth: Growth
    degree: int
    reason: str
    pattern: str
    characters: int | None


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
        raise PatternRefusedError(f"{finding}: Python may come to read it otherwise; escape the characters") from error
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
        ways = readings(parsed.root)
        if ways is not None and ways <= _MOST_WORDS:
            return Complexity(Growth.LINEAR, 1, "", pattern, None)
        # The cheap look at the pattern as it is first; most need no other.
        found = _verdict(pattern, search_cost(parsed.root, _EXPANSIONS[0]))
        if found.characters is None:
            return found
        candidates = [(pattern, parsed.root)]
        if not parsed.references:
            short = shortened(parsed.root)
            for root in (short, chained(short), chained(split_at_newlines(short))):
                text = parsed.emit(root)
                candidates.append((text, parse_pattern(text, bits).root))
        best: Complexity | None = None
        longest = max(longest_count(root) for _, root in candidates)
        # Cheaper looks first, and the pattern as it is wins where it is as good.
        for number, expand in enumerate(_EXPANSIONS):
            if best is not None and longest <= _EXPANSIONS[number - 1]:
                break
            for text, root in candidates:
                found = _verdict(text, search_cost(root, expand))
                if found.characters is None:
                    return found if text == pattern else classify(text, flags)
                if best is None or found.characters > (best.characters or 0):
                    best = found
    except RecursionError:
        return Complexity(Growth.EXPONENTIAL, 0, "the pattern is nested too deeply to be analysed", pattern, 0)
    assert best is not None  # noqa: S101 - there always is a candidate
    # What was rewritten may be rewritten further; this ends, as each round is better or found at a cheaper look.
    return best if best.pattern == pattern else classify(best.pattern, flags)


def _verdict(pattern: str, cost: Cost) -> Complexity:
    if cost.degree is None:
        return Complexity(Growth.EXPONENTIAL, 0, cost.reason, pattern, 0)
    if cost.degree == 1 and cost.factor <= _LINEAR_FACTOR:
        return Complexity(Growth.LINEAR, 1, "", pattern, None)
    characters = BOUNDS.get(cost.degree, 0)
    while characters and cost.factor * characters**cost.degree > _MOST_STEPS:
        characters //= 2
    if characters < _FEWEST_CHARACTERS:
        characters = 0
    reason = cost.reason or "its parts can be read in very many ways"
    return Complexity(Growth.POLYNOMIAL, cost.degree, reason, pattern, characters)
