"""Rule files by ``import``: found by name, loaded once, in nobody's way."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from sigma.pyeval import importer

from .conftest import ROOT, rule_yaml

SHELL = rule_yaml("s: {Image|endswith: /sh}\ncondition: s", "Shell")
TWO = SHELL + "---\n" + rule_yaml("s: {Image: x}\ncondition: s", "Other")


@pytest.fixture(autouse=True)
def _on_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Put the folder on ``sys.path``; what is imported from it is forgotten in the end."""
    monkeypatch.syspath_prepend(str(tmp_path))
    before = set(sys.modules)
    importer.install()

    yield
    for name in set(sys.modules) - before:
        if getattr(sys.modules[name], "__file__", None) is None or str(tmp_path) in str(sys.modules[name].__file__):
            del sys.modules[name]
    importer.install()


def write(folder: Path, files: dict[str, str]) -> None:
    """Write files below *folder*, and have Python look again."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    importlib.invalidate_caches()


def test_a_rule_is_imported(tmp_path: Path) -> None:
    """From a folder of folders, by the file's name; the module matches and has its rule."""
    write(tmp_path, {"rules_here/linux/suspicious_shell.yml": SHELL})
    from rules_here.linux import suspicious_shell  # type: ignore[import-not-found]

    [match] = suspicious_shell.match({"Image": "/bin/SH"})
    assert match.rule is suspicious_shell.rule
    assert suspicious_shell.rule.title == "Shell"
    assert suspicious_shell.match({"Image": "/bin/true"}) == []
    assert suspicious_shell.rules == (suspicious_shell.rule,)
    assert suspicious_shell.__file__ == str(tmp_path / "rules_here/linux/suspicious_shell.yml")
    assert suspicious_shell.__doc__ == "The Sigma rules of suspicious_shell.yml."
    assert importlib.import_module("rules_here.linux.suspicious_shell") is suspicious_shell


def test_several_rules_in_a_file(tmp_path: Path) -> None:
    """``rules`` has them; ``rule`` says that there is more than one."""
    write(tmp_path, {"two_rules.yaml": TWO})
    module = importlib.import_module("two_rules")
    assert [rule.title for rule in module.rules] == ["Shell", "Other"]
    with pytest.raises(AttributeError, match=r"two_rules\.yaml holds 2 rules; use rules"):
        module.rule  # noqa: B018


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("plain.yml", "plain"),
        ("proc-creation.lnx x.yml", "proc_creation_lnx_x"),
        ("7zip.yml", "_7zip"),
        ("import.yml", "import_"),
        ("größe.yml", "gr__e"),
        ("UPPER.yaml", "UPPER"),
    ],
)
def test_names_come_from_file_names(tmp_path: Path, file: str, name: str) -> None:
    """What no identifier has becomes an underscore."""
    assert importer.module_name(Path(file)) == name
    write(tmp_path, {f"named_rules/{file}": SHELL})
    assert importlib.import_module(f"named_rules.{name}").rule.title == "Shell"
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module(f"named_rules.{name}x")


def test_two_files_of_one_name_are_refused(tmp_path: Path) -> None:
    """None is taken by chance; the message names both."""
    write(tmp_path, {"a-rule.yml": SHELL, "a_rule.yaml": SHELL})
    with pytest.raises(ImportError, match=r"a-rule\.yml and .*a_rule\.yaml are both 'a_rule' to import; rename one"):
        importlib.import_module("a_rule")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (rule_yaml("s: {A: 1}\ncondition: t"), r"broken_rule\.yml.*'t'"),
        ("detection:\n  - [\n", r"broken_rule\.yml"),
    ],
)
def test_a_rule_that_cannot_be_loaded_says_why(tmp_path: Path, text: str, message: str) -> None:
    """As an ImportError that names file, reason and remedy; once it is mended, it is imported."""
    write(tmp_path, {"broken_rule.yml": text})
    with pytest.raises(ImportError, match=message) as caught:
        importlib.import_module("broken_rule")
    assert caught.value.path == str(tmp_path / "broken_rule.yml")
    assert "broken_rule" not in sys.modules
    write(tmp_path, {"broken_rule.yml": SHELL})
    assert importlib.import_module("broken_rule").rule.title == "Shell"


def test_others_come_first(tmp_path: Path) -> None:
    """Python's own modules and packages, and files that are no rules, are what they were without this."""
    files = {
        "taken.py": "x = 1",
        "taken.yml": SHELL,
        "folder/inner.yml": SHELL,
        "folder.yml": SHELL,
        "settings.yml": "detection_level: 3\n",
    }
    write(tmp_path, files)
    assert importlib.import_module("taken").x == 1
    assert not hasattr(importlib.import_module("folder"), "ruleset")
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("settings")
    assert importer.FINDER.find_spec("anything", ["/no/such/folder", str(tmp_path / "taken.py"), "\0"]) is None
    assert sys.meta_path[-1] is importer.FINDER


def test_folders_that_are_relative(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Are those of the moment: a program that has gone elsewhere imports from there, and a module knows where it is from."""
    monkeypatch.setattr(sys, "path", ["", *sys.path])
    for folder, text in (("one", SHELL), ("two", TWO)):
        write(tmp_path, {f"{folder}/from_{folder}.yml": text})
        os.utime(tmp_path / folder, ns=(1, 1))
    for folder in ("one", "two"):
        monkeypatch.chdir(tmp_path / folder)
        module = importlib.import_module(f"from_{folder}")
        assert module.__file__ == str(tmp_path / folder / f"from_{folder}.yml")
        assert module.rules[0].path == module.__file__


@pytest.mark.parametrize(
    "text",
    [
        SHELL.replace("detection:", "'detection' :").encode(),
        SHELL.replace("detection:", '"detection":').encode(),
        b"\xef\xbb\xbfdetection: {s: {Image: x}, condition: s}\nlogsource: {category: x}\ntitle: Shell\n",
        SHELL.replace("\n", "\r\n").encode(),
    ],
    ids=["quoted", "double quoted", "byte order mark", "lines of Windows"],
)
def test_what_is_a_rule(tmp_path: Path, text: bytes) -> None:
    """However YAML writes its keys."""
    (tmp_path / "odd_rule.yml").write_bytes(text)
    importlib.invalidate_caches()
    assert importlib.import_module("odd_rule").rule.title == "Shell"


def test_what_is_no_file(tmp_path: Path) -> None:
    """A pipe, which nobody may ever write to, is not waited for; neither a folder nor a link to nothing is read."""
    os.mkfifo(tmp_path / "a_pipe.yml")
    (tmp_path / "a_folder.yml").mkdir()
    (tmp_path / "a_link.yml").symlink_to(tmp_path / "nothing")
    importlib.invalidate_caches()
    for name in ("a_pipe", "a_folder", "a_link"):
        with pytest.raises(ModuleNotFoundError):
            importlib.import_module(name)


def test_files_that_come_and_go(tmp_path: Path) -> None:
    """What a folder holds is read again when it has changed; a reload reads the file anew."""
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("late_rule")
    write(tmp_path, {"late_rule.yml": SHELL})
    module = importlib.import_module("late_rule")
    write(tmp_path, {"late_rule.yml": TWO})
    assert len(importlib.reload(module).rules) == 2


def test_options_are_those_of_later_imports(tmp_path: Path) -> None:
    """``install`` again with a pipeline: fields get its names."""
    text = rule_yaml("s: {Image|endswith: /sh}\ncondition: s", logsource="{category: process_creation, product: linux}")
    write(tmp_path, {"without.yml": text, "with_one.yml": text})
    without = importlib.import_module("without")
    importer.install("linux_eval")
    assert "_EXE" in importlib.import_module("with_one").rule.expression
    assert "_EXE" not in without.rule.expression
    assert sys.meta_path.count(importer.FINDER) == 1


def test_it_can_be_taken_away(tmp_path: Path) -> None:
    """Then nothing is found any more; twice does no harm."""
    write(tmp_path, {"gone.yml": SHELL})
    importer.uninstall()
    importer.uninstall()
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("gone")


def test_threads_get_one_module(tmp_path: Path) -> None:
    """However many import at once: the file is loaded once, and nobody sees it half loaded."""
    write(tmp_path, {f"at_once_{number}.yml": TWO for number in range(4)})
    found: list[tuple[int, ModuleType, int]] = []
    start = threading.Barrier(8)

    def run() -> None:
        start.wait()
        for number in range(4):
            module = importlib.import_module(f"at_once_{number}")
            found.append((number, module, len(module.rules)))

    threads = [threading.Thread(target=run) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 32
    assert len({id(module) for _, module, _ in found}) == 4
    assert {count for _, _, count in found} == {2}


def test_it_is_opt_in(tmp_path: Path) -> None:
    """Without importing the importer, ``import`` is as it was; with it, pySigma is loaded with the first rule only."""
    write(tmp_path, {"a_rule.yml": SHELL})
    program = textwrap.dedent(
        """
        import json, sys
        import sigma.pyeval
        before = [type(finder).__name__ for finder in sys.meta_path]
        try:
            import a_rule
        except ModuleNotFoundError:
            found = False
        import sigma.pyeval.importer
        light = "sigma.rule" not in sys.modules
        import a_rule
        print(json.dumps([found, "RuleFinder" in before, light, a_rule.rule.title]))
        """
    )
    command = [sys.executable, "-c", program]
    done = subprocess.run(
        command, cwd=tmp_path, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=True
    )
    assert json.loads(done.stdout) == [False, False, True, "Shell"]
