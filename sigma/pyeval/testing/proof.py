"""Events that a rule could not match whatever it says, as they have none of the fields that it reads: they prove nothing."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Final

from sigma.pyeval.events import plain_event
from sigma.pyeval.field_report import event_names, nearest_name
from sigma.pyeval.items import Node, items_of, judge, parse_items, verdict
from sigma.pyeval.marks import holds_call
from sigma.pyeval.rules import Rule

MOST_NAMED: Final = 12
"""So many fields of the rule, and of the event, are named."""

_MOST_LOOKED_AT = 500


def proves_nothing(rule: Rule, event: Mapping[str, Any]) -> str:
    """Return why it tells nothing of *rule* that it does not match *event*, and what to do; empty where it does, or matches.

    It tells nothing where the event has none of the fields that the rule's condition reads, and where the condition is true
    and only the scope false, none of whose fields the event has. A rule with keywords reads every event.
    """
    tree = parse_items(rule)
    verdicts = judge(tree, event)
    if verdict(tree.whole, verdicts):
        return ""
    plain = plain_event(event)
    if _is_blind(tree.condition, plain):
        return _told("the rule's condition", _fields(tree.condition), plain)
    if verdict(tree.condition, verdicts) and tree.scope is not None and _is_blind(tree.scope, plain):
        return _told("only the rule's scope keeps it from matching, which", _fields(tree.scope), plain)
    return ""


def _fields(node: Node) -> list[str]:
    return list(dict.fromkeys(field for item in items_of(node) for field in item.call.fields))


def _is_blind(node: Node, event: Mapping[str, Any]) -> bool:
    """Return whether no part of *node* finds anything in *event* to look at."""
    has_keywords = any(item.call.field is None for item in items_of(node))
    return not has_keywords and not any(holds_call("exists", event, (field,)) for field in _fields(node))


def _told(what: str, fields: Collection[str], event: Mapping[str, Any]) -> str:
    names = list(event_names(event, _MOST_LOOKED_AT))
    near = [f"{name}: the rule reads {field}" for name in names[:MOST_NAMED] if (field := nearest_name(name, fields))]
    has = f"has {_listed(names)}" if names else "is empty"
    hints = f" ({'; '.join(near)})" if near else ""
    return f"proves nothing: {what} reads {_listed(fields)}, the event {has}{hints}; write fields as the pipeline names them"


def _listed(names: Collection[str]) -> str:
    shown = list(names)[:MOST_NAMED]
    return ", ".join(shown) + (f" and {len(names) - len(shown)} more" if len(names) > len(shown) else "")
