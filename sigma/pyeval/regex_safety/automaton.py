"""A pattern as an automaton: which character of it can follow which, and in how many ways (Glushkov's construction)."""

from __future__ import annotations

from collections.abc import Iterable

from .charsets import ALL, EDGE, Boundary
from .syntax import ANY, Alt, Anchor, Atomic, Chars, Group, Look, Node, Reference, Repeat, Seq, emit_node

Ends = dict[tuple[int, Boundary], int]
"""Positions at one end of a fragment, with what is asked there, and the number of ways (two stand for more)."""

_FREE: Boundary = (ALL | EDGE, ALL | EDGE)
MOST_POSITIONS = 4_000
MOST_EDGES = 20_000
MOST_CROSSINGS = 32


class TooLarge(Exception):
    """The automaton would be larger than what is worth analysing."""


class Fragment:
    """A part of an automaton: how it can be crossed without a character, entered, and left."""

    __slots__ = ("first", "last", "null")

    def __init__(self, null: dict[Boundary, int], first: Ends, last: Ends) -> None:
        self.null = null
        self.first = first
        self.last = last


class Automaton:
    """The positions (characters) of a pattern and the steps between them.

    Attributes:
        masks: For each position, the characters it matches.
        steps: For each position, ``{next position: (mask of the character there, ways)}``; two ways stand for more.
        loops: For positions within unlimited repetitions, the number of the outermost one.
        loop_sources: The source of each outermost repetition.
        root: The whole pattern as a fragment.

    Raises:
        TooLarge: There are too many positions or steps.
    """

    def __init__(self, node: Node, expand: int) -> None:
        """Counted repetitions of up to *expand* rounds are written out; longer ones count as unlimited."""
        self.masks: list[int] = []
        self.steps: list[dict[int, tuple[int, int]]] = []
        self.loops: dict[int, int] = {}
        self.loop_sources: list[str] = []
        self.lookbehind_width = 0
        self._expand = expand
        self._edges = 0
        self._aside: set[int] = set()  # positions within lookarounds, which no enclosing loop comes back to
        self.root = self._build(node)

    def _build(self, node: Node) -> Fragment:
        match node:
            case Chars():
                return self._character(node.chars.mask)
            case Seq():
                return self._sequence(self._build(item) for item in node.items)
            case Alt():
                return _either([self._build(branch) for branch in node.branches])
            case Repeat():
                return self._repeat(node)
            case Group() | Atomic():
                return self._build(node.body)
            case Anchor():
                return Fragment(dict.fromkeys(node.asks, 1), {}, {})
            case Look():
                return self._look(node)
            case Reference():  # takes any text, once
                return self._loop(Repeat(ANY, 0, None, ""))

    def _character(self, mask: int) -> Fragment:
        position = len(self.masks)
        if position >= MOST_POSITIONS:
            raise TooLarge
        self.masks.append(mask)
        self.steps.append({})
        return Fragment({}, {(position, _FREE): 1}, {(position, _FREE): 1})

    def _sequence(self, fragments: Iterable[Fragment]) -> Fragment:
        whole = Fragment({_FREE: 1}, {}, {})
        for part in fragments:
            self._connect(whole.last, part.first)
            first = _merged(whole.first, _passing(part.first, whole.null))
            last = _merged(part.last, _passing(whole.last, part.null))
            null: dict[Boundary, int] = {}
            for a, ways in whole.null.items():
                for b, more in part.null.items():
                    _add(null, _both(a, b), ways * more)
            whole = Fragment(null, first, last)
            if len(null) > MOST_CROSSINGS or len(first) + len(last) > MOST_POSITIONS:
                raise TooLarge
        return whole

    def _connect(self, last: Ends, first: Ends, ways: int = 1) -> None:
        for (position, behind), a in last.items():
            for (follower, before), b in first.items():
                prev, after = _both(behind, before)
                mask = self.masks[follower] & after
                if mask and prev & self.masks[position]:
                    known, count = self.steps[position].get(follower, (0, 0))
                    total = count + a * b * ways if known & mask else max(count, a * b * ways)
                    self.steps[position][follower] = (known | mask, min(2, total))
                    self._edges += not known
        if self._edges > MOST_EDGES:
            raise TooLarge

    def _repeat(self, node: Repeat) -> Fragment:
        low, high = node.low, node.high
        if high is None or high > self._expand:
            # The last obliged round is the one that repeats.
            if low > self._expand:
                low = 1
            return self._sequence([*(self._build(node.body) for _ in range(low - 1)), self._loop(node)])
        rounds = [self._build(node.body) for _ in range(high)]
        whole = Fragment({_FREE: 1}, {}, {})
        for number in reversed(range(high)):
            whole = self._sequence([rounds[number], whole])
            if number >= low:
                whole = _either([whole, Fragment({_FREE: 1}, {}, {})])
        return whole

    def _loop(self, node: Repeat) -> Fragment:
        start = len(self.masks)
        body = self._build(node.body)
        # Python leaves a repetition after a round without a character, and counts it as another way to leave.
        exits = 2 if body.null else 1
        self._connect(body.last, body.first, 2 if body.null and node.low > 1 else 1)
        for position in range(start, len(self.masks)):
            if position not in self._aside:
                self.loops[position] = len(self.loop_sources)
        self.loop_sources.append(emit_node(node))
        leave = _FREE
        if node.kind == "+" and node.high is None and isinstance(node.body, Chars):
            leave = (ALL | EDGE, node.body.chars.outside() | EDGE)  # it never gives back what it could take
        last = {(position, _both(at, leave)): ways * exits for (position, at), ways in body.last.items()}
        null = {at: ways * exits for at, ways in body.null.items()}
        if node.low == 0:
            null[leave] = min(2, null.get(leave, 0) + 1)
        return Fragment(null, body.first, last)

    def _look(self, node: Look) -> Fragment:
        if isinstance(node.body, Chars):
            mask = (node.body.chars.outside() if node.negative else node.body.chars.mask) | (
                EDGE if node.negative else 0
            )
            return Fragment({(ALL | EDGE, mask) if node.ahead else (mask, ALL | EDGE): 1}, {}, {})
        # Its text is read beside the rest: entered, never left. A lookbehind reads other text, but no more of it.
        start = len(self.masks)
        body = self._build(node.body)
        self._aside.update(range(start, len(self.masks)))
        if not node.ahead:
            self.lookbehind_width += len(self.masks) - start
        return Fragment({_FREE: 1}, body.first, {})


def _both(a: Boundary, b: Boundary) -> Boundary:
    return (a[0] & b[0], a[1] & b[1])


def _add(ways: dict[Boundary, int], at: Boundary, count: int) -> None:
    ways[at] = min(2, ways.get(at, 0) + count)


def _merged(a: Ends, b: Ends) -> Ends:
    whole = dict(a)
    for end, ways in b.items():
        whole[end] = min(2, whole.get(end, 0) + ways)
    return whole


def _passing(ends: Ends, null: dict[Boundary, int]) -> Ends:
    """Return *ends* as reached across a part that can be crossed without a character."""
    whole: Ends = {}
    for (position, a), ways in ends.items():
        for b, more in null.items():
            end = (position, _both(a, b))
            whole[end] = min(2, whole.get(end, 0) + ways * more)
    return whole


def _either(parts: list[Fragment]) -> Fragment:
    null: dict[Boundary, int] = {}
    first: Ends = {}
    last: Ends = {}
    for part in parts:
        for at, ways in part.null.items():
            _add(null, at, ways)
        first.update(part.first)
        last.update(part.last)
    return Fragment(null, first, last)
