"""Modifiers that pySigma lacks or gets wrong on some version, as the Sigma specification 2.1 means them.

A rule reaches the backend with its values already modified; what was written is still on its detection items, so the
values are made again there, before any pipeline sees the rule.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Callable, Iterator
from typing import Any

from sigma.exceptions import SigmaValueError
from sigma.modifiers import (
    SigmaBase64Modifier,
    SigmaBase64OffsetModifier,
    SigmaCaseSensitiveModifier,
    SigmaContainsModifier,
    SigmaEndswithModifier,
    SigmaFieldReferenceModifier,
    SigmaModifier,
    SigmaRegularExpressionModifier,
    SigmaStartswithModifier,
    SigmaUTF16Modifier,
    SigmaWideModifier,
    SigmaWindowsDashModifier,
    modifier_mapping,
    reverse_modifier_mapping,
)
from sigma.rule import SigmaDetectionItem
from sigma.types import Placeholder, SigmaCasedString, SigmaExpansion, SigmaFieldReference, SigmaString, SigmaType

from .errors import Unsupported

DASHES = "-/–—―"
"""Hyphen, slash, en dash, em dash and horizontal bar: the specification's permutations of ``windash``."""
MOST_DASHES = 3
"""A value with more dashes than this is refused: each of them multiplies its forms by five."""
DASH = re.compile(rf"\B[{DASHES}]\b")

_BOM = "\ufeff"


class FiveDashModifier(SigmaWindowsDashModifier):
    """``windash``: any of the five dashes stands for any other, also where the rule itself holds one of the long ones."""

    def modify(self, val: SigmaString) -> SigmaExpansion:
        """Return all forms of *val*, its own first."""

        def dashes(placeholder: Placeholder) -> Iterator[str | Placeholder]:
            if placeholder.name == "_windash":
                yield from DASHES
            else:
                yield placeholder

        found = sum(len(DASH.findall(part)) for part in val.s if isinstance(part, str))
        if found > MOST_DASHES:
            raise SigmaValueError(f"windash on a value with {found} dashes; at most {MOST_DASHES} are expanded")
        forms: list[SigmaType] = list(val.replace_with_placeholder(DASH, "_windash").replace_placeholders(dashes))
        return SigmaExpansion(forms)


class UTF16LEModifier(SigmaWideModifier):
    """``utf16le``: the specification's name for what pySigma calls ``wide``."""


class BytesBase64Modifier(SigmaBase64Modifier):
    """``base64`` of the bytes that the value stands for: the byte order mark of ``utf16``, wildcards typed literally."""

    def modify(self, val: SigmaString) -> SigmaString:
        """Return the encoded text."""
        return SigmaString(b64encode(_bytes(val, self.applied_modifiers)).decode(), escape=False)


class BytesBase64OffsetModifier(SigmaBase64OffsetModifier):
    """``base64offset`` of the bytes that the value stands for, cut by their number, at each of the three offsets."""

    def modify(self, val: SigmaString) -> SigmaExpansion:
        """Return the three encoded texts."""
        data = _bytes(val, self.applied_modifiers)
        forms: list[SigmaType] = []
        for offset in range(3):
            start, end = self.start_offsets[offset], self.end_offsets[(len(data) + offset) % 3]
            forms.append(SigmaString(b64encode(b" " * offset + data)[start:end].decode(), escape=False))
        return SigmaExpansion(forms)


class WrittenFieldReferenceModifier(SigmaFieldReferenceModifier):
    """``fieldref``: escaped wildcards are the characters themselves, which pySigma would hand on with the escapes."""

    def modify(self, val: SigmaString) -> SigmaFieldReference:
        """Return the reference to the field of that name."""
        if val.contains_special():
            raise SigmaValueError("fieldref with wildcards; escape them where they are meant literally")
        return SigmaFieldReference("".join(part for part in val.s if isinstance(part, str)))


class _LastingString(SigmaString):
    """Text that stays of its type where placeholders are replaced by values; pySigma would make it plain text."""

    def replace_placeholders(self, callback: Callable[[Placeholder], Iterator[Any]]) -> list[SigmaString]:
        """Return a string for each combination of the placeholders' values."""
        replaced = super().replace_placeholders(callback)
        return [string if string is self else _retyped(string, type(self)) for string in replaced]


class CasedText(_LastingString, SigmaCasedString):
    """Text with ``|cased``."""


class AnchoredKeyword(_LastingString):
    """A keyword with ``|startswith`` or ``|endswith``: it begins or ends a value instead of standing anywhere in it."""


class AnchoredCasedKeyword(_LastingString, SigmaCasedString):
    """``AnchoredKeyword`` with ``|cased``."""


_CORRECTED: dict[type[SigmaModifier[Any, Any]], type[SigmaModifier[Any, Any]]] = {
    SigmaWindowsDashModifier: FiveDashModifier,
    SigmaBase64Modifier: BytesBase64Modifier,
    SigmaBase64OffsetModifier: BytesBase64OffsetModifier,
    SigmaFieldReferenceModifier: WrittenFieldReferenceModifier,
}
_KINDS = {(True, False): CasedText, (False, True): AnchoredKeyword, (True, True): AnchoredCasedKeyword}
_AFFIXES = (SigmaStartswithModifier, SigmaEndswithModifier)


def register_modifiers() -> None:
    """Teach pySigma's parser the modifier names of the specification that it lacks; others' are left alone."""
    if "utf16le" not in modifier_mapping:
        modifier_mapping["utf16le"] = UTF16LEModifier
        reverse_modifier_mapping[UTF16LEModifier.__name__] = "utf16le"


def correct_values(item: SigmaDetectionItem) -> None:
    """Make the values of *item* anew where pySigma's own modifiers differ from the specification.

    Raises:
        Unsupported: The chain of modifiers has no meaning.
        SigmaValueError: A value cannot be modified so.
    """
    modifiers = item.modifiers
    if SigmaRegularExpressionModifier in modifiers:
        if any(modifier in _AFFIXES for modifier in modifiers):
            raise Unsupported(
                "re with startswith or endswith",
                "write ^ or $ into the regular expression instead",
                item.field,
            )
        # A search is unanchored already; what contains adds to the pattern only makes it slower.
        _apply(item, [modifier for modifier in modifiers if modifier is not SigmaContainsModifier])
    elif any(modifier in _CORRECTED for modifier in modifiers):
        _apply(item, [_CORRECTED.get(modifier, modifier) for modifier in modifiers])
    # Case and place belong to the comparison: modifiers behind cased, and placeholders' values, do not undo them.
    cased = SigmaCaseSensitiveModifier in modifiers
    anchored = item.field is None and any(modifier in _AFFIXES for modifier in modifiers)
    kind = _KINDS.get((cased, anchored))
    if kind is not None:
        item.value = [_made(value, kind) for value in item.value]


def _apply(item: SigmaDetectionItem, modifiers: list[type[SigmaModifier[Any, Any]]]) -> None:
    if item.original_value is None:  # a transformation has run: nothing written is left to start from
        return
    written = item.modifiers
    item.modifiers, item.value = modifiers, list(item.original_value)
    item.apply_modifiers()
    item.modifiers = written  # a rule that is converted again starts from the same


def _made(value: SigmaType, kind: type[SigmaString]) -> SigmaType:
    """Return *value*, or each form of it, as text of the given kind; other types as they are."""
    if isinstance(value, SigmaExpansion):
        return SigmaExpansion([_made(form, kind) for form in value.values])
    return _retyped(value, kind) if isinstance(value, SigmaString) else value


def _retyped(string: SigmaString, kind: type[SigmaString]) -> SigmaString:
    made = kind()
    made.s, made.original = string.s, string.original
    return made


def _bytes(value: SigmaString, applied_modifiers: list[Any]) -> bytes:
    if value.contains_special():
        raise SigmaValueError("base64 of a value with wildcards; escape them where they are meant literally")
    text = "".join(part for part in value.s if isinstance(part, str))
    if SigmaUTF16Modifier in applied_modifiers and text.startswith(_BOM):
        return b"\xff\xfe" + text.removeprefix(_BOM).encode()
    return text.encode()
