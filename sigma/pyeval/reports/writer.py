"""The one shape of all writers: findings go in, ``close`` completes the output."""

from __future__ import annotations

from typing import Protocol

from sigma.pyeval.findings import Finding


class Writer(Protocol):
    """Writes findings to a stream that its caller opens and closes.

    A writer holds no more of the findings than it needs; how much that is at most, each says. Errors of the stream
    (``OSError``) pass through; nothing in a finding makes a writer raise.
    """

    def write(self, finding: Finding) -> None:
        """Take one finding; a format of single lines writes it at once."""

    def close(self) -> None:
        """Write what is still to be written, and flush; the stream stays open. Called once, after the last finding."""
