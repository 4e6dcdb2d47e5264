"""The small pieces that all sections of the page share: numbers, times, level badges, bars."""

from __future__ import annotations

from datetime import UTC, datetime

from .markup import Html, element


def number(amount: int) -> str:
    """Return *amount* with a comma between thousands."""
    return f"{amount:,}"


def plural(amount: int, noun: str) -> str:
    """Return ``1 rule``, ``2 rules``; ``1 match``, ``2 matches``."""
    return f"{number(amount)} {noun}{'' if amount == 1 else 'es' if noun.endswith('ch') else 's'}"


def time_text(moment: datetime) -> str:
    """Return a moment in UTC, to the second."""
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S").rjust(19, "0")


def time_element(moment: datetime | None) -> Html:
    """Return a moment as a ``time`` element, or nothing."""
    if moment is None:
        return Html("")
    return element("time", time_text(moment), datetime=moment.astimezone(UTC).isoformat())


def level_name(level: str) -> str:
    """Return how a level of ``tallies.LEVELS_DOWN`` is shown."""
    return "no level" if level == "none" else level


def badge(level: str) -> Html:
    """Return a level's name in its colour."""
    return element("span", level_name(level), class_=f"badge {level}")


def bar(amount: int, largest: int, level: str) -> Html:
    """Return a bar as long as *amount* is of *largest*; the number itself stands beside it in the text."""
    width = max(1, round(100 * amount / largest)) if amount else 0
    return element(
        "svg", element("rect", width=f"{width}%", height="100%", class_=level), class_="bar", aria_hidden="true"
    )
