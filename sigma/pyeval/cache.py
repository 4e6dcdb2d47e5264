"""Finished matcher plans kept on disk, so that rules load in a fraction of a second the second time.

A plan holds code. It is written to, and read from, a directory that belongs to the user and that nobody else may enter or
write; anything else is left alone. Files are written beside and moved into place, so that concurrent writers do no harm;
what is damaged, foreign or of another version is made anew.
"""

from __future__ import annotations

import contextlib
import hashlib
import marshal
import os
import stat
import tempfile
from collections.abc import Iterable
from pathlib import Path

from .engine.plan import PlanError, dump, load, rule_fields, rule_row
from .errors import RuleError
from .rules import CorrelationRule
from .ruleset import Ruleset

KEPT_FILES = 16
"""Plans kept; the ones used longest ago make room."""
FEWEST_RULES = 50
"""Smaller sets load fast enough without."""
_DIGEST_BYTES = 32
_ERROR_FIELDS = ("reason", "remedy", "title", "id", "path", "unsupported")


def cache_directory() -> Path | None:
    """Return where plans are kept: ``sigma-pyeval`` below ``$XDG_CACHE_HOME``, by default ``~/.cache``.

    A relative ``$XDG_CACHE_HOME`` does not count (XDG Base Directory Specification); ``None`` for a user without a home.
    """
    for base in (os.environ.get("XDG_CACHE_HOME", ""), os.path.expanduser("~/.cache")):
        if os.path.isabs(base):
            return Path(base) / "sigma-pyeval"
    return None


def cache_key(parts: Iterable[bytes]) -> str:
    """Return the name under which the plan made from *parts*, and from this very installation, is kept."""
    digest = hashlib.sha256()
    for part in (*_installation(), *parts):
        digest.update(len(part).to_bytes(8, "big") + part)
    return digest.hexdigest()


def _installation() -> Iterable[bytes]:
    """Yield what changes when this package or pySigma does, without importing either's heavy parts."""
    from importlib.metadata import PackageNotFoundError, version

    with contextlib.suppress(PackageNotFoundError):
        yield version("pysigma").encode()
    package = Path(__file__).parent
    for folder in (package, package.parent / "backends" / "pyeval", package.parent / "pipelines" / "linux_eval"):
        for file in sorted(folder.rglob("*.py")):
            status = file.stat()
            yield f"{file} {status.st_size} {status.st_mtime_ns}".encode()


def read_ruleset(key: str, directory: Path | None = None) -> Ruleset | None:
    """Return the rule set kept under *key*, or ``None`` where there is none that can be trusted and read."""
    folder = directory or cache_directory()
    if folder is None or not _is_private(folder):
        return None
    try:
        data = _read(folder / key)
    except OSError:
        return None
    try:
        ruleset = _decoded(data)
    except (PlanError, ValueError, EOFError, TypeError):
        return None
    with contextlib.suppress(OSError):
        os.utime(folder / key)  # used just now: the last to make room
    return ruleset


def write_ruleset(key: str, ruleset: Ruleset, directory: Path | None = None) -> bool:
    """Keep *ruleset* under *key*; return whether it was kept (not where the place is not private, or full)."""
    folder = directory or cache_directory()
    if folder is None or len(ruleset.rules) < FEWEST_RULES:
        return False
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not _is_private(folder):
            return False
        _write(folder, key, _encoded(ruleset))
        _make_room(folder)
    except OSError:
        return False
    return True


def _read(path: Path) -> bytes:
    """Return what the file holds; empty where it is none of this user's own, or others may write it."""
    # Without O_NONBLOCK, opening a pipe would wait for a writer.
    file = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        status = os.fstat(file)
        if not stat.S_ISREG(status.st_mode) or status.st_uid != os.geteuid() or status.st_mode & 0o022:
            return b""
        with open(file, "rb", closefd=False) as stream:
            return stream.read()
    finally:
        os.close(file)


def _write(folder: Path, key: str, data: bytes) -> None:
    file, name = tempfile.mkstemp(dir=folder, prefix=".new-")  # mode 0600
    try:
        with open(file, "wb") as stream:
            stream.write(data)
        os.replace(name, folder / key)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(name)
        raise


def _make_room(folder: Path) -> None:
    kept: list[tuple[float, Path]] = []
    for path in folder.iterdir():
        with contextlib.suppress(FileNotFoundError):  # what another process was writing has meanwhile its name
            status = path.lstat()
            if stat.S_ISREG(status.st_mode):
                kept.append((status.st_mtime, path))
    for _, path in sorted(kept, reverse=True)[KEPT_FILES:]:
        path.unlink(missing_ok=True)


def _is_private(folder: Path) -> bool:
    """Return whether *folder* is a directory of this user that nobody else may enter."""
    try:
        status = folder.lstat()
    except OSError:
        return False
    return stat.S_ISDIR(status.st_mode) and status.st_uid == os.geteuid() and not status.st_mode & 0o077


def _encoded(ruleset: Ruleset) -> bytes:
    rows = [tuple(getattr(error, name) for name in _ERROR_FIELDS) for error in ruleset.errors]
    correlations = [rule_row(rule) for rule in ruleset.correlations]
    told = marshal.dumps((rows, correlations, ruleset.left_out, [tuple(note) for note in ruleset.notes]))
    return hashlib.sha256(told).digest() + len(told).to_bytes(8, "big") + told + dump(ruleset.plan)


def _decoded(data: bytes) -> Ruleset:
    size = int.from_bytes(data[_DIGEST_BYTES : _DIGEST_BYTES + 8], "big")
    start = _DIGEST_BYTES + 8
    told = data[start : start + size]
    if hashlib.sha256(told).digest() != data[:_DIGEST_BYTES]:
        raise ValueError("damaged")
    plan = load(data[start + size :])
    rows, correlations, left_out, notes = marshal.loads(told)  # noqa: S302 - our own, whole, from a private directory
    return Ruleset(
        plan.rules,
        [RuleError(*row) for row in rows],
        correlations=[CorrelationRule(**rule_fields(*row)) for row in correlations],
        plan=plan,
        left_out=left_out,
        notes=notes,
    )
