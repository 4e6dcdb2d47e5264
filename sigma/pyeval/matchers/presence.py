"""Is there a value at all: ``exists``, ``null``, and the lone ``*``."""

from __future__ import annotations

from .values import Event, lookup


def exists(event: Event, field: str) -> bool:
    """``field|exists: true``: the field is present, whatever its value, also ``null`` or empty."""
    return lookup(event, field) is not None


def is_null(event: Event, field: str) -> bool:
    """``field: null``: the field is missing, or it (or one of its elements) is ``null``; empty text is not null."""
    values = lookup(event, field)
    return values is None or any(value is None for value in values)


def has_value(event: Event, field: str) -> bool:
    """``field: '*'``: the field is present with a value that is not ``null``; empty text is a value."""
    return any(value is not None for value in lookup(event, field) or ())
