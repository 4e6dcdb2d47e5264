"""A regular expression as a tree: parsed by Python's own parser, so that nothing is understood differently; and emitted."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from re import _parser  # the only reading of a pattern that surely is Python's
from typing import Any, Literal

from .charsets import ALL, EDGE, NEWLINE, Boundary, CharSet, charset

Kind = Literal["", "?", "+"]
"""How a repetition tries: ``""`` greedy, ``"?"`` lazy, ``"+"`` possessive; as written behind the count."""


@dataclass(frozen=True, slots=True)
class Chars:
    """One character of a set."""

    source: str
    chars: CharSet


@dataclass(frozen=True, slots=True)
class Seq:
    """One thing behind the other; empty: the empty text."""

    items: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Alt:
    """One of several."""

    branches: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Repeat:
    """A repetition, *high* ``None`` for no limit."""

    body: Node
    low: int
    high: int | None
    kind: Kind

    @property
    def loop(self) -> Chars | None:
        """What an unlimited repetition of one character set repeats, unless it is possessive."""
        return self.body if self.high is None and self.kind != "+" and isinstance(self.body, Chars) else None


@dataclass(frozen=True, slots=True)
class Group:
    """A group with flags of its own, or one that a back-reference may name; *opening* is its source up to the body."""

    opening: str
    body: Node


@dataclass(frozen=True, slots=True)
class Atomic:
    """``(?>...)``: once left, never tried otherwise."""

    body: Node


@dataclass(frozen=True, slots=True)
class Anchor:
    r"""A place: ``^``, ``$``, ``\b`` and so on; one of *asks* holds there."""

    source: str
    asks: tuple[Boundary, ...]


@dataclass(frozen=True, slots=True)
class Look:
    """A lookahead or lookbehind."""

    body: Node
    ahead: bool
    negative: bool


@dataclass(frozen=True, slots=True)
class Reference:
    """A back-reference."""

    source: str


Node = Chars | Seq | Alt | Repeat | Group | Atomic | Anchor | Look | Reference


@dataclass(frozen=True, slots=True)
class Pattern:
    """A parsed pattern.

    Attributes:
        root: Its tree.
        inline: The flags set within the pattern, for the whole of it, as source: ``(?i)``.
        references: Whether groups are referred to, so that they must stay as they are.
    """

    root: Node
    inline: str
    references: bool

    def emit(self, root: Node) -> str:
        """Return the source of this pattern with another tree."""
        return self.inline + emit_node(root)


ANY = Chars(r"[\s\S]", CharSet(ALL, exact=True))
"""Any character at all, whatever the flags."""

_ANCHORS = {
    "AT_BEGINNING": "^",
    "AT_BEGINNING_STRING": r"\A",
    "AT_END": "$",
    "AT_END_STRING": r"\Z",
    "AT_BOUNDARY": r"\b",
    "AT_NON_BOUNDARY": r"\B",
}
_CATEGORIES = {
    "CATEGORY_DIGIT": r"\d",
    "CATEGORY_NOT_DIGIT": r"\D",
    "CATEGORY_SPACE": r"\s",
    "CATEGORY_NOT_SPACE": r"\S",
    "CATEGORY_WORD": r"\w",
    "CATEGORY_NOT_WORD": r"\W",
}
_KINDS: dict[str, Kind] = {"MAX_REPEAT": "", "MIN_REPEAT": "?", "POSSESSIVE_REPEAT": "+"}
_INLINE = {re.IGNORECASE: "i", re.MULTILINE: "m", re.DOTALL: "s", re.ASCII: "a"}
_REFERRING = ("GROUPREF", "GROUPREF_EXISTS")


def parse_pattern(pattern: str, flags: int) -> Pattern:
    """Return the tree of *pattern*; raises ``re.error``, RecursionError."""
    parsed = _parser.parse(pattern, flags)
    effective = parsed.state.flags
    inline = "".join(letter for flag, letter in _INLINE.items() if effective & flag and not flags & flag)
    references = _refers(parsed)
    root = _Reader(references).sequence(parsed, effective)
    return Pattern(root, f"(?{inline})" if inline else "", references)


def _refers(items: Any) -> bool:
    """Return whether a back-reference stands anywhere in the parser's nested lists."""
    for op, argument in items:
        if str(op) in _REFERRING:
            return True
        parts = argument[1] if str(op) == "BRANCH" else argument if isinstance(argument, tuple) else (argument,)
        if any(isinstance(part, _parser.SubPattern) and _refers(part) for part in parts):
            return True
    return False


class _Reader:
    """Turns the parser's nested lists into a tree; groups are kept only where something refers to them."""

    def __init__(self, keep_groups: bool) -> None:
        self._keep_groups = keep_groups

    def sequence(self, items: Any, flags: int) -> Node:
        return join(self._node(str(op), argument, flags) for op, argument in items)

    def _node(self, op: str, argument: Any, flags: int) -> Node:
        match op:
            case "LITERAL" | "NOT_LITERAL" | "ANY" | "IN":
                return _chars(op, argument, flags)
            case "BRANCH":
                return Alt(tuple(self.sequence(branch, flags) for branch in argument[1]))
            case "SUBPATTERN":
                return self._group(argument, flags)
            case "MAX_REPEAT" | "MIN_REPEAT" | "POSSESSIVE_REPEAT":
                low, high, body = argument
                limit = None if high is _parser.MAXREPEAT else int(high)
                return Repeat(self.sequence(body, flags), int(low), limit, _KINDS[op])
            case "ATOMIC_GROUP":
                return Atomic(self.sequence(argument, flags))
            case "AT":
                return _anchor(_ANCHORS[str(argument)], flags)
            case "ASSERT" | "ASSERT_NOT":
                return Look(self.sequence(argument[1], flags), argument[0] > 0, op == "ASSERT_NOT")
            case "FAILURE":
                return Look(Seq(()), ahead=True, negative=True)
            case "GROUPREF":
                return Reference(f"\\{argument}")
            case "GROUPREF_EXISTS":
                branches = [self.sequence(branch or (), flags) for branch in argument[1:]]
                return Seq((Reference(f"(?({argument[0]}))"), Alt(tuple(branches))))
        raise re.error(f"unknown operation {op}")  # a newer Python's; never guessed at

    def _group(self, argument: Any, flags: int) -> Node:
        number, added, removed, items = argument
        body = self.sequence(items, (flags | added) & ~removed)
        if added or removed:
            on, off = ("".join(letter for flag, letter in _INLINE.items() if bits & flag) for bits in (added, removed))
            return Group(f"(?{on}{'-' + off if off else ''}:", body)
        return Group("(", body) if number is not None and self._keep_groups else body


def _anchor(source: str, flags: int) -> Anchor:
    anything = ALL | EDGE
    line = EDGE | NEWLINE if flags & re.MULTILINE else EDGE
    word = charset(r"\w", flags & re.ASCII, far=False).mask
    other = anything & ~word
    asks: dict[str, tuple[Boundary, ...]] = {
        "^": ((line, anything),),
        r"\A": ((EDGE, anything),),
        "$": ((anything, EDGE | NEWLINE),),
        r"\Z": ((anything, EDGE),),
        r"\b": ((word, other), (other, word)),
        r"\B": ((word, word), (other, other)),
    }
    return Anchor(source, asks[source])


def _chars(op: str, argument: Any, flags: int) -> Chars:
    items = argument if op == "IN" else [(op.removeprefix("NOT_"), argument)]
    source, far = "", False
    for item, value in items:
        match str(item):
            case "LITERAL":
                source += _member(value)
                far |= value > 0xFF
            case "RANGE":
                source += f"{_member(value[0])}-{_member(value[1])}"
                far |= value[1] > 0xFF
            case "CATEGORY":
                source += _CATEGORIES[str(value)]
            case "NEGATE":
                source += "^"
    if op == "ANY":
        source = "."
    elif op == "LITERAL":
        source = _escaped(argument)
    elif op == "NOT_LITERAL":
        source = f"[^{source}]"
    elif len(items) > 1 or str(items[0][0]) != "CATEGORY":
        source = f"[{source}]"
    relevant = flags & (re.IGNORECASE | re.DOTALL | re.ASCII)
    return Chars(source, charset(source, relevant, far))


def _member(code: int) -> str:
    return "\\" + chr(code) if chr(code) in r"\]^-[&~|" else _visible(code)


def _escaped(code: int) -> str:
    return "\\" + chr(code) if chr(code) in r"\.^$*+?{}[]|()" else _visible(code)


def _visible(code: int) -> str:
    names = {"\n": r"\n", "\r": r"\r", "\t": r"\t"}
    if chr(code) in names:
        return names[chr(code)]
    if chr(code).isprintable():
        return chr(code)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def join(nodes: Iterable[Node]) -> Node:
    """Return *nodes* one behind the other, sequences in them taken apart; one alone is itself."""
    items: list[Node] = []
    for node in nodes:
        items.extend(node.items if isinstance(node, Seq) else (node,))
    return items[0] if len(items) == 1 else Seq(tuple(items))


def items_of(node: Node) -> Sequence[Node]:
    """Return the parts of a sequence; of anything else, itself."""
    return node.items if isinstance(node, Seq) else (node,)


def branches_of(node: Node) -> Sequence[Node]:
    """Return the alternatives of a choice; of anything else, itself."""
    return node.branches if isinstance(node, Alt) else (node,)


def emit_node(node: Node) -> str:
    """Return the source of *node*."""
    match node:
        case Chars() | Anchor() | Reference():
            return node.source
        case Seq():
            return "".join(
                f"(?:{emit_node(item)})" if isinstance(item, Alt) else emit_node(item) for item in node.items
            )
        case Alt():
            return "|".join(map(emit_node, node.branches))
        case Repeat():
            body = emit_node(node.body)
            return (body if isinstance(node.body, (Chars, Atomic, Group)) else f"(?:{body})") + _count(node)
        case Group():
            return f"{node.opening}{emit_node(node.body)})"
        case Atomic():
            return f"(?>{emit_node(node.body)})"
        case Look():
            return f"(?{'' if node.ahead else '<'}{'!' if node.negative else '='}{emit_node(node.body)})"


def _count(node: Repeat) -> str:
    short = {(0, None): "*", (1, None): "+", (0, 1): "?"}.get((node.low, node.high))
    if short is None:
        low, high = node.low, node.high
        short = f"{{{low}}}" if low == high else f"{{{low},{'' if high is None else high}}}"
    return short + node.kind


def alphabet(node: Node) -> int:
    """Return a mask of every character that *node* can take up."""
    match node:
        case Chars():
            return node.chars.mask
        case Seq() | Alt():
            mask = 0
            for part in node.items if isinstance(node, Seq) else node.branches:
                mask |= alphabet(part)
            return mask
        case Repeat() | Group() | Atomic():
            return alphabet(node.body)
        case Reference():
            return ALL
        case Anchor() | Look():
            return 0


def longest_count(node: Node) -> int:
    """Return the most rounds of any limited repetition in *node*, or obliged rounds of an unlimited one."""
    match node:
        case Seq() | Alt():
            return max(map(longest_count, node.items if isinstance(node, Seq) else node.branches), default=0)
        case Repeat():
            return max(node.low if node.high is None else node.high, longest_count(node.body))
        case Group() | Atomic() | Look():
            return longest_count(node.body)
        case _:
            return 0


def readings(node: Node) -> int | None:
    """Return in how many ways a tree without repetitions and references can be gone through; ``None`` with any of them."""
    match node:
        case Chars() | Anchor():
            return 1
        case Seq() | Alt():
            counts = [readings(part) for part in (node.items if isinstance(node, Seq) else node.branches)]
            known = [count for count in counts if count is not None]
            if len(known) < len(counts):
                return None
            return math.prod(known) if isinstance(node, Seq) else sum(known)
        case Group() | Atomic():
            return readings(node.body)
        case _:
            return None
