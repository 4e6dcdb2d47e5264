"""The program part of generated modules that hold correlation rules: their matches come in the same stream."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from ..standalone import run_lines
from .correlator import Correlator
from .engine import REFIRE
from .results import CorrelationMatch


def run_correlating(
    match_all: Callable[[dict[str, Any]], Iterable[Any]],
    make_correlator: Callable[..., Correlator],
    arguments: Sequence[str],
    record_of: Callable[[Any], dict[str, Any]] | None = None,
) -> int:
    """Hold rules and correlation rules against the JSON lines on standard input, in order; return the exit code.

    A correlation match has the shape of others: the event that raised it is its ``event``, where that was read its
    ``source``; ``correlation`` says the rest (``CorrelationMatch.as_dict``). Windows still open at the end are closed.

    Args:
        match_all: Returns the matches of an event, of rules that serve only correlations too: records, or objects with a
            ``rule`` where *record_of* is given.
        make_correlator: Returns the correlator, with its options as keyword arguments.
        arguments: Of the command line.
        record_of: Returns the record of a rule; without it, matches are records and so are the correlation rules.
    """
    parser = argparse.ArgumentParser(
        description="Reads JSON lines from standard input, writes matches to standard output."
    )
    parser.add_argument("--refire", choices=[one for one in REFIRE if one != "cooldown"], default="each")
    parser.add_argument(
        "--lateness", type=float, default=0, metavar="SECONDS", help="events may come so much later than others"
    )
    options = parser.parse_args(arguments)
    if not options.lateness >= 0:
        parser.error("--lateness is a number of seconds")
    correlator = make_correlator(refire=options.refire, lateness=options.lateness)

    def written(found: CorrelationMatch) -> dict[str, Any]:
        rule = found.rule if record_of is None else record_of(found.rule)
        return {"rule": rule, "event": found.event, "source": found.source, "correlation": found.as_dict()}

    def matches(event: dict[str, Any], number: int) -> Iterator[dict[str, Any]]:
        source = {"line": number}
        found = list(match_all(event))
        for one in found:
            rule = one if record_of is None else record_of(one.rule)
            if rule.get("generate", True):
                yield {"rule": rule, "event": event, "source": source}
        yield from map(written, correlator.observe(found, event, source=source))

    return run_lines(matches, lambda: map(written, correlator.finish()))
