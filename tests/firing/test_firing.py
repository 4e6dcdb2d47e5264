"""Every SigmaHQ rule for Linux and web servers fires on a raw log line, through a parser, and not on a near miss.

The rules are not part of the project (PYEVAL_SHARED); the lines are. They go the way that a log goes: the format's
parser, the pipeline ``linux_eval``, the rules whose log source the event does not conflict with.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from itertools import chain
from pathlib import Path

import pytest
import yaml

from sigma.pyeval import Ruleset, load_rules
from sigma.pyeval.logs.formats import create_parser, detect_format
from sigma.pyeval.logs.records import Problem, Record

from ..conftest import ROOT
from .samples import FORMATS, Sample, load_samples

SAMPLES_OF = {name: load_samples(name) for name in FORMATS}
SAMPLES = list(chain.from_iterable(SAMPLES_OF.values()))
WEB = ("apache", "nginx")
DOCUMENT = (ROOT / "docs" / "support-linux.md").read_text(encoding="utf-8")

# Rules that no log line can fire: id -> reason. Each stands in docs/support-linux.md too. There is none.
EXCEPTIONS: dict[str, str] = {}


def figures() -> str:
    """The table of docs/support-linux.md: how many rules of each data file fire."""
    rows = ["| lines in `tests/firing/` | rules that fire | on lines written out in full |", "|---|---|---|"]
    for name, samples in SAMPLES_OF.items():
        rows.append(f"| `{name}.yml` | {len(samples)} | {sum(sample.written_out for sample in samples)} |")
    rows.append(f"| all | {len(SAMPLES)} | {sum(sample.written_out for sample in SAMPLES)} |")
    events = sum(sample.format == "jsonl" for sample in SAMPLES)
    rows.append(f"| of these on JSON events only: no log says what they ask for | {events} | |")
    rows.append(f"| no line can fire | {len(EXCEPTIONS)} | |")
    return "\n".join(rows)


FIGURES = figures()


def is_covered(logsource: Mapping[str, str]) -> bool:
    """Whether a rule is for Linux or for a web server."""
    return (
        logsource.get("product") in ("linux", *WEB)
        or logsource.get("category") == "webserver"
        or logsource.get("service") in WEB
    )


def rule_files(sigmahq: Path) -> list[Path]:
    """The files of the rules that this test is about."""
    found = []
    for path in sorted(sigmahq.glob("rules*/**/*.yml")):
        text = path.read_bytes()
        if any(word in text for word in (b"linux", b"webserver", b"apache", b"nginx")) and any(
            is_covered(document.get("logsource", {})) for document in yaml.load_all(text, Loader=yaml.CSafeLoader)
        ):
            found.append(path)
    return found


@pytest.fixture(scope="module")
def ruleset(shared: Path) -> Ruleset:
    return load_rules(*rule_files(shared / "sigmahq"), pipeline="linux_eval")


@pytest.fixture(scope="module")
def rule(ruleset: Ruleset) -> dict[str, Ruleset]:
    """Each rule alone: what a sample is for."""
    return {str(one.id): Ruleset([one]) for one in ruleset.rules}


def records(sample: Sample, lines: Iterable[bytes]) -> list[Record]:
    """What the sample's parser gives for *lines*, which it must be able to read."""
    parser = create_parser(sample.format, **sample.options)
    found = [item for number, line in enumerate(lines, 1) for item in parser.feed(number, line)]
    found += parser.flush()
    assert [item for item in found if isinstance(item, Problem)] == []
    return [item for item in found if isinstance(item, Record)]


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: str(sample.rule_id))
def test_a_rule_fires_on_its_line_and_not_on_the_near_miss(
    sample: Sample, ruleset: Ruleset, rule: dict[str, Ruleset]
) -> None:
    alone = rule[sample.rule_id]
    fired = [record for record in records(sample, sample.fires) if alone.match(record.event, record.logsource)]
    assert fired, alone.rules[0].expression
    assert sample.rule_id in {match.rule.id for match in ruleset.match(fired[0].event, fired[0].logsource)}
    missed = records(sample, sample.near_miss)
    assert fired[0].logsource in {record.logsource for record in missed}  # it is near: the same kind of event
    assert [record.event for record in missed if alone.match(record.event, record.logsource)] == []


def test_the_format_is_told_from_the_lines() -> None:
    """So that nobody needs to name it, but for formats of one's own."""
    usual = [(sample, lines) for sample in SAMPLES if not sample.options for lines in (sample.fires, sample.near_miss)]
    assert [sample.rule_id for sample, lines in usual if detect_format(lines).format != sample.format] == []


def test_every_rule_has_a_sample_or_a_reason(ruleset: Ruleset) -> None:
    """Neither too few nor too many: a rule that is gone, or has changed its id, makes its entry stale."""
    print(f"\n{FIGURES}")  # noqa: T201 (shown with -s)
    assert len(ruleset.rules) >= 337
    entries = Counter([*(sample.rule_id for sample in SAMPLES), *EXCEPTIONS])
    assert [rule_id for rule_id, times in entries.items() if times > 1] == []
    assert {str(rule.id): rule.title for rule in ruleset.rules if str(rule.id) not in entries} == {}
    assert set(entries) - {str(rule.id) for rule in ruleset.rules} == set()


def test_the_document_has_these_figures_and_notes() -> None:
    """What docs/support-linux.md says is counted here."""
    assert FIGURES in DOCUMENT
    notes = {f"| `{sample.rule_id}` | {sample.note} |" for sample in SAMPLES if sample.note}
    notes |= {f"| `{rule_id}` | {reason} |" for rule_id, reason in EXCEPTIONS.items()}
    assert notes == {line for line in DOCUMENT.splitlines() if line.startswith("| `") and line.count("-") >= 4}
