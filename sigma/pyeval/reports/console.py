"""Where commands print tables and trees: as wide as a terminal, and not wrapped at all where none reads them."""

from __future__ import annotations

import os
import re
from typing import IO, Any, Final, cast

from rich.console import Console

UNWRAPPED: Final = 1_000_000
"""Characters of a line that goes to a file or another program: a path broken in two could not be searched for."""

_BLANKS_AT_END = re.compile(r"(?<! ) +(?=\n)")


def output_console(*, highlight: bool = False) -> Console:
    """Return a console on standard output.

    Where that is no terminal, lines end without blanks, and are as long as need be unless ``COLUMNS`` says how wide they are.

    Args:
        highlight: Whether a terminal shows numbers and the like in colour.
    """
    console = Console(highlight=highlight)
    if not console.is_terminal:
        console.file = cast("IO[str]", _Trimmed(console.file))
        if not os.environ.get("COLUMNS", "").isdigit():
            console.width = UNWRAPPED
    return console


class _Trimmed:
    """A stream that takes away the blanks by which cells of tables are filled up; the console writes whole lines."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        return self._stream.write(_BLANKS_AT_END.sub("", text))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)
