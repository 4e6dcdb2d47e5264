"""What verdicts amount to: agreements by construct, as data and as the tables of docs/comparison.md."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

Vector = Mapping[str, Any]
Verdict = bool | str

BEGIN, END = "<!-- written by make scoreboard -->", "<!-- end -->"

_MODIFIERS = (
    ("time parts", {"minute", "hour", "day", "week", "month", "year"}),
    ("`expand`", {"expand"}),
    ("`base64`, `base64offset`, `wide` and kin", {"base64", "base64offset", "wide", "utf16", "utf16le", "utf16be"}),
    ("`fieldref`", {"fieldref"}),
    ("`windash`", {"windash"}),
    ("`cidr`", {"cidr"}),
    ("`re`", {"re", "i", "m", "s"}),
    ("`lt`, `lte`, `gt`, `gte`", {"lt", "lte", "gt", "gte"}),
    ("`exists`", {"exists"}),
    ("`neq`", {"neq"}),
    ("`cased`", {"cased"}),
    ("`contains`, `startswith`, `endswith`, `all`", {"contains", "startswith", "endswith", "all"}),
)
_FEATURES = (
    ("keywords", {"keyword"}),
    ("null and empty", {"null", "empty"}),
    ("wildcards and escapes", {"wildcard", "backslash"}),
)
_FILTERS, _CONDITIONS, _PLAIN = "filters, several documents", "`1 of`, `all of`, `not`", "plain values, `and`, `or`"
CONSTRUCTS = (
    _PLAIN,
    *(name for name, _ in reversed(_FEATURES)),
    _CONDITIONS,
    *(name for name, _ in reversed(_MODIFIERS)),
    _FILTERS,
)


def is_clean(vector: Vector) -> bool:
    """Return whether the engine it is from, the specification and the oracle agree on it, and pySigma can parse it."""
    parses = not vector.get("pysigma_error") or bool(vector.get("pysigma_ok_after_fix"))
    return parses and not vector.get("disputed") and vector.get("expect") != "reject"


def construct(vector: Vector) -> str:
    """Return the construct that a vector is about: the rarest of those in it."""
    features, modifiers = set(vector.get("features") or ()), set(vector.get("modifiers") or ())
    if features & {"filter", "multi-doc"}:
        return _FILTERS
    for name, members in _MODIFIERS:
        if modifiers & members:
            return name
    for name, members in _FEATURES:
        if features & members:
            return name
    return _CONDITIONS if features & {"of", "not"} else _PLAIN


def score(vectors: Iterable[Vector], verdicts: Mapping[str, Verdict]) -> dict[str, dict[str, int]]:
    """Return for each construct how many verdicts agree, how many differ, and how many there are not."""
    counts: dict[str, dict[str, int]] = {}
    for vector in vectors:
        verdict = verdicts[vector["id"]]
        outcome = "none" if isinstance(verdict, str) else "agree" if verdict == vector["match"] else "differ"
        of = counts.setdefault(construct(vector), {"agree": 0, "differ": 0, "none": 0})
        of[outcome] += 1
    return counts


def tables(results: Mapping[str, Any]) -> str:
    """Return both tables, in Markdown, of the stored results."""
    engines: Sequence[Mapping[str, Any]] = results["engines"]
    rows = []
    for engine in engines:
        total = {kind: sum(of[kind] for of in engine["constructs"].values()) for kind in ("agree", "differ", "none")}
        share = total["agree"] / sum(total.values())
        rows.append([engine["engine"], f"{total['agree']} ({share:.0%})", str(total["differ"]), str(total["none"])])
    first = _table(["engine", "agrees", "differs", "no verdict"], rows)
    heads = ["construct", "vectors", *(engine["engine"].split(",")[0] for engine in engines)]
    rows = [
        [
            name,
            str(sum(engines[0]["constructs"][name].values())),
            *(str(engine["constructs"][name]["agree"]) for engine in engines),
        ]
        for name in CONSTRUCTS
        if name in engines[0]["constructs"]
    ]
    second = _table(heads, rows)
    return f"{results['vectors']} vectors:\n\n{first}\n\nAgreements, by the rarest construct in the rule:\n\n{second}"


def with_tables(page: str, results: Mapping[str, Any]) -> str:
    """Return *page* with the tables between its marks made anew."""
    section = f"{BEGIN}\n{tables(results)}\n{END}"
    return re.sub(f"{BEGIN}.*?{END}", lambda _: section, page, flags=re.DOTALL)


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    ruler = "|".join(["---", *("---:" for _ in heads[1:])])
    return "\n".join([f"| {' | '.join(heads)} |", f"|{ruler}|", *(f"| {' | '.join(row)} |" for row in rows)])
