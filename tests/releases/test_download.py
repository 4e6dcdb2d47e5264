"""Fetching: within bounds, https never to less; and the digest that a checksum file states."""

from __future__ import annotations

import io
import ssl
from pathlib import Path
from typing import Any

import pytest
import trustme

from sigma.pyeval.releases.archive import ReleaseError
from sigma.pyeval.releases.download import digest_in, fetch

from .serving import pem_of, served

DATA = b"an archive" * 10_000
A, B = "a" * 64, "b" * 64


def fetched(url: str, **options: Any) -> bytes:
    stream = io.BytesIO()
    fetch(url, stream, **options)
    return stream.getvalue()


def test_plain_and_with_redirects() -> None:
    seen: list[tuple[int, int | None]] = []
    with served({"/x": DATA, "/moved": "/x", "/away": "x"}) as url:
        assert fetched(f"{url}/x", progress=lambda *one: seen.append(one)) == DATA
        assert fetched(f"{url}/moved") == fetched(f"{url}/away") == DATA
    assert seen[-1] == (len(DATA), len(DATA))


def test_https_is_verified_and_never_left(tmp_path: Path) -> None:
    authority = trustme.CA()
    ca = pem_of(authority, tmp_path)
    with served({"/x": DATA}) as plain, served({"/x": DATA, "/down": f"{plain}/x", "/same": "/x"}, authority) as url:
        assert fetched(f"{url}/same", ca=ca) == DATA
        with pytest.raises(ReleaseError, match=f"{url}/down redirects to {plain}/x, which is not https"):
            fetched(f"{url}/down", ca=ca)
        with pytest.raises(ReleaseError, match=r"cannot be fetched: .*certificate verify failed"):
            fetched(f"{url}/x")
    with pytest.raises(ReleaseError, match="cannot be fetched"):
        fetched("https://127.0.0.1:1/x", ca=tmp_path / "no.pem")
    assert issubclass(ssl.SSLError, OSError)


REFUSED: list[tuple[str, str, dict[str, Any], str]] = [
    ("not there", "/no", {}, "/no answered 404"),
    ("an error", "/error", {}, "/error answered 500"),
    ("too long", "/x", {"most_bytes": 1000}, "longer than 1,000 bytes"),
    ("too slow", "/x", {"seconds": 0}, "it takes too long"),
    ("in a circle", "/circle", {}, "more than 5 redirects"),
    ("a file", "/file", {}, "which is not https"),
]


@pytest.mark.parametrize(("path", "options", "words"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED])
def test_what_is_refused(path: str, options: dict[str, Any], words: str) -> None:
    with served({"/x": DATA, "/error": 500, "/circle": "/circle", "/file": "file:///etc/passwd"}) as url:
        with pytest.raises(ReleaseError, match=words) as caught:
            fetched(f"{url.replace('//', '//user:hunter2@')}{path}?key=hunter2", **options)
        assert "hunter2" not in str(caught.value)


def test_nobody_there() -> None:
    with pytest.raises(ReleaseError, match="cannot be fetched"):
        fetched("http://127.0.0.1:1/x")


CHECKSUMS = [
    ("one digest", A, A),
    ("of sha256sum", f"{B}  other.zip\n{A}  sigma_all_rules.zip\n", A),
    ("binary mode", f"{B} *x-sigma_all_rules.zip\n{A} *sigma_all_rules.zip\n", A),
    ("of BSD", f"SHA256 (sigma_all_rules.zip) = {A.upper()}\nSHA256 (other.zip) = {B}\n", A),
    ("one for another name", f"{A}  renamed.zip\n", A),
    ("none", "hello\n", "holds no SHA-256"),
    ("several for others", f"{A}  a.zip\n{B}  b.zip\n", "holds several SHA-256"),
    ("several for it", f"{A}  sigma_all_rules.zip\n{B}  sigma_all_rules.zip\n", "holds several SHA-256"),
    ("SHA-512", "a" * 128, "holds no SHA-256"),
]


@pytest.mark.parametrize(("text", "expected"), [row[1:] for row in CHECKSUMS], ids=[row[0] for row in CHECKSUMS])
def test_checksum_files(text: str, expected: str) -> None:
    if expected == A:
        assert digest_in(text, "sigma_all_rules.zip") == A
    else:
        with pytest.raises(ReleaseError, match=expected):
            digest_in(text, "sigma_all_rules.zip")
