"""ATT&CK tags: which kind each is, in which order they come out, and how they are shown."""

from __future__ import annotations

import pytest

from sigma.pyeval.attack import (
    RETIRED_TACTICS,
    TACTICS,
    Attack,
    parse_attack,
    tactic_title,
    tactic_url,
    technique_url,
)

TAGS = [
    (["attack.execution", "attack.t1059.004"], Attack(tactics=("execution",), techniques=("T1059.004",))),
    (["attack.stealth", "attack.defense-impairment"], Attack(tactics=("stealth", "defense-impairment"))),
    (["attack.defense_evasion", "attack.command_and_control"], Attack(tactics=("defense-evasion", "command-and-control"))),
    (["Attack.T1548", "attack.G0016", "ATTACK.s0002"], Attack(techniques=("T1548",), groups=("G0016",), software=("S0002",))),
    (["attack.t1003", "attack.t1003", "attack.T1003"], Attack(techniques=("T1003",))),
    (["attack.ta0002", "attack.ta0005"], Attack(tactics=("execution", "stealth"))),
    (["attack.sabotage"], Attack(tactics=("sabotage",))),
    (["attack.ds0009", "attack.t105", "attack.t1059.4", "attack.-"], Attack(others=("ds0009", "t105", "t1059.4", "-"))),
    (["cve.2021-44228", "car.2013-02-003", "attack", "attack.", "detection.dfir", "xattack.impact"], Attack()),
    ([], Attack()),
]  # fmt: skip


@pytest.mark.parametrize(("tags", "expected"), TAGS, ids=str)
def test_tags_name_tactics_techniques_groups_and_software(tags: list[str], expected: Attack) -> None:
    """Each tag is of one kind, counted once, whatever its case; tags of other namespaces name nothing."""
    assert parse_attack(tags) == expected


def test_every_tactic_has_an_id_and_only_a_retired_one_shares_it() -> None:
    """Version 19: fifteen tactics with an id each; Defense Evasion stands beside them with the id of Stealth."""
    present = {name: id_ for name, id_ in TACTICS.items() if name not in RETIRED_TACTICS}
    assert len(present) == len(set(present.values())) == 15
    assert TACTICS["defense-evasion"] == TACTICS["stealth"] == "TA0005"
    assert TACTICS["defense-impairment"] == "TA0112"


def test_tactics_and_techniques_have_titles_and_pages() -> None:
    """Titles as ATT&CK writes them; an unknown tactic has no page."""
    assert tactic_title("command-and-control") == "Command and Control"
    assert tactic_title("defense-impairment") == "Defense Impairment"
    assert tactic_url("impact") == "https://attack.mitre.org/tactics/TA0040/"
    assert tactic_url("sabotage") is None
    assert technique_url("T1059.004") == "https://attack.mitre.org/techniques/T1059/004/"
    assert technique_url("T1059") == "https://attack.mitre.org/techniques/T1059/"
