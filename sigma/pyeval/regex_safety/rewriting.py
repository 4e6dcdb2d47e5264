"""Patterns written so that less is tried, without any change of what is found.

Only whether a pattern is found counts, not where nor how much it takes up. So, with a search that starts anywhere:

- An outermost repetition need not do more than its obliged rounds: ``.*a+`` is found where ``a`` is. The same holds beside an
  unlimited repetition of a set of characters that the rounds consist of: ``a.*(?:b.)*c`` is ``a.*c``.
- A long obliged run at the start is best tried where it begins: ``.{1000,}`` is ``(?<!.).{1000,}``.
- In ``a.*b.*c`` the first ``a`` of a run of ``.`` (a line), and the first ``b`` behind it, serve as well as any other:
  ``(?<!.)(?>.*?a)(?>.*?b)(?>.*?c)``. This asks that what stands between two loops consists of the loop's characters and that
  what is found first also ends first, which ``ends_first`` proves.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from math import prod

from .charsets import ALL, NEWLINE, CharSet
from .precedence import ends_first, ends_once
from .syntax import (
    Alt,
    Anchor,
    Atomic,
    Chars,
    Group,
    Look,
    Node,
    Repeat,
    Seq,
    alphabet,
    branches_of,
    items_of,
    join,
)

_MOST_BRANCHES = 16
_LINE = CharSet(ALL & ~NEWLINE, exact=True)
_NEWLINE = Chars(r"\n", CharSet(NEWLINE, exact=True))
_WITHOUT_NEWLINE = {r"\s": r"[^\S\n]", r"\W": r"[^\w\n]", r"\D": r"[^\d\n]"}
_LONG_RUN = 16  # rounds from which an obliged run at the start is anchored instead of shortened


def shortened(root: Node) -> Node:
    """Return *root* without the rounds of repetitions that cannot decide whether it is found."""
    branches = [_anchored_run(_trimmed(branch, ALL, ALL)) for branch in branches_of(_distributed(_flat(root)))]
    return branches[0] if len(branches) == 1 else Alt(tuple(branches))


def chained(root: Node) -> Node:
    """Return *root* with its alternatives' loops over one set of characters never tried again."""
    branches = [_chain(branch) for branch in branches_of(root)]
    return branches[0] if len(branches) == 1 else Alt(tuple(branches))


def split_at_newlines(root: Node) -> Node:
    r"""Return *root* as alternatives in which, up to the last loop over ``.``, nothing may but need not be a newline.

    ``a\s?b.*c`` is ``a[^\S\n]?b.*c|a\nb.*c``: of the one it is known that it stays in a line, of the other that it does not.
    """
    branches = [part for branch in branches_of(root) for part in _at_newlines(branch)]
    return branches[0] if len(branches) == 1 else Alt(tuple(branches))


def _flat(node: Node) -> Node:
    """Return *node* with choices and sequences of one part taken apart."""
    match node:
        case Seq():
            return join(map(_flat, node.items))
        case Alt():
            branches = tuple(map(_flat, node.branches))
            if len(branches) == 2 and branches[1] == Seq(()):
                return Repeat(branches[0], 0, 1, "")  # (?:a|) is a?
            return Alt(branches)
        case Repeat():
            body = _flat(node.body)
            if (
                isinstance(body, Repeat)
                and body.loop
                and body.low <= 1
                and (node.low, node.high) == (0, 1)
                and node.kind != "+"
            ):
                return Repeat(body.body, 0, None, body.kind)  # (?:a+)? is a*
            if node.low == node.high and 1 <= node.low <= _MOST_BRANCHES and _loops(body):
                return join([body] * node.low)  # (?:.*a){2} is .*a.*a
            return replace(node, body=body)
        case Group() | Atomic() | Look():
            return replace(node, body=_flat(node.body))
        case _:
            return node


def _distributed(root: Node) -> Node:
    """Return *root* with the choices that hold loops made choices of the whole: ``a(b|c.*)d`` is ``abd|ac.*d``."""
    branches: list[Node] = []
    pending = list(reversed(branches_of(root)))
    while pending:
        branch = pending.pop()
        items = items_of(branch)
        choice = next((n for n, item in enumerate(items) if isinstance(item, Alt) and _loops(item)), None)
        if choice is None or len(branches) + len(pending) >= _MOST_BRANCHES:
            branches.append(branch)
        else:
            parts = branches_of(items[choice])
            pending += [join([*items[:choice], part, *items[choice + 1 :]]) for part in reversed(parts)]
    return branches[0] if len(branches) == 1 else Alt(tuple(branches))


def _loops(node: Node) -> bool:
    """Return whether a loop over one set of characters stands in *node*, not deeper than in a sequence or choice."""
    return any(isinstance(item, Repeat) and item.loop for branch in branches_of(node) for item in items_of(branch))


def _trimmed(node: Node, left: int, right: int) -> Node:
    """Shorten *node*; *left*, *right*: characters of which any number may precede and follow it, 0 for none."""
    items = list(items_of(node))
    before = 0
    while before != (before := _size(items)):
        _trim_edges(items, left)
        items.reverse()
        _trim_edges(items, right, backwards=True)
        items.reverse()
    return join(items)


def _size(items: list[Node]) -> int:
    return hash(tuple(items))


def _trim_edges(items: list[Node], outside: int, *, backwards: bool = False) -> None:
    """Shorten in place each item that stands behind a loop over its characters; *outside* stands before the first."""
    beside = outside
    index = 0
    while index < len(items):
        kept = list(items_of(_trim_item(items[index], beside, backwards=backwards)))
        items[index : index + 1] = reversed(kept) if backwards else kept
        if not kept:
            continue
        loop = items[index].loop if isinstance(items[index], Repeat) else None  # type: ignore[union-attr]
        # What the characters surely include: nothing is dropped beside a set that is not known exactly.
        beside = loop.chars.mask if loop is not None and loop.chars.exact else 0
        index += 1


def _trim_item(item: Node, beside: int, *, backwards: bool) -> Node:
    if not beside:
        return item
    match item:
        case Repeat() if item.kind != "+" and item.high != item.low and not alphabet(item.body) & ~beside:
            return _rounds(item.body, item.low, beside, backwards=backwards)
        case Alt():
            return Alt(tuple(_trim_side(branch, beside, backwards=backwards) for branch in item.branches))
        case _:
            return item


def _rounds(body: Node, low: int, beside: int, *, backwards: bool) -> Node:
    if low == 0:
        return Seq(())
    if low == 1:
        return _trim_side(body, beside, backwards=backwards)
    if low >= _LONG_RUN and isinstance(body, Chars):
        return Repeat(body, low, None, "")
    return Repeat(body, low, low, "")


def _trim_side(node: Node, beside: int, *, backwards: bool) -> Node:
    return _trimmed(node, 0, beside) if backwards else _trimmed(node, beside, 0)


def _anchored_run(branch: Node) -> Node:
    first, *rest = items_of(branch) or (Seq(()),)
    if not isinstance(first, Repeat) or not isinstance(first.body, Chars) or first.kind == "+":
        return branch
    if first.low < _LONG_RUN or (first.high is not None and (rest or first.high != first.low)):
        return branch
    return join([Look(first.body, ahead=False, negative=True), first, *rest])


def _chain(branch: Node) -> Node:
    """Return ``head(?>C*?a)(?>C*?b)...`` for ``head C* a C* b ...``, as far as that is the same."""
    items = items_of(branch)
    loops = [item for item in items if isinstance(item, Repeat) and item.loop is not None and item.loop.chars.exact]
    if not loops:
        return branch
    over = max((loop.loop for loop in loops if loop.loop), key=lambda chars: chars.chars.mask.bit_count())
    parts: list[list[Node]] = [[]]
    for item in items:
        if isinstance(item, Repeat) and item.loop == over:
            if item.low:
                parts[-1].append(over if item.low == 1 else Repeat(over, item.low, item.low, ""))
            parts.append([])
        else:
            parts[-1].append(item)
    # From the end: the last part may be anything, those before it must be found once and for all.
    settled: list[Node] = [join(parts.pop())]
    while len(parts) > 1 and (found := _settled(join(parts[-1]), over)) is not None:
        settled.insert(0, found)
        parts.pop()
    head: list[Node] = []
    first = _settled(join(parts[0]), over) if len(parts) == 1 else None
    if first is not None:
        head = [Look(over, ahead=False, negative=True)]
        settled.insert(0, first)
    else:
        for number, part in enumerate(parts):
            head += [*([Repeat(over, 0, None, "")] if number else []), *part]
    return join([*head, *(Atomic(join([Repeat(over, 0, None, "?"), part])) for part in settled)])


def _settled(part: Node, over: Chars) -> Node | None:
    """Return *part* so that its first place is also where it ends first, or ``None`` where it need not be."""
    if _has_assertion(part):
        return None
    if over.chars.covers(alphabet(part)):
        return ends_first(part)
    items = items_of(part)
    line_end = items.index(_NEWLINE) if _NEWLINE in items else len(items)
    # What leaves the line does so at its end, wherever it began.
    if (
        over.chars == _LINE
        and over.chars.covers(alphabet(join(items[:line_end])))
        and ends_once(join(items[line_end + 1 :]))
    ):
        return part
    return None


def _at_newlines(branch: Node) -> list[Node]:
    items = items_of(branch)
    loops = [n for n, item in enumerate(items) if isinstance(item, Repeat) and item.loop and item.loop.chars == _LINE]
    if not loops:
        return [branch]
    options = [_with_and_without_newline(item) for item in items[: loops[-1]]]
    if prod(map(len, options)) > _MOST_BRANCHES:
        return [branch]
    return [join([*chosen, *items[loops[-1] :]]) for chosen in product(*options)]


def _with_and_without_newline(item: Node) -> list[Node]:
    chars = item.body if isinstance(item, Repeat) and item.kind != "+" else item
    if not isinstance(chars, Chars) or not chars.chars.exact or not chars.chars.mask & NEWLINE:
        return [item]
    source = _WITHOUT_NEWLINE.get(chars.source)
    if source is None and chars.source.startswith("[^"):
        source = chars.source[:-1] + r"\n]"
    if source is None:
        return [item]
    inside = Chars(source, CharSet(chars.chars.mask & ~NEWLINE, exact=True))
    match item:
        case Chars():
            return [inside, _NEWLINE]
        case Repeat(low=0, high=1):
            return [replace(item, body=inside), _NEWLINE]
        case Repeat(high=None) if item.low <= 1:
            crossing: list[Node] = [Repeat(inside, 0, None, item.kind), _NEWLINE, Repeat(chars, 0, None, item.kind)]
            return [replace(item, body=inside), Seq(tuple(crossing))]
        case _:
            return [item]


def _has_assertion(node: Node) -> bool:
    match node:
        case Chars():
            return False
        case Seq():
            return any(map(_has_assertion, node.items))
        case Alt():
            return any(map(_has_assertion, node.branches))
        case Repeat():
            return node.kind == "+" or _has_assertion(node.body)
        case Anchor() | Look() | Atomic() | Group():
            return True
        case _:
            return True
