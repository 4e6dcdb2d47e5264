"""The program part of generated modules: JSON lines in, one JSON object per match out. Embedded in standalone modules."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from .matchers.regexes import UNDECIDED

USAGE = "reads JSON lines from standard input and writes matches to standard output; it takes no arguments\n"


def run(match: Callable[[dict[str, Any]], list[dict[str, Any]]], arguments: Sequence[str] = ()) -> int:
    """Hold *match* against standard input; return 0, 1 where a line could not be read, or 2 for arguments given."""
    if arguments:
        sys.stderr.write(USAGE)
        return 2

    def matches(event: dict[str, Any], number: int) -> Iterator[dict[str, Any]]:
        for rule in match(event):
            yield {"rule": rule, "event": event, "source": {"line": number}}

    return run_lines(matches)


def run_lines(
    matches: Callable[[dict[str, Any], int], Iterable[dict[str, Any]]],
    rest: Callable[[], Iterable[dict[str, Any]]] = tuple,
) -> int:
    """Write what *matches* yields for each JSON line on standard input, then *rest*; return 1 for lines not read, else 0."""
    try:
        return _run(matches, rest)
    except BrokenPipeError:  # whoever reads the matches has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _run(
    matches: Callable[[dict[str, Any], int], Iterable[dict[str, Any]]], rest: Callable[[], Iterable[dict[str, Any]]]
) -> int:
    problems = 0
    for number, line in enumerate(sys.stdin.buffer, 1):
        if not line.strip():
            continue
        try:
            event = json.loads(line)
        except (ValueError, RecursionError) as error:
            event = error
        if not isinstance(event, dict):
            finding = f"not JSON: {event}" if isinstance(event, Exception) else f"not an object: {type(event).__name__}"
            sys.stderr.write(f"line {number}: {finding}\n")
            problems += 1
            continue
        for found in matches(event, number):
            sys.stdout.write(json.dumps(found) + "\n")
    for found in rest():
        sys.stdout.write(json.dumps(found) + "\n")
    for pattern, count in sorted(UNDECIDED.items()):
        sys.stderr.write(f"regular expression {pattern!r}: {count} values undecided, too long to be searched whole\n")
    sys.stdout.flush()
    return 1 if problems else 0
