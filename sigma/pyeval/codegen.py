"""Rules become the text of an importable module or of single functions.

The text depends on the rules alone: no clock, no path, no order of hashing. Rule text reaches it only as literals; names of
functions are numbers.
"""

from __future__ import annotations

import ast
import hashlib
import re
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from importlib import resources
from typing import Any

from .correlation.source import layout_correlation, parse_correlation
from .expression import call_arguments, parse_expression
from .layout import layout
from .literals import literal
from .matchers import SEMANTICS_VERSION
from .rules import CorrelationRule, Rule, correlation_keys
from .version import __version__

_MATCHERS_PACKAGE = "sigma.pyeval.matchers"
_CALLS_PACKAGE = "sigma.pyeval.correlation.calls"
EMBEDDED = (
    "matchers/values.py",
    "matchers/text.py",
    "matchers/numbers.py",
    "matchers/presence.py",
    "matchers/references.py",
    "matchers/network.py",
    "matchers/regexes.py",
    "matchers/keywords.py",
    "events.py",
    "standalone.py",
)
"""The files of this package, in order, whose text a standalone module carries."""

EMBEDDED_CORRELATION = (
    "event_time.py",
    "correlation/calls.py",
    "correlation/keys.py",
    "correlation/windows.py",
    "correlation/sequences.py",
    "correlation/results.py",
    "correlation/groups.py",
    "correlation/graph.py",
    "correlation/observing.py",
    "correlation/engine.py",
    "correlation/state.py",
    "correlation/clock.py",
    "correlation/correlator.py",
    "correlation/program.py",
)
"""What it carries beside where it holds correlation rules."""

_STANDALONE_END = '''\
RULES = tuple(record for record, _ in _RULES)


def match(event):
    """Return the table rows of the rules that match *event*, a mapping, in rule order; never raises."""
    return [record for record, predicate in _RULES if holds(predicate, event)]


if __name__ == "__main__":
    raise SystemExit(run(match, sys.argv[1:]))
'''

_STANDALONE_CORRELATING_END = '''\
RULES = tuple(record for record, _ in _RULES) + tuple(record for _, record, _ in _CORRELATIONS)


def match(event):
    """Return the table rows of the rules that match *event*, in rule order, but those that serve only correlations."""
    return [record for record in _match_all(event) if record.get("generate", True)]


def _match_all(event):
    return [record for record, predicate in _RULES if holds(predicate, event)]


def _key_of(record):
    return record.get("id") or record.get("name")


def correlator(**options):
    """Return what holds the correlation rules against a stream of events; see Correlator for its methods and options."""
    rows = [(key, record, correlation, record.get("generate", True)) for key, record, correlation in _CORRELATIONS]
    keys = [key for record, _ in _RULES if (key := _key_of(record)) is not None]
    return Correlator(rows, keys, _match_all, _key_of, **options)


if __name__ == "__main__":
    raise SystemExit(run_correlating(_match_all, correlator, sys.argv[1:]))
'''

_LINKED_END = '''\
_LINKED = LinkedRules(__name__, SEMANTICS_VERSION, _RULES)
RULES = _LINKED.records


def match(event):
    """Return the table rows of the rules that match *event*, a mapping, in rule order; never raises."""
    return _LINKED.match(event)


if __name__ == "__main__":
    raise SystemExit(_LINKED.main())
'''

_LINKED_CORRELATING_END = _LINKED_END.replace("_RULES)", "_RULES, _CORRELATIONS)").replace(
    "if __name__",
    '''\
def correlator(**options):
    """Return what holds the correlation rules against a stream of events; see Ruleset.correlator."""
    return _LINKED.correlator(**options)


if __name__''',
)


def rule_record(rule: Rule) -> dict[str, Any]:
    """Return a rule as a dict of JSON types: what formats and reports say of it, ``expression`` left out."""
    record: dict[str, Any] = {
        "id": rule.id,
        "title": rule.title,
        "level": rule.level,
        "status": rule.status,
        "tags": list(rule.tags),
        "logsource": rule.logsource.as_dict(),
        "author": rule.author,
        "license": rule.license,
        "description": rule.description,
        "references": list(rule.references),
        "falsepositives": list(rule.falsepositives),
        "fields": list(rule.fields),
        "source_hash": rule.source_hash,
        "name": rule.name,
        "generate": None if rule.generate else False,
    }
    return {key: value for key, value in record.items() if value is not None and value != []}


def json_record(rule: Rule) -> dict[str, Any]:
    """Return a rule as a dict of JSON types that is enough to run it: its record, ``expression`` and any ``scope``."""
    record = rule_record(rule) | {"expression": rule.expression}
    return record | ({"scope": rule.scope} if rule.scope is not None else {})


def rules_hash(rules: Iterable[Rule]) -> str:
    """Return a SHA-256, hexadecimal, over the rules' own hashes and expressions, in order."""
    digest = hashlib.sha256()
    for rule in rules:
        digest.update(f"{rule.source_hash}\0{rule.expression}\0".encode("utf-8", "surrogatepass"))
    return digest.hexdigest()


def emit_function(rule: Rule, name: str) -> str:
    """Return one documented function of an event that tells whether *rule* matches; of a correlation rule, one of its call."""
    if isinstance(rule, CorrelationRule):
        parameter, body = "", layout_correlation(parse_correlation(rule.expression), " " * 8)
    else:
        parameter, body = "event", layout(rule.expression, " " * 8)
    return (
        f"def {name}({parameter}):\n"
        f"{_docstring(rule)}"
        f"    return (\n        {body}\n    )\n"
    )  # fmt: skip


def emit_functions(rules: Sequence[Rule]) -> str:
    """Return importable text with one function a rule, under the import lines of what they call."""
    plain, correlations = _parted(rules)
    matchers = sorted({name for rule in plain for name in _matchers_called(rule)})
    calls = sorted({parse_correlation(rule.expression).kind for rule in correlations})
    lines = [(_CALLS_PACKAGE, calls), (_MATCHERS_PACKAGE, matchers)]
    imports = "".join(f"from {package} import {', '.join(names)}\n" for package, names in lines if names)
    functions = [emit_function(rule, f"rule_{number:04d}") for number, rule in enumerate(plain, 1)]
    functions += [emit_function(rule, f"correlation_{number:04d}") for number, rule in enumerate(correlations, 1)]
    return "\n\n".join([imports, *functions])


def emit_standalone(rules: Sequence[Rule]) -> str:
    """Return a module that needs nothing but the standard library: matchers, rules, ``match(event)`` and a program."""
    plain, correlations = _parted(rules)
    imports, runtime = _runtime(bool(correlations))
    functions = [emit_function(rule, f"_rule_{number:04d}") for number, rule in enumerate(plain, 1)]
    table = [f"    ({_table_row(rule)}, _rule_{number:04d}),\n" for number, rule in enumerate(plain, 1)]
    return "\n\n".join(
        [
            _docstring_of_module("A standalone set of Sigma rules: standard library only.", rules),
            "\n".join(imports) + "\n",
            _constants(rules),
            *runtime,
            *functions,
            "_RULES = (\n" + "".join(table) + ")\n",
            *_correlation_table(
                correlations, lambda rule: layout_correlation(parse_correlation(rule.expression), " " * 4)
            ),
            _STANDALONE_CORRELATING_END if correlations else _STANDALONE_END,
        ]
    )


def emit_linked(rules: Sequence[Rule]) -> str:
    """Return a module with the same ``match(event)`` and program that runs on the installed ``sigma.pyeval``."""
    plain, correlations = _parted(rules)
    table = [f"    ({_table_row(rule)}, {literal(rule.expression)}, {literal(rule.scope)}),\n" for rule in plain]
    return "\n\n".join(
        [
            _docstring_of_module("A set of Sigma rules that runs on the installed sigma.pyeval.", rules),
            "from sigma.pyeval.linked import LinkedRules\n",
            _constants(rules),
            "_RULES = (\n" + "".join(table) + ")\n",
            *_correlation_table(correlations, lambda rule: literal(rule.expression)),
            _LINKED_CORRELATING_END if correlations else _LINKED_END,
        ]
    )


def _parted(rules: Iterable[Rule]) -> tuple[list[Rule], list[CorrelationRule]]:
    plain: list[Rule] = []
    correlations: list[CorrelationRule] = []
    for rule in rules:
        if isinstance(rule, CorrelationRule):
            correlations.append(rule)
        else:
            plain.append(rule)
    return plain, correlations


def _correlation_table(rules: Sequence[CorrelationRule], written: Callable[[CorrelationRule], str]) -> list[str]:
    """Return the table of correlation rules as a part of a module, none where there are none."""
    rows = [
        f"    ({literal(key)}, {_table_row(rule)}, {written(rule)}),\n"
        for key, rule in zip(correlation_keys(rules), rules, strict=True)
    ]
    return ["_CORRELATIONS = (\n" + "".join(rows) + ")\n"] if rows else []


def emit_runtime(files: Sequence[str]) -> str:
    """Return one module of the text of these files of this package, in order; relative imports among them are dropped."""
    imports, texts = _merged(map(_read, files))
    return "\n\n".join(["\n".join(imports) + "\n", *texts])


def _table_row(rule: Rule) -> str:
    """Return the rule's record as a dict display, a line a key."""
    lines = (f"        {literal(key)}: {literal(value)},\n" for key, value in rule_record(rule).items())
    return "{\n" + "".join(lines) + "    }"


def _docstring_of_module(summary: str, rules: Sequence[Rule]) -> str:
    number = (
        "1 rule; its author and licence stand"
        if len(rules) == 1
        else f"{len(rules)} rules; their authors and licences stand"
    )
    return (
        f'"""{summary}\n\n'
        f"Made by pySigma-backend-pyeval {__version__} from {number} in the table.\n"
        "Import it and call match(event), or run it: JSON lines on standard input, matches as JSON lines on standard output.\n"
        '"""\n'
    )


def _constants(rules: Sequence[Rule]) -> str:
    return (
        f"GENERATOR = {literal(f'pySigma-backend-pyeval {__version__}')}\n"
        f"SEMANTICS_VERSION = {literal(SEMANTICS_VERSION)}\n"
        f"RULES_SHA256 = {literal(rules_hash(rules))}\n"
    )


def _docstring(rule: Rule) -> str:
    lines = [rule.title]
    if rule.id is not None:
        lines.append(f"id: {rule.id}")
    if rule.level is not None:
        lines.append(f"level: {rule.level}")
    if rule.author is not None:
        lines.append(f"author: {rule.author}")
    # Adjacent literals are one docstring; each line is written by the literal writer, so none can end it early.
    parts = [literal(line + ("\n" if number < len(lines) else "")) for number, line in enumerate(lines, 1)]
    return "".join(
        f"    {part}{' ' + chr(92) if number < len(parts) else ''}\n" for number, part in enumerate(parts, 1)
    )


def _matchers_called(rule: Rule) -> set[str]:
    tree = parse_expression(rule.expression, unsafe_regex=True)
    return {call_arguments(node)[0] for node in ast.walk(tree) if isinstance(node, ast.Call)}


@cache
def _runtime(correlating: bool) -> tuple[list[str], list[str]]:
    """Return the import lines and the texts of the embedded files, which never change while the program runs."""
    return _merged(map(_read, (*EMBEDDED, *EMBEDDED_CORRELATION) if correlating else EMBEDDED))


def _read(name: str) -> str:
    return resources.files("sigma.pyeval").joinpath(name).read_text(encoding="utf-8")


def _merged(sources: Iterable[str]) -> tuple[list[str], list[str]]:
    """Return the import lines of all *sources*, merged and sorted, and each source's text without them.

    Relative imports are dropped: what they name stands in the same file. ``from __future__`` comes first.
    """
    modules: set[str] = set()
    names: dict[str, set[str]] = {}
    bodies: list[str] = []
    for source in sources:
        lines = source.splitlines()
        for node in ast.parse(source).body:
            match node:
                case ast.Import():
                    modules.update(alias.name for alias in node.names)
                case ast.ImportFrom(module=str(module), level=0):
                    names.setdefault(module, set()).update(alias.name for alias in node.names)
                case ast.ImportFrom():
                    pass
                case ast.Expr(value=ast.Constant(), lineno=1):  # the file's docstring
                    pass
                case _:
                    continue
            end = node.end_lineno or node.lineno
            lines[node.lineno - 1 : end] = [""] * (end - node.lineno + 1)
        bodies.append(re.sub(r"\n{4,}", "\n\n\n", "\n".join(lines)).strip("\n") + "\n")
    future = names.pop("__future__", set())
    imports = [f"from __future__ import {', '.join(sorted(future))}"] if future else []
    imports += [f"import {module}" for module in sorted(modules)]
    imports += [f"from {module} import {', '.join(sorted(found))}" for module, found in sorted(names.items())]
    return imports, bodies
