"""A recursive-descent parser of conditions."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from .events import fits
from .values import Refused, Text, Wild


class Condition:
    """``or`` binds loosest, then ``and``, then ``not``."""

    def __init__(self, text: str, names: Sequence[str]) -> None:
        self.words = re.findall(r"\(|\)|[^\s()]+", text)
        self.names = names

    def parse(self) -> Any:
        tree = self.either()
        if self.words:
            raise Refused(f"{self.words[0]!r} is not expected here")
        return tree

    def take(self, word: str) -> bool:
        if self.words[:1] == [word]:
            del self.words[0]
            return True
        return False

    def either(self) -> Any:
        tree = self.both()
        while self.take("or"):
            tree = ("or", tree, self.both())
        return tree

    def both(self) -> Any:
        tree = self.negated()
        while self.take("and"):
            tree = ("and", tree, self.negated())
        return tree

    def negated(self) -> Any:
        return ("not", self.negated()) if self.take("not") else self.operand()

    def operand(self) -> Any:
        if self.take("("):
            tree = self.either()
            if not self.take(")"):
                raise Refused("a parenthesis is not closed")
            return tree
        if not self.words:
            raise Refused("the condition ends too early")
        word = self.words.pop(0)
        if word in ("1", "any", "all") and self.take("of"):
            return self.selector(word, self.words.pop(0))
        if word not in self.names:
            raise Refused(f"{word!r} is not defined")
        return ("name", word)

    def selector(self, quantifier: str, pattern: str) -> Any:
        glob = Text(tuple(Wild.MANY if c == "*" else c for c in ("*" if pattern == "them" else pattern)), cased=True)
        chosen = [
            ("name", name)
            for name in self.names
            if fits(glob, name) and (pattern.startswith("_") or not name.startswith("_"))
        ]
        if not chosen:
            raise Refused(f"{pattern!r} names no detection")
        return ("and" if quantifier == "all" else "or", *chosen)
