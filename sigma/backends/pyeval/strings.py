"""Sigma strings: which matcher a text with or without wildcards calls for."""

from __future__ import annotations

from sigma.exceptions import SigmaPlaceholderError
from sigma.types import Placeholder, SigmaCasedString, SigmaString, SpecialChars

from .modifiers import AnchoredCasedKeyword, AnchoredKeyword
from .nodes import Call

_MANY = SpecialChars.WILDCARD_MULTI
Part = str | SpecialChars


def string_call(field: str, string: SigmaString) -> Call:
    """Return the call for ``field: string``: equality, an affix, or a wildcard match."""
    cased = "_cased" if isinstance(string, SigmaCasedString) else ""
    match string_parts(string):
        case []:
            return Call("equals" + cased, field, ("",))
        case [str(text)]:
            return Call("equals" + cased, field, (text,))
        case [SpecialChars.WILDCARD_MULTI]:
            return Call("has_value", field)
        case [SpecialChars.WILDCARD_MULTI, str(text), SpecialChars.WILDCARD_MULTI]:
            return Call("contains" + cased, field, (text,))
        case [SpecialChars.WILDCARD_MULTI, str(text)]:
            return Call("endswith" + cased, field, (text,))
        case [str(text), SpecialChars.WILDCARD_MULTI]:
            return Call("startswith" + cased, field, (text,))
        case parts:
            return Call("wildcard" + cased, field, (emit_glob(parts),))


def keyword_call(string: SigmaString) -> Call:
    """Return the call for a keyword, which is searched anywhere in a value unless a modifier anchors it."""
    cased = "_cased" if isinstance(string, SigmaCasedString) else ""
    parts = string_parts(string)
    if isinstance(string, (AnchoredKeyword, AnchoredCasedKeyword)):
        return Call("keyword_whole" + cased, None, (emit_glob(parts),))
    # Wildcards at the ends say nothing more than "anywhere".
    while parts and parts[0] is _MANY:
        del parts[0]
    while parts and parts[-1] is _MANY:
        del parts[-1]
    match parts:
        case []:
            return Call("keyword" + cased, None, ("",))
        case [str(text)]:
            return Call("keyword" + cased, None, (text,))
        case _:
            return Call("keyword_wildcard" + cased, None, (emit_glob(parts),))


def string_parts(string: SigmaString) -> list[Part]:
    """Return the parts of *string*: literal texts joined, empty ones dropped, runs of ``*`` made one.

    Raises:
        SigmaPlaceholderError: A placeholder was left without a value.
    """
    parts: list[Part] = []
    for part in string.s:
        if isinstance(part, Placeholder):
            raise SigmaPlaceholderError(f"placeholder %{part.name}% has no value")
        if part == "" or (part is _MANY and parts[-1:] == [_MANY]):
            continue
        if isinstance(part, str) and parts and isinstance(parts[-1], str):
            parts[-1] += part
        else:
            parts.append(part)
    return parts


def emit_glob(parts: list[Part]) -> str:
    """Return *parts* as a pattern in Sigma's own notation, escaped only where it would read back differently."""
    text = ""
    for index, part in enumerate(parts):
        if isinstance(part, SpecialChars):
            text += "*" if part is _MANY else "?"
            continue
        followers = part[1:] + ("*" if index + 1 < len(parts) else " ")
        for character, follower in zip(part, followers, strict=True):
            escaped = character in "*?" or (character == "\\" and follower in "*?\\")
            text += "\\" + character if escaped else character
    return text
