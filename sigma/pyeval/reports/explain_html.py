"""An explanation for notebooks: nested lists in which the text of rules and events can only be text."""

from __future__ import annotations

from typing import Final

from sigma.pyeval.explain import Explanation
from sigma.pyeval.explained_correlation import CorrelationExplanation
from sigma.pyeval.items import Item, Node

from .correlation_outline import Line, correlation_conclusion, correlation_lines
from .explanations import (
    SCOPE,
    Pieces,
    answers,
    conclusion,
    heading,
    is_folded,
    item_of,
    question,
    scope_remark,
    sections,
)
from .markup import Html, element, join

_GREEN, _RED = "color:#1b7f3b", "color:#b3261e"
_LIST: Final = "list-style:none;margin:0;padding-left:1.2em;border-left:1px solid #ccc"


def explanation_html(explanation: Explanation | CorrelationExplanation) -> Html:
    """Return the explanation as one ``div`` that needs no style sheet and no script."""
    if isinstance(explanation, Explanation):
        head, items = conclusion(explanation), _sections(explanation)
    else:
        head, items = correlation_conclusion(explanation), list(map(_line, correlation_lines(explanation)))
    body = element("p", *_head(explanation, head)), _list(*items)
    return element("div", *body, style="font-family:monospace;overflow-wrap:anywhere")


def _head(explanation: Explanation | CorrelationExplanation, conclusion: str) -> tuple[Html, str, Html]:
    style = _GREEN if explanation.matched else _RED
    return element("strong", heading(explanation.rule)), ": ", element("span", conclusion, style=style)


def _sections(explanation: Explanation) -> list[Html]:
    return [
        element(
            "li",
            f"{name}: ",
            _verdict(explanation.verdict(node)),
            f": {scope_remark(explanation)}" if name == SCOPE and is_folded(explanation) else "",
            _list(_node(explanation, node)) if name != SCOPE or _is_open(explanation) else "",
        )
        for name, node in sections(explanation)
    ]


def _is_open(explanation: Explanation) -> bool:
    """Return whether the scope is shown item by item."""
    return not (explanation.in_scope or is_folded(explanation))


def _line(line: Line) -> Html:
    under = [
        _line(one) if isinstance(one, Line) else element("li", *_head(one, conclusion(one)), _list(*_sections(one)))
        for one in line.under
    ]
    text = line.text if line.holds is None else element("span", line.text, style=_GREEN if line.holds else _RED)
    return element("li", text, _list(*under) if under else "")


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
