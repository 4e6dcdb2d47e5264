"""How findings are written: one writer a format, all of one shape."""

from __future__ import annotations

from collections.abc import Callable
from typing import BinaryIO, Final

from .csv_rows import CsvWriter
from .ecs import EcsWriter
from .html_page import HtmlReport
from .jsonl import JsonlWriter
from .navigator import NavigatorLayer
from .ocsf import OcsfWriter
from .table import TableWriter
from .writer import Writer

FORMATS: Final[dict[str, Callable[[BinaryIO], Writer]]] = {
    "jsonl": JsonlWriter,
    "csv": CsvWriter,
    "ecs": EcsWriter,
    "ocsf": OcsfWriter,
}
"""The formats that write each finding as it comes to a binary stream, by name; ``table`` goes to a console."""

__all__ = [
    "FORMATS",
    "CsvWriter",
    "EcsWriter",
    "HtmlReport",
    "JsonlWriter",
    "NavigatorLayer",
    "OcsfWriter",
    "TableWriter",
    "Writer",
]
