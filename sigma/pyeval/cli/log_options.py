"""The arguments that say which logs to read and how, and what becomes of what cannot be read."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self, TypeVar

import click

from sigma.pyeval.logs.formats import FORMATS
from sigma.pyeval.logs.reading import AUTO
from sigma.pyeval.logs.records import Problem
from sigma.pyeval.output import json_line

from .messages import fail, warn
from .rule_options import EXIT_NOTHING_LOADED, EXIT_STRICT

_F = TypeVar("_F", bound=Callable[..., Any])
FILE = click.Path(dir_okay=False, path_type=Path)
PROBLEMS_SHOWN = 10


def log_options(function: _F) -> _F:
    """Add ``LOGS``, ``--rules``, ``--input-format`` and ``--input-option`` to a command."""
    options = (
        click.argument("logs", nargs=-1, required=True),
        click.option(
            "-r", "--rules", "rules", multiple=True, required=True, type=click.Path(path_type=Path),
            help="Rule file or directory; repeatable.",
        ),
    )  # fmt: skip
    function = format_options(function)
    for option in reversed(options):
        function = option(function)
    return function


def format_options(function: _F) -> _F:
    """Add ``--input-format`` and ``--input-option`` to a command."""
    options = (
        click.option(
            "--input-format", type=click.Choice([AUTO, *FORMATS, "evtx"]), default=AUTO, show_default=True,
            help="The logs' format; told from their content unless given.",
        ),
        click.option(
            "--input-option", "input_options", multiple=True, metavar="NAME=VALUE",
            help="An option of the input format, as pattern=... of regex or log_format=... of access; repeatable.",
        ),
    )  # fmt: skip
    for option in reversed(options):
        function = option(function)
    return function


def parser_options(pairs: Iterable[str]) -> dict[str, str | bool]:
    """Return the ``--input-option`` pairs as keyword arguments; true and false become booleans."""
    options: dict[str, str | bool] = {}
    for pair in pairs:
        name, separator, value = pair.partition("=")
        if not separator:
            fail(f"--input-option {pair!r}: write it as NAME=VALUE", EXIT_NOTHING_LOADED)
        options[name] = {"true": True, "false": False}.get(value.lower(), value)
    return options


@contextlib.contextmanager
def replaced(path: Path) -> Iterator[BinaryIO]:
    """Open a file that takes the place of *path* when all went well; what stands there is kept until then.

    Ends the program where it cannot be written.
    """
    if path.exists() and not path.is_file():  # a device or a pipe
        with opened(path) as stream:
            yield stream
        return
    beside = path.with_name(f".{path.name}.new")
    try:
        with opened(beside) as stream:
            yield stream
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


def check_outputs(outputs: Iterable[Path | None], logs: Iterable[str]) -> None:
    """End the program where two outputs are one file, or one is a log that is to be read."""
    seen = {Path(log).resolve(): f"the log {log}" for log in logs if log != "-"}
    for output in outputs:
        if output is not None:
            place = output.resolve()
            if place in seen:
                fail(f"{output}: this is also {seen[place]}; name another file", EXIT_NOTHING_LOADED)
            seen[place] = "another output"


def opened(path: Path) -> BinaryIO:
    """Open a file that the user asked to be written; ends the program where it cannot be."""
    try:
        return path.open("wb")
    except OSError as error:
        fail(f"{path}: cannot be written: {error.strerror}", EXIT_NOTHING_LOADED)


class Problems:
    """Shows the first problems of each log, counts the others, and keeps all of them in a file where one is given."""

    def __init__(self, path: Path | None, strict: bool) -> None:
        self._strict = strict
        self._shown: Counter[str] = Counter()
        self._file = None if path is None else opened(path)

    def report(self, path: str, problem: Problem) -> None:
        """Take one problem, on line 0 where it is about the whole log; ends the program under ``--strict``."""
        place = f"{path}:{problem.line}" if problem.line else path
        if self._strict:
            fail(f"{place}: {problem.reason}", EXIT_STRICT)
        if self._file is not None:
            self._file.write(json_line({"path": path, **problem._asdict()}) + b"\n")
        self._shown[path] += 1
        if self._shown[path] <= PROBLEMS_SHOWN:
            warn(f"{place}: {problem.reason}")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None:
            self._file.close()
        for path, count in self._shown.items():
            if count > PROBLEMS_SHOWN:
                kept = "" if self._file is not None else "; scan --problems FILE keeps them all"
                warn(f"{path}: {count - PROBLEMS_SHOWN} more problems{kept}")
