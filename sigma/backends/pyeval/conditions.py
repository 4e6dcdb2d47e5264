"""Conditions: checked against the rule's search identifiers and written so that every pySigma reads them alike.

pySigma 1.5.1 drops a selector that fits nothing, and reads the identifier ``notes`` as ``not es``. Here such selectors are
refused, identifiers that pySigma's grammar cannot read by name are renamed, and selectors of such are spelt out.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Iterator

from .errors import Unsupported

_TOKEN = re.compile(r"[()]|[^\s()]+")
_READABLE = re.compile(r"(?!not)[A-Za-z0-9_-]+")
_PATTERN = re.compile(r"[A-Za-z0-9*_]+")
_OPERATORS = frozenset({"and", "or", "not"})
_RESERVED = _OPERATORS | {"1", "any", "all", "of", "them"}
_QUANTIFIERS = {"1": "or", "any": "or", "all": "and"}


def rewrite_condition(condition: str, identifiers: Collection[str]) -> tuple[str, dict[str, str]]:
    """Return *condition* as every pySigma reads it alike, and the renamed identifiers: old name to new.

    Raises:
        Unsupported: An identifier or selector names nothing that the rule defines.
    """
    renamed: dict[str, str] = {}
    for name in identifiers:
        if name in _RESERVED or not _READABLE.fullmatch(name):
            renamed[name] = _safe_name(name, {*identifiers, *renamed.values()})
    tokens = _TOKEN.findall(condition)
    words: list[str] = []
    position = 0
    while position < len(tokens):
        token = tokens[position]
        if token in ("(", ")") or token in _OPERATORS:
            words.append(token)
        elif tokens[position + 1 : position + 2] == ["of"] and position + 2 < len(tokens):
            words.append(_selector(token, tokens[position + 2], identifiers, renamed, condition))
            position += 2
        elif token in identifiers:
            words.append(renamed.get(token, token))
        else:
            raise Unsupported(*_unknown(token, condition, identifiers))
        position += 1
    return " ".join(words), renamed


def _selector(
    quantifier: str, pattern: str, identifiers: Collection[str], renamed: dict[str, str], condition: str
) -> str:
    if quantifier not in _QUANTIFIERS:
        raise Unsupported(
            f"condition {condition!r}: {quantifier!r} is no quantifier", "write '1 of', 'any of' or 'all of'"
        )
    selected = list(_selected(pattern, identifiers))
    if selected and _PATTERN.fullmatch(pattern) and not renamed.keys() & set(selected):
        return (
            f"{quantifier} of {pattern}"  # as written: pySigma reads it alike, and knows most such conditions already
        )
    names = [renamed.get(name, name) for name in selected]
    if not names:
        finding = f"condition {condition!r}: '{quantifier} of {pattern}' selects nothing"
        raise Unsupported(finding, f"the rule defines {_listed(identifiers)}")
    return "(" + f" {_QUANTIFIERS[quantifier]} ".join(names) + ")"


def _selected(pattern: str, identifiers: Collection[str]) -> Iterator[str]:
    """Yield the identifiers that *pattern* selects; those beginning with ``_`` only where the pattern does too."""
    fits = re.compile(".*" if pattern == "them" else ".*".join(map(re.escape, pattern.split("*")))).fullmatch
    return (name for name in identifiers if fits(name) and (pattern.startswith("_") or not name.startswith("_")))


def _safe_name(name: str, identifiers: Collection[str]) -> str:
    safe = "x" + re.sub(r"[^A-Za-z0-9_-]", "_", name)
    while safe in identifiers:
        safe = f"x{safe}"
    return safe


def _unknown(token: str, condition: str, identifiers: Collection[str]) -> tuple[str, str]:
    """Return finding and remedy for a word of *condition* that names nothing."""
    finding = f"condition {condition!r}: {token!r} is not defined in the detection"
    if token.lower() in _OPERATORS:
        return finding, f"operators are written in lower case: {token.lower()!r}"
    if token == "|":
        return finding, "aggregations behind a pipe are gone from Sigma; write a correlation rule"
    near = difflib.get_close_matches(token, [name for name in identifiers if not name.startswith("_")], n=1)
    return finding, f"did you mean {near[0]!r}?" if near else f"the rule defines {_listed(identifiers)}"


def _listed(identifiers: Collection[str]) -> str:
    return ", ".join(repr(name) for name in identifiers if not name.startswith("_"))
