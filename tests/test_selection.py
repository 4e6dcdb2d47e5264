"""Which rules run: selectors, their order, what is counted and what is told; the same from the cache."""

from __future__ import annotations

from pathlib import Path

import pytest

from sigma.pyeval import Restrictiveness, Ruleset, cache, load_rules, parse_rules
from sigma.pyeval.selection import Selection, Selector, Traits, describe_left_out

from .conftest import rule_yaml

IDS = {name: f"0000000{number}-1111-4111-8111-111111111111" for number, name in enumerate("abcd")}
RULE = Traits(
    IDS["a"], ("attack.t1059.004", "attack.execution"), "low", "test", "linux/builtin/a.yml", "/r/linux/builtin/a.yml"
)

SELECTORS: list[tuple[str, str, Traits, Traits]] = [
    # selector, kind, a rule that it selects, one that it does not
    (IDS["a"].upper(), "id", RULE, RULE._replace(id=IDS["b"])),
    (f"id:{IDS['a']}", "id", RULE, RULE._replace(id=None)),
    ("attack.t1059*", "tag", RULE, RULE._replace(tags=("attack.t1105",))),
    ("ATTACK.Execution", "tag", RULE, RULE._replace(tags=("attack.execution.more",))),
    ("tag:attack.t1059.004", "tag", RULE, RULE._replace(tags=())),
    ("level:low", "level", RULE, RULE._replace(level="high")),
    ("level:none", "level", RULE._replace(level=None), RULE),
    ("status:Test", "status", RULE, RULE._replace(status=None)),
    ("linux/builtin/a.yml", "path", RULE, RULE._replace(path="more/linux/builtin/a.yml")),
    ("./linux/builtin/a.yml", "path", RULE, RULE._replace(path="a.yml")),
    ("linux/*/a.yml", "path", RULE, RULE._replace(path="linux/x/y/a.yml")),
    ("linux/*.yml", "path", RULE._replace(path="linux/a.yml"), RULE),
    ("linux/**/a.yml", "path", RULE._replace(path="linux/a.yml"), RULE._replace(path="linux/b.yml")),
    ("linux/**/a.yml", "path", RULE._replace(path="linux/x/y/a.yml"), RULE._replace(path="xlinux/a.yml")),
    ("linux/", "path", RULE, RULE._replace(path="linux.yml")),
    ("path:linux", "path", RULE._replace(path="x/linux/a.yml"), RULE._replace(path="linux-x/a.yml")),
    ("linux/builtin", "path", RULE, RULE._replace(path="linux/builtin-not/a.yml")),
    ("a.yml", "path", RULE, RULE._replace(path="linux/b/aa.yml")),
    ("?.yml", "path", RULE, RULE._replace(path="linux/ab.yml")),
    ("/r/linux", "path", RULE, RULE._replace(file="/x/r/linux/builtin/a.yml")),
    ("linux/[a].yml", "path", RULE._replace(path="linux/[a].yml"), RULE._replace(path="linux/a.yml")),
]  # fmt: skip


@pytest.mark.parametrize(("text", "kind", "selected", "not_selected"), SELECTORS, ids=[row[0] for row in SELECTORS])
def test_selectors(text: str, kind: str, selected: Traits, not_selected: Traits) -> None:
    selector = Selector.parse(text)
    assert selector.kind == kind
    assert selector.selects(selected)
    assert not selector.selects(not_selected)


MALFORMED = [
    ("sudo", "'sudo' is no selector: write an id (a UUID), a tag (attack.t1059*), a path (linux/*.yml), level:low or status:test"),
    ("", "'' is no selector: write an id"),
    ("5d3f7a51-6d0c-4d5e-9b1a-0f3c2a7b9e1", "is no selector: write an id"),
    ("id:sudo", "an id is a UUID, 32 hexadecimal digits in groups of 8, 4, 4, 4 and 12"),
    ("tag:t1059", "a tag is written namespace.name"),
    ("path:", "the path is empty"),
    ("level:hihg", "the level is one of informational, low, medium, high, critical, or none"),
    ("status:stabel", "the status is one of stable, test, experimental, deprecated, unsupported, or none"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "words"), MALFORMED)
def test_what_is_no_selector(text: str, words: str) -> None:
    with pytest.raises(ValueError, match="is no selector") as caught:
        Selection.parse(exclude=[text])
    assert words in str(caught.value)


def test_what_else_is_no_selection() -> None:
    with pytest.raises(ValueError, match="level 'hihg' is unknown"):
        Selection.parse(levels={"level:low": "hihg"})
    with pytest.raises(ValueError, match="restrictiveness 'x' is unknown"):
        Selection.parse("x")
    with pytest.raises(ValueError, match="give one of them"):
        parse_rules("", restrictiveness="ultra", selection=Selection())


def text(name: str, extra: str = "") -> str:
    return rule_yaml(f"sel: {{A: {name}}}\ncondition: sel", title=name.upper(), extra=f"id: {IDS[name]}\n{extra}")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Four rules: a high and tested, b low, c medium and experimental, d without anything."""
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "a.yml").write_text(text("a", "level: high\nstatus: test\ntags: [attack.t1059]\n"))
    (tmp_path / "x" / "b.yml").write_text(text("b", "level: low\nstatus: test\ntags: [attack.t1059.004]\n"))
    (tmp_path / "y.yml").write_text("\n---\n".join([text("c", "level: medium\nstatus: experimental\n"), text("d")]))
    return tmp_path


ORDER: list[tuple[str, Selection, str, dict[str, int]]] = [
    ("nothing said", Selection(), "abcd", {}),
    ("restrictiveness", Selection.parse("restrictive"), "ad", {"restrictiveness": 2}),
    ("forced in", Selection.parse("restrictive", include=["attack.t1059.004"]), "abd", {"restrictiveness": 1}),
    ("left out", Selection.parse(exclude=["attack.t1059*"]), "cd", {"exclude": 2}),
    ("exclude is the last word", Selection.parse("restrictive", ["level:low"], ["attack.t1059.004"]), "ad", {"exclude": 1, "restrictiveness": 1}),
    ("exclude counts before restrictiveness", Selection.parse("restrictive", exclude=[IDS["b"]]), "ad", {"exclude": 1, "restrictiveness": 1}),
    ("a level first", Selection.parse("restrictive", levels={IDS["b"]: "medium"}), "abd", {"restrictiveness": 1}),
    ("a level out", Selection.parse("restrictive", levels={IDS["a"]: "low"}), "d", {"restrictiveness": 3}),
    ("exclude by a level that was given", Selection.parse(exclude=["level:critical"], levels={"level:none": "critical"}), "abc", {"exclude": 1}),
    ("a folder", Selection.parse(exclude=["x/"]), "cd", {"exclude": 2}),
]  # fmt: skip


@pytest.mark.parametrize(("selection", "kept", "left_out"), [row[1:] for row in ORDER], ids=[row[0] for row in ORDER])
def test_the_order(folder: Path, selection: Selection, kept: str, left_out: dict[str, int]) -> None:
    ruleset = load_rules(folder, selection=selection)
    assert "".join(rule.title for rule in ruleset.rules).lower() == kept
    assert ruleset.left_out == left_out
    assert ruleset.notes == ()


def test_levels(folder: Path) -> None:
    """The last that applies counts, each sees the written level; the rule's hash is that of what its author wrote."""
    plain = {rule.title: rule for rule in load_rules(folder).rules}
    levels = {"attack.t1059*": "critical", "level:low": "informational", "level:critical": "low"}
    given = {rule.title: rule for rule in load_rules(folder, selection=Selection.parse(levels=levels)).rules}
    assert {title: rule.level for title, rule in given.items()} == {
        "A": "critical",
        "B": "informational",
        "C": "medium",
        "D": None,
    }
    assert {rule.source_hash for rule in given.values()} == {rule.source_hash for rule in plain.values()}


BROKEN = "title: Broken\nid: {}\nlogsource: {{category: t}}\ndetection: {{sel: {{A|nonsense: x}}, condition: sel}}\n"


def test_what_is_broken_can_be_excluded(folder: Path) -> None:
    """By its path, when nothing in it can be read; by its id, when the rest of it is wrong."""
    (folder / "x" / "no.yml").write_text("a: [")
    broken_id = "99999999-1111-4111-8111-111111111111"
    (folder / "z.yml").write_text(BROKEN.format(broken_id))
    assert len(load_rules(folder, on_error="collect").errors) == 2
    ruleset = load_rules(folder, selection=Selection.parse(exclude=["x/no.yml", broken_id]))
    assert (len(ruleset.rules), ruleset.left_out, ruleset.notes) == (4, {"exclude": 2}, ())


def test_an_excluded_file_is_not_opened(folder: Path) -> None:
    (folder / "secret.yml").symlink_to("/proc/self/mem")
    assert len(load_rules(folder, selection=Selection.parse(exclude=["secret.yml"])).rules) == 4


def test_hidden_folders_are_passed_over(folder: Path) -> None:
    (folder / ".x.previous").mkdir()
    (folder / ".x.previous" / "a.yml").write_text(text("a"))
    assert len(load_rules(folder).rules) == 4
    assert len(load_rules(folder / ".x.previous").rules) == 1


NOTES: list[tuple[str, Selection, tuple[str, str]]] = [
    ("id", Selection.parse(exclude=[IDS["a"][:-1] + "2"]), ("exclude", f"'{IDS['a'][:-1]}2' selects nothing: no rule has this id; the nearest is '{IDS['a']}' ('A')")),
    ("tag", Selection.parse(include=["atack.t1059"]), ("include", "'atack.t1059' selects nothing: no rule has this tag; the nearest is 'attack.t1059'")),
    ("path", Selection.parse(levels={"x/aa.yml": "low"}), ("levels", "'x/aa.yml' selects nothing: no file has this path; the nearest is 'x/a.yml'")),
    ("nothing near", Selection.parse(exclude=["level:critical"]), ("exclude", "'level:critical' selects nothing: no rule has this level")),
]  # fmt: skip


@pytest.mark.parametrize(("selection", "note"), [row[1:] for row in NOTES], ids=[row[0] for row in NOTES])
def test_a_selector_that_selects_nothing_is_told(folder: Path, selection: Selection, note: tuple[str, str]) -> None:
    assert load_rules(folder, selection=selection).notes == (note,)


def test_the_cache_knows_it_all(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was left out and told comes back; another selection, and a file that is excluded by its name, is another set."""
    monkeypatch.setattr(cache, "FEWEST_RULES", 1)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    wanted = Selection.parse("restrictive", exclude=["x/b.yml", "x/zz.yml"], levels={IDS["a"]: "critical"})

    def load() -> Ruleset:
        return load_rules(folder, selection=wanted)

    first, second = load(), load()
    assert len(list((tmp_path / "cache" / "sigma-pyeval").iterdir())) == 1
    assert (second.rules, second.left_out, second.notes) == (first.rules, first.left_out, first.notes)
    assert second.left_out == {"exclude": 1, "restrictiveness": 1}
    assert [section for section, _ in second.notes] == ["exclude"]
    (folder / "x" / "zz.yml").write_text("no rule")
    assert (load().left_out, load().notes) == ({"exclude": 2, "restrictiveness": 1}, ())
    (folder / "x" / "zz.yml").unlink()
    assert len(load_rules(folder, selection=Selection(Restrictiveness.RESTRICTIVE)).rules) == 2


def test_progress_ends_with_all_steps(folder: Path) -> None:
    seen: list[tuple[int, int]] = []
    load_rules(folder, cache=False, progress=lambda done, steps: seen.append((done, steps)))
    assert seen[-1] == (3 + 4, 3 + 4)
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)


def test_counts_in_words() -> None:
    assert describe_left_out({"restrictiveness": 2, "exclude": 0}) == "2 by restrictiveness"
    assert describe_left_out({"unusable": 3, "exclude": 1}) == "3 unusable, 1 by exclude"
    assert describe_left_out({}) == ""


FILTER = "title: Build\nid: 88888888-1111-4111-8111-111111111111\nlogsource: {{category: test}}\nfilter: {{rules: {}, known: {{Host: build}}, condition: not known}}\n"


def test_filters_for_no_rule_are_told(folder: Path) -> None:
    """One for a rule that is not there, or that was left out; not one that narrows something."""
    path = folder / "filters" / "f.yml"
    path.parent.mkdir()
    for rules, selection, told in [
        ("any", Selection(), False),
        (f"[{IDS['b']}]", Selection(), False),
        (f"[{IDS['b']}]", Selection.parse("ultra"), True),
        ("[77777777-1111-4111-8111-111111111111]", Selection(), True),
    ]:
        path.write_text(FILTER.format(rules))
        ruleset = load_rules(folder, selection=selection)
        narrowed = [rule.title for rule in ruleset.rules if "Host" in rule.expression]
        expected = (
            (
                "filters",
                f"{path}: filter 'Build' applies to no rule that is loaded; look at its rules and its logsource",
            ),
        )
        assert (ruleset.notes == expected) == told == (narrowed == [])
    excluded = load_rules(folder, selection=Selection.parse(exclude=["88888888-1111-4111-8111-111111111111"]))
    assert excluded.left_out == {"exclude": 1}
    assert excluded.notes == ()
