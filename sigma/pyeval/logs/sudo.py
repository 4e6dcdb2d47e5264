"""What sudo writes to the system log, taken apart into the names it uses itself (USER, COMMAND, ...)."""

from __future__ import annotations

KEYS = frozenset({"HOST", "TTY", "CHROOT", "PWD", "USER", "GROUP", "TSID", "ENV", "COMMAND"})
"""Names in the order sudo writes them (sudo 1.9, lib/eventlog: ``new_logline``)."""


def parse_sudo(message: str) -> dict[str, str | list[str]]:
    """Return the fields of ``user : [reason ;] TTY=... ; PWD=... ; USER=... ; COMMAND=...``.

    ``SUDO_USER`` is who ran sudo, ``SUDO_REASON`` why it was refused (``3 incorrect password attempts``).
    COMMAND runs to the end of the message. The working directory and the command are free text, so whoever
    runs sudo can write `` ; USER=nobody`` there: a name that occurs more than once keeps all its values in a
    list, and a rule meets the true one in any case. Empty for a message of another form.
    """
    user, separator, text = message.partition(" : ")
    if not separator or "=" not in text:
        return {}
    fields: dict[str, str | list[str]] = {"SUDO_USER": user.strip()}
    before_command, found, command = _split_command(text)
    for item in before_command.split(" ; "):
        key, equals, value = item.strip(" ").partition("=")
        if equals and key in KEYS:
            _add(fields, key, value)
        elif item.strip():
            _add(fields, "SUDO_REASON", item.strip())
    if found:
        fields["COMMAND"] = command
        for item in command.split(" ; ")[1:]:
            key, equals, value = item.partition("=")
            if equals and key in KEYS:
                _add(fields, key, value)
    return fields


def _split_command(text: str) -> tuple[str, bool, str]:
    if text.startswith("COMMAND="):
        return "", True, text.removeprefix("COMMAND=")
    before, separator, command = text.partition(" ; COMMAND=")
    return before, bool(separator), command


def _add(fields: dict[str, str | list[str]], key: str, value: str) -> None:
    present = fields.get(key)
    if present is None:
        fields[key] = value
    elif isinstance(present, list):
        present.append(value)
    else:
        fields[key] = [present, value]
