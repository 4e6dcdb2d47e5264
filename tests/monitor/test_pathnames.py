"""Names of files as text, and back."""

from __future__ import annotations

import itertools
import os

import pytest

from sigma.pyeval.monitor.sources.pathnames import path_text, text_path


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (b"/var/log/auth.log", "/var/log/auth.log"),
        ("/var/log/größe.log".encode(), "/var/log/größe.log"),
        (b"\xff.log", r"\xff.log"),
        (rb"\xff.log", r"\x5cxff.log"),
        (rb"\x5c", r"\x5cx5c"),
        (rb"C:\x41\n", r"C:\x41\n"),
        (b"\\\xff", r"\\xff"),
    ],
)
def test_text_of_names(name: bytes, text: str) -> None:
    assert path_text(os.fsdecode(name)) == text
    assert os.fsencode(text_path(text)) == name


def test_each_name_has_its_own_text() -> None:
    names = [b"".join(parts) for parts in itertools.product([b"\\", b"x", b"5", b"c", b"f", b"\xff"], repeat=6)]
    texts = {path_text(os.fsdecode(name)): name for name in names}
    assert len(texts) == len(names)
    assert all(os.fsencode(text_path(text)) == name for text, name in texts.items())
    assert "".join(texts).encode()
