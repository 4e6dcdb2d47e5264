"""Rules kept on disk: read back as they were, made anew for any other input, trusted only where nobody else may write."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from sigma.processing.pipeline import ProcessingPipeline

from sigma.pyeval import LogSource, Rule, RuleError, RuleLoadError, Ruleset, cache, load_rules
from sigma.pyeval.cache import KEPT_FILES, cache_directory, read_ruleset, write_ruleset
from sigma.pyeval.cli import main
from sigma.pyeval.engine import plan

from .conftest import ROOT, rule_yaml

LINUX = "{product: linux, category: process_creation}"
RULE = rule_yaml(
    "sel: {Image: x, CommandLine|re: 'y+$'}\nkeys: [evil]\ncondition: sel or keys", title="Good", logsource=LINUX
)
BAD = rule_yaml("sel: {A|nonsense: x}\ncondition: sel", title="Bad")
EVENTS: list[dict[str, Any]] = [{"Image": "X", "CommandLine": "yy"}, {"Image": "x"}, {"m": "so Evil"}, {}]
RULES = Ruleset(
    [
        Rule("1", "First", "equals(event, 'A', 'x')", "high", "test", ("a.b",), LogSource("c", None, "s"), path="p"),
        Rule(None, "Second", "keyword(event, 'évil')", references=("r",), source_hash="0"),
    ],
    [RuleError("what", "remedy", "title", None, "path"), RuleError("only")],
)
KEY = "key"


@pytest.fixture(autouse=True)
def _small_sets_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "FEWEST_RULES", 1)


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The directory of kept rules, not made yet."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "sigma-pyeval"


def files(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} if folder.exists() else set()


# -- a rule set under a key --------------------------------------------------------------------------------------------


def test_what_is_kept_reads_back(kept: Path) -> None:
    assert read_ruleset(KEY) is None
    assert write_ruleset(KEY, RULES)
    found = read_ruleset(KEY)
    assert found is not None
    assert (found.rules, found.errors, found.plan) == (RULES.rules, RULES.errors, RULES.plan)
    for event in EVENTS:
        assert found.match(event) == found.scan(event) == RULES.scan(event)
    assert read_ruleset("other") is None


def test_only_the_user_may_enter(kept: Path) -> None:
    assert write_ruleset(KEY, RULES)
    assert kept.stat().st_mode & 0o777 == 0o700
    assert (kept / KEY).stat().st_mode & 0o777 == 0o600


def test_small_sets_are_not_kept(kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "FEWEST_RULES", 3)
    assert not write_ruleset(KEY, RULES)
    assert files(kept) == set()


def test_any_damage_is_found(kept: Path) -> None:
    """Each byte that is changed, each length at which the file is cut off: nothing is read, nothing raised."""
    assert write_ruleset(KEY, RULES)
    whole = (kept / KEY).read_bytes()
    assert len(whole) > 500
    for position in range(0, len(whole), 7):
        for damaged in (
            whole[:position],
            whole[:position] + bytes([whole[position] ^ 0x55]) + whole[position + 1 :],
        ):
            (kept / KEY).write_bytes(damaged)
            assert read_ruleset(KEY) is None, position
    (kept / KEY).write_bytes(whole)
    assert read_ruleset(KEY) is not None


def test_another_version_is_not_read(kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert write_ruleset(KEY, RULES)
    monkeypatch.setattr(plan, "__version__", "0.0.0")
    assert read_ruleset(KEY) is None


Harm = Callable[[Path], object]


def replaced_by_link(path: Path) -> None:
    """Move what is at *path* away and leave a symbolic link to it."""
    path.rename(path.with_name("elsewhere"))
    path.symlink_to(path.with_name("elsewhere"))


def replaced_by_directory(path: Path) -> None:
    path.unlink()
    path.mkdir()


def replaced_by_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path, 0o600)


DIRECTORY: list[tuple[str, Harm]] = [
    ("others may write", lambda folder: folder.chmod(0o702)),
    ("the group may write", lambda folder: folder.chmod(0o720)),
    ("the group may look", lambda folder: folder.chmod(0o750)),
    ("a symbolic link", replaced_by_link),
]
FILE: list[tuple[str, Harm]] = [
    ("others may write", lambda file: file.chmod(0o602)),
    ("the group may write", lambda file: file.chmod(0o620)),
    ("a symbolic link", replaced_by_link),
    ("a pipe", replaced_by_pipe),
    ("empty", lambda file: file.write_bytes(b"")),
]


@pytest.mark.parametrize("harm", [pytest.param(harm, id=name) for name, harm in DIRECTORY])
def test_a_directory_that_is_not_private_is_left_alone(kept: Path, harm: Harm) -> None:
    """Nothing is read from it and nothing written to it."""
    assert write_ruleset(KEY, RULES)
    harm(kept)
    assert read_ruleset(KEY) is None
    assert not write_ruleset("new", RULES)
    assert files(kept) == {KEY}


@pytest.mark.parametrize("harm", [pytest.param(harm, id=name) for name, harm in FILE])
def test_a_file_that_cannot_be_trusted_is_made_anew(kept: Path, harm: Harm) -> None:
    assert write_ruleset(KEY, RULES)
    harm(kept / KEY)
    assert read_ruleset(KEY) is None
    assert write_ruleset(KEY, RULES)
    assert read_ruleset(KEY) is not None
    assert not (kept / KEY).is_symlink()


def test_a_directory_in_the_place_of_a_file(kept: Path) -> None:
    assert write_ruleset(KEY, RULES)
    replaced_by_directory(kept / KEY)
    assert read_ruleset(KEY) is None
    assert not write_ruleset(KEY, RULES)
    assert files(kept) == {KEY}  # and what was begun is gone


def test_what_belongs_to_another_user_is_not_read(kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """First the directory and the file are another's, then the file alone."""
    assert write_ruleset(KEY, RULES)
    with monkeypatch.context() as patch:
        patch.setattr(os, "geteuid", lambda: os.getuid() + 1)
        assert read_ruleset(KEY) is None
        assert not write_ruleset("new", RULES)
    if os.getuid() == 0:  # only root may give files away
        os.chown(kept / KEY, 12345, -1)
        assert read_ruleset(KEY) is None


def test_an_unwritable_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file where the directory should be; a directory that root alone could write to; no home at all."""
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert not write_ruleset(KEY, RULES)
    assert read_ruleset(KEY) is None
    if os.geteuid() != 0:
        (tmp_path / "locked").mkdir(mode=0o500)
        assert not write_ruleset(KEY, RULES, tmp_path / "locked" / "x")
    monkeypatch.setenv("XDG_CACHE_HOME", "")
    monkeypatch.setenv("HOME", "nowhere")
    assert cache_directory() is None
    assert not write_ruleset(KEY, RULES)
    assert read_ruleset(KEY) is None


@pytest.mark.parametrize(
    ("variables", "folder"),
    [
        ({"XDG_CACHE_HOME": "/c", "HOME": "/h"}, "/c/sigma-pyeval"),
        ({"XDG_CACHE_HOME": "", "HOME": "/h"}, "/h/.cache/sigma-pyeval"),
        ({"XDG_CACHE_HOME": "relative", "HOME": "/h"}, "/h/.cache/sigma-pyeval"),
    ],
)
def test_the_directory(variables: dict[str, str], folder: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert cache_directory() == Path(folder)


def test_the_ones_used_longest_ago_make_room(kept: Path) -> None:
    """Reading counts as use."""
    for number in range(KEPT_FILES):
        assert write_ruleset(f"key{number:02}", RULES)
        os.utime(kept / f"key{number:02}", (number, number))
    assert read_ruleset("key00") is not None
    assert write_ruleset("new", RULES)
    assert files(kept) == {"key00", *(f"key{number:02}" for number in range(2, KEPT_FILES)), "new"}


WRITER = """
import sys
from pathlib import Path
from sigma.pyeval import Rule, Ruleset
from sigma.pyeval.cache import FEWEST_RULES, read_ruleset, write_ruleset

folder, me = Path(sys.argv[1]), sys.argv[2]
rules = Ruleset(Rule(str(n), f"Rule {n}", f"equals(event, 'A', 'x{n}')") for n in range(FEWEST_RULES))
for round in range(40):
    assert write_ruleset("shared", rules, folder)
    assert write_ruleset(me, rules, folder)
    for key in ("shared", me):
        found = read_ruleset(key, folder)
        assert found is not None and found.rules == rules.rules, (me, round, key)
"""


def test_processes_that_write_and_read_the_same_key(tmp_path: Path) -> None:
    """Each finds a whole file at any time, and nothing but the files remains."""
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, str(tmp_path / "c"), f"own{number}"], cwd=ROOT, stderr=subprocess.PIPE
        )
        for number in range(4)
    ]
    assert [writer.communicate(timeout=60)[1] for writer in writers] == [b""] * 4
    assert [writer.returncode for writer in writers] == [0] * 4
    assert files(tmp_path / "c") == {"shared", "own0", "own1", "own2", "own3"}


# -- load_rules --------------------------------------------------------------------------------------------------------


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    """A directory with a good rule and a bad one."""
    folder = tmp_path / "rules"
    folder.mkdir()
    (folder / "good.yml").write_text(RULE)
    (folder / "bad.yml").write_text(BAD)
    return folder


PIPELINE = "name: p\npriority: 10\ntransformations:\n- {id: m, type: field_name_mapping, mapping: {Image: User}}\n"


def test_loading_again_gives_the_same(kept: Path, rules: Path) -> None:
    """Rules, errors (those of paths too, and each once) and matches."""
    paths = (rules, rules.parent / "none.yml")
    fresh = load_rules(*paths, on_error="collect", cache=False)
    assert files(kept) == set()
    first, second = (load_rules(*paths, on_error="collect") for _ in range(2))
    assert len(files(kept)) == 1
    for ruleset in (first, second):
        assert ruleset.rules == fresh.rules
        assert sorted(map(str, ruleset.errors)) == sorted(map(str, fresh.errors))
        assert [ruleset.match(event) for event in EVENTS] == [fresh.scan(event) for event in EVENTS]
    assert [len(fresh.scan(event)) for event in EVENTS] == [1, 0, 1, 0]
    assert len(fresh.errors) == 2


def test_a_kept_error_is_raised_as_a_new_one(kept: Path, rules: Path) -> None:
    load_rules(rules, on_error="collect")
    [file] = files(kept)
    with pytest.raises(RuleLoadError, match="nonsense"):
        load_rules(rules)
    assert files(kept) == {file}


def test_each_input_has_a_key_of_its_own(kept: Path, rules: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What may change the outcome makes another file; what was there before is found again."""
    good, other, pipeline = rules / "good.yml", rules / "other.yml", rules / "pipeline.conf.yml"
    other.write_text(RULE)
    pipeline.write_text(PIPELINE)
    ways: list[dict[str, Any]] = [
        {},
        {"pipeline": "linux_eval"},
        {"pipeline": pipeline},
        {"pipeline": ["linux_eval", str(pipeline)]},
        {"placeholders": {"a": "x"}},
        {"placeholders": {"a": "y"}},
        {"restrictiveness": "ultra"},
        {"unsafe_regex": True},
    ]
    made: set[str] = set()
    expressions = set()
    for way in ways:
        for _ in range(2):
            expressions.update(rule.expression for rule in load_rules(good, **way).rules)
        [new] = files(kept) - made
        made.add(new)
    assert any("'User'" in expression for expression in expressions)

    def makes_a_file() -> bool:
        before = files(kept)
        load_rules(good)
        return files(kept) != before

    assert not makes_a_file()
    good.write_text(RULE.replace("Good", "Better"))
    assert makes_a_file()
    good.write_text(RULE)
    assert not makes_a_file()
    load_rules(other)  # the same text at another path
    made_by_path = files(kept)
    pipeline.write_text(PIPELINE.replace("User", "Other"))
    [rule] = load_rules(good, pipeline=pipeline).rules
    assert "'Other'" in rule.expression
    assert len(files(kept) - made_by_path) == 1
    monkeypatch.setattr(cache, "_installation", lambda: [b"another version"])
    assert makes_a_file()


def test_kept_rules_keep_the_level_of_trust(kept: Path, tmp_path: Path) -> None:
    """A rule with an unbounded regular expression is evaluated, read back, by both paths."""
    path = tmp_path / "slow.yml"
    path.write_text(rule_yaml("sel: {A|re: '(a+)+$'}\ncondition: sel"))
    for _ in range(2):
        ruleset = load_rules(path, unsafe_regex=True)
        assert len(ruleset.match({"A": "xa"})) == len(ruleset.scan({"A": "xa"})) == 1
    assert len(files(kept)) == 1


def test_pipelines_that_are_not_known_are_not_kept(kept: Path, rules: Path) -> None:
    """Objects, and pipelines of other packages, whose meaning may change unseen; a file that is not there."""
    good = rules / "good.yml"
    assert len(load_rules(good, pipeline=ProcessingPipeline.from_yaml(PIPELINE)).rules) == 1
    for missing in ("no_such_pipeline", "missing.yml"):
        with pytest.raises(Exception, match=missing):
            load_rules(good, pipeline=missing)
    assert files(kept) == set()


def test_pipelines_that_read_more_than_their_file_are_not_kept(kept: Path, rules: Path, tmp_path: Path) -> None:
    """What a list of values elsewhere makes of rules may change while the pipeline does not."""
    path = tmp_path / "lists.yml"
    path.write_text(PIPELINE)
    assert len(load_rules(rules / "good.yml", pipeline=path).rules) == 1
    known = files(kept)
    assert len(known) == 1
    path.write_text(PIPELINE + "# - {type: file_placeholders, path: values.txt}\n")
    load_rules(rules / "good.yml", pipeline=path)
    assert files(kept) == known


def test_a_damaged_file_is_made_anew(kept: Path, rules: Path) -> None:
    good = rules / "good.yml"
    expected = load_rules(good).rules
    [name] = files(kept)
    (kept / name).write_bytes(b"damaged")
    assert load_rules(good).rules == expected
    assert (kept / name).read_bytes() != b"damaged"


def test_rules_load_where_nothing_can_be_kept(rules: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert len(load_rules(rules / "good.yml").rules) == 1


@pytest.mark.parametrize(("option", "count"), [("--no-cache", 0), ("--cache", 1)])
def test_the_command_line(option: str, count: int, kept: Path, rules: Path) -> None:
    result = CliRunner().invoke(main, ["scan", option, "-r", str(rules / "good.yml"), "-"], input='{"m": "evil"}\n')
    assert result.exit_code == 0, result.output
    assert len(files(kept)) == count


LOADER = """
import sys
from sigma.pyeval import load_rules

ruleset = load_rules(sys.argv[1], pipeline="linux_eval")
print(len(ruleset.rules), len(ruleset.match({"_EXE": "x7", "_CMDLINE": "x7"})), "sigma.rule" in sys.modules, "yaml" in sys.modules)
"""


def test_kept_rules_load_without_pysigma(kept: Path, tmp_path: Path) -> None:
    """Which is what makes them fast: the first process imports it, the second doesn't."""
    documents = [rule_yaml(f"sel: [x{n}]\ncondition: sel", title=f"Rule {n}", logsource=LINUX) for n in range(60)]
    (tmp_path / "many.yml").write_text("---\n".join(documents))
    said = [
        subprocess.run(
            [sys.executable, "-c", LOADER, str(tmp_path / "many.yml")],
            cwd=ROOT, capture_output=True, check=True, text=True,
        ).stdout.strip()
        for _ in range(2)
    ]  # fmt: skip
    assert said == ["60 1 True True", "60 1 False False"]
