"""Correlation rules on a DataFrame: the cluster finds the few events that they are about, one correlator takes these."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from ..ruleset import Ruleset
from .columns import column_events
from .driver import detect

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from ..correlation.correlator import Correlator
    from ..correlation.results import CorrelationMatch

_EVENT, _PLACE = "event", "place"


def correlate(  # noqa: PLR0913 - a caller names each
    df: DataFrame,
    ruleset: Ruleset,
    correlator: Correlator,
    *,
    event: str | None = None,
    route: bool = True,
    delivery: Literal["standalone", "linked"] = "standalone",
    source: dict[str, Any] | None = None,
) -> list[CorrelationMatch]:
    """Hold the correlation rules of *ruleset* against the events in *df*; return the correlation matches.

    Workers find the events that match a rule which is correlated; these are brought here, and given to *correlator* in the
    order of their times. What the workers found is judged once more here, so that the verdicts are those of
    ``ruleset.match``. Within one call any order of rows will do; what comes in a later call and happened before is for the
    correlator's ``lateness``. A DataFrame that is all there is to see is followed by ``correlator.finish()``.

    Args:
        df: The events, one a row; no stream (call this in ``foreachBatch``). What comes here has to fit into this process.
        ruleset: The rules.
        correlator: What ``ruleset.correlator`` returned.
        event: The column that holds the event, as in ``detect``; rows that hold none are passed over.
        route: As in ``detect``.
        delivery: As in ``detect``.
        source: What tells this DataFrame from others; matches name their events by it and the row's number.

    Raises:
        SparkDetectionError: As ``detect``.
    """
    from pyspark.sql.functions import monotonically_increasing_id, struct

    correlated = correlator.correlated
    members = Ruleset((rule for rule in ruleset.rules if rule.key in correlated), router=ruleset._router)
    whole = struct("*") if event is None else df[_quoted(event)]
    rows = df.select(whole.alias(_EVENT), monotonically_increasing_id().alias(_PLACE))
    found = detect(rows, members, event=_EVENT, route=route, members=True, delivery=delivery)
    batches = found.where("problem IS NULL").toArrow().to_batches()
    # An event that matches several rules comes as often.
    events = {
        place: one
        for batch in batches
        for place, one in zip(batch.column(_PLACE).to_pylist(), column_events(batch.column(_EVENT)), strict=True)
        if not isinstance(one, str)
    }
    observed = [
        correlator.record(
            ruleset.match(one, ruleset.route(one) if route else None, members=True),
            one,
            source=(source or {}) | {_PLACE: place},
        )
        for place, one in sorted(events.items())
    ]
    observed.sort(key=lambda one: one.time)
    return [match for one in observed for match in correlator.take(one)]


def _quoted(name: str) -> str:
    return f"`{name.replace('`', '``')}`"
