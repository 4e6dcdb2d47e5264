"""MITRE ATT&CK in a rule's tags: tactics, techniques, groups, software (Sigma specification 2.1, "Tags")."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

# Tactic names as tags write them, with ATT&CK's ids, in the order of the enterprise matrix.
TACTICS = {
    "reconnaissance": "TA0043",
    "resource-development": "TA0042",
    "initial-access": "TA0001",
    "execution": "TA0002",
    "persistence": "TA0003",
    "privilege-escalation": "TA0004",
    "defense-evasion": "TA0005",
    "credential-access": "TA0006",
    "discovery": "TA0007",
    "lateral-movement": "TA0008",
    "collection": "TA0009",
    "command-and-control": "TA0011",
    "exfiltration": "TA0010",
    "impact": "TA0040",
}
_TECHNIQUE = re.compile(r"t\d{4}(\.\d{3})?")
_GROUP = re.compile(r"g\d{4}")
_SOFTWARE = re.compile(r"s\d{4}")


@dataclass(frozen=True, slots=True)
class Attack:
    """What a rule's ``attack.`` tags name, each once, in the order of the tags.

    Attributes:
        tactics: Names in lower case with hyphens (``initial-access``); unknown ones too.
        techniques: ``T1059`` or ``T1059.004``.
        groups: ``G0007``.
        software: ``S0154``.
    """

    tactics: tuple[str, ...] = ()
    techniques: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    software: tuple[str, ...] = ()


def parse_attack(tags: Iterable[str]) -> Attack:
    """Return what the ``attack.`` tags among *tags* name; older tags write tactics with underscores."""
    found: dict[str, dict[str, None]] = {"tactics": {}, "techniques": {}, "groups": {}, "software": {}}
    for tag in tags:
        namespace, _, name = tag.lower().partition(".")
        if namespace != "attack" or not name:
            continue
        if _TECHNIQUE.fullmatch(name):
            found["techniques"][name.upper()] = None
        elif _GROUP.fullmatch(name):
            found["groups"][name.upper()] = None
        elif _SOFTWARE.fullmatch(name):
            found["software"][name.upper()] = None
        else:
            found["tactics"][name.replace("_", "-")] = None
    return Attack(**{kind: tuple(names) for kind, names in found.items()})
