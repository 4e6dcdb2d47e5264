"""Names of users and groups from tables."""

from __future__ import annotations

from typing import Any

import pytest

from sigma.pyeval.logs.audit_names import add_names

USERS = {0: "root", 1000: "amy"}
GROUPS = {0: "wheel"}


@pytest.mark.parametrize(
    ("record", "added"),
    [
        ({"uid": "0", "auid": "1000", "gid": "0"}, {"UID": "root", "AUID": "amy", "GID": "wheel"}),
        ({"auid": "4294967295"}, {"AUID": "unset"}),
        ({"uid": "77", "gid": "77"}, {}),
        ({"uid": "0", "UID": "toor"}, {}),
        ({"uid": None, "euid": "x", "suid": "9" * 5000}, {}),
    ],
)
def test_names_are_added_where_the_log_has_none(record: dict[str, Any], added: dict[str, str]) -> None:
    event = dict(record)
    add_names(event, USERS, GROUPS)
    assert event == {**record, **added}
