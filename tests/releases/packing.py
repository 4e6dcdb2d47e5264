"""Release archives for tests: members as (name, text), in a zip or a tar.gz."""

from __future__ import annotations

import io
import tarfile
import zipfile
from collections.abc import Iterable
from pathlib import Path

from tests.conftest import rule_yaml

LICENCE = "Detection Rule License\n"
VERSION = "Release Date: 2026-11-01\nLabel: r2026-11-01\n"


def rule(number: int, value: str = "x", title: str = "", extra: str = "") -> str:
    """Return a rule with the id that *number* makes."""
    return rule_yaml(
        f"sel: {{A: {value}}}\ncondition: sel",
        title=title or f"Rule {number}",
        extra=f"id: {number:08d}-1111-4111-8111-111111111111\n{extra}",
    )


def packed(path: Path, members: Iterable[tuple[str, str]]) -> Path:
    """Write an archive as its name says, and return its path."""
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, text in members:
                archive.writestr(name, text)
        return path
    with tarfile.open(path, "w:gz" if path.suffix == ".gz" else "w") as archive:
        for name, text in members:
            data = text.encode()
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path
