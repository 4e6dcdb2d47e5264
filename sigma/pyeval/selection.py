"""Which rules run: levels put right, then restrictiveness, then what is forced in, then what is left out.

A selector names rules by what they say of themselves, so that it survives an update of the rules:

================================  ==========================================================================
``5d3f7a51-6d0c-...``             the rule with this id
``attack.t1059*``                 rules with such a tag; ``*`` stands for anything, case does not matter
``linux/**/*sudo*.yml``           files by their path below the given directory; ``*`` stays within a folder, ``**``
                                  does not; a folder's path means all in it, a bare ``name.yml`` that name anywhere,
                                  and a pattern that begins with ``/`` the whole path
``level:low``, ``status:test``    rules of this level or status; ``level:none`` for those that state none
================================  ==========================================================================

``id:``, ``tag:`` and ``path:`` in front of a selector say what it is, where that cannot be told from its looks.
"""

from __future__ import annotations

import difflib
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Final, NamedTuple

from .restrictiveness import LEVELS, Restrictiveness

STATUSES: Final = ("stable", "test", "experimental", "deprecated", "unsupported")
"""Sigma specification 2.1, "Status"."""

NOT_STATED: Final = "none"
"""How a selector names the level or status of a rule that has none."""

KINDS: Final = ("id", "tag", "path", "level", "status")
BY_RESTRICTIVENESS: Final = "restrictiveness"
BY_EXCLUDE: Final = "exclude"

Note = tuple[str, str]
"""A part of the choice (``include``, ``exclude``, ``levels``, ``filters``, ``field_mappings``), and what is odd about it."""

_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_TAG = re.compile(r"[a-z0-9_*?-]+\.[a-z0-9_.*?-]+")
_NAMED = {"level": LEVELS, "status": STATUSES}


class Traits(NamedTuple):
    """What selectors look at; paths with ``/`` between folders, empty where a rule was not read from a file."""

    id: str | None = None
    tags: tuple[str, ...] = ()
    level: str | None = None
    status: str | None = None
    path: str = ""
    file: str = ""
    title: str = ""


@dataclass(frozen=True, slots=True)
class Selector:
    """One selector; make it by ``parse``.

    Attributes:
        kind: One of ``KINDS``.
        pattern: What it looks for: in lower case, but for a path.
        text: As it was written.
    """

    kind: str
    pattern: str
    text: str

    @classmethod
    def parse(cls, text: str) -> Selector:
        """Return the selector that *text* says; raises ValueError, with what there is, where it says none."""
        written = text.strip()
        kind, colon, rest = written.partition(":")
        if not colon or kind not in KINDS:
            kind, rest = _kind_of(written), written
        pattern = rest.strip() if kind == "path" else rest.strip().lower()
        finding = _malformed(kind, pattern)
        if finding:
            raise ValueError(f"{text!r} is no selector: {finding}")
        return cls(kind, pattern.removeprefix("./") if kind == "path" else pattern, text)

    def selects(self, rule: Traits) -> bool:
        """Return whether *rule* is one of those that are meant."""
        if self.kind == "id":
            return (rule.id or "").lower() == self.pattern
        if self.kind == "tag":
            return any(fnmatchcase(tag.lower(), self.pattern) for tag in rule.tags)
        if self.kind == "path":
            return self.selects_file(rule.path, rule.file)
        stated = rule.level if self.kind == "level" else rule.status
        return (stated or NOT_STATED) == self.pattern

    def selects_file(self, path: str, file: str) -> bool:
        """Return whether a file is meant: *path* is relative to what was given, *file* is its whole path."""
        if self.kind != "path" or not path:
            return False
        whole = self.pattern.startswith("/")
        return _path_pattern(self.pattern).fullmatch(file if whole else path) is not None


@dataclass(frozen=True, slots=True)
class Selection:
    """Which rules run. What is decided later counts more: ``exclude`` is the last word.

    Attributes:
        restrictiveness: Which rules to keep by level, status and tag; ``None`` keeps all. It sees the levels of ``levels``.
        include: Rules that are kept whatever ``restrictiveness`` says.
        exclude: Rules that are left out. Files that a path selects are not even read.
        levels: Rules that get another level than their authors gave them; of several that apply, the last counts.
    """

    restrictiveness: Restrictiveness | None = None
    include: tuple[Selector, ...] = ()
    exclude: tuple[Selector, ...] = ()
    levels: tuple[tuple[Selector, str], ...] = ()

    @classmethod
    def parse(
        cls,
        restrictiveness: Restrictiveness | str | None = None,
        include: Iterable[str] = (),
        exclude: Iterable[str] = (),
        levels: Mapping[str, str] | None = None,
    ) -> Selection:
        """Return the selection of selectors as text; raises ValueError for what is no selector, level or restrictiveness."""
        return cls(
            None if restrictiveness is None else Restrictiveness.parse(restrictiveness),
            tuple(map(Selector.parse, include)),
            tuple(map(Selector.parse, exclude)),
            tuple((Selector.parse(text), _level(level)) for text, level in (levels or {}).items()),
        )


@dataclass
class Choice:
    """A selection while it is applied: what it leaves out is counted, what selects nothing is known at the end.

    Attributes:
        left_out: Reason (``restrictiveness``, ``exclude``) -> rules left out; a file that was not read counts as one.
    """

    selection: Selection
    left_out: Counter[str] = field(default_factory=Counter)
    _used: set[tuple[str, Selector]] = field(default_factory=set)
    _seen: list[Traits] = field(default_factory=list)
    _files: set[str] = field(default_factory=set)

    def excludes_file(self, path: str, file: str) -> bool:
        """Return, and count, whether a file is left out unread; arguments as of ``Selector.selects_file``."""
        self._files.add(path)
        found = [one for one in self.selection.exclude if one.selects_file(path, file)]
        self._used.update((BY_EXCLUDE, one) for one in found)
        self.left_out[BY_EXCLUDE] += bool(found)
        return bool(found)

    def excludes_id(self, rule_id: str) -> bool:
        """Return, and count, whether the rule is left out by its id alone: before it is parsed, so that it may be broken."""
        found = [one for one in self.selection.exclude if one.kind == "id" and one.selects(Traits(rule_id))]
        self._used.update((BY_EXCLUDE, one) for one in found)
        self.left_out[BY_EXCLUDE] += bool(found)
        return bool(found)

    def level(self, rule: Traits) -> str | None:
        """Return the level that *rule* has from now on."""
        level = rule.level
        for selector, wanted in self.selection.levels:
            if selector.selects(rule):
                self._used.add(("levels", selector))
                level = wanted
        return level

    def admits(self, rule: Traits) -> bool:
        """Return whether *rule* runs; count it where it does not."""
        self._seen.append(rule)
        rule = rule._replace(level=self.level(rule))
        chosen = self.selection
        admitted = chosen.restrictiveness is None or chosen.restrictiveness.admits(rule.level, rule.status, rule.tags)
        if self._any("include", chosen.include, rule):
            admitted = True
        reason = BY_EXCLUDE if self._any(BY_EXCLUDE, chosen.exclude, rule) else BY_RESTRICTIVENESS
        if admitted and reason != BY_EXCLUDE:
            return True
        self.left_out[reason] += 1
        return False

    def _any(self, section: str, selectors: Iterable[Selector], rule: Traits) -> bool:
        found = [one for one in selectors if one.selects(rule)]
        self._used.update((section, one) for one in found)
        return bool(found)

    def decisive(self) -> tuple[object, ...]:
        """Return what decides, beside the rules, what is left out and told: the selection and the names of all files."""
        return (self.selection, sorted(self._files), sorted(self.left_out.items()))

    def notes(self) -> list[Note]:
        """Return which selectors selected nothing, each with what is nearest to it."""
        chosen = self.selection
        written = [("include", one) for one in chosen.include]
        written += [("exclude", one) for one in chosen.exclude]
        written += [("levels", one) for one, _ in chosen.levels]
        return [(section, self._finding(one)) for section, one in written if (section, one) not in self._used]

    def _finding(self, selector: Selector) -> str:
        known: dict[str, str] = {}
        for rule in self._seen:
            if selector.kind == "id" and rule.id:
                known[rule.id.lower()] = f" ({rule.title!r})" if rule.title else ""
            elif selector.kind == "tag":
                known.update(dict.fromkeys((tag.lower() for tag in rule.tags), ""))
        if selector.kind == "path":
            known = dict.fromkeys(self._files, "")
        near = difflib.get_close_matches(selector.pattern, known, 1, 0.6)
        what = "no file has this path" if selector.kind == "path" else f"no rule has this {selector.kind}"
        nearest = f"; the nearest is {near[0]!r}{known[near[0]]}" if near else ""
        return f"{selector.text!r} selects nothing: {what}{nearest}"


def describe_left_out(left_out: Mapping[str, int]) -> str:
    """Return, for people, how many rules were left out for which reason; empty where none was."""
    names = {BY_RESTRICTIVENESS: "by restrictiveness", BY_EXCLUDE: "by exclude"}
    return ", ".join(f"{count} {names.get(reason, reason)}" for reason, count in left_out.items() if count)


def _kind_of(text: str) -> str:
    folded = text.lower()
    if _UUID.fullmatch(folded):
        return "id"
    if "/" in text or folded.endswith((".yml", ".yaml")):
        return "path"
    return "tag" if _TAG.fullmatch(folded) else ""


def _malformed(kind: str, pattern: str) -> str:
    """Return what is wrong with a selector's parts, or nothing."""
    if not kind:
        return "write an id (a UUID), a tag (attack.t1059*), a path (linux/*.yml), level:low or status:test"
    if kind == "id" and not _UUID.fullmatch(pattern):
        return "an id is a UUID, 32 hexadecimal digits in groups of 8, 4, 4, 4 and 12"
    if kind == "tag" and not _TAG.fullmatch(pattern):
        return "a tag is written namespace.name, as attack.t1059 or attack.t1059*"
    if kind == "path" and not pattern:
        return "the path is empty"
    names = _NAMED.get(kind)
    if names is not None and pattern not in (*names, NOT_STATED):
        return f"the {kind} is one of {', '.join(names)}, or {NOT_STATED}"
    return ""


def _level(level: str) -> str:
    if level not in LEVELS:
        raise ValueError(f"level {level!r} is unknown; it is one of {', '.join(LEVELS)}")
    return level


def _path_pattern(pattern: str) -> re.Pattern[str]:
    """Return what matches the paths that *pattern* means; ``re`` keeps the compiled ones."""
    trimmed = pattern.rstrip("/")
    body = "".join(_PARTS.get(part, re.escape(part)) for part in re.split(r"(\*\*/|\*\*|\*|\?)", trimmed))
    anywhere = "" if "/" in pattern.rstrip("/") else "(?:.*/)?"
    return re.compile(f"(?s){anywhere}{body}(?:/.*)?")


_PARTS = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]", "": ""}
