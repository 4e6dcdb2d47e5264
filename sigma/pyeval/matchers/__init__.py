"""What each Sigma modifier means: one function each, the only place where a rule's meaning is written down.

An emitted expression calls these functions and nothing else. They use the standard library only and never raise for any
event of plain data.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from .keywords import (
    keyword,
    keyword_all,
    keyword_any,
    keyword_cased,
    keyword_regex,
    keyword_regex_unbounded,
    keyword_regex_within,
    keyword_wildcard,
    keyword_wildcard_cased,
)
from .network import cidr, cidr_any
from .numbers import gt, gte, lt, lte, time_part
from .presence import exists, has_value, is_null
from .references import contains_field, endswith_field, equals_field, startswith_field
from .regexes import regex, regex_unbounded, regex_within
from .text import (
    contains,
    contains_all,
    contains_any,
    contains_cased,
    contains_cased_all,
    contains_cased_any,
    endswith,
    endswith_all,
    endswith_any,
    endswith_cased,
    endswith_cased_all,
    endswith_cased_any,
    equals,
    equals_all,
    equals_any,
    equals_cased,
    equals_cased_all,
    equals_cased_any,
    startswith,
    startswith_all,
    startswith_any,
    startswith_cased,
    startswith_cased_all,
    startswith_cased_any,
    wildcard,
    wildcard_all,
    wildcard_any,
    wildcard_cased,
)
from .values import Event

SEMANTICS_VERSION: Final = 1
"""Counts up whenever an expression comes to mean something else; generated modules and caches carry it."""

MATCHERS: Final[dict[str, Callable[..., bool]]] = {
    matcher.__name__: matcher
    for matcher in (
        equals,
        equals_any,
        equals_all,
        equals_cased,
        equals_cased_any,
        equals_cased_all,
        contains,
        contains_any,
        contains_all,
        contains_cased,
        contains_cased_any,
        contains_cased_all,
        startswith,
        startswith_any,
        startswith_all,
        startswith_cased,
        startswith_cased_any,
        startswith_cased_all,
        endswith,
        endswith_any,
        endswith_all,
        endswith_cased,
        endswith_cased_any,
        endswith_cased_all,
        wildcard,
        wildcard_any,
        wildcard_all,
        wildcard_cased,
        regex,
        regex_within,
        regex_unbounded,
        cidr,
        cidr_any,
        lt,
        lte,
        gt,
        gte,
        time_part,
        exists,
        is_null,
        has_value,
        equals_field,
        startswith_field,
        endswith_field,
        contains_field,
        keyword,
        keyword_any,
        keyword_all,
        keyword_cased,
        keyword_wildcard,
        keyword_wildcard_cased,
        keyword_regex,
        keyword_regex_within,
        keyword_regex_unbounded,
    )
}
"""Every function that an expression may call, by name."""

__all__ = ["MATCHERS", "SEMANTICS_VERSION", "Event", *MATCHERS]
