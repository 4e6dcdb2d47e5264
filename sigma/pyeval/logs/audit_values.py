"""What one audit value means: hexadecimal text, socket addresses, keys.

The kernel writes a string in double quotes, or in hexadecimal where it holds a blank, a quote, a control or
a non-ASCII character (``audit_log_untrustedstring`` in kernel/audit.c); programs that use libaudit do the
same.
"""

from __future__ import annotations

import re
import socket
from typing import Any

_HEX = re.compile(r"(?:[0-9A-Fa-f]{2})+")
_HEX_UPPER = re.compile(r"(?:[0-9A-F]{2})+")
_NEEDS_HEX = re.compile(rb"[^!#-~]")

KEY_SEPARATOR = "\x01"
"""Stands between the keys of several rules that one event matched (``AUDIT_KEY_SEPARATOR``, libaudit.h)."""

FAMILIES: dict[int, str] = {
    0: "unspecified", 1: "local", 2: "inet", 3: "ax25", 4: "ipx", 5: "appletalk", 6: "netrom", 7: "bridge",
    8: "atmpvc", 9: "x25", 10: "inet6", 11: "rose", 13: "netbeui", 14: "security", 15: "key", 16: "netlink",
    17: "packet", 18: "ash", 19: "econet", 20: "atmsvc", 21: "rds", 22: "sna", 23: "irda", 24: "pppox",
    25: "wanpipe", 26: "llc", 27: "ib", 28: "mpls", 29: "can", 30: "tipc", 31: "bluetooth", 32: "iucv",
    33: "rxrpc", 34: "isdn", 35: "phonet", 36: "ieee802154", 37: "caif", 38: "alg", 39: "nfc", 40: "vsock",
    41: "kcm", 42: "qipcrtr", 43: "smc", 44: "xdp", 45: "mctp",
}  # fmt: skip
"""Number of an address family (``bits/socket.h``) -> name, as auditd's ENRICHED ``SADDR`` spells it."""


def decode_text(data: bytes) -> str:
    r"""Return UTF-8 *data* as text; a byte that is no UTF-8 is kept visible as ``\xff``."""
    return data.decode("utf-8", "backslashreplace")


def decode_hex(value: str) -> str | None:
    """Return the text that hexadecimal *value* stands for, or ``None`` where it is no hexadecimal text."""
    if _HEX.fullmatch(value) is None:
        return None
    return decode_text(bytes.fromhex(value))


def decode_string(value: str) -> str | None:
    """Return a field that the kernel always quotes or encodes, as text, and ``(null)`` as None.

    ``"a"`` is "a", ``6120`` is "a ". A value that is neither (a record cut short, say) stays as it is.
    """
    if value[:1] == '"':
        return value[1:-1] if value[-1] == '"' else value[1:]
    if value == "(null)":
        return None
    text = decode_hex(value)
    return value if text is None else text


def decode_free_string(value: str) -> str | None:
    """Return a field that programs write, quoted, encoded or plain (``acct=root``), as text.

    Plain text may look like hexadecimal (``acct=BEEF``), so only what had to be encoded is decoded:
    upper-case digits
    that stand for at least one character which may not appear unquoted.
    """
    if value[:1] == '"' or value == "(null)":
        return decode_string(value)
    if _HEX_UPPER.fullmatch(value) is None:
        return value
    data = bytes.fromhex(value)
    return decode_text(data) if _NEEDS_HEX.search(data) else value


def decode_title(value: str) -> str | None:
    """Return a PROCTITLE's value as a command line: the NUL between two arguments becomes a blank."""
    text = decode_string(value)
    return text.rstrip("\0").replace("\0", " ") if text else text


def decode_keys(value: str) -> str | list[str] | None:
    """Return the key of an audit rule, or the list of them where several rules matched the event."""
    text = decode_string(value)
    return text.split(KEY_SEPARATOR) if text and KEY_SEPARATOR in text else text


def decode_saddr(value: str) -> dict[str, Any]:
    """Return what a hexadecimal ``struct sockaddr`` says, under the names of auditd's ENRICHED ``SADDR``.

    Returns:
        ``saddr_fam`` (name, or the number as text where it has none) and, by family, ``laddr`` and ``lport``
        (inet, inet6),
        ``path`` (local; an abstract name begins with ``@``), ``nlnk-fam`` and ``nlnk-pid`` (netlink). Empty
        where *value*
        is no socket address; only the family where the rest is cut short.
    """
    if len(value) < 4 or _HEX.fullmatch(value) is None:
        return {}
    data = bytes.fromhex(value)
    # The family is in the byte order of the machine, and below 256: its zero byte shows the order.
    order: Any = "big" if data[0] == 0 and data[1] != 0 else "little"
    family = int.from_bytes(data[:2], order)
    fields: dict[str, Any] = {"saddr_fam": FAMILIES.get(family, str(family))}
    if family == 2 and len(data) >= 8:
        fields["laddr"] = socket.inet_ntop(socket.AF_INET, data[4:8])
        fields["lport"] = str(int.from_bytes(data[2:4], "big"))
    elif family == 10 and len(data) >= 24:
        fields["laddr"] = socket.inet_ntop(socket.AF_INET6, data[8:24])
        fields["lport"] = str(int.from_bytes(data[2:4], "big"))
    elif family == 1 and len(data) > 2:
        fields["path"] = _unix_path(data[2:])
    elif family == 16 and len(data) >= 12:  # family, padding, port id, groups (netlink(7))
        fields["nlnk-fam"] = str(family)
        fields["nlnk-pid"] = str(int.from_bytes(data[4:8], order))
    return fields


def _unix_path(path: bytes) -> str:
    if path[0] == 0:  # abstract name: no file, ended by the length of the address (unix(7))
        return "@" + decode_text(path[1:].rstrip(b"\0"))
    return decode_text(path.split(b"\0", 1)[0])
