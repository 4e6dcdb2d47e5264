"""What Linux-PAM modules write to the system log, taken apart (pam_unix(8) and modules of its form)."""

from __future__ import annotations

import re

_MODULE = re.compile(r"(?P<module>pam_\w{1,32})\((?P<service>[^:()\s]{1,64}):(?P<type>\w{1,16})\): ?")
_TAG = re.compile(r"(?P<service>[^()\s]{1,64})\((?P<module>pam_\w{1,32})\)")
_SESSION = re.compile(
    r"session (?P<state>opened|closed) for user (?P<user>[^\s(]{1,256})(?:\((?:uid=(?P<uid>\d{1,10}))\))?"
    r"(?: by (?P<by>[^\s(]{0,256})\(uid=(?P<by_uid>\d{1,10})\))?"
)
_FAILURE_KEYS = ("logname", "uid", "euid", "tty", "ruser", "rhost", "user")


def parse_pam(program: str, message: str) -> dict[str, str]:
    """Return the fields of a PAM module's *message*.

    Two forms are in use: ``pam_unix(sshd:auth): text`` and, on older systems, a tag ``sshd(pam_unix)[pid]:
    text`` where *program* is that tag without the pid. ``PAM_MODULE``, ``PAM_SERVICE`` and ``PAM_TYPE``
    (auth, account, session, password) come from there. Of an authentication failure follow ``logname``,
    ``uid``, ``euid``, ``tty``, ``ruser``, ``rhost``, ``user`` as PAM names them (empty where PAM leaves them
    empty); of a session ``PAM_SESSION`` (opened, closed), ``user``, ``uid`` and who opened it as
    ``PAM_BY_USER``, ``PAM_BY_UID``. Empty for a message of another form.
    """
    fields: dict[str, str] = {}
    if found := _MODULE.match(message):
        fields["PAM_MODULE"], fields["PAM_SERVICE"], fields["PAM_TYPE"] = found.groups()
        message = message[found.end() :]
    elif found := _TAG.fullmatch(program):
        fields["PAM_MODULE"], fields["PAM_SERVICE"] = found["module"], found["service"]
    else:
        return {}
    if session := _SESSION.match(message):
        fields |= _session_fields(session)
    else:
        fields |= _failure_fields(message)
    return fields


def _session_fields(session: re.Match[str]) -> dict[str, str]:
    names = {
        "state": "PAM_SESSION",
        "user": "user",
        "uid": "uid",
        "by": "PAM_BY_USER",
        "by_uid": "PAM_BY_UID",
    }
    return {name: session[group] for group, name in names.items() if session[group]}


def _failure_fields(message: str) -> dict[str, str]:
    """Read the pairs in PAM's order, so that a user named ``x rhost=1.2.3.4`` cannot add a second rhost.

    ``user=`` stands last, is missing where the user is unknown, and is free text up to the end of the
    message.
    """
    _, found, rest = message.partition("; logname=")
    if not found:
        return {}
    fields: dict[str, str] = {}
    key = "logname"
    for following in _FAILURE_KEYS[1:]:
        value, separator, rest_after = rest.partition(f" {following}=")
        if not separator:
            continue
        fields[key] = value.strip(" ")
        key, rest = following, rest_after
    fields[key] = rest.strip(" ")
    return fields
