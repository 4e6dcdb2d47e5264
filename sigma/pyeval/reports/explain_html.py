"""An explanation for notebooks: nested lists in which the text of rules and events can only be text."""

from __future__ import annotations

from typing import Final

from sigma.pyeval.explain import Explanation
from sigma.pyeval.items import Item, Node

from .explanations import SCOPE, Pieces, answers, conclusion, heading, item_of, question, sections
from .markup import Html, element, join

_GREEN, _RED = "color:#1b7f3b", "color:#b3261e"
_LIST: Final = "list-style:none;margin:0;padding-left:1.2em;border-left:1px solid #ccc"


def explanation_html(explanation: Explanation) -> Html:
    """Return the explanation as one ``div`` that needs no style sheet and no script."""
    parts = [
        element(
            "li",
            f"{name}: ",
            _verdict(explanation.verdict(node)),
            _list(_node(explanation, node)) if name != SCOPE or not explanation.verdict(node) else "",
        )
        for name, node in sections(explanation)
    ]
    style = _GREEN if explanation.matched else _RED
    head = element(
        "p", element("strong", heading(explanation)), ": ", element("span", conclusion(explanation), style=style)
    )
    return element("div", head, _list(*parts), style="font-family:monospace;overflow-wrap:anywhere")


def _list(*items: Html) -> Html:
    return element("ul", *items, style=_LIST)


def _verdict(holds: bool) -> Html:
    return element("span", "true" if holds else "false", style=_GREEN if holds else _RED)


def _node(explanation: Explanation, node: Node) -> Html:
    if not isinstance(node, Item):
        parts = (_node(explanation, part) for part in node.parts)
        return element("li", node.operator, ": ", _verdict(explanation.verdict(node)), _list(*parts))
    item = item_of(explanation, node)
    wanted = node.number in (explanation.changes or ())
    lines = [
        element("li", f"{name} = " if name and item.found else f"{name} ", _marked(pieces))
        for name, pieces in answers(item)
    ]
    return element(
        "li",
        f"{node.number} ",
        _verdict(item.verdict),
        " ",
        question(item),
        element("strong", " ← to change") if wanted else "",
        _list(*lines) if lines else "",
    )


def _marked(pieces: Pieces) -> Html:
    return join(*(element("mark", text) if is_marked else text for text, is_marked in pieces))
