"""Sets of characters, small enough to compare: what one character of a pattern can match."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

# Characters beyond Latin-1 that ignoring case can tie to a Latin-1 one; each is looked at by itself.
_CASE_TIES = "\u0130\u0131\u0178\u017f\u039c\u03bc\u1e9e\u212a\u212b"
# All others beyond Latin-1 that a pattern does not name differ only by category: letter, digit, blank, none of them.
_LETTER, _DIGIT, _BLANK, _OTHER = "\u05d0", "\u0663", "\u2003", "\u2010"
_POINTS = "".join(map(chr, range(256))) + _CASE_TIES + _LETTER + _DIGIT + _BLANK + _OTHER

EDGE = 1 << len(_POINTS)
"""The place before the first and behind the last character, as a member of a mask."""
ALL = EDGE - 1
"""The mask of every character."""
NEWLINE = 1 << ord("\n")
_FAR = sum(1 << _POINTS.index(point) for point in (_LETTER, _DIGIT, _BLANK, _OTHER))


Boundary = tuple[int, int]
"""What a place in the text asks of its neighbours: masks of the character before and of the one behind."""


@dataclass(frozen=True, slots=True)
class CharSet:
    """A set of characters.

    Attributes:
        mask: One bit for each character that is told apart from others; never lacks a member of the set.
        exact: Whether the mask also has no bit too many.
    """

    mask: int
    exact: bool

    def covers(self, mask: int) -> bool:
        """Return whether the set surely has every member of *mask*."""
        return self.exact and not mask & ~self.mask

    def outside(self) -> int:
        """Return a mask that lacks no character outside the set."""
        return ALL & ~self.mask if self.exact else ALL


@lru_cache(maxsize=4096)
def charset(source: str, flags: int, far: bool) -> CharSet:
    """Return the set of the one-character pattern *source*; *far*: it names characters beyond Latin-1."""
    mask = 0
    for found in re.compile(source, flags).finditer(_POINTS):
        mask |= 1 << found.start()
    return CharSet(mask | _FAR, exact=False) if far else CharSet(mask, exact=True)
