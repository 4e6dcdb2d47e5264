"""What sudo logs."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sigma.pyeval.logs.sudo import parse_sudo

ALLOWED = "    ann : TTY=pts/4 ; PWD=/home/ann ; USER=root ; COMMAND=/usr/bin/tail -f /var/log/x"


@pytest.mark.parametrize(
    ("message", "fields"),
    [
        (
            ALLOWED,
            {
                "SUDO_USER": "ann",
                "TTY": "pts/4",
                "PWD": "/home/ann",
                "USER": "root",
                "COMMAND": "/usr/bin/tail -f /var/log/x",
            },
        ),
        (
            "ann : 3 incorrect password attempts ; TTY=pts/4 ; PWD=/ ; USER=root ; COMMAND=/bin/ls",
            {
                "SUDO_USER": "ann",
                "SUDO_REASON": "3 incorrect password attempts",
                "TTY": "pts/4",
                "PWD": "/",
                "USER": "root",
                "COMMAND": "/bin/ls",
            },
        ),
        (
            "ann : HOST=web1 ; TTY=unknown ; CHROOT=/jail ; PWD=/ ; USER=db ; GROUP=dba ; TSID=0000UM ; "
            "ENV=A=1 B=2 ; COMMAND=/bin/sh -c a ; b",
            {
                "SUDO_USER": "ann",
                "HOST": "web1",
                "TTY": "unknown",
                "CHROOT": "/jail",
                "PWD": "/",
                "USER": "db",
                "GROUP": "dba",
                "TSID": "0000UM",
                "ENV": "A=1 B=2",
                "COMMAND": "/bin/sh -c a ; b",
            },
        ),
        ("ann : USER=#-1 ; COMMAND=/bin/id", {"SUDO_USER": "ann", "USER": "#-1", "COMMAND": "/bin/id"}),
        ("unable to resolve host web1", {}),
        ("error : no such thing", {}),
    ],
)
def test_fields_of_a_message(message: str, fields: dict[str, str]) -> None:
    assert parse_sudo(message) == fields


@pytest.mark.parametrize(
    "directory",
    ["/tmp/a ; USER=nobody", "/tmp/a ; COMMAND=true", "/tmp/a ; USER=x ; USER=y ; COMMAND=true ; USER=z"],
)
def test_a_directory_with_a_telling_name_hides_nothing(directory: str) -> None:
    fields = parse_sudo(f"eve : TTY=pts/0 ; PWD={directory} ; USER=#-1 ; COMMAND=/bin/bash")
    users = fields["USER"] if isinstance(fields["USER"], list) else [fields["USER"]]
    assert "#-1" in users
    assert "/bin/bash" in str(fields["COMMAND"])


@given(st.text(max_size=200))
def test_any_text_is_read_or_left(text: str) -> None:
    for message in (text, ALLOWED + text, f"{text} ; {ALLOWED}"):
        for value in parse_sudo(message).values():
            assert all(part in message for part in (value if isinstance(value, list) else [value]))
