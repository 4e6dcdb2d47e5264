"""Results as JUnit XML, as continuous integration servers read it (schema junit-10.xsd of Jenkins' xunit plugin)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import BinaryIO
from xml.etree import ElementTree

from sigma.pyeval.output import printable

from .cases import Mistake
from .running import Result


def write_junit(results: Iterable[Result], mistakes: Sequence[Mistake], stream: BinaryIO) -> None:
    """Write one ``testsuite`` a rule, and one for mistakes in files of cases.

    What failed and what could not be run is a ``failure``, of type ``failed`` or ``error``: the schema has no element
    ``error``, and no reader takes a failure for a success. Characters that XML cannot hold are written as escapes.
    """
    by_rule: dict[int, list[Result]] = {}
    for result in results:
        by_rule.setdefault(id(result.rule_case.rule), []).append(result)
    root = ElementTree.Element("testsuites", name="sigma-pyeval")
    for group in by_rule.values():
        rule = group[0].rule_case.rule
        suite = _suite(root, rule.title, rule.path, len(group), sum(one.status != "passed" for one in group))
        suite.set("time", _seconds(sum(one.seconds for one in group)))
        for result in group:
            _case(suite, rule.id or rule.title, result)
    if mistakes:
        suite = _suite(root, "files of cases", None, len(mistakes), len(mistakes))
        for mistake in mistakes:
            case = ElementTree.SubElement(
                suite, "testcase", name=_text(mistake.place or "file"), classname=_text(mistake.path)
            )
            ElementTree.SubElement(case, "failure", type="error", message=_text(mistake))
    for counted in ("tests", "failures", "errors"):
        root.set(counted, str(sum(int(suite.get(counted, "0")) for suite in root)))
    ElementTree.indent(root)
    ElementTree.ElementTree(root).write(stream, encoding="utf-8", xml_declaration=True)
    stream.write(b"\n")


def _suite(root: ElementTree.Element, name: str, path: str | None, tests: int, failures: int) -> ElementTree.Element:
    counts = {"tests": str(tests), "failures": str(failures), "errors": "0"}
    suite = ElementTree.SubElement(root, "testsuite", {"name": _text(name), **counts})
    if path is not None:
        suite.set("file", _text(path))
    return suite


def _case(suite: ElementTree.Element, classname: str, result: Result) -> None:
    name, seconds = _text(result.rule_case.case.name), _seconds(result.seconds)
    case = ElementTree.SubElement(suite, "testcase", name=name, classname=_text(classname), time=seconds)
    if result.status == "passed":
        return
    failure = ElementTree.SubElement(case, "failure", type=result.status, message=_text(result.message))
    where = f"{result.rule_case.case.path}: {result.rule_case.case.place}"
    lines = [where, *(str(result.explanation).splitlines() if result.explanation is not None else ())]
    failure.text = "\n".join(map(_text, lines))


def _text(value: object) -> str:
    return printable(str(value))


def _seconds(seconds: float) -> str:
    return f"{seconds:.3f}"
