"""Correlation rules: their fields are mapped and checked by the rules that they refer to."""

import pytest
import yaml
from sigma.collection import SigmaCollection
from sigma.correlations import SigmaCorrelationRule
from sigma.exceptions import SigmaTransformationError

from sigma.pipelines.linux_eval import linux_eval_pipeline

PROCESS = {"category": "process_creation", "product": "linux"}
FILE = {"category": "file_event", "product": "linux"}
SUDO = {"product": "linux", "service": "sudo"}
SSHD = {"product": "linux", "service": "sshd"}
WINDOWS = {"category": "process_creation", "product": "windows"}


def member(name, logsource):
    return {
        "title": name,
        "name": name,
        "logsource": logsource,
        "detection": {"sel": ["x"], "condition": "sel"},
    }


def correlation(*rules, name="together", kind="event_count", **more):
    condition = {} if kind == "temporal" else {"condition": {"gte": 3, **more.pop("condition", {})}}
    keys = {"type": kind, "rules": list(rules), "timespan": "5m", **condition, **more}
    return {"title": name, "name": name, "correlation": keys}


def apply(*documents, mappings=None):
    """Apply the pipeline to members first, then correlations, and return the last correlation."""
    rules = SigmaCollection.from_yaml(yaml.safe_dump_all(documents))
    rules.resolve_rule_references()
    pipeline = linux_eval_pipeline(mappings)
    ordered = sorted(rules.rules, key=lambda rule: isinstance(rule, SigmaCorrelationRule))
    for rule in ordered:
        pipeline.apply(rule)
    assert "scope" not in pipeline.state
    return ordered[-1]


@pytest.mark.parametrize(
    ("logsource", "group_by", "mapped"),
    [
        (PROCESS, ["User", "ParentImage"], ["_USER", "_PARENT_EXE"]),
        (SUDO, ["USER"], ["USER"]),
        (SSHD, ["_HOSTNAME"], ["_HOSTNAME"]),
        ({"product": "linux", "service": "auditd"}, ["auid"], ["auid"]),
        ({"category": "webserver"}, ["c-ip"], ["c-ip"]),
        ({"product": "linux"}, ["User"], ["_USER"]),
    ],
)
def test_group_by_is_mapped_as_its_rule_is(logsource, group_by, mapped):
    assert apply(member("a", logsource), correlation("a", **{"group-by": group_by})).group_by == mapped


def test_a_correlation_without_group_by_passes():
    assert apply(member("a", SSHD), correlation("a")).group_by is None


@pytest.mark.parametrize(("field", "mapped"), [("Image", "_EXE"), (["Image", "User"], ["_EXE", "_USER"])])
def test_the_field_of_the_condition_is_mapped(field, mapped):
    rule = apply(member("a", PROCESS), correlation("a", kind="value_count", condition={"field": field}))
    assert rule.condition.fieldref == mapped


def test_aliases_are_mapped_by_the_rule_that_each_is_for():
    aliases = {"who": {"a": "User", "b": "USER"}}
    rule = apply(
        member("a", PROCESS),
        member("b", SUDO),
        correlation("a", "b", kind="temporal", aliases=aliases, **{"group-by": ["who"]}),
    )
    [alias] = rule.aliases
    assert {reference.reference: field for reference, field in alias.mapping.items()} == {
        "a": "_USER",
        "b": "USER",
    }
    assert rule.group_by == ["who"]


def test_aliases_are_mapped_without_group_by_too():
    rule = apply(member("a", PROCESS), correlation("a", aliases={"who": {"a": "User"}}))
    [alias] = rule.aliases
    assert list(alias.mapping.values()) == ["_USER"]


def test_rules_of_two_log_sources_may_share_a_field():
    documents = member("a", PROCESS), member("b", FILE)
    rule = apply(*documents, correlation("a", "b", kind="temporal", **{"group-by": ["Image"]}))
    assert rule.group_by == ["_EXE"]


def test_a_correlation_of_a_correlation_has_the_fields_of_its_rules_and_its_aliases():
    inner = correlation("a", name="inner", aliases={"who": {"a": "User"}}, **{"group-by": ["who", "Image"]})
    rules = SigmaCollection.from_yaml(
        yaml.safe_dump_all([member("a", PROCESS), inner, correlation("inner", **{"group-by": ["who", "Image"]})])
    )
    rules.resolve_rule_references()
    pipeline = linux_eval_pipeline()
    assert [getattr(pipeline.apply(rule), "group_by", None) for rule in rules] == [
        None,
        ["who", "_EXE"],
        ["who", "_EXE"],
    ]


@pytest.mark.parametrize(("field", "mapped"), [("User", "_USER"), ("type", "type"), ("Unknown", "Unknown")])
def test_before_references_are_resolved_a_field_of_any_linux_event_is_mapped(field, mapped):
    rule = SigmaCorrelationRule.from_dict(correlation("a", **{"group-by": [field]}))
    assert linux_eval_pipeline().apply(rule).group_by == [mapped]


@pytest.mark.parametrize(
    ("documents", "message"),
    [
        (
            [member("a", SSHD), correlation("a", **{"group-by": ["User"]})],
            r"correlation rule 'together' \(together\) uses field 'User', which rule 'a' \(a\) with "
            r"product 'linux', service 'sshd' does not have; an alias .*supported fields: MESSAGE",
        ),
        (
            [member("a", PROCESS), correlation("a", aliases={"x": {"a": "Nope"}})],
            "uses field 'Nope', which rule 'a'",
        ),
        (
            [member("a", PROCESS), correlation("a", kind="value_count", condition={"field": "Nope"})],
            "uses field 'Nope', which rule 'a'",
        ),
        (
            [
                member("a", PROCESS),
                member("b", SUDO),
                correlation("a", "b", kind="temporal", **{"group-by": ["User"]}),
            ],
            "uses field 'User', which rule 'b'",
        ),
    ],
)
def test_a_field_that_a_member_lacks_is_refused_by_name(documents, message):
    with pytest.raises(SigmaTransformationError, match=message) as error:
        apply(*documents)
    assert "\n" not in str(error.value)


def test_a_correlation_is_not_refused_by_its_own_log_source_but_by_that_of_a_member():
    rules = SigmaCollection.from_yaml(
        yaml.safe_dump_all([member("a", WINDOWS), correlation("a", **{"group-by": ["User"]})])
    )
    rules.resolve_rule_references()
    with pytest.raises(SigmaTransformationError, match=r"refers to rule 'a' \(a\), whose log source .*'windows'"):
        linux_eval_pipeline().apply(rules.rules[1])


def test_a_field_with_several_names_cannot_group():
    documents = member("a", PROCESS), correlation("a", **{"group-by": ["User"]})
    with pytest.raises(
        SigmaTransformationError, match="'User' has several names in the events of its rules: uid, user"
    ):
        apply(*documents, mappings={"User": ["user", "uid"]})


def test_an_alias_may_name_its_rule_by_id():
    identified = {**member("a", PROCESS), "id": "8f0c2f5e-0b8f-4b43-9d0e-3f1f6d8a7c11"}
    rule = apply(identified, correlation("a", aliases={"who": {identified["id"]: "User"}}, **{"group-by": ["who"]}))
    [alias] = rule.aliases
    assert list(alias.mapping.values()) == ["_USER"]


def test_correlations_that_refer_to_each_other_end_in_an_error():
    with pytest.raises(SigmaTransformationError, match="refers to itself"):
        apply(
            correlation("b", name="a", **{"group-by": ["User"]}),
            correlation("a", name="b", **{"group-by": ["User"]}),
        )
