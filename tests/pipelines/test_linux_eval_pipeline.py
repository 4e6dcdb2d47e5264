"""The pipeline as a whole: how it is found, that it is fresh each time, and which log sources it refuses."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest
from sigma.exceptions import SigmaTransformationError
from sigma.plugins import InstalledSigmaPlugins
from sigma.processing.conditions import RuleProcessingItemAppliedCondition
from sigma.processing.pipeline import ProcessingPipeline

import sigma.pipelines.linux_eval as package
from sigma.pipelines.linux_eval import linux_eval_pipeline
from sigma.pipelines.linux_eval.ecs import ECS
from sigma.pipelines.linux_eval.fields import FIELD_TABLES
from sigma.pipelines.linux_eval.log_sources import log_sources
from sigma.pipelines.linux_eval.sysmon import SYSMON
from sigma.pyeval.expression import parse_expression


def test_it_is_found_under_its_name_and_nothing_else_is():
    found = InstalledSigmaPlugins.autodiscover().pipelines
    ours = [
        name for name, pipeline in found.items() if getattr(pipeline, "__module__", "").startswith(package.__name__)
    ]
    assert sorted(ours) == ["linux_eval", "linux_eval_ecs", "linux_eval_sysmon"]
    assert package.__all__ == sorted(f"{name}_pipeline" for name in ours)
    assert all(found[name] is getattr(package, f"{name}_pipeline") for name in ours)


def test_it_has_what_the_command_line_shows():
    pipeline = linux_eval_pipeline()
    assert isinstance(pipeline, ProcessingPipeline)
    assert isinstance(pipeline.name, str)
    assert (pipeline.priority, pipeline.allowed_backends) == (20, frozenset({"pyeval"}))


def test_sigma_cli_lists_it():
    pytest.importorskip("sigma.cli", reason="sigma-cli is not installed")
    command = [sys.executable, "-c", "from sigma.cli.main import main; main()", "list", "pipelines"]
    listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    rows = [[cell.strip() for cell in line.split("|")] for line in listed.splitlines() if "linux_eval" in line]
    named = {row[1]: row[2] for row in rows if row[1]}
    assert named == {"linux_eval": "20", "linux_eval_ecs": "20", "linux_eval_sysmon": "20"}


def test_each_call_makes_a_new_pipeline():
    one, other = linux_eval_pipeline({"Image": "x"}), linux_eval_pipeline()
    assert not {id(item) for item in one.items} & {id(item) for item in other.items}
    combined = linux_eval_pipeline() + linux_eval_pipeline()
    assert len(combined.items) == 2 * len(other.items)


@pytest.mark.parametrize("name", package.pipelines)
def test_items_have_unique_names_of_their_own(name):
    identifiers = [item.identifier for item in package.pipelines[name]().items]
    assert len(identifiers) == len(set(identifiers))
    assert all(identifier.startswith(f"{name}_") for identifier in identifiers)


@pytest.mark.parametrize("name", package.pipelines)
def test_one_last_item_refuses_what_no_other_applied_to(name):
    *_, last = package.pipelines[name]().items
    assert last.identifier == f"{name}_unsupported"
    applied = [c for c in last.rule_conditions if isinstance(c, RuleProcessingItemAppliedCondition)]
    maps = [item.identifier for item in package.pipelines[name]().items if "_map_" in item.identifier]
    assert [condition.processing_item_id for condition in applied] == maps


REFUSED = [
    {"category": "process_creation", "product": "windows"},
    {"category": "process_creation", "product": "macos"},
    {"category": "process_creation", "product": "linux", "service": "sshd"},
    {"category": "registry_set", "product": "windows"},
    {"category": "process_access", "product": "linux"},
    {"category": "webserver", "product": "windows"},
    {"category": "webserver", "product": "linux", "service": "iis"},
    {"category": "proxy"},
    {"category": "dns"},
    {"category": "application", "product": "python"},
    {"product": "windows"},
    {"product": "windows", "service": "sysmon"},
    {"product": "windows", "service": "syslog"},
    {"product": "cisco", "service": "syslog"},
    {"product": "linux", "service": "nosuch"},
    {"product": "linux", "service": "access"},
    {"product": "aws", "service": "cloudtrail"},
    {"service": "netflow"},
]


@pytest.mark.parametrize("logsource", REFUSED)
@pytest.mark.parametrize("detection", [{"Image": "x"}, ["keyword"]])
def test_another_log_source_is_refused_with_the_supported_ones(make_rule, logsource, detection):
    rule = make_rule(logsource, detection, id="8f0c2f5e-0b8f-4b43-9d0e-3f1f6d8a7c11")
    with pytest.raises(SigmaTransformationError) as error:
        linux_eval_pipeline().apply(rule)
    message = str(error.value)
    assert message.startswith("rule 'Test rule' (8f0c2f5e-0b8f-4b43-9d0e-3f1f6d8a7c11): log source ")
    assert all(repr(part) in message for part in logsource.values())
    _, supported = message.split("supported: ")
    assert all(name in supported for name in ("process_creation", "file_event", "auditd", "sshd", "webserver", "nginx"))
    assert "\n" not in message


def test_the_message_names_every_log_source_that_is_served(make_rule):
    with pytest.raises(SigmaTransformationError) as error:
        linux_eval_pipeline().apply(make_rule({"product": "windows"}, ["x"]))
    words = str(error.value).split("supported: ")[1].replace(",", " ").replace(";", " ").split()
    assert {log_source.name for log_source in log_sources()} <= set(words)


@pytest.mark.parametrize(
    "service", [log_source.name for log_source in log_sources() if log_source.fields.endswith("_line")]
)
def test_every_service_is_served_with_and_without_the_product(make_rule, service):
    for logsource in ({"product": "linux", "service": service}, {"service": service}):
        pipeline = linux_eval_pipeline()
        pipeline.apply(make_rule(logsource, ["keyword"]))
        assert f"linux_eval_scope_{service}" in pipeline.applied_ids


@pytest.mark.parametrize("name", package.pipelines)
def test_every_scope_is_an_expression_that_can_be_joined(name):
    """An ``or`` at its top would change its meaning in front of ``and``."""
    items = [item for item in package.pipelines[name]().items if "_scope_" in item.identifier]
    assert items
    for scope in (item.transformation.val for item in items):
        joined = parse_expression(f"{scope} and keyword(event, 'x')")
        assert isinstance(joined, ast.BoolOp)
        assert isinstance(joined.op, ast.And)


def documented(section):
    text = (Path(__file__).parents[2] / "docs" / "events.md").read_text(encoding="utf-8")
    return [line for line in text.partition(f"## {section}")[2].partition("\n## ")[0].splitlines() if line[:1] == "|"]


def test_the_documentation_names_the_scopes_of_sysmon():
    rows = documented("Sysmon for Linux")
    for log_source in SYSMON.served():
        row = next(row for row in rows if f"{log_source.name}`" in row)
        kind = SYSMON.kinds[log_source.name]
        numbers = [str(value) for _, values in kind.says for value in values] if kind else []
        assert all(number in row for number in numbers), row


@pytest.mark.parametrize("table", ["process_creation", "file_event", "network_connection", "log_line", "webserver"])
def test_the_documentation_names_the_mappings_to_ecs(table):
    """The first name of each field that SigmaHQ's rules or the documentation of linux_eval use."""
    rows = documented("Elastic Common Schema")
    for field, targets in ECS.tables[table].mapping.items():
        listed = [row for row in rows if f"`{field}`" in row.split("|")[1]]
        assert all(f"`{targets[0]}`" in row for row in listed), field
    known = [field for field in ECS.tables[table].mapping if any(f"`{field}`" in row.split("|")[1] for row in rows)]
    assert len(known) >= 2


def test_the_documentation_names_every_log_source_and_every_mapping():
    text = (Path(__file__).parents[2] / "docs" / "events.md").read_text(encoding="utf-8")
    rows = [line for line in text.splitlines() if line.startswith("|")]
    for field, (target,) in FIELD_TABLES["any"].mapping.items():
        if field != target:
            assert [row for row in rows if f"`{field}`" in row and f"`{target}`" in row], field
    assert [source.name for source in log_sources() if not any(f"{source.name}`" in row for row in rows)] == []
