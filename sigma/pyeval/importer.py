"""Sigma rules by Python's ``import``: importing this module makes ``*.yml`` files of rules on ``sys.path`` importable.

    import sigma.pyeval.importer

    from rules.linux import suspicious_crontab

    suspicious_crontab.match(event)

Directories are packages already; a rule file is the module of its name. This finder comes last, is asked only for what
nobody else found, and looks only at files that say ``detection:``, ``correlation:`` or ``filter:`` at the start of a line:
a ``settings.yml`` stays what it was.
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import importlib.util
import keyword
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from .errors import RuleLoadError
from .rules import Match, Rule

if TYPE_CHECKING:
    from .pipelines import PipelineSpec, Placeholders
    from .ruleset import Ruleset

_SUFFIXES = (".yml", ".yaml")
_NO_IDENTIFIER = re.compile(r"\W", re.ASCII)
_SIGMA = re.compile(rb"""^(?:\xef\xbb\xbf)?["']?(detection|correlation|filter)["']?\s*:""", re.MULTILINE)


class RuleModule(ModuleType):
    """A file of rules.

    Attributes:
        ruleset: The file's rules as a Ruleset.
        rules: Its rules.
        rule: Its only rule; where there are several or none, asking for it raises AttributeError.
    """

    ruleset: Ruleset
    rules: tuple[Rule, ...]
    rule: Rule

    def __getattr__(self, name: str) -> Any:
        if name == "rule" and "rules" in vars(self):
            raise AttributeError(f"{self.__file__} holds {len(self.rules)} rules; use rules")
        raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")

    def match(self, event: Mapping[str, Any]) -> list[Match]:
        """Return the matches of *event*, in rule order; see ``Ruleset.match``."""
        return self.ruleset.match(event)


def module_name(path: Path) -> str:
    """Return the name that a rule file is imported by: its own, with ``_`` for what no identifier has.

    ``proc-creation.x.yml`` is ``proc_creation_x``; ``7zip.yml`` is ``_7zip``; ``import.yml`` is ``import_``.
    """
    name = _NO_IDENTIFIER.sub("_", path.stem)
    if name[:1].isdigit():
        name = f"_{name}"
    return f"{name}_" if keyword.iskeyword(name) else name


class RuleFinder(importlib.abc.MetaPathFinder):
    """Finds rule files for ``import``; the options are those of ``load_rules``."""

    def __init__(self) -> None:
        self.options: dict[str, Any] = {}
        self._listed: dict[str, tuple[int, dict[str, list[Path]]]] = {}

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None,
        target: ModuleType | None = None,  # noqa: ARG002
    ) -> importlib.machinery.ModuleSpec | None:
        """Return the specification of the rule file of this name, or None.

        Raises:
            ImportError: Two files of one folder have this name.
        """
        name = fullname.rpartition(".")[2]
        for entry in sys.path if path is None else path:
            # Absolute, as what is relative means another folder once the program has gone to one.
            found = self._files(str(Path(entry).absolute())).get(name, ())
            rules = [file for file in found if _is_sigma(file)]
            if len(rules) > 1:
                files = " and ".join(str(file) for file in rules)
                raise ImportError(f"{files} are both {name!r} to import; rename one of them", name=fullname)
            if rules:
                loader = RuleFileLoader(rules[0], dict(self.options))
                return importlib.util.spec_from_file_location(fullname, rules[0], loader=loader)
        return None

    def invalidate_caches(self) -> None:
        """Forget what folders hold; ``importlib.invalidate_caches`` calls this."""
        self._listed.clear()

    def _files(self, folder: str) -> dict[str, list[Path]]:
        """Return the folder's rule files by module name, read anew when the folder has changed."""
        try:
            changed = Path(folder).stat().st_mtime_ns
            known = self._listed.get(folder)
            if known is not None and known[0] == changed:
                return known[1]
            found: dict[str, list[Path]] = {}
            for file in sorted(Path(folder).iterdir()):
                if file.suffix in _SUFFIXES:
                    found.setdefault(module_name(file), []).append(file)
        except (OSError, ValueError):  # no folder: an archive, or nothing at all
            return {}
        self._listed[folder] = (changed, found)
        return found


class RuleFileLoader(importlib.abc.Loader):
    """Loads one file of rules as a module."""

    def __init__(self, path: Path, options: dict[str, Any]) -> None:
        self._path = path
        self._options = options

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType:
        """Return an empty RuleModule."""
        return RuleModule(spec.name, f"The Sigma rules of {self._path.name}.")

    def exec_module(self, module: ModuleType) -> None:
        """Load the rules.

        Raises:
            ImportError: A rule cannot be loaded; the message names file, rule, reason and remedy.
        """
        from .loading import load_rules

        try:
            ruleset = load_rules(self._path, **self._options)
        except RuleLoadError as error:
            raise ImportError(str(error), name=module.__name__, path=str(self._path)) from error
        module.__dict__.pop("rule", None)  # of the file as it was before a reload
        module.__dict__.update(ruleset=ruleset, rules=ruleset.rules)
        if len(ruleset.rules) == 1:
            module.__dict__["rule"] = ruleset.rules[0]


def _is_sigma(file: Path) -> bool:
    try:
        return file.is_file() and _SIGMA.search(file.read_bytes()) is not None  # reading a pipe would wait
    except OSError:
        return False


FINDER = RuleFinder()
"""The finder that importing this module puts last into ``sys.meta_path``."""


def install(
    pipeline: PipelineSpec | Sequence[PipelineSpec] | None = None,
    placeholders: Placeholders | None = None,
    *,
    unsafe_regex: bool = False,
) -> None:
    """Make rule files importable, those imported from now on with these options; see ``load_rules``."""
    FINDER.options = {"pipeline": pipeline, "placeholders": placeholders, "unsafe_regex": unsafe_regex}
    if FINDER not in sys.meta_path:
        sys.meta_path.append(FINDER)


def uninstall() -> None:
    """Take the finder away; modules that were imported stay."""
    if FINDER in sys.meta_path:
        sys.meta_path.remove(FINDER)


install()
