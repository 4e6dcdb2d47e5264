"""Conformance cases that other Sigma engines assert in their own tests, and where this project decides otherwise.

A vector is *clean* where the asserting engine, the specification and an evaluator written from it agree, and pySigma can
parse the rule. All others stand in ``DECIDED`` with this project's verdict and the reason for it.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from sigma.pyeval import RuleLoadError, parse_rules

from .conftest import Exercises, json_lines
from .reference import Reference

MATCH, NO_MATCH, REFUSED, ACCEPTED = "match", "no match", "refused", "accepted"

# reason: verdict: ids
DECIDED: dict[str, dict[str, str]] = {
    "array brackets and object scopes are a draft of Sigma 3: a map is no value, brackets are part of a field's name": {
        REFUSED: """v74457c0d17 vf33dffce2d vfc98e57807 v6112c4bd51 vbbbdacb5ee v6e89bc85d9 v107c0b60f2 v0e2e3d5236 v0ed1f3bfb9
            v1cd546d6f2 v4d6c2d220a v5e20f9f3f4 v8a94ae0ed5 v464061e865 v0dc50d66b3 v266f6372d1 v90544cbdb8 v830d4bc813
            v956227d6ca v6a34829f1f vef93ded7bb v5c3086a6db""",
        NO_MATCH: """v39732a9074 v5558f79fb2 vb53de5e1fc ved292570ee v0134402ff7 v1f51e539ec v36e24cd352 v45f689c500 v76051e30d2
            ve188bc57d0 v9179282ce7 va966191bff v2b53aadbfb v895dc939a4""",
        MATCH: "v2a14e3e210 v49f512288b",
    },
    "a map as a field's value is one engine's extension": {
        REFUSED: """v823ee4bac7 v681d401bfc v29bf448d58 v2a47723633 v79f547d50f v87014888d2 v9d4c8808d2 va57f3efe97 v4130cfdf11
            vfc256f6c4d v2fc256f485 v18ac2ea8a7 vf148c6ea20"""
    },
    "equalsfield and endswithfield are one engine's names for fieldref": {
        REFUSED: "v41fc4bbd9f vc8ecad1149 ve31a64da20 v3ffc4e4131 vcef9d4984b v617db40a26"
    },
    "a selector that selects no detection has no meaning": {
        REFUSED: "vb87a23dd88 vd644ba4630 v6ac6e78e78 veea50051bc v41ed10c459 v7c4ac838da"
    },
    "modifiers apply from left to right: base64 text is encoded in UTF-16, not the other way round": {
        NO_MATCH: """vf9c3a82b4b v5f6d659a9e v067e1340f9 vfe2a0f97db vbd0382a5fa vb8b0f17ffe v4277c45eb4 v6490b79f92
            v81d84e96ca vba9be6add9 v44aa232b2c v06c53eb9ff"""
    },
    "modifiers apply from left to right: Base64 keeps its padding": {NO_MATCH: "v3aab3c349e ve1424be163"},
    "modifiers apply from left to right: what contains adds cannot be encoded": {REFUSED: "v45bd901754"},
    "base64offset compares the whole value unless contains follows it": {NO_MATCH: "v63f66334fb vd6d0ff3338"},
    "numbers are compared with numbers": {REFUSED: "v50af662798 v066b9aa786 v8a5f4bac94"},
    "integers and floats are compared by amount": {MATCH: "v406baa6dc3"},
    "the name of a field is text": {REFUSED: "v67789b4022"},
    "an unquoted yes is a boolean in YAML 1.1": {NO_MATCH: "vf85f3d44f1"},
    "quoted null is text": {NO_MATCH: "v726f04bad5"},
    "a missing field is null": {NO_MATCH: "vd7e5ce914e ve4b80bf0f0"},
    "neq is the negation of equality, which a missing field has": {MATCH: "v5dce4d9051 vd42d7c59d8 vd95b9e6a84"},
    "neq with all: not all of them": {MATCH: "vc9318fbf24"},
    "fields of one engine's own event model": {NO_MATCH: "v79ea142c8c"},
    "an identifier that begins with 'not' is an identifier": {MATCH: "v727035385b", NO_MATCH: "vcc7abb063b"},
    "a number has no dashes, and gt takes no text": {REFUSED: "va663e449ec vdac748a8d9"},
    "odd but clear: the second encoding applies to the outcome of the first": {ACCEPTED: "vcc9d5bedb1 v8f6938c130"},
}
VERDICTS = {
    identifier: (verdict, reason)
    for reason, verdicts in DECIDED.items()
    for verdict, identifiers in verdicts.items()
    for identifier in identifiers.split()
}


@pytest.fixture(scope="session")
def vectors(shared: Path) -> list[dict[str, Any]]:
    return list(json_lines(shared / "vectors" / "vectors.jsonl"))


def is_clean(vector: dict[str, Any]) -> bool:
    parses = not vector.get("pysigma_error") or bool(vector.get("pysigma_ok_after_fix"))
    return parses and not vector.get("disputed") and vector.get("expect") != "reject"


def rule_text(vector: dict[str, Any]) -> str:
    return str(vector.get("rule_fixed") or vector["rule"])


def verdict(vector: dict[str, Any]) -> str:
    try:
        ruleset = parse_rules(rule_text(vector), placeholders=vector.get("placeholders"))
    except RuleLoadError:
        return REFUSED
    if vector["event"] is None:
        return ACCEPTED
    found = ruleset.match(vector["event"])
    assert found == ruleset.scan(vector["event"])
    return MATCH if found else NO_MATCH


def test_clean_vectors_hold(vectors: list[dict[str, Any]], figure: Callable[[str], None], exercises: Exercises) -> None:
    clean = [vector for vector in vectors if is_clean(vector)]
    wrong = [vector["id"] for vector in clean if verdict(vector) != (MATCH if vector["match"] else NO_MATCH)]
    figure(f"vectors: {len(clean) - len(wrong)} of {len(clean)} clean ones hold, {len(VERDICTS)} others are decided")
    assert not wrong
    assert len(clean) == 397
    for vector in clean:
        exercises(rule_text(vector))


def test_every_other_vector_is_decided(vectors: list[dict[str, Any]]) -> None:
    assert {vector["id"] for vector in vectors if not is_clean(vector)} == set(VERDICTS)
    assert sum(len(ids.split()) for verdicts in DECIDED.values() for ids in verdicts.values()) == len(VERDICTS)


def test_decisions_are_true(vectors: list[dict[str, Any]]) -> None:
    found = {vector["id"]: verdict(vector) for vector in vectors if not is_clean(vector)}
    assert found == {identifier: decided for identifier, (decided, _) in VERDICTS.items()}


def test_the_reference_passes_the_clean_vectors(vectors: list[dict[str, Any]]) -> None:
    """The evaluator that the agreement property trusts is itself held against what other engines assert."""
    single = [
        vector for vector in vectors if is_clean(vector) and len(list(yaml.safe_load_all(rule_text(vector)))) == 1
    ]
    wrong = [
        vector["id"]
        for vector in single
        if Reference(rule_text(vector), vector.get("placeholders")).matches(vector["event"]) != vector["match"]
    ]
    assert not wrong
    assert len(single) > 350
