"""An explanation for terminals: a tree, the marked parts in colour or between ``«`` and ``»``."""

from __future__ import annotations

import io

from rich.console import Console
from rich.text import Text
from rich.tree import Tree

from sigma.pyeval.explain import Explanation
from sigma.pyeval.explained_correlation import CorrelationExplanation
from sigma.pyeval.items import Item, Node
from sigma.pyeval.output import printable

from .correlation_outline import Line, correlation_conclusion, correlation_lines
from .explanations import (
    SCOPE,
    answers,
    conclusion,
    heading,
    is_folded,
    item_of,
    question,
    scope_remark,
    sections,
)

PLAIN_WIDTH = 120
"""Characters of a line where there is no terminal."""

_STYLES = {True: "green", False: "red"}
_MARKED = "black on yellow"


def explanation_text(explanation: Explanation | CorrelationExplanation) -> str:
    """Return the explanation as plain text of lines of at most ``PLAIN_WIDTH`` characters."""
    console = Console(file=io.StringIO(), width=PLAIN_WIDTH, color_system=None, force_terminal=False)
    print_explanation(explanation, console)
    stream = console.file
    assert isinstance(stream, io.StringIO)  # noqa: S101 - made above
    return "\n".join(line.rstrip() for line in stream.getvalue().splitlines())


def print_explanation(explanation: Explanation | CorrelationExplanation, console: Console) -> None:
    """Print the explanation; in colour where the console has it."""
    is_coloured = console.color_system is not None
    if isinstance(explanation, Explanation):
        root = Tree(_head(explanation, conclusion(explanation)), guide_style="dim")
        _add_sections(explanation, root, is_coloured)
    else:
        root = Tree(_head(explanation, correlation_conclusion(explanation)), guide_style="dim")
        for line in correlation_lines(explanation):
            _add_line(line, root, is_coloured)
    console.print(root)


def _head(explanation: Explanation | CorrelationExplanation, conclusion: str) -> Text:
    return Text.assemble((heading(explanation.rule), "bold"), ": ", (conclusion, _STYLES[explanation.matched]))


def _add_line(line: Line, branch: Tree, is_coloured: bool) -> None:
    inner = branch.add(Text(line.text, "" if line.holds is None else _STYLES[line.holds]))
    for one in line.under:
        if isinstance(one, Line):
            _add_line(one, inner, is_coloured)
        else:
            _add_sections(one, inner.add(_head(one, conclusion(one))), is_coloured)


def _add_sections(explanation: Explanation, branch: Tree, is_coloured: bool) -> None:
    for name, node in sections(explanation):
        label = Text.assemble(name, ": ", _verdict(explanation.verdict(node)))
        is_remark = name == SCOPE and is_folded(explanation)
        if is_remark:
            label.append(f": {scope_remark(explanation)}")
        section = branch.add(label)
        if not is_remark and (
            name != SCOPE or not explanation.verdict(node)
        ):  # of a scope that holds there is nothing to say
            _add(explanation, node, section, is_coloured)


def _verdict(holds: bool) -> tuple[str, str]:
    return ("true" if holds else "false", _STYLES[holds])


def _add(explanation: Explanation, node: Node, branch: Tree, is_coloured: bool) -> None:
    if not isinstance(node, Item):
        inner = branch.add(Text.assemble(node.operator, ": ", _verdict(explanation.verdict(node))))
        for part in node.parts:
            _add(explanation, part, inner, is_coloured)
        return
    item = item_of(explanation, node)
    is_wanted = node.number in (explanation.changes or ())
    label = Text.assemble(
        (f"{node.number} ", "bold" if is_wanted else ""), _verdict(item.verdict), "  ", printable(question(item))
    )
    if is_wanted:
        label.append("  <- to change", "bold")
    leaf = branch.add(label)
    for name, pieces in answers(item):
        line = Text(f"{printable(name)} = " if name and item.found else f"{printable(name)} " if name else "", "dim")
        for text, is_marked in pieces:
            line.append(text if is_coloured or not is_marked else f"«{text}»", _MARKED if is_marked else "not dim")
        leaf.add(line)
