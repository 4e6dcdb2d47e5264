"""An explanation in words, the same for terminals and notebooks: what an item asks, what was found, what would have to change."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from sigma.pyeval.conditions import Call
from sigma.pyeval.explain import ExplainedItem, Explanation
from sigma.pyeval.items import Item, Node, items_of
from sigma.pyeval.output import counted, printable
from sigma.pyeval.rules import Rule

from .html_events import matcher_words

SCOPE: Final = "scope"
"""The name of the section that a pipeline added."""

MOST_SHOWN, LONGEST_SHOWN = 8, 80
"""So many values of a rule's list, and so many characters of each, are written out."""

WIDEST_VALUE = 200
"""So many characters of an event's value are written out."""

Pieces = list[tuple[str, bool]]
"""Text in pieces, each with whether it is marked."""


def question(item: ExplainedItem) -> str:
    """Return what the item asks: field, matcher in words, values; those that hold alone where some of a list do."""
    values = _unpacked(item.values)
    is_some = item.verdict and item.holding and len(item.holding) < len(values)
    text = _asked(item.matcher, item.field, item.holding if is_some else values)
    return text + (f" (of {len(values)})" if is_some else "")


def question_of(call: Call) -> str:
    """Return what a call asks, of whatever event."""
    return _asked(call.matcher, call.field, _unpacked(call.values))


def _asked(matcher: str, field: str | None, values: Sequence[Any]) -> str:
    words = matcher_words(matcher) if field is None else f"{field} {matcher_words(matcher)}"
    if matcher == "time_part":
        return f"{words} {' '.join(map(str, values))}"
    if "regex" in matcher:
        pattern, flags, *bound = (*values, "")[: max(2, len(values))]
        notes = [f"flags {flags}"] * bool(flags) + [f"in the first {one} characters" for one in bound]
        return f"{words} {_listed([pattern])}" + (f" ({', '.join(notes)})" if notes else "")
    text = f"{words} {_listed(values)}" if values else words
    return f"{text} (case counts)" if "_cased" in matcher else text


def _unpacked(values: Sequence[Any]) -> Sequence[Any]:
    return values[0] if len(values) == 1 and isinstance(values[0], tuple) else values


def _listed(values: Sequence[Any]) -> str:
    texts = [f"'{_cut(str(value))}'" if isinstance(value, str) else str(value) for value in values[:MOST_SHOWN]]
    return ", ".join(texts) + (f" and {len(values) - MOST_SHOWN} more" if len(values) > MOST_SHOWN else "")


def _cut(text: str) -> str:
    return printable(text if len(text) <= LONGEST_SHOWN else text[: LONGEST_SHOWN - 3] + "...")


def answers(item: ExplainedItem) -> Iterator[tuple[str, Pieces]]:
    """Yield the lines under an item: a label, and what was found in pieces."""
    for missing in item.missing:
        near = f"; the nearest name is {missing.nearest}" if missing.nearest is not None else ""
        yield missing.field, [(printable(f"is missing{near}"), False)]
    for value in item.found:
        yield ".".join(map(str, value["path"])), _pieces(value)
    if item.more:
        yield "", [(f"and {counted(item.more, 'value')} more", False)]
    values = item.values[0] if item.values and isinstance(item.values[0], tuple) else ()
    if item.matcher.endswith("_all") and not item.verdict and item.holding:
        lacking = [value for value in values if value not in item.holding]
        yield "", [(f"does not hold: {_listed(lacking)}", False)]
    if item.undecided:
        yield "", [(f"searched in the first {item.values[-1]} characters only", False)]


def _pieces(value: dict[str, Any]) -> Pieces:
    text: str | None = value["value"]
    if text is None:
        return [("null, or no text", False)]
    first = max(0, min((span[0] for span in value["spans"]), default=0) - WIDEST_VALUE // 4)
    end = min(len(text), first + WIDEST_VALUE)
    is_begin = first == 0 and not value.get("offset")
    pieces: Pieces = [] if is_begin else [("...", False)]
    position = first
    for start, stop in value["spans"]:
        start, stop = max(start, position), min(stop, end)  # noqa: PLW2901
        if start < stop:
            pieces += [(text[position:start], False), (text[start:stop], True)]
            position = stop
    pieces.append((text[position:end], False))
    if end < len(text) or "offset" in value:
        pieces.append(("...", False))
    return [(printable(piece), is_marked) for piece, is_marked in pieces if piece]


def conclusion(explanation: Explanation) -> str:
    """Return in one line whether the rule matches and, if not, what would have to change."""
    if explanation.matched:
        return "matches"
    parts = []
    if explanation.conflict is not None:
        wanted, found = (
            ", ".join(source.as_dict().values()) for source in (explanation.rule.logsource, explanation.conflict)
        )
        parts.append(printable(f"the rule is for the log source {wanted}, the event is of {found}"))
    if explanation.changes is None:
        sure = (
            "no change of items makes it match"
            if explanation.changes_certain
            else "no set of items to change was found"
        )
        parts.append(sure)
    elif changes := _told_changes(explanation):
        numbers = ", ".join(map(str, changes))
        noun = "item" if len(changes) == 1 else "items"
        least = "" if explanation.changes_certain else " (perhaps fewer would do)"
        if is_folded(explanation):
            parts.append("the event is not in the rule's scope")
        parts.append(f"{noun} {numbers} would have to be otherwise{least}")
    return "no match: " + "; ".join(parts)


def is_folded(explanation: Explanation) -> bool:
    """Return whether the scope is told in one line: it is false, and what the rule itself asks is not there either."""
    return not explanation.in_scope and not explanation.verdict(explanation.tree.condition)


def _told_changes(explanation: Explanation) -> tuple[int, ...]:
    changes = explanation.changes or ()
    if not is_folded(explanation):
        return changes
    shown = {item.number for item in items_of(explanation.tree.condition)}
    return tuple(number for number in changes if number in shown)


def scope_remark(explanation: Explanation) -> str:
    """Return, for a scope in one line, what the rule is for and what the event is."""
    wanted = ", ".join(explanation.rule.logsource.as_dict().values())
    found = "" if explanation.logsource is None else ", ".join(explanation.logsource.as_dict().values())
    event = f"this event is of {found}" if found else "of what log source this event is, it does not tell"
    return printable(f"the rule is for {wanted}; {event}")


def heading(rule: Rule) -> str:
    """Return the rule's title and id."""
    return printable(rule.title if rule.id is None else f"{rule.title} ({rule.id})")


def sections(explanation: Explanation) -> Iterator[tuple[str, Node]]:
    """Yield the scope, where there is one, and the condition, with their names."""
    if explanation.tree.scope is not None:
        yield SCOPE, explanation.tree.scope
    yield "condition", explanation.tree.condition


def item_of(explanation: Explanation, node: Item) -> ExplainedItem:
    """Return what is known of an item of the tree."""
    return explanation.items[node.number - 1]
