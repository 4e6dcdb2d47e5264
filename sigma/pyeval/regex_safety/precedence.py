"""Does what begins first also end first? Then nothing is lost by taking the first place and never another."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from math import inf

from .automaton import Automaton, TooLarge
from .charsets import ALL
from .syntax import Alt, Chars, Node, Repeat, Seq, items_of, join

_MOST_STATES = 4_000
_START = -1


def ends_first(node: Node) -> Node | None:
    """Return *node*, perhaps with a repetition made lazy, so that its first match from the left is the first to end.

    That is: for any text, among all matches beginning at or behind the first place where one begins, none ends before the one
    that Python finds. ``None`` where this is not proved. *node* has no anchors, lookarounds or references.
    """
    try:
        words = _Words(node)
    except TooLarge:
        return None
    if words.accept_empty or not words.inner_end_with_outer():
        return None
    return node if words.prefix_free() else _shortest_first(node)


def ends_once(node: Node) -> bool:
    """Return whether *node* surely has a single end wherever it begins; it has no anchors, lookarounds or references."""
    if node == Seq(()):
        return True
    try:
        words = _Words(node)
    except TooLarge:
        return False
    return not words.accept_empty and words.prefix_free()


def _shortest_first(node: Node) -> Node | None:
    """Return *node* with its repetitions lazy, so that shorter texts are tried first; ``None`` where that is not so."""
    items = list(items_of(node))
    behind: float = 0  # by how much what follows can vary
    for index in reversed(range(len(items))):
        item = items[index]
        if _width(item) is not None:
            continue
        width = _width(item.body) if isinstance(item, Repeat) else None
        # One round more must not be shorter than all that a longer way to read the rest would add.
        if not isinstance(item, Repeat) or width is None or width < behind:
            return None
        behind += inf if item.high is None else width * (item.high - item.low)
        items[index] = replace(item, kind="?")
    return join(items)


def _width(node: Node) -> int | None:
    """Return how many characters *node* takes up, where that is always the same."""
    match node:
        case Chars():
            return 1
        case Seq():
            widths = [_width(item) for item in node.items]
            return None if None in widths else sum(width or 0 for width in widths)
        case Alt():
            widths = [_width(branch) for branch in node.branches]
            return widths[0] if len(set(widths)) == 1 else None
        case Repeat():
            width = _width(node.body)
            return None if width is None or node.low != node.high else width * node.low
        case _:
            return None


class _Words:
    """The texts that a pattern matches as a whole; position -1 is the start."""

    def __init__(self, node: Node) -> None:
        automaton = Automaton(node, expand=200)
        if any(body.high is not None and body.high > 200 for body in _repeats(node)):
            raise TooLarge  # not written out, so these would not be its words
        self._steps: dict[int, list[tuple[int, int]]] = {
            position: [(follower, mask) for follower, (mask, _) in steps.items()]
            for position, steps in enumerate(automaton.steps)
        }
        self._steps[_START] = [(position, automaton.masks[position]) for position, _ in automaton.root.first]
        self._final = {position for position, _ in automaton.root.last}
        self.accept_empty = bool(automaton.root.null)
        self._letters = _letters({mask for steps in self._steps.values() for _, mask in steps})

    def prefix_free(self) -> bool:
        """Return whether no word begins with another."""
        seen = {(_START, _START)}
        pending = [(_START, _START)]
        while pending:
            whole, part = pending.pop()
            if part in self._final and self._steps[whole]:
                return False
            for p, mask in self._steps[whole]:
                for q, other in self._steps[part]:
                    if mask & other and (p, q) not in seen:
                        seen.add((p, q))
                        pending.append((p, q))
        return True

    def inner_end_with_outer(self) -> bool:
        """Return whether, where a word within a word ends before it, the text of the outer up to there is a word as well."""
        begin: tuple[frozenset[int], int, int | None] = (frozenset((_START,)), _START, None)
        seen = {begin}
        pending = [begin]
        while pending:
            state = pending.pop()
            for follower in self._moves(*state):
                prefix, outer, inner = follower
                # Every position can still reach an end, so a word goes on behind here wherever there are steps.
                if inner in self._final and self._steps[outer] and not prefix & self._final:
                    return False
                if follower not in seen:
                    seen.add(follower)
                    pending.append(follower)
            if len(seen) > _MOST_STATES:
                return False
        return True

    def _moves(
        self, prefix: frozenset[int], outer: int, inner: int | None
    ) -> Iterator[tuple[frozenset[int], int, int | None]]:
        for letter in self._letters:
            after = [p for p, mask in self._steps[outer] if mask & letter]
            if not after:
                continue
            reached = frozenset(q for p in prefix for q, mask in self._steps[p] if mask & letter)
            inside: set[int | None] = {None} if inner is None else set()
            begun = _START if inner is None else inner
            inside.update(q for q, mask in self._steps[begun] if mask & letter)
            for p in after:
                for q in inside:
                    yield reached, p, q


def _repeats(node: Node) -> Iterator[Repeat]:
    match node:
        case Repeat():
            yield node
            yield from _repeats(node.body)
        case Seq():
            for item in node.items:
                yield from _repeats(item)
        case Alt():
            for branch in node.branches:
                yield from _repeats(branch)
        case _:
            return


def _letters(masks: set[int]) -> list[int]:
    """Return disjoint masks such that characters of one are in the same ones of *masks*."""
    cells = [ALL]
    for mask in masks:
        cells = [part for cell in cells for part in (cell & mask, cell & ~mask) if part]
    return cells
