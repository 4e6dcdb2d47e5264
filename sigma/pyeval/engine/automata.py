"""Which of many literals occur in a text: one Aho-Corasick automaton, one pass."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from ahocorasick_rs import BytesAhoCorasick, Implementation

_BYTES_FOR_A_TABLE = 16_000
"""Up to this many bytes of literals, the automaton becomes a full table: faster to run, larger, slower to build."""

_PIECE = 65_536
"""Longer texts are searched in pieces, so that the list of hits stays small."""


_FEW = 5
"""So few literals are sought one by one: calling the automaton takes longer."""


class Automaton:
    """Finds literals; overlapping ones too, as each stands for other predicates.

    The search is one of UTF-8, in which the bytes of a text are found just where the text is. Lone surrogates have bytes of
    their own there.
    """

    __slots__ = ("_few", "_find", "_overlap")

    def __init__(self, literals: Sequence[str]) -> None:
        self._few = tuple(enumerate(literals)) if len(literals) <= _FEW else ()
        patterns = [literal.encode("utf-8", "surrogatepass") for literal in literals]
        size = sum(map(len, patterns))
        kind = Implementation.DFA if size <= _BYTES_FOR_A_TABLE else Implementation.ContiguousNFA
        self._find = BytesAhoCorasick(patterns, implementation=kind).find_matches_as_indexes
        self._overlap = max(map(len, patterns)) - 1

    def found(self, text: str) -> Collection[int]:
        """Return the numbers of the literals in *text*, each once."""
        if self._few:
            return [number for number, literal in self._few if literal in text]
        data = text.encode("utf-8", "surrogatepass")
        if len(data) <= _PIECE:
            hits = self._find(data, True)
            return {hit[0] for hit in hits} if hits else ()
        numbers: set[int] = set()
        for start in range(0, len(data), _PIECE):
            piece = data[start : start + _PIECE + self._overlap]
            numbers.update([hit[0] for hit in self._find(piece, True)])
        return numbers
