"""A filter keeps the positive cases of correlation rules that build on the rule that it narrows, or it is none."""

from __future__ import annotations

from pathlib import Path

import pytest

from sigma.pyeval import load_rules
from sigma.pyeval.testing.suite import collect_cases
from sigma.pyeval.tuning.proposals import filter_text
from sigma.pyeval.tuning.verification import Verifier

from ..correlation.rules import correlation, member, text_of

ID = "11111111-1111-4111-8111-111111111111"


@pytest.mark.parametrize(("user", "keeps"), [("eve", False), ("ann", True)])
def test_cases_of_correlation_rules_count(tmp_path: Path, user: str, keeps: bool) -> None:
    (tmp_path / "a.yml").write_text(text_of(member("a", id=ID), correlation(condition={"gte": 2}, generate=True)))
    (tmp_path / "a.test.yml").write_text("rule: Found\nmatch: [{events: [{event: {is: a, user: eve}, repeat: 2}]}]")
    ruleset = load_rules(tmp_path)
    verifier = Verifier({}, collect_cases(ruleset, [tmp_path]))
    [rule] = ruleset.rules
    assert rule.generate
    text = filter_text(rule, {"user": user})
    assert len(verifier.positive_cases(rule)) == 1
    assert verifier.keeps(rule, text) is keeps
    (tmp_path / "filter.yml").write_text(text)
    narrowed = {one.id: one for one in load_rules(tmp_path).rules}
    assert len(verifier.lost_cases([rule], narrowed)) == (not keeps)
