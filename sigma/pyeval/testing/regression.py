"""SigmaHQ's regression tests: a rule's ``regression_tests_path`` names an ``info.yml``, which names logs with its matches.

The layout is that of the SigmaHQ repository (sigma-specification, "SigmaHQ Regression Testing Conventions"): paths are relative
to the repository's root, the nearest directory above the rule's file from which ``info.yml`` can be found.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from importlib.util import find_spec
from pathlib import Path, PurePosixPath
from typing import Any, Final, NamedTuple

from sigma.pyeval.documents import DocumentError, parse_documents
from sigma.pyeval.logs.reading import AUTO

from .cases import Case, Log, Mistake

KEY: Final = "regression_tests_path"
_TYPES: Final = {"evtx": "evtx", "json": "jsonl", "raw": AUTO, "log": AUTO}


class RegressionTests(NamedTuple):
    """What one rule's regression tests are.

    Attributes:
        rule_id: The rule's id.
        cases: Those that can be run.
        mistakes: What is wrong with the others.
        absent: The folder that holds all regression tests, where it is in no directory above the rule: packages of rules
            come without. Else empty.
    """

    rule_id: str
    cases: list[Case]
    mistakes: list[Mistake]
    absent: str = ""


def regression_cases(rule_files: Iterable[Path]) -> Iterator[RegressionTests]:
    """Yield the tests of each rule in *rule_files* that names regression tests.

    A test passes where at least ``match_count`` events match, at least one without it, none where it is 0: SigmaHQ counts
    some events once that a log holds in several records. Of a test of type ``evtx`` the rendering as JSON beside the file
    (same name, ``.json``) is read where the file itself is not there or the package ``evtx`` is not installed.
    """
    for file in rule_files:
        try:
            text = file.read_bytes()
            documents = parse_documents(text) if KEY.encode() in text else []
        except (OSError, DocumentError):
            continue  # load_rules has said so
        for document in documents:
            named, rule_id = document.get(KEY), document.get("id")
            if named is not None and isinstance(rule_id, str):
                yield _tests(file, rule_id, named)


def _tests(file: Path, rule_id: str, named: object) -> RegressionTests:
    relative = _inside(named)
    if relative is None:
        mistake = Mistake(file, KEY, f"{named!r} is no relative path within the repository")
        return RegressionTests(rule_id, [], [mistake])
    above = file.resolve().parents
    for root in above:
        if (info := root / relative).is_file():
            return RegressionTests(rule_id, *_info(root, info, rule_id))
    if not any((root / relative.parts[0]).exists() for root in above):
        return RegressionTests(rule_id, [], [], absent=relative.parts[0])
    mistake = Mistake(file, KEY, f"{named} is not to be found from any directory above this file")
    return RegressionTests(rule_id, [], [mistake])


def _inside(named: object) -> PurePosixPath | None:
    """Return a path that leads nowhere but down; rules come from strangers."""
    if not isinstance(named, str) or not named:
        return None
    path = PurePosixPath(named)
    return None if path.is_absolute() or ".." in path.parts or not path.parts else path


def _info(root: Path, info: Path, rule_id: str) -> tuple[list[Case], list[Mistake]]:
    try:
        documents = parse_documents(info.read_bytes())
    except (OSError, DocumentError) as error:
        return [], [Mistake(info, "", str(error))]
    document = documents[0] if len(documents) == 1 else {}
    tests, about = document.get("regression_tests_info"), document.get("rule_metadata")
    if not isinstance(tests, list) or not tests:
        return [], [Mistake(info, "regression_tests_info", "a list of tests is needed")]
    if not isinstance(about, list) or rule_id not in [one.get("id") for one in about if isinstance(one, dict)]:
        return [], [Mistake(info, "rule_metadata", f"does not name the rule {rule_id}")]
    cases: list[Case] = []
    mistakes: list[Mistake] = []
    for number, test in enumerate(tests):
        place = f"regression_tests_info[{number}]"
        log = _log(root, test)
        if isinstance(log, str):
            mistakes.append(Mistake(info, place, log))
        else:
            must_match = test.get("match_count") != 0
            cases.append(Case(f"{test.get('name') or 'test'} [{number}]", info, place, must_match, log))
    return cases, mistakes


def _log(root: Path, test: Any) -> Log | str:
    """Return the log of one test, or what is wrong with it."""
    if not isinstance(test, dict):
        return "a test is a mapping"
    relative, kind, count = _inside(test.get("path")), test.get("type"), test.get("match_count")
    if relative is None:
        return f"path {test.get('path')!r} is no relative path within the repository"
    if kind not in _TYPES:
        return f"type {kind!r} is unknown; known are {', '.join(_TYPES)}"
    if count is not None and (not isinstance(count, int) or isinstance(count, bool) or count < 0):
        return f"match_count {count!r} is no number of matches"
    path, input_format = root / relative, _TYPES[kind]
    rendered = path.with_suffix(".json")
    if kind == "evtx" and rendered.is_file() and (not path.is_file() or find_spec("evtx") is None):
        path, input_format = rendered, "jsonl"
    if not path.is_file():
        return f"{relative} is no file"
    return Log(path, input_format, at_least=max(1, count or 1))
