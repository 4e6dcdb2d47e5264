"""What rotated files are called, their order, and which lie beside a file."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from sigma.pyeval.monitor.sources.rotation import bases_of, family_of, rotated_name


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("app.log.1", (1, "", False)),
        ("app.log.12.gz", (12, "", True)),
        ("app.log.3.zst", (3, "", True)),
        ("app.log.old", (0, "", False)),
        ("app.log.gz", (0, "", True)),
        ("app.log-20261122", (None, "20261122", False)),
        ("app.log-20261122.xz", (None, "20261122", True)),
        ("app.log.2026-11-22", (None, "20261122", False)),
        ("app.log.20261122-101530", (None, "20261122101530", False)),
        ("app.log-1795315200.bz2", (None, "1795315200", True)),
        ("app.log-20261122-1795318774", (None, "202611221795318774", False)),
        ("app.1.log", (1, "", False)),
        ("app-20261122.log.gz", (None, "20261122", True)),
        ("app.log", None),
        ("app.log.1.gz.new", None),
        ("app.log.bak", None),
        ("app.log.1234", None),
        ("app2.log.1", None),
        ("application.log", None),
        ("app.txt.1", None),
    ],
)
def test_names(name: str, said: tuple[object, ...] | None) -> None:
    """A name says that it is a rotated one of app.log, or that it is not."""
    assert rotated_name("app.log", name) == said


@pytest.mark.parametrize(
    ("name", "bases", "sure"),
    [
        ("auth.log.1", ("auth.log",), True),
        ("syslog.2.gz", ("syslog",), True),
        ("syslog.old", ("syslog",), True),
        ("auth.log-20261122", ("auth.log",), False),
        ("app-20261122.log", ("app.log",), False),
        ("app.1.log", ("app.log",), False),
        ("auth.log.gz", ("auth.log",), False),
        ("auth.log", (), False),
        ("10.0.0.1.log", ("10.0.0.log",), False),
        ("10.0.0.1", ("10.0.0",), False),
    ],
)
def test_bases(name: str, bases: tuple[str, ...], sure: bool) -> None:
    """The file that a rotated one comes from is told from its name; a date alone is not proof."""
    assert bases_of(name) == (bases, sure)


def names(path: Path) -> list[str]:
    """Return the names of the family of *path*, the oldest first."""
    return [os.path.basename(seen.path) for seen in family_of(str(path)).files()]


def test_numbers_count_backwards(tmp_path: Path) -> None:
    """The greater the number, the older the file; a plain file hides its unfinished compressed copy."""
    for name in ("app.log", "app.log.1", "app.log.2", "app.log.2.gz", "app.log.10.gz", "other.log.1"):
        (tmp_path / name).write_text(name)
    assert names(tmp_path / "app.log") == ["app.log.10.gz", "app.log.2", "app.log.1", "app.log"]


def test_dates_count_forwards(tmp_path: Path) -> None:
    """Dates are in their own order, whatever the files' times are."""
    for age, name in enumerate(("app.log", "app.log-20261122", "app.log-20261121.gz", "app.log-20251231.gz")):
        (tmp_path / name).write_text(name)
        os.utime(tmp_path / name, (age, age))
    assert names(tmp_path / "app.log") == ["app.log-20251231.gz", "app.log-20261121.gz", "app.log-20261122", "app.log"]


def test_mixed_names_go_by_time(tmp_path: Path) -> None:
    """Where the way of rotation was changed, times tell."""
    for age, name in enumerate(("app.log.2", "app.log.1", "app.log-20261122", "app.log")):
        (tmp_path / name).write_text(name)
        os.utime(tmp_path / name, (age, age))
    assert names(tmp_path / "app.log") == ["app.log.2", "app.log.1", "app.log-20261122", "app.log"]


def test_folders_links_and_nothing(tmp_path: Path) -> None:
    """Folders are no files, links lead to the family of their target, and what is not there has none."""
    (tmp_path / "app.log.1").mkdir()
    (tmp_path / "app.log.2").symlink_to(tmp_path / "nowhere")
    assert names(tmp_path / "app.log") == []
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "0.log").write_text("x")
    (tmp_path / "real" / "0.log.20261122-101530").write_text("y")
    (tmp_path / "app.log").symlink_to(tmp_path / "real" / "0.log")
    assert names(tmp_path / "app.log") == ["0.log.20261122-101530", "0.log"]
    assert names(tmp_path / "no" / "folder.log") == []
