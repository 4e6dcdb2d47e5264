"""Which correlation rules build on which: their order, and the references that lead nowhere or in a circle."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from .calls import Correlation, CorrelationError

_DEEPEST_CHAIN = 100


def in_order(references: Mapping[str, Sequence[str]], rules: Collection[str]) -> list[str]:
    """Return the keys of correlations, each behind those that it refers to, else as they stand.

    Args:
        references: For each correlation's key, the keys that it refers to.
        rules: The keys of all other rules.

    Raises:
        CorrelationError: A reference names nothing that is there, or leads back to where it came from.
    """
    order: dict[str, None] = {}

    def place(key: str, above: tuple[str, ...]) -> None:
        if key in order:
            return
        if key in above:
            circle = " -> ".join(repr(one)[:80] for one in (*above[above.index(key) :], key))
            raise CorrelationError(f"it refers to itself: {circle}", "take one of the references out", key)
        if len(above) > _DEEPEST_CHAIN:
            raise CorrelationError(
                f"more than {_DEEPEST_CHAIN} correlations build on each other", "build on fewer", key
            )
        for reference in references[key]:
            if reference in references:
                place(reference, (*above, key))
            elif reference not in rules:
                raise CorrelationError(
                    f"it refers to rule {reference!r:.100}, which is not there", "load that rule too", key
                )
        order[key] = None

    for key in references:
        place(key, ())
    return list(order)


def check_fields(key: str, outer: Correlation, rule: str, inner: Correlation) -> None:
    """Refuse to ask the matches of correlation *rule* for a field that they do not carry: that could never be true.

    Raises:
        CorrelationError: *outer* groups by, or reckons with, a field that *inner* does not group by.
    """
    for name in (*outer.group_by, *outer.fields):
        field = outer.field_of(name, rule)
        if field not in inner.group_by:
            raise CorrelationError(
                f"it asks for field {field!r:.100} of correlation {rule!r:.100}, whose matches carry only what they are "
                f"grouped by: {', '.join(inner.group_by) or 'nothing'}",
                "group that correlation by the field too, or give it another by an alias",
                key,
            )
