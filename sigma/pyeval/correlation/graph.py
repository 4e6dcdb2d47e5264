"""Which correlation rules build on which: their order, and the references that lead nowhere or in a circle."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from .calls import Correlation, CorrelationError


def in_order(correlations: Mapping[str, Correlation], rules: Collection[str]) -> list[str]:
    """Return the keys of *correlations*, each behind those that it refers to, else as they stand.

    Raises:
        CorrelationError: A reference names neither a correlation nor one of *rules*, or leads back to where it came from; a
            field is asked of another correlation that it does not group by.
    """
    order: dict[str, None] = {}
    for key in correlations:
        _place(key, correlations, rules, order, ())
    for key, correlation in correlations.items():
        for rule in correlation.rules:
            if rule in correlations:
                _check_fields_of(key, correlation, rule, correlations[rule])
    return list(order)


def _place(
    key: str,
    correlations: Mapping[str, Correlation],
    rules: Collection[str],
    order: dict[str, None],
    above: tuple[str, ...],
) -> None:
    if key in order:
        return
    if key in above:
        circle = " -> ".join(repr(one)[:80] for one in (*above[above.index(key) :], key))
        raise CorrelationError(f"it refers to itself: {circle}", "take one of the references out", key)
    if len(above) > _DEEPEST_CHAIN:
        raise CorrelationError(f"more than {_DEEPEST_CHAIN} correlations build on each other", "build on fewer", key)
    for rule in correlations[key].rules:
        if rule in correlations:
            _place(rule, correlations, rules, order, (*above, key))
        elif rule not in rules:
            raise CorrelationError(f"it refers to rule {rule!r:.100}, which is not there", "load that rule too", key)
    order[key] = None


_DEEPEST_CHAIN = 100


def _check_fields_of(key: str, outer: Correlation, rule: str, inner: Correlation) -> None:
    """Refuse to ask a correlation's match for a field that it does not carry: it could never be true."""
    for name in (*outer.group_by, *outer.fields):
        field = outer.field_of(name, rule)
        if field not in inner.group_by:
            raise CorrelationError(
                f"it asks for field {field!r:.100} of correlation {rule!r:.100}, whose matches carry only what they are "
                f"grouped by: {', '.join(inner.group_by) or 'nothing'}",
                "group that correlation by the field too, or give it another by an alias",
                key,
            )
