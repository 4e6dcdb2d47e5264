"""JSON lines: a finding as it is, one object a line."""

from __future__ import annotations

from typing import BinaryIO

from sigma.pyeval.findings import Finding
from sigma.pyeval.output import json_line


class JsonlWriter:
    """Writes ``Finding.as_dict()`` as one line of JSON each; holds nothing."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream

    def write(self, finding: Finding) -> None:
        """Write the finding's line."""
        self._stream.write(json_line(finding.as_dict()) + b"\n")

    def close(self) -> None:
        """Flush the stream."""
        self._stream.flush()
