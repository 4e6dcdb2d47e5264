"""HTML in which text can only ever be text: everything but ``Html`` is escaped, once, in one place."""

from __future__ import annotations

import html
from typing import Final

from sigma.pyeval.output import printable

_VOID: Final = frozenset({"br", "input", "meta"})


class Html(str):
    """Text that is HTML already: made by :func:`element` and :func:`join`, or written in this package."""

    __slots__ = ()


def escape(text: str) -> Html:
    """Return *text* as HTML for a text or a quoted attribute, with control and bidirectional characters made visible."""
    return Html(html.escape(printable(text), quote=True))


def join(*children: str) -> Html:
    """Return the children one after the other; those that are no ``Html`` are escaped."""
    return Html("".join(child if isinstance(child, Html) else escape(child) for child in children))


def element(name: str, /, *children: str, **attributes: str | int | bool | None) -> Html:
    """Return an element.

    Args:
        name: The element's name.
        children: Its content; those that are no ``Html`` are escaped.
        attributes: By name; one underscore at the end is dropped and others are hyphens (``class_``,
            ``aria_label``). ``True`` is an attribute without value, ``None`` and ``False`` are left out.
    """
    text = "".join(
        f" {key.removesuffix('_').replace('_', '-')}" + ("" if value is True else f'="{escape(str(value))}"')
        for key, value in attributes.items()
        if value is not None and value is not False
    )
    return Html(f"<{name}{text}>" if name in _VOID else f"<{name}{text}>{join(*children)}</{name}>")


def link(address: str, text: str) -> Html:
    """Return a link, or the text alone where *address* is no web address: ``javascript:`` and its like never run."""
    if not address.lower().startswith(("https://", "http://")):
        return escape(text)
    return element("a", text, href=address, rel="noopener noreferrer")
