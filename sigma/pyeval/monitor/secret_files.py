"""Secrets that stand in files of their own: ``password: file:/run/secrets/mail`` in place of the password itself.

With systemd's ``LoadCredential=`` that is ``file:${CREDENTIALS_DIRECTORY}/mail`` (systemd.exec(5), "CREDENTIALS").
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple, get_args

from pydantic import BaseModel, SecretStr

from .configuration_errors import KINDS, Problem, fields_of, model_of

PREFIX: Final = "file:"
MOST_BYTES: Final = 64 << 10
"""A secret longer than this is refused: it is some other file."""


class SecretFile(NamedTuple):
    """A file that a secret was read from."""

    place: str
    path: Path

    def is_open_to_others(self) -> bool:
        """Return whether users beside its owner and its group may read it; not where it is gone by now."""
        try:
            return bool(self.path.stat().st_mode & stat.S_IROTH)
        except OSError:
            return False


def read_secrets(value: Any, model: type[BaseModel], problems: list[Problem], files: list[SecretFile]) -> Any:
    """Return *value*, to be read as *model*, with every ``file:`` reference in a secret's place replaced by what it holds.

    Args:
        value: Of JSON types; left as it is.
        model: What its keys are.
        problems: Gets what cannot be read.
        files: Gets what was read.
    """
    return _Reader(problems, files).mapping(value, model, "")


class _Reader:
    def __init__(self, problems: list[Problem], files: list[SecretFile]) -> None:
        self._problems = problems
        self._files = files

    def mapping(self, value: Any, model: type[BaseModel], place: str) -> Any:
        if not isinstance(value, Mapping):
            return value
        fields = fields_of(model)
        return {
            key: self._field(inner, fields[key].annotation, f"{place}.{key}".lstrip(".")) if key in fields else inner
            for key, inner in value.items()
        }

    def _field(self, value: Any, annotation: Any, place: str) -> Any:
        if isinstance(value, list) and place in KINDS:
            return [self._kind(place, part, f"{place}[{number}]") for number, part in enumerate(value)]
        inner = model_of(annotation)
        if inner is not None and isinstance(value, Mapping):
            return self.mapping(value, inner, place)
        if SecretStr not in _types(annotation):
            return value
        if isinstance(value, Mapping):
            return {key: self._secret(one, f"{place}.{key}") for key, one in value.items()}
        return self._secret(value, place)

    def _kind(self, section: str, part: Any, place: str) -> Any:
        kind = KINDS[section].get(str(part.get("type"))) if isinstance(part, Mapping) else None
        return part if kind is None else self.mapping(part, kind, place)

    def _secret(self, value: Any, place: str) -> Any:
        if not isinstance(value, str) or not value.startswith(PREFIX):
            return value
        path = Path(value.removeprefix(PREFIX))
        try:
            secret = _read(path)
        except OSError as error:
            self._problems.append((place, f"the secret's file {path} cannot be read: {error.strerror}"))
        except ValueError as error:
            self._problems.append((place, f"the secret's file {path} {error}"))
        else:
            self._files.append(SecretFile(place, path))
            return secret
        return ""


def _read(path: Path) -> str:
    # Without O_NONBLOCK, opening a pipe would wait for a writer.
    file = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        if not stat.S_ISREG(os.fstat(file).st_mode):
            raise ValueError("is no regular file")
        with open(file, "rb", closefd=False) as stream:
            data = stream.read(MOST_BYTES + 1)
    finally:
        os.close(file)
    if len(data) > MOST_BYTES:
        raise ValueError(f"is longer than {MOST_BYTES} bytes; is it the right one?")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        raise ValueError("is no UTF-8 text") from None
    text = text.removesuffix("\n").removesuffix("\r")
    if not text:
        raise ValueError("is empty")
    return text


def _types(annotation: Any) -> Iterator[Any]:
    """Yield *annotation* and all that it is made of."""
    yield annotation
    for part in get_args(annotation):
        yield from _types(part)
