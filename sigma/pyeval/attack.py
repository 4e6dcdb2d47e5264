"""MITRE ATT&CK in a rule's tags: tactics, techniques, groups, software (Sigma specification 2.1, "Tags")."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

# Tactic names as tags write them, with ATT&CK's ids, in the order of the enterprise matrix of version 19. That version
# made two tactics of Defense Evasion: Stealth kept its id, Defense Impairment got a new one. Rules use both generations.
TACTICS = {
    "reconnaissance": "TA0043",
    "resource-development": "TA0042",
    "initial-access": "TA0001",
    "execution": "TA0002",
    "persistence": "TA0003",
    "privilege-escalation": "TA0004",
    "defense-evasion": "TA0005",
    "stealth": "TA0005",
    "defense-impairment": "TA0112",
    "credential-access": "TA0006",
    "discovery": "TA0007",
    "lateral-movement": "TA0008",
    "collection": "TA0009",
    "command-and-control": "TA0011",
    "exfiltration": "TA0010",
    "impact": "TA0040",
}
RETIRED_TACTICS = frozenset({"defense-evasion"})
"""Tactics that version 19 no longer has."""

_BY_ID = {id_: name for name, id_ in TACTICS.items()}  # TA0005 reads as its present name
_TECHNIQUE = re.compile(r"t\d{4}(\.\d{3})?")
_GROUP = re.compile(r"g\d{4}")
_SOFTWARE = re.compile(r"s\d{4}")
_TACTIC_NAME = re.compile(r"[a-z]+(-[a-z]+)*")


@dataclass(frozen=True, slots=True)
class Attack:
    """What a rule's ``attack.`` tags name, each once, in the order of the tags.

    Attributes:
        tactics: Names in lower case with hyphens (``initial-access``); unknown ones too.
        techniques: ``T1059`` or ``T1059.004``.
        groups: ``G0007``.
        software: ``S0154``.
        others: Whatever else the tags name (data sources, campaigns, mistakes), in lower case.
    """

    tactics: tuple[str, ...] = ()
    techniques: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    software: tuple[str, ...] = ()
    others: tuple[str, ...] = ()


def parse_attack(tags: Iterable[str]) -> Attack:
    """Return what the ``attack.`` tags among *tags* name; older tags write tactics with underscores."""
    found: dict[str, dict[str, None]] = {
        "tactics": {}, "techniques": {}, "groups": {}, "software": {}, "others": {}
    }  # fmt: skip
    for tag in tags:
        namespace, _, name = tag.strip().lower().partition(".")
        if namespace == "attack" and name:
            kind, value = _classify(name)
            found[kind][value] = None
    return Attack(**{kind: tuple(names) for kind, names in found.items()})


def _classify(name: str) -> tuple[str, str]:
    if _TECHNIQUE.fullmatch(name):
        return "techniques", name.upper()
    if _GROUP.fullmatch(name):
        return "groups", name.upper()
    if _SOFTWARE.fullmatch(name):
        return "software", name.upper()
    if name.upper() in _BY_ID:
        return "tactics", _BY_ID[name.upper()]
    hyphened = name.replace("_", "-")
    return ("tactics", hyphened) if _TACTIC_NAME.fullmatch(hyphened) else ("others", name)


def tactic_title(tactic: str) -> str:
    """Return a tactic's name as people write it: ``Command and Control`` for ``command-and-control``."""
    return " ".join(word if word == "and" else word.capitalize() for word in tactic.split("-"))


def tactic_url(tactic: str) -> str | None:
    """Return the address of a tactic's page, or ``None`` for an unknown tactic."""
    return f"https://attack.mitre.org/tactics/{TACTICS[tactic]}/" if tactic in TACTICS else None


def technique_url(technique: str) -> str:
    """Return the address of the page of a technique (``T1059``) or sub-technique (``T1059.004``)."""
    return f"https://attack.mitre.org/techniques/{technique.replace('.', '/')}/"
