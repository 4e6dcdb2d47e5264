"""Names of users and groups in a record, as auditd's ENRICHED format has them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

UNSET_ID = "4294967295"
"""The login uid of a process that belongs to no login: (uid_t) -1."""

USER_FIELDS = ("auid", "uid", "euid", "suid", "fsuid", "ouid", "old-auid", "id")
GROUP_FIELDS = ("gid", "egid", "sgid", "fsgid", "ogid")


def add_names(event: dict[str, Any], user_names: Mapping[int, str], group_names: Mapping[int, str]) -> None:
    """Add to a record the names of its ids: ``uid=0`` gives ``UID`` "root".

    A name that the log holds itself stays.

    Args:
        event: The record, changed in place.
        user_names: User id -> name.
        group_names: Group id -> name.
    """
    for fields, names in ((USER_FIELDS, user_names), (GROUP_FIELDS, group_names)):
        if names:
            for field in fields:
                value = event.get(field)
                if isinstance(value, str) and value.isdecimal() and len(value) <= 10 and field.upper() not in event:
                    name = "unset" if value == UNSET_ID else names.get(int(value))
                    if name is not None:
                        event[field.upper()] = name
