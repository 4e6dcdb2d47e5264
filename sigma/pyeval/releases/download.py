"""Fetching a release or its checksum: within bounds of size and time, and never from https on to something less."""

from __future__ import annotations

import hashlib
import re
import ssl
import time
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, Final
from urllib.parse import urljoin, urlsplit

from .archive import ReleaseError

MOST_BYTES: Final = 256 << 20
"""An archive may be so long."""

MOST_CHECKSUM_BYTES: Final = 1 << 20
SECONDS: Final = 600.0
"""A download may take so long in all."""

STILL_SECONDS: Final = 30.0
"""Nothing may come for so long."""

MOST_REDIRECTS: Final = 5
_DIGEST = re.compile(r"\b([0-9a-fA-F]{64})\b")

Progress = Callable[[int, int | None], None]
"""Called with the bytes that have come, and how many there will be, where the server says."""


def is_url(source: str) -> bool:
    """Return whether *source* is a URL that can be fetched, not a path."""
    return source.lower().startswith(("http://", "https://"))


def fetch(  # noqa: PLR0913 - each bound has its name
    url: str,
    stream: BinaryIO,
    *,
    ca: Path | None = None,
    most_bytes: int = MOST_BYTES,
    seconds: float = SECONDS,
    progress: Progress | None = None,
) -> None:
    """Write what is at *url* to *stream*.

    Args:
        url: An ``http`` or ``https`` URL.
        stream: Where it goes.
        ca: The only authorities (PEM) to trust; those of the system unless given.
        most_bytes: A longer answer is refused.
        seconds: How long it may take in all.
        progress: Told of each piece.

    Raises:
        ReleaseError: It cannot be fetched, or not within the bounds.
    """
    import httpx

    deadline = time.monotonic() + seconds
    try:
        context = ssl.create_default_context(cafile=ca)
        with httpx.Client(verify=context, timeout=STILL_SECONDS, headers={"Accept-Encoding": "identity"}) as client:
            for _ in range(MOST_REDIRECTS + 1):
                with client.stream("GET", url) as answer:
                    if answer.is_redirect:
                        url = _redirected(url, answer.headers["location"])
                        continue
                    if answer.status_code != httpx.codes.OK:
                        raise ReleaseError(f"{_shown(url)} answered {answer.status_code}")
                    _take(answer, stream, most_bytes, deadline, progress)
                    return
    except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
        raise ReleaseError(f"{_shown(url)} cannot be fetched: {error or type(error).__name__}") from error
    raise ReleaseError(f"{_shown(url)}: more than {MOST_REDIRECTS} redirects")


def _take(answer: object, stream: BinaryIO, most_bytes: int, deadline: float, progress: Progress | None) -> None:
    length = answer.headers.get("content-length", "")  # type: ignore[attr-defined]
    expected = int(length) if length.isascii() and length.isdigit() else None
    done = 0
    for piece in answer.iter_raw(1 << 16):  # type: ignore[attr-defined]
        done += len(piece)
        if done > most_bytes:
            raise ReleaseError(f"the answer is longer than {most_bytes:,} bytes")
        if time.monotonic() > deadline:
            raise ReleaseError("it takes too long")
        stream.write(piece)
        if progress is not None:
            progress(done, expected)


def _redirected(url: str, location: str) -> str:
    target = urljoin(url, location)
    if not is_url(target) or (urlsplit(url).scheme == "https" and urlsplit(target).scheme != "https"):
        raise ReleaseError(f"{_shown(url)} redirects to {_shown(target)}, which is not https")
    return target


def _shown(url: str) -> str:
    """Return *url* without user, password and query, which may be secrets."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.hostname or ''}{f':{parts.port}' if parts.port else ''}{parts.path}"


def digest_in(text: str, name: str) -> str:
    """Return the SHA-256 that a checksum file states for the file *name*, as ``sha256sum`` writes it, or the only one in it.

    Raises:
        ReleaseError: It states none, or several and none for *name*.
    """
    lines = [(found[1].lower(), line) for line in text.splitlines() if (found := _DIGEST.search(line))]
    named = {digest for digest, line in lines if re.search(rf"(?:^|[\s*/(]){re.escape(name)}(?:$|[\s)])", line)}
    digests = named or {digest for digest, _ in lines}
    if len(digests) != 1:
        raise ReleaseError(f"the checksum file holds {'no' if not digests else 'several'} SHA-256 for {name!r}")
    return digests.pop()


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file, hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
