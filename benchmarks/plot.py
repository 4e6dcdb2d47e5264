"""Events a second against the number of rules as an SVG: lines on two logarithmic scales, each named where it ends."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT = 760, 430
LEFT, RIGHT, TOP, BOTTOM = 78, 172, 64, 52
_FONT = "font-family=\"-apple-system, 'Segoe UI', Helvetica, Arial, sans-serif\""
_LABEL_DISTANCE = 17
"""Pixels between two names, at least."""


@dataclass(frozen=True)
class Line:
    """A named line: its colour, (number of rules, events a second) for each point, dashed or not."""

    name: str
    colour: str
    points: Sequence[tuple[float, float]]
    dashed: bool = False


def svg(title: str, subtitle: str, lines: Sequence[Line], along: str = "rules") -> str:
    xs = sorted({x for line in lines for x, _ in line.points})
    ys = [y for line in lines for _, y in line.points]
    low, high = math.floor(math.log10(min(ys))), math.ceil(math.log10(max(ys)))

    def across(x: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * math.log(x / xs[0]) / math.log(xs[-1] / xs[0])

    def up(y: float) -> float:
        return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * (math.log10(y) - low) / (high - low)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" {_FONT} font-size="13" role="img">',
        f"<title>{escape(title)}</title>",
        f'<rect width="{WIDTH}" height="{HEIGHT}" rx="8" fill="#ffffff"/>',
        _text(24, 28, title, 'font-size="16" font-weight="600" fill="#1f2328"'),
        _text(24, 47, subtitle, 'fill="#59636e"'),
    ]
    for power in range(low, high + 1):
        y = up(10**power)
        parts.append(f'<path d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}" stroke="#e4e8ec"/>')
        parts.append(_text(LEFT - 10, y + 4, f"{10**power:,}", 'text-anchor="end" fill="#59636e"'))
    for x in xs:
        parts.append(f'<path d="M{across(x):.1f} {HEIGHT - BOTTOM}v5" stroke="#8c959f"/>')
        parts.append(_text(across(x), HEIGHT - BOTTOM + 20, f"{x:,.0f}", 'text-anchor="middle" fill="#59636e"'))
    parts.append(_text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 12, along, 'text-anchor="middle" fill="#59636e"'))
    for line in lines:
        places = [(across(x), up(y)) for x, y in line.points]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
        dashes = ' stroke-dasharray="5 4"' if line.dashed else ""
        parts.append(f'<polyline points="{path}" fill="none" stroke="{line.colour}" stroke-width="2.5"{dashes}/>')
        if not line.dashed:
            parts.extend(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="{line.colour}"/>' for x, y in places)
    for line, y in _label_heights([(line, up(line.points[-1][1])) for line in lines]):
        name = f"{line.name}  {line.points[-1][1]:,.0f}"
        parts.append(_text(WIDTH - RIGHT + 12, y + 4, name, f'font-weight="600" fill="{line.colour}"'))
    return "\n".join([*parts, "</svg>", ""])


def _label_heights(wanted: list[tuple[Line, float]]) -> list[tuple[Line, float]]:
    """Return the heights of the names, moved down where they would touch."""
    placed: list[tuple[Line, float]] = []
    for line, y in sorted(wanted, key=lambda pair: pair[1]):
        placed.append((line, max(y, placed[-1][1] + _LABEL_DISTANCE) if placed else y))
    return placed


def _text(x: float, y: float, text: str, attributes: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" {attributes}>{escape(text)}</text>'
