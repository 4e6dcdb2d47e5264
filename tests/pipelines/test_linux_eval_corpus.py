"""The SigmaHQ rules: those for Linux and web servers pass, those for Windows are refused."""

import os
from pathlib import Path

import pytest
import yaml
from sigma.exceptions import SigmaTransformationError
from sigma.rule import SigmaRule

from sigma.pipelines.linux_eval import linux_eval_pipeline, pipelines

SHARED = Path(os.environ.get("PYEVAL_SHARED", Path(__file__).parents[2] / ".." / "shared"))
SIGMAHQ = SHARED / "data" / "sigmahq"
pytestmark = pytest.mark.skipif(not SIGMAHQ.is_dir(), reason=f"no SigmaHQ rules at {SIGMAHQ} (PYEVAL_SHARED)")

# Rules that the pipeline may refuse: id -> field that their log source has not.
REFUSED: dict[str, str] = {}


def load_rules(paths):
    for path in sorted(paths):
        source = path.read_bytes()
        if b"linux" in source or b"webserver" in source or b"apache" in source or b"nginx" in source:
            rule = SigmaRule.from_dict(yaml.load(source, Loader=yaml.CSafeLoader))
            yield rule


def problems_of(rules, pipeline=None):
    pipeline = pipeline or linux_eval_pipeline()
    found = {}
    for rule in rules:
        try:
            pipeline.apply(rule)
        except SigmaTransformationError as error:
            found[str(rule.id)] = str(error)
    return found


def test_every_linux_rule_passes():
    rules = [rule for rule in load_rules(SIGMAHQ.glob("rules*/**/*.yml")) if rule.logsource.product == "linux"]
    assert len(rules) >= 248
    assert problems_of(rules).keys() == REFUSED.keys()


def test_every_web_server_rule_passes():
    rules = [
        rule
        for rule in load_rules(SIGMAHQ.glob("rules*/**/*.yml"))
        if rule.logsource.category == "webserver" or rule.logsource.service in ("apache", "nginx")
    ]
    assert len(rules) >= 89
    assert problems_of(rules) == {}


CATEGORIES = {"process_creation", "file_event", "network_connection"}


@pytest.mark.parametrize(("name", "everything"), [("linux_eval_ecs", True), ("linux_eval_sysmon", False)])
def test_the_other_schemas_serve_the_same_rules(name, everything):
    """Sysmon for Linux has no log lines, audit records and web requests; ECS has all of them."""
    rules = list(load_rules(SIGMAHQ.glob("rules*/**/*.yml")))
    linux = [rule for rule in rules if rule.logsource.product == "linux"]
    events = [rule for rule in linux if rule.logsource.category in CATEGORIES]
    web = [rule for rule in rules if rule.logsource.category == "webserver"]
    assert len(events) >= 160
    assert problems_of([*linux, *web] if everything else events, pipelines[name]()) == {}
    if not everything:
        refused = problems_of([rule for rule in linux if rule.logsource.service == "auditd"], pipelines[name]())
        assert len(refused) >= 50


def test_windows_rules_are_refused_as_a_log_source():
    paths = sorted((SIGMAHQ / "rules" / "windows").glob("**/*.yml"))[::20]
    rules = [SigmaRule.from_dict(yaml.load(path.read_bytes(), Loader=yaml.CSafeLoader)) for path in paths]
    problems = problems_of(rules)
    assert problems.keys() == {str(rule.id) for rule in rules}
    assert all("is not supported; supported: product linux" in message for message in problems.values())
