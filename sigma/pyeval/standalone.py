"""The program part of generated modules: JSON lines in, one JSON object per match out. Embedded in standalone modules."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any

from .matchers.regexes import UNDECIDED


def run(match: Callable[[dict[str, Any]], list[dict[str, Any]]]) -> int:
    """Hold *match* against the JSON lines on standard input; return 1 where a line could not be read, else 0."""
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
        for rule in match(event):
            sys.stdout.write(json.dumps({"rule": rule, "event": event, "source": {"line": number}}) + "\n")
    for pattern, count in sorted(UNDECIDED.items()):
        sys.stderr.write(f"regular expression {pattern!r}: {count} values undecided, too long to be searched whole\n")
    return 1 if problems else 0
