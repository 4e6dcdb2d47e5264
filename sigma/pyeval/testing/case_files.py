"""Files of cases, ``*.test.yml``, ``*.test.yaml`` and ``*.test.json``, read strictly: every mistake is told with its place."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, cast

from sigma.pyeval.documents import DocumentError, parse_documents
from sigma.pyeval.loading import CASE_ENDINGS, RULE_SUFFIXES
from sigma.pyeval.logs.formats import FORMATS
from sigma.pyeval.logs.reading import AUTO

from .cases import Case, EventSequence, Log, Mistake
from .sequences import NO_EVENT, SequenceReader, is_event
from .wording import is_natural, kind, nearest, unknown_keys

_SECTIONS: Final = {"match": True, "no_match": False}
_FILE_KEYS: Final = ("rule", *_SECTIONS)
_SUBJECTS: Final = ("event", "events", "log")
_LOG_KEYS: Final = ("format", "options", "lines", "count")
_ENTRY_KEYS: Final = ("name", *_SUBJECTS, *_LOG_KEYS)
_FORMATS: Final = (AUTO, *FORMATS, "evtx")


@dataclass
class CaseDocument:
    """One document of a file of cases.

    Attributes:
        path: The file.
        rule: Id or title of the rule that it is about, or ``None``: then the file's name says it.
        cases: What can be run of it.
        mistakes: What is wrong with it.
    """

    path: Path
    rule: str | None = None
    cases: list[Case] = field(default_factory=list)
    mistakes: list[Mistake] = field(default_factory=list)


def case_files(paths: Iterable[Path]) -> Iterator[Path]:
    """Yield the files of cases that belong to *paths*, each once: those below a directory, those beside a rule's file."""
    seen: set[Path] = set()
    for path in paths:
        if path.is_dir():
            found = sorted(
                file for file in path.rglob("*.test.*") if file.name.endswith(CASE_ENDINGS) and file.is_file()
            )
        elif path.name.endswith(CASE_ENDINGS):
            found = [path]
        else:
            found = [beside for ending in CASE_ENDINGS if (beside := path.with_name(path.stem + ending)).is_file()]
        for file in found:
            if (resolved := file.resolve()) not in seen:
                seen.add(resolved)
                yield file


def rule_files_beside(path: Path) -> list[Path]:
    """Return the rule files that a file of cases is named after: ``x.yml`` for ``x.test.yml``."""
    stem = path.name[: -len(next(ending for ending in CASE_ENDINGS if path.name.endswith(ending)))]
    return [file for suffix in RULE_SUFFIXES if (file := path.with_name(stem + suffix)).is_file()]


def read_cases(path: Path) -> list[CaseDocument]:
    """Return the documents of a file of cases; one without cases where it cannot be read at all."""
    try:
        text = path.read_bytes()
        documents = _json_documents(text) if path.suffix == ".json" else parse_documents(text)
    except (OSError, DocumentError, ValueError, RecursionError) as error:
        reason = f"cannot be read: {error.strerror}" if isinstance(error, OSError) else str(error)
        return [CaseDocument(path, mistakes=[Mistake(path, "", reason)])]
    if not documents:
        return [CaseDocument(path, mistakes=[Mistake(path, "", "holds no cases; write match or no_match")])]
    number = len(documents) > 1
    return [_Reader(path, f"document {n}" if number else "").read(one) for n, one in enumerate(documents, 1)]


def _json_documents(text: bytes) -> list[dict[str, Any]]:
    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        made = dict(pairs)
        if len(made) != len(pairs):
            raise ValueError("a key is written twice in one object")
        return made

    try:
        found = json.loads(text, object_pairs_hook=unique)
    except json.JSONDecodeError as error:
        raise ValueError(f"not JSON: {error}") from error
    documents = found if isinstance(found, list) else [found]
    for document in documents:
        if not isinstance(document, dict):
            raise ValueError(f"a document is an object, not {kind(document)}")  # noqa: TRY004 - all mistakes are of one type
    return documents


class _Reader:
    """Reads one document; mistakes are collected."""

    def __init__(self, path: Path, prefix: str) -> None:
        self._document = CaseDocument(path)
        self._prefix = prefix

    def read(self, document: dict[str, Any]) -> CaseDocument:
        """Return the document's cases and mistakes."""
        made = self._document
        self._check_keys("", document, _FILE_KEYS)
        rule = document.get("rule")
        if rule is not None and (not isinstance(rule, str) or not rule):
            self._mistake("rule", f"the rule's id or title is text, not {kind(rule)}")
        elif rule is not None:
            made.rule = rule
        if not _SECTIONS.keys() & document.keys() and not made.mistakes:
            self._mistake("", "holds no cases; write match or no_match")
        for section, must_match in _SECTIONS.items():
            if section in document:
                self._section(section, document[section], must_match)
        self._check_names()
        return made

    def _section(self, section: str, entries: object, must_match: bool) -> None:
        if not isinstance(entries, list) or not entries:
            self._mistake(section, f"a list of cases is needed, not {kind(entries)}")
            return
        for number, entry in enumerate(entries):
            self._entry(f"{section}[{number}]", entry, must_match)

    def _entry(self, place: str, entry: object, must_match: bool) -> None:
        before = len(self._document.mistakes)
        if not isinstance(entry, dict):
            self._mistake(place, f"a case is a mapping with event, events or log, not {kind(entry)}")
            return
        self._check_keys(place, entry, _ENTRY_KEYS)
        name = entry.get("name", place)
        if not isinstance(name, str) or not name:
            self._mistake(f"{place}.name", f"a name is text, not {kind(name)}")
        if len(entry.keys() & set(_SUBJECTS)) != 1:
            self._mistake(place, "a case has one of event, events and log")
            return
        subject = self._subject(place, entry, must_match)
        if len(self._document.mistakes) == before:
            self._document.cases.append(Case(name, self._document.path, self._place(place), must_match, subject))

    def _subject(self, place: str, entry: dict[str, Any], must_match: bool) -> Mapping[str, Any] | Log | EventSequence:
        if "log" in entry:
            return self._log(place, entry, must_match)
        for key in _LOG_KEYS:
            if key in entry and not (key == "count" and "events" in entry):
                self._mistake(f"{place}.{key}", "this is for a log" + (", or events" if key == "count" else ""))
        if "event" not in entry:
            reader = SequenceReader(lambda inner, reason: self._mistake(f"{place}.{inner}", reason))
            return EventSequence(reader.events(entry["events"]), self._count(place, entry, must_match))
        if not is_event(entry["event"]):
            self._mistake(f"{place}.event", NO_EVENT.format(kind(entry["event"])))
        return cast(Mapping[str, Any], entry["event"])

    def _log(self, place: str, entry: dict[str, Any], must_match: bool) -> Log:
        name, lines = entry["log"], entry.get("lines", [])
        input_format, options = entry.get("format", AUTO), entry.get("options", {})
        path = self._document.path.parent / name if isinstance(name, str) else self._document.path
        if not isinstance(name, str) or not path.is_file():
            self._mistake(f"{place}.log", f"{name!r} is no file; paths are relative to the file of cases")
        if input_format not in _FORMATS:
            self._mistake(f"{place}.format", f"{input_format!r} is unknown{nearest(input_format, _FORMATS)}")
        if not isinstance(options, dict):
            self._mistake(f"{place}.options", f"a mapping of the format's options is needed, not {kind(options)}")
        if not _are_lines(lines) or ("lines" in entry and not lines):
            self._mistake(f"{place}.lines", "a list of line numbers, counted from 1, is needed")
            lines = []
        count = self._count(place, entry, must_match)
        if count is not None and "lines" in entry:
            self._mistake(f"{place}.count", "either lines or count")
        return Log(path, input_format, options, tuple(lines), count)

    def _count(self, place: str, entry: dict[str, Any], must_match: bool) -> int | None:
        count: int | None = entry.get("count")
        if count is not None and (not must_match or not is_natural(count)):
            self._mistake(f"{place}.count", "the number of matches, 1 or more, and only under match")
        return count

    def _check_keys(self, place: str, mapping: dict[Any, Any], known: Collection[str]) -> None:
        for key, reason in unknown_keys(mapping, known):
            self._mistake(f"{place}.{key}" if place else key, reason)

    def _check_names(self) -> None:
        names: set[str] = set()
        for case in self._document.cases:
            if case.name in names:
                self._document.mistakes.append(
                    Mistake(
                        case.path, f"{case.place}.name", f"{case.name!r} is the name of another case in this document"
                    )
                )
            names.add(case.name)

    def _mistake(self, place: str, reason: str) -> None:
        self._document.mistakes.append(Mistake(self._document.path, self._place(place), reason))

    def _place(self, place: str) -> str:
        return ", ".join(filter(None, (self._prefix, place)))


def _are_lines(value: object) -> bool:
    return isinstance(value, list) and all(map(is_natural, value))
