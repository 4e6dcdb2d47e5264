"""Values of audit records: what is hexadecimal, what a socket address says."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sigma.pyeval.logs.audit_values import (
    decode_free_string,
    decode_keys,
    decode_saddr,
    decode_string,
    decode_title,
)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ('"/usr/bin/id"', "/usr/bin/id"),
        ('""', ""),
        ("2F746D702F6120622063", "/tmp/a b c"),
        ("2f746d702f612062", "/tmp/a b"),
        ("C3A4", "ä"),
        ("FF41", "\\xffA"),
        ("(null)", None),
        ("(none)", "(none)"),
        ("abc", "abc"),  # an odd number of digits is no hexadecimal text
        ('"cut off', "cut off"),
        ("", ""),
    ],
)
def test_strings_that_are_always_quoted_or_encoded(written: str, meant: str | None) -> None:
    assert decode_string(written) == meant


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("root", "root"),
        ("BEEF", "\\xbe\\xef"),  # not ASCII: had to be encoded
        ("4142", "4142"),  # "AB" needs no encoding, so it is a number
        ("28756E6B6E6F776E207573657229", "(unknown user)"),
        ("28756e6b6e6f776e207573657229", "28756e6b6e6f776e207573657229"),
        ('"root"', "root"),
        ("(null)", None),
    ],
)
def test_strings_that_programs_write_plainly(written: str, meant: str | None) -> None:
    assert decode_free_string(written) == meant


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")))
def test_hexadecimal_text_reads_back(text: str) -> None:
    assert decode_string(text.encode().hex().upper()) == text


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("6C73002D6C61", "ls -la"),
        ("6C73002D6C6100", "ls -la"),
        ('"bash"', "bash"),
        ("(null)", None),
    ],
)
def test_title_joins_arguments_by_blanks(written: str, meant: str | None) -> None:
    assert decode_title(written) == meant


@pytest.mark.parametrize(
    ("written", "meant"),
    [('"exec"', "exec"), ("(null)", None), ("65786563016E6574", ["exec", "net"]), ('""', "")],
)
def test_keys_of_several_rules_are_a_list(written: str, meant: Any) -> None:
    assert decode_keys(written) == meant


@pytest.mark.parametrize(
    ("saddr", "meant"),
    [
        (
            "02000050C0000205" + "0" * 16,
            {"saddr_fam": "inet", "laddr": "192.0.2.5", "lport": "80"},
        ),
        (
            "00020050C0000205" + "0" * 16,  # the family of a big-endian machine
            {"saddr_fam": "inet", "laddr": "192.0.2.5", "lport": "80"},
        ),
        (
            "0A0001BB0000000020010DB800000000000000000000000100000000",
            {"saddr_fam": "inet6", "laddr": "2001:db8::1", "lport": "443"},
        ),
        ("01002F72756E2F78" + "00" * 6, {"saddr_fam": "local", "path": "/run/x"}),
        ("0100006162" + "00" * 3, {"saddr_fam": "local", "path": "@ab"}),
        ("0100", {"saddr_fam": "local"}),
        ("100000002A00000000000000", {"saddr_fam": "netlink", "nlnk-fam": "16", "nlnk-pid": "42"}),
        ("1100", {"saddr_fam": "packet"}),
        ("FE00", {"saddr_fam": "254"}),
        ("020000", {"saddr_fam": "inet"}),  # cut short
        ("0A0001BB", {"saddr_fam": "inet6"}),
        ("0", {}),
        ("", {}),
        ("inet", {}),
    ],
)
def test_socket_addresses(saddr: str, meant: dict[str, Any]) -> None:
    assert decode_saddr(saddr) == meant


@given(st.binary(max_size=140))
def test_any_socket_address_is_read(data: bytes) -> None:
    assert isinstance(decode_saddr(data.hex()), dict)
