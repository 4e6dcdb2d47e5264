"""A rule set's ATT&CK matrix as one SVG image: tactics as columns, techniques as cells with the number of their rules."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from sigma.pyeval.attack import tactic_title
from sigma.pyeval.output import counted

from .markup import Html, element

WIDTH, HEIGHT, GAP, HEAD = 132, 22, 4, 52
"""A cell's width and height, the space between cells, and the height of a column's head, in pixels."""

_MARGIN, _TITLE = 12, 34
_FONT: Final = "font-family:system-ui,sans-serif"
# Fills by number of rules: from this number on. Text on all of them is black, with a contrast of at least 7 to 1.
_FILLS: Final = ((1, "#fff3d6"), (3, "#fddc9a"), (10, "#f7bd6b"), (30, "#f0a35e"))


def attack_svg(matrix: Mapping[str, Mapping[str, int]], tactics: Sequence[str], title: str) -> str:
    """Return the image as text of an SVG file.

    Args:
        matrix: Number of rules by technique, by tactic.
        tactics: Which columns, in order; a tactic without techniques is an empty one.
        title: What it shows; also the image's name for those who do not see it, who hear of each cell besides.
    """
    rows = max((len(matrix.get(tactic, ())) for tactic in tactics), default=0)
    width = 2 * _MARGIN + max(1, len(tactics)) * (WIDTH + GAP) - GAP
    height = _TITLE + HEAD + rows * (HEIGHT + GAP) + _MARGIN
    columns = (_column(number, tactic, matrix.get(tactic, {})) for number, tactic in enumerate(tactics))
    image = element(
        "svg",
        element("title", title, id="title"),
        element("desc", _description(matrix, tactics), id="desc"),
        element("rect", width=width, height=height, fill="#ffffff"),
        _text(_MARGIN, 22, title, 15, font_weight="bold"),
        *columns,
        xmlns="http://www.w3.org/2000/svg",
        width=width,
        height=height,
        viewBox=f"0 0 {width} {height}",
        role="img",
        aria_labelledby="title desc",
        style=_FONT,
    )
    return f'<?xml version="1.0" encoding="utf-8"?>\n{image}\n'


def _description(matrix: Mapping[str, Mapping[str, int]], tactics: Sequence[str]) -> str:
    parts = []
    for tactic in tactics:
        cells = ", ".join(f"{technique} ({count})" for technique, count in sorted(matrix.get(tactic, {}).items()))
        parts.append(f"{_name(tactic)}: {cells or 'none'}.")
    return " ".join(parts)


def _column(number: int, tactic: str, techniques: Mapping[str, int]) -> Html:
    left = _MARGIN + number * (WIDTH + GAP)
    words = _name(tactic).split()
    half = (len(words) + 1) // 2 if len(_name(tactic)) > 16 else len(words)
    head = [
        _text(left, _TITLE + 14 + 15 * line, " ".join(part), font_weight="bold")
        for line, part in enumerate((words[:half], words[half:]))
        if part
    ]
    cells = (_cell(left, row, tactic, *cell) for row, cell in enumerate(sorted(techniques.items())))
    return element("g", *head, *cells)


def _cell(left: int, row: int, tactic: str, technique: str, count: int) -> Html:
    top = _TITLE + HEAD + row * (HEIGHT + GAP)
    fill = next(colour for least, colour in reversed(_FILLS) if count >= least)
    return element(
        "g",
        element("title", f"{technique}, {_name(tactic)}: {counted(count, 'rule')}"),
        element(
            "rect", x=left, y=top, width=WIDTH, height=HEIGHT, rx=3, fill=fill, stroke="#8a6d3b", stroke_width="0.5"
        ),
        _text(left + 6, top + 15, technique),
        _text(left + WIDTH - 6, top + 15, str(count), font_weight="bold", text_anchor="end"),
    )


def _text(x: int, y: int, text: str, size: int = 12, **attributes: str) -> Html:
    return element("text", text, x=x, y=y, font_size=size, fill="#000000", **attributes)


def _name(tactic: str) -> str:
    return tactic_title(tactic)[:60] if tactic else "No tactic"
