"""How much work a backtracking search can need at worst, as ``factor * n ** degree`` steps for a value of n characters.

The work of a search that fails is the number of ways to read a part of the value with a part of the pattern, from any start.
That number is bounded here from above (after Weber and Seidl, "On the degree of ambiguity of finite automata", 1991):

- Exponential: within one repetition, two different ways lead over the same text back to the same position.
- Each repetition that can be entered while an earlier entry still reads on multiplies the ways by n.
- Elsewhere, only positions that can be reached over the same text at once add up.

A step here is one character tried at one position of the pattern.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from graphlib import TopologicalSorter

from .automaton import Automaton, TooLarge
from .charsets import ALL, EDGE
from .syntax import Alt, Atomic, Chars, Node, Repeat, Seq, alphabet, branches_of, items_of, join

Entry = tuple[int, int, int]
"""A step into a loop: from which position, over which characters, in how many ways."""
MOST_PAIRS = 60_000
MOST_WORK = 1_500_000


@dataclass(frozen=True, slots=True)
class Cost:
    """An upper bound of the work; *degree* ``None``: exponential, or not known. *reason*: the part it comes from."""

    degree: int | None
    factor: int = 1
    reason: str = ""

    def __add__(self, other: Cost) -> Cost:
        if self.degree is None or other.degree is None:
            return self if self.degree is None else other
        if self.degree == other.degree:
            return Cost(self.degree, self.factor + other.factor, self.reason or other.reason)
        return max(self, other, key=lambda cost: cost.degree or 0)

    def within(self, outer: Cost) -> Cost:
        """Return the cost of this search where *outer* can start it anew at each of its own steps."""
        if self.degree is None or outer.degree is None:
            return self if self.degree is None else outer
        reason = outer.reason if outer.degree > 1 else self.reason
        return Cost(self.degree + outer.degree - 1, self.factor * outer.factor, reason)


def search_cost(root: Node, expand: int) -> Cost:
    """Return the cost of searching for *root* anywhere in a value.

    Counted repetitions of up to *expand* rounds are written out, longer ones count as unlimited, which can only add to the cost.
    """
    plain: list[Node] = []
    total = Cost(1, 0)
    for branch in branches_of(root):
        chain = _chain_cost(branch, expand)
        if chain is None:
            plain.append(branch)
        else:
            total += chain
    return total + _automaton_cost(Alt(tuple(plain)), expand) if plain else total


def _chain_cost(branch: Node, expand: int) -> Cost | None:
    """Return the cost of ``head(?>C*?a)(?>D*?b)...``, where each group is a search of its own that never goes back.

    ``None`` where the branch has no such end. Each start of the chain reads once over the text, trying the search that is due at
    each character. How many starts read at once: as many as there are ways to be in the loops of ``head C* a D*``, where what
    consists of the characters of the loop in front of it and of the one behind it can be left out.
    """
    items = items_of(branch)
    searches: list[tuple[Chars, Node]] = []
    for item in reversed(items):
        search = _inner_search(item)
        if search is None:
            break
        searches.insert(0, search)
    if not searches:
        return None
    reach: list[Node] = list(items[: len(items) - len(searches)])
    before: Chars | None = None
    for number, (loop, _) in enumerate(searches):
        between = searches[number - 1][1] if number else Seq(())
        if loop != before or not loop.chars.covers(alphabet(between)):
            reach += [between, Repeat(loop, 0, None, "?")]
        before = loop
    starts = _automaton_cost(join(reach), expand)
    found = Cost(1, 0)
    for _, node in searches:
        found += _automaton_cost(node, expand)
    return found.within(starts)


def _inner_search(node: Node) -> tuple[Chars, Node] | None:
    if isinstance(node, Atomic):
        first, *rest = items_of(node.body) or (Seq(()),)
        if isinstance(first, Repeat) and first.kind == "?" and first.low == 0 and first.loop is not None:
            return first.loop, join(rest)
    return None


@lru_cache(maxsize=1024)
def _automaton_cost(node: Node, expand: int) -> Cost:
    try:
        return _Analysis(Automaton(node, expand)).cost()
    except TooLarge:
        return Cost(None, reason="the pattern is too large to be analysed")


class _Analysis:
    """The bound for one automaton, with the search's own restarts in front of it."""

    def __init__(self, automaton: Automaton) -> None:
        self._automaton = automaton
        self._masks = list(automaton.masks)
        self._steps = [dict(steps) for steps in automaton.steps]
        self._loop_of = dict(automaton.loops)
        self._sources = list(automaton.loop_sources)
        self._start = self._add_search()
        self._back: list[list[tuple[int, int]]] = [[] for _ in self._masks]
        for position, steps in enumerate(self._steps):
            for follower, (mask, _) in steps.items():
                self._back[follower].append((position, mask))
        self._together = self._reached_together()

    def _add_search(self) -> int:
        """Add what precedes a start of the search: any text; one position for each kind of neighbour that is asked for."""
        first = self._automaton.root.first
        cells = [ALL]
        for _, (prev, _) in first:
            cells = [part for cell in cells for part in (cell & prev, cell & ~prev) if part]
        anchored = all(not prev & ALL for _, (prev, _) in first)
        restarts = [] if anchored else list(range(len(self._masks), len(self._masks) + len(cells)))
        start = len(self._masks) + len(restarts)
        self._masks += [*(cells if restarts else ()), 0]
        for position in [*restarts, start]:
            before = self._masks[position] or EDGE
            steps = {restart: (self._masks[restart], 1) for restart in restarts}
            for (follower, (prev, after)), ways in first.items():
                if before & prev and self._masks[follower] & after:
                    steps[follower] = (self._masks[follower] & after, ways)
            self._steps.append(steps)
        for restart in restarts:
            self._loop_of[restart] = len(self._sources)
        self._sources.append("")
        return start

    def _reached_together(self) -> list[int]:
        """Return, for each position, a mask of the positions that some text can reach as well as it."""
        together = [0] * len(self._masks)
        together[self._start] = 1 << self._start
        pending = [(self._start, self._start)]
        count = work = 0
        while pending:
            a, b = pending.pop()
            steps = self._steps[b]
            work += len(steps) * len(self._steps[a])
            for p, (mask, _) in self._steps[a].items():
                for q, (other, _) in steps.items():
                    if mask & other and not together[p] >> q & 1:
                        together[p] |= 1 << q
                        together[q] |= 1 << p
                        pending.append((p, q))
                        count += 1
            if count > MOST_PAIRS or work > MOST_WORK:
                raise TooLarge
        return together

    def cost(self) -> Cost:
        """Return the bound."""
        for loop in set(self._loop_of.values()):
            if self._ambiguous(loop):
                return Cost(
                    None,
                    reason=f"{self._sources[loop]!r} can take up the same text in several ways in each round",
                )
        ways = self._ways()
        total = self._sum((position, cost) for position, cost in ways.items() if position != self._start)
        factor = max(1, total.factor) * (1 + self._automaton.lookbehind_width)
        return Cost((total.degree or 0) + 1, factor, total.reason)

    def _ambiguous(self, loop: int) -> bool:  # noqa: C901 - one search forth and one back
        """Return whether two different ways lead over the same text from a position of the loop back to it."""
        inside = {position for position, number in self._loop_of.items() if number == loop}
        if not self._sources[loop]:
            return False  # the search's own restarts
        steps = {p: {q: step for q, step in self._steps[p].items() if q in inside} for p in inside}
        if any(ways > 1 for followers in steps.values() for _, ways in followers.values()):
            return True
        seen = {(p, p) for p in inside}
        pending = list(seen)
        back: dict[tuple[int, int], list[tuple[int, int]]] = {}
        while pending:
            pair = pending.pop()
            for p, (mask, _) in steps[pair[0]].items():
                for q, (other, _) in steps[pair[1]].items():
                    if mask & other:
                        back.setdefault((p, q), []).append(pair)
                        if (p, q) not in seen:
                            seen.add((p, q))
                            pending.append((p, q))
            if len(seen) > MOST_PAIRS:
                raise TooLarge
        # Every pair here comes from one position twice; does one that has parted meet again?
        pending = [(p, p) for p in inside]
        returning = set(pending)
        while pending:
            for pair in back.get(pending.pop(), ()):
                if pair[0] != pair[1]:
                    return True
                if pair not in returning:
                    returning.add(pair)
                    pending.append(pair)
        return False

    def _ways(self) -> dict[int, Cost]:
        """Return for each position in how many ways it can be reached at once: ``factor * n ** degree``."""
        units = {position: ("loop", loop) for position, loop in self._loop_of.items()}
        unit_of = [units.get(position, ("position", position)) for position in range(len(self._masks))]
        order: TopologicalSorter[tuple[str, int]] = TopologicalSorter(dict.fromkeys(unit_of, ()))
        entries: dict[tuple[str, int], list[Entry]] = {}
        members: dict[tuple[str, int], list[int]] = {}
        for p, steps in enumerate(self._steps):
            members.setdefault(unit_of[p], []).append(p)
            for q, (mask, count) in steps.items():
                if unit_of[p] != unit_of[q]:
                    order.add(unit_of[q], unit_of[p])
                    entries.setdefault(unit_of[q], []).append((p, mask, count))
        found: dict[int, Cost] = {self._start: Cost(0)}
        for unit in order.static_order():
            if unit == ("position", self._start):
                continue
            incoming: dict[int, int] = {}
            for p, _, count in entries.get(unit, ()):
                incoming[p] = incoming.get(p, 0) + count
            cost = self._sum(
                (p, Cost(found[p].degree, found[p].factor * count, found[p].reason)) for p, count in incoming.items()
            )
            if unit[0] == "loop":
                times = self._entry_times(members[unit], entries.get(unit, ()))
                if times is None:
                    reason = cost.reason or f"{self._sources[unit[1]]!r} can begin at many places and read on from each"
                    cost = Cost((cost.degree or 0) + 1, cost.factor, reason)
                else:
                    cost = Cost(cost.degree, cost.factor * (1 + times), cost.reason)
            found.update((position, cost) for position in members[unit])
        return found

    def _entry_times(self, members: list[int], entries: Sequence[Entry]) -> int | None:
        """Return how many more times a loop can be entered while an earlier entry still reads on; ``None``: without limit.

        Without limit asks for another loop from which the late entries can come, over text that both read.
        """
        inside = set(members)
        pending = [
            (p, b)
            for p, mask, _ in entries
            for b in inside
            if self._together[p] >> b & 1
            and any(mask & other for q, (other, _) in self._steps[b].items() if q in inside)
        ]
        seen = set(pending)
        while pending:
            p, b = pending.pop()
            if p in self._loop_of:
                return None
            for q, mask in self._back[p]:
                for c, other in self._back[b]:
                    if mask & other and c in inside and (q, c) not in seen and self._together[q] >> c & 1:
                        seen.add((q, c))
                        pending.append((q, c))
        return len({p for p, _ in seen})

    def _sum(self, costs: Iterable[tuple[int, Cost]]) -> Cost:
        """Return the most that *costs*, of different positions, can be at once.

        Positions are put into groups of which no two can be reached over the same text; of each group one counts.
        """
        groups: list[tuple[int, Cost]] = []
        for position, cost in costs:
            for index, (mask, largest) in enumerate(groups):
                if not mask & self._together[position]:
                    most = max(largest, cost, key=lambda c: (c.degree or 0, c.factor))
                    groups[index] = (mask | 1 << position, most)
                    break
            else:
                groups.append((1 << position, cost))
        total = Cost(0, 0)
        for _, cost in groups:
            total += cost
        return total
