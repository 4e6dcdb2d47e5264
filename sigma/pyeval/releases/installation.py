"""A directory of installed rules: what was put there is known, so that what has been changed since is not lost unseen.

The directory is exchanged whole. What was there before is kept beside it as ``.NAME.previous``: hidden, so that rules are not
loaded twice where the directory above is one of rules.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from .archive import ReleaseError

MANIFEST: Final = ".manifest.json"
_AT_FDCWD = -100
_RENAME_EXCHANGE = 2  # linux/fs.h


@dataclass(frozen=True)
class LocalChanges:
    """What differs from what was installed; paths are relative."""

    modified: tuple[str, ...] = ()
    added: tuple[str, ...] = ()
    deleted: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.modified or self.added or self.deleted)


def previous_of(folder: Path) -> Path:
    """Return where the rules before the present ones are kept."""
    return folder.parent / f".{folder.name}.previous"


def manifest_of(folder: Path) -> dict[str, Any] | None:
    """Return what is known of the installed rules; ``None`` where there are none.

    Raises:
        ReleaseError: There is something that was not installed by ``rules update``.
    """
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return None
    try:
        manifest = json.loads((folder / MANIFEST).read_bytes())
        if isinstance(manifest["files"], dict):
            return dict(manifest)
    except (OSError, ValueError, KeyError, TypeError) as error:
        reason = "it holds files that were not installed by this command; name an empty directory or a new one"
        raise ReleaseError(f"{folder}: {reason}") from error
    raise ReleaseError(f"{folder / MANIFEST} is damaged")


def local_changes(folder: Path, manifest: Mapping[str, Any]) -> LocalChanges:
    """Return what has been changed in *folder* since it was installed."""
    installed: Mapping[str, str] = manifest["files"]
    present = {path: _digest((folder / path).read_bytes()) for path in _files(folder)}
    return LocalChanges(
        tuple(sorted(path for path in present.keys() & installed.keys() if present[path] != installed[path])),
        tuple(sorted(present.keys() - installed.keys())),
        tuple(sorted(installed.keys() - present.keys())),
    )


@contextlib.contextmanager
def prepared(folder: Path, files: Mapping[str, bytes], about: Mapping[str, Any]) -> Iterator[Path]:
    """Write *files* and their manifest into a new directory beside *folder*, and remove it at the end if it is still there.

    Raises:
        OSError: It cannot be written.
        ReleaseError: Another update is at work.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    lock = os.open(
        folder.parent / f".{folder.name}.lock", os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644
    )
    new: Path | None = None
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ReleaseError(f"another update of {folder} is at work") from None
        new = Path(tempfile.mkdtemp(prefix=f".{folder.name}.new-", dir=folder.parent))
        new.chmod(0o755)
        for path, data in files.items():
            target = new / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(data)
        manifest = {
            **about,
            "installed": datetime.now(UTC).isoformat(timespec="seconds"),
            "files": {path: _digest(data) for path, data in sorted(files.items())},
        }
        (new / MANIFEST).write_text(json.dumps(manifest, indent=1))
        for inner in new.rglob("*"):
            inner.chmod(0o755 if inner.is_dir() else 0o644)  # whoever runs the service reads them
        yield new
    finally:
        if new is not None:
            shutil.rmtree(new, ignore_errors=True)
        os.close(lock)


def carry_over(folder: Path, new: Path, added: tuple[str, ...]) -> None:
    """Copy the files that somebody has added to *folder* into *new*, where they do not belong to the release."""
    for path in added:
        target = new / path
        if not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(folder / path, target)


def take_over(new: Path, folder: Path) -> None:
    """Put *new* in the place of *folder* in one step, and keep what was there; see ``previous_of``."""
    previous = previous_of(folder)
    _sync(new)
    if folder.exists():
        _exchange(new, folder)  # now new holds the old rules
        if previous.exists():
            shutil.rmtree(previous)
        new.rename(previous)
    else:
        new.rename(folder)
    _sync(folder.parent)


def roll_back(folder: Path) -> dict[str, Any]:
    """Exchange the rules for those before them, which are kept in their place; return the manifest of what is there now.

    Raises:
        ReleaseError: None are kept.
    """
    previous = previous_of(folder)
    manifest = manifest_of(previous) if previous.is_dir() else None
    if manifest is None or not folder.is_dir():
        raise ReleaseError(f"no rules before those in {folder} are kept")
    _exchange(previous, folder)
    _sync(folder.parent)
    return manifest


def _exchange(one: Path, other: Path) -> None:
    """Exchange two directories: in one step where system and file system can, else by renaming twice (renameat2(2))."""
    renameat2 = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if renameat2 is not None:
        if renameat2(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _RENAME_EXCHANGE) == 0:
            return
        code = ctypes.get_errno()
        if code not in (errno.ENOSYS, errno.EINVAL):
            raise OSError(code, os.strerror(code), str(other))
    aside = other.with_name(f".{other.name}.aside")
    other.rename(aside)
    one.rename(other)
    aside.rename(one)


def _files(folder: Path) -> Iterator[str]:
    for file in folder.rglob("*"):
        if file.is_file() and file != folder / MANIFEST:
            yield file.relative_to(folder).as_posix()


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _sync(folder: Path) -> None:
    """Have the file system of *folder* write everything to disk (syncfs(2))."""
    file = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        if ctypes.CDLL(None, use_errno=True).syncfs(file) != 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), str(folder))
    finally:
        os.close(file)
