"""What PAM modules log."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sigma.pyeval.logs.pam import parse_pam

UNIX = {"PAM_MODULE": "pam_unix", "PAM_SERVICE": "sshd", "PAM_TYPE": "auth"}


@pytest.mark.parametrize(
    ("program", "message", "fields"),
    [
        (
            "sshd",
            "pam_unix(sshd:auth): authentication failure; "
            "logname= uid=0 euid=0 tty=ssh ruser= rhost=192.0.2.7  user=root",
            UNIX
            | {
                "logname": "",
                "uid": "0",
                "euid": "0",
                "tty": "ssh",
                "ruser": "",
                "rhost": "192.0.2.7",
                "user": "root",
            },
        ),
        (
            "sshd(pam_unix)",
            "2 more authentication failures; logname=ann uid=5 euid=0 tty=ssh ruser=x rhost=host.example ",
            {
                "PAM_MODULE": "pam_unix",
                "PAM_SERVICE": "sshd",
                "logname": "ann",
                "uid": "5",
                "euid": "0",
                "tty": "ssh",
                "ruser": "x",
                "rhost": "host.example",
            },
        ),
        (
            "su",
            "pam_unix(su-l:session): session opened for user root(uid=0) by ann(uid=1000)",
            {
                "PAM_MODULE": "pam_unix",
                "PAM_SERVICE": "su-l",
                "PAM_TYPE": "session",
                "PAM_SESSION": "opened",
                "user": "root",
                "uid": "0",
                "PAM_BY_USER": "ann",
                "PAM_BY_UID": "1000",
            },
        ),
        (
            "su(pam_unix)",
            "session closed for user news",
            {"PAM_MODULE": "pam_unix", "PAM_SERVICE": "su", "PAM_SESSION": "closed", "user": "news"},
        ),
        ("sshd", "pam_unix(sshd:auth): check pass; user unknown", UNIX),
        ("sshd", "Accepted password for ann", {}),
        ("cron", "(root) CMD (echo session opened for user x)", {}),
    ],
)
def test_fields_of_a_message(program: str, message: str, fields: dict[str, str]) -> None:
    assert parse_pam(program, message) == fields


def test_a_user_name_cannot_add_a_second_host() -> None:
    pairs = "logname= uid=0 euid=0 tty=ssh ruser= rhost=192.0.2.7  user=a rhost=::1"
    fields = parse_pam("sshd", f"pam_unix(sshd:auth): authentication failure; {pairs}")
    assert (fields["rhost"], fields["user"]) == ("192.0.2.7", "a rhost=::1")


def test_hostile_text_takes_no_time() -> None:
    message = "pam_unix(sshd:auth): x; logname=" + " uid=0 euid=0 tty=" * 20_000
    start = time.process_time()
    parse_pam("sshd", message)
    assert time.process_time() - start < 0.5


@given(st.text(max_size=30), st.text(max_size=100))
def test_any_text_is_read_or_left(program: str, text: str) -> None:
    for message in (text, f"pam_unix(sshd:auth): {text}", f"pam_x(a:b): x; logname={text}"):
        assert all(value in message + program for value in parse_pam(program, message).values())
