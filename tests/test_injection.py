"""Rules come from strangers: whatever their text, what is emitted holds calls of matchers and literals, nothing else."""

from __future__ import annotations

import ast
import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sigma.collection import SigmaCollection
from sigma.exceptions import SigmaError
from sigma.processing.pipeline import ProcessingItem, ProcessingPipeline
from sigma.processing.transformations import SetStateTransformation, ValueListPlaceholderTransformation

from sigma.backends.pyeval import PyEvalBackend
from sigma.pyeval import ExpressionError, compile_expression, parse_rules
from sigma.pyeval.codegen import emit_standalone
from sigma.pyeval.documents import regex_policy
from sigma.pyeval.matchers import MATCHERS

from .conftest import rule_yaml

FORMATS = ("default", "function", "module", "linked", "json")
each_format = st.sampled_from(FORMATS)

FRAGMENTS = (
    *(
        "'",
        '"',
        "'''",
        '"""',
        "\\",
        "\\\\",
        "\n",
        "\r",
        "\r\n",
        "\0",
        "\x0b",
        "\x0c",
        "\x1a",
        "\x85",
        "\u2028",
        "\u2029",
    ),
    *("\ud800", "\udfff", "\u202e", "\u2066", "\u200b", "\ufeff", "\U000e0041", "\U0001f600", "ﬁ", "\u212a", "é"),
    *("{", "}", "{0}", "{value}", "%s", "%(x)s", "$x", "#", "# type: ignore", ")", "(", ",", ";", ":", "=", "\t", " "),
    *("event", "__import__('os').system('false')", "') or True or ('", '"""\nimport os\n', "\\N{BULLET}", "\\x41"),
    *("')\n    )\nraise SystemExit(1)\n", "*/", "-->", "\x1b[31m", "*", "?", "\\*", "lambda: 0", "True", "a" * 5000),
)
hostile = st.one_of(
    st.lists(st.sampled_from(FRAGMENTS), min_size=1, max_size=4).map("".join),
    st.text(st.characters(codec=None, categories=None), min_size=1, max_size=12),
)
short = hostile.filter(lambda text: len(text) < 200)


# -- the whitelist, written anew ---------------------------------------------------------------------------------------


def assert_expression(node: ast.AST) -> None:
    """Assert that *node* is and, or, not, and calls of matchers on ``event`` and literals."""
    match node:
        case ast.Expression(body):
            assert_expression(body)
        case ast.BoolOp(ast.And() | ast.Or(), values):
            for value in values:
                assert_expression(value)
        case ast.UnaryOp(ast.Not(), operand):
            assert_expression(operand)
        case ast.Call(ast.Name(name), [ast.Name("event"), *arguments], []):
            assert name in MATCHERS
            for argument in arguments:
                assert_literal(argument)
        case _:
            pytest.fail(f"{ast.dump(node)[:200]} has no place in an expression")


def assert_literal(node: ast.AST) -> None:
    for part in ast.walk(node):
        allowed = (ast.Constant, ast.Tuple, ast.List, ast.Dict, ast.UnaryOp, ast.USub, ast.Load)
        assert isinstance(part, allowed), ast.dump(part)[:200]


def assert_function(node: ast.AST) -> None:
    """Assert that *node* is a function of a documentation and one expression that is returned."""
    assert isinstance(node, ast.FunctionDef)
    assert not node.decorator_list
    assert [argument.arg for argument in node.args.args] == ["event"]
    assert not node.args.defaults
    document, returned = node.body
    assert isinstance(document, ast.Expr)
    assert isinstance(document.value, ast.Constant)
    assert isinstance(returned, ast.Return)
    assert returned.value is not None
    assert_expression(returned.value)


def words(tree: ast.AST) -> set[str]:
    """Return every identifier in *tree*: names, attributes, arguments, functions, imports."""
    found: set[str] = set()
    for node in ast.walk(tree):
        for name in ("id", "attr", "arg", "name", "asname", "module", "names"):
            value = getattr(node, name, None)
            if isinstance(value, str):
                found.add(value)
    return found


# -- rules and what becomes of them ------------------------------------------------------------------------------------


def convert(rule: dict[str, Any], output_format: str, pipeline: ProcessingPipeline | None = None) -> Any:
    """Convert a rule given as data: YAML itself would refuse some of the text."""
    return PyEvalBackend(pipeline).convert(SigmaCollection.from_dicts([rule], **regex_policy()), output_format)


def rule(detection: Any = None, **more: Any) -> dict[str, Any]:
    found = {"title": "A rule", "logsource": {"product": "linux"}} | more
    return found | {"detection": {"sel": detection or {"field": "value"}, "condition": "sel"}}


BENIGN = {name: words(ast.parse(convert(rule(), name))) for name in ("function", "module", "linked")}


def assert_harmless(output_format: str, output: Any) -> list[dict[str, Any]]:
    """Assert that what was emitted holds nothing but what may stand there; return the records in it."""
    if output_format == "default":
        for expression in output:
            assert_expression(ast.parse(expression, mode="eval"))
        return []
    if output_format == "json":
        for record in output:
            assert_expression(ast.parse(record["expression"], mode="eval"))
            assert json.loads(json.dumps(record)) == record
        return list(output)
    assert output.isascii()
    tree = ast.parse(output)
    assert words(tree) <= BENIGN[output_format] | set(MATCHERS)
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and node.name.lstrip("_").startswith("rule_0"):
            assert_function(node)
    if output_format == "function":
        assert all(isinstance(node, (ast.ImportFrom, ast.FunctionDef)) for node in tree.body)
        return []
    namespace: dict[str, Any] = {"__name__": "under_test"}
    exec(compile(tree, "<module>", "exec"), namespace)
    return list(namespace["RULES"])


def records_of(
    found: dict[str, Any], output_format: str, pipeline: ProcessingPipeline | None = None
) -> list[dict[str, Any]]:
    """Return the records in a format's output, if it has any, after checking the output."""
    return assert_harmless(output_format, convert(found, output_format, pipeline))


DESCRIPTIONS = ("author", "description", "license")
LISTS = ("references", "falsepositives", "fields")


@given(text=short, key=st.sampled_from(("title", *DESCRIPTIONS, *LISTS)), output_format=each_format)
def test_descriptions_stay_text(text: str, key: str, output_format: str) -> None:
    written = [text, "harmless"] if key in LISTS else text
    for record in records_of(rule(**{key: written}), output_format):
        assert record[key] == written


@given(text=short, key=st.sampled_from(("category", "product", "service")), output_format=each_format)
def test_log_sources_stay_text(text: str, key: str, output_format: str) -> None:
    for record in records_of(rule(logsource={key: text}), output_format):
        assert record["logsource"][key] == text


@given(text=short, key=st.sampled_from(("tags", "id", "status", "level")), output_format=each_format)
def test_tags_and_ids_stay_text_or_are_refused(text: str, key: str, output_format: str) -> None:
    written = [f"attack.{text}", text] if key == "tags" else text
    try:
        records = records_of(rule(**{key: written}), output_format)
    except SigmaError:
        return
    assert all(record[key] == written for record in records)


MODIFIERS = ("", "|contains", "|startswith", "|endswith", "|cased", "|contains|cased", "|windash", "|all", "|neq")


def escaped(text: str) -> str:
    """Return *text* so that Sigma reads each of its characters as itself."""
    return "".join("\\" + character if character in "\\*?" else character for character in text)


@given(text=hostile, modifier=st.sampled_from(MODIFIERS), output_format=each_format)
def test_values_stay_text(text: str, modifier: str, output_format: str) -> None:
    found = rule({"field" + modifier: [escaped(text), "other"]})
    records_of(found, output_format)
    (expression,) = convert(found, "default")
    event = {"field": [text, "other"]}
    assert compile_expression(expression)(event) is (modifier != "|neq")


@given(text=hostile, form=st.sampled_from(("plain", "wildcards", "all", "cased")), output_format=each_format)
def test_keywords_and_wildcards_stay_text(text: str, form: str, output_format: str) -> None:
    value = escaped(text)
    forms: dict[str, Any] = {
        "plain": [value],
        "wildcards": [f"{value}*?"],
        "all": {"|all": [value, "b*c"]},
        "cased": {"|cased": value},
    }
    found = rule(forms[form])
    records_of(found, output_format)
    (expression,) = convert(found, "default")
    assert compile_expression(expression)({"message": f"b-{text}xyb.c"})


@given(name=short.filter(lambda text: "|" not in text), output_format=each_format)
def test_field_names_stay_text(name: str, output_format: str) -> None:
    records_of(rule({name: "value", f"{name}|contains": "a"}), output_format)
    (expression,) = convert(rule({name: "value"}), "default")
    assert compile_expression(expression)({name: "VALUE"})


@given(name=short, output_format=each_format)
def test_names_of_other_fields_stay_text(name: str, output_format: str) -> None:
    found = rule({"field|fieldref": escaped(name)})
    records_of(found, output_format)
    (expression,) = convert(found, "default")
    assert compile_expression(expression)({name: "value", "field": "VALUE"})


@pytest.mark.filterwarnings(
    "ignore:Possible (nested set|set):FutureWarning"
)  # Python's, of drawn patterns such as [[a]]
@given(text=short, output_format=each_format)
def test_regular_expressions_stay_text(text: str, output_format: str) -> None:
    found = rule({"field|re": text})
    try:
        (expression,) = convert(found, "default")
    except SigmaError:
        return
    records_of(found, output_format)
    predicate = compile_expression(expression)
    for sample in (text, text * 2, "", "event", "\n"):
        assert predicate({"field": sample}) is (re.search(text, sample) is not None)


@given(name=short)
def test_search_identifiers_never_appear(name: str) -> None:
    found = rule() | {"detection": {name: {"field": "value"}, "condition": name}}
    try:
        (expression,) = convert(found, "default")
    except SigmaError:
        return
    assert expression == "equals(event, 'field', 'value')"


@given(text=short, output_format=each_format)
def test_placeholder_values_stay_text(text: str, output_format: str) -> None:
    found = rule({"field|expand": "%name%"})

    def pipeline() -> ProcessingPipeline:
        items = [ProcessingItem(ValueListPlaceholderTransformation())]
        return ProcessingPipeline(items, vars={"name": [escaped(text), "other"]})

    records_of(found, output_format, pipeline())
    (expression,) = convert(found, "default", pipeline())
    assert compile_expression(expression)({"field": text})


SCOPES = (
    *(
        "__import__('os')",
        "True",
        "event",
        "equals(event, 'a', 'b') or True",
        "equals(event, 'a', 'b') #",
        "",
        " ",
        "()",
    ),
    *("equals(event, 'a', 'b')) or (equals(event, 'a', 'b')", "equals(event, 'a', 'b') or equals(event, 'a', 'c')"),
    *(
        "equals(event, 'a', 'b')\n#",
        "lambda: 0",
        "equals(event, __import__('os').name, 'b')",
        "equals(event, *('a', 'b'))",
    ),
    *(
        "equals(event, field='a', value='b')",
        "equals(event, 'a', f'{1}')",
        "(equals)(event, 'a', 'b')",
        "x := 1",
        "1",
        "not",
    ),
    *(
        "equals(event, 'a', 'b') and equals(event, 'a', b'b')",
        "[equals(event, 'a', 'b')]",
        "equals(event, 'a', 'b') if 1 else 2",
    ),
    *(
        "\nequals(event, 'a', 'b')",
        "equals(event, 'a', 'b') # and equals(event, 'a', 'b')",
        "equals(event, 'a', 'b');1",
    ),
)


@pytest.mark.parametrize("scope", SCOPES)
def test_a_scope_is_an_expression_or_refused(scope: str) -> None:
    """The rule's own condition is never lost to what stands in the pipeline's state."""
    pipeline = ProcessingPipeline([ProcessingItem(SetStateTransformation("scope", scope))])
    for output_format in FORMATS:
        try:
            output = convert(rule(), output_format, pipeline)
        except SigmaError:
            continue
        assert_harmless(output_format, output)
        if output_format == "default":
            predicate = compile_expression(output[0])
            assert not predicate({"a": "b"})
            assert not predicate({"field": "value"})
            assert predicate({"a": "b", "field": "value"})


@pytest.mark.parametrize("output_format", FORMATS)
def test_a_scope_is_written_in_ascii(output_format: str) -> None:
    pipeline = ProcessingPipeline([ProcessingItem(SetStateTransformation("scope", "equals(event, 'a', '\u202e')"))])
    output = convert(rule(), output_format, pipeline)
    assert str(output).isascii()
    assert_harmless(output_format, output)


@given(scope=short)
def test_any_scope_is_an_expression_or_refused(scope: str) -> None:
    pipeline = ProcessingPipeline([ProcessingItem(SetStateTransformation("scope", scope))])
    with pytest.raises(SigmaError):
        convert(rule(), "default", pipeline)


@given(text=hostile)
def test_text_that_is_no_expression_is_never_compiled(text: str) -> None:
    with pytest.raises(ExpressionError):
        compile_expression(text)


ODD_VALUES = (
    ".inf",
    "-.inf",
    ".nan",
    "null",
    "true",
    "2020-01-01",
    "12:30:45",
    "017",
    "1.5",
    "''",
    "{}",
    "[]",
    "[{b: 1}]",
    "!!binary YQ==",
)
ODD_KEYS = (
    "a",
    "''",
    "a|re",
    "'|re'",
    "a|contains",
    "a|cidr",
    "a|exists",
    "a|gt",
    "a|hour",
    "a|expand",
    "'|gt'",
    "'|exists'",
    "a|fieldref",
)


@pytest.mark.parametrize("value", ODD_VALUES)
@pytest.mark.parametrize("key", ODD_KEYS)
def test_odd_values_convert_or_are_refused_with_a_reason(key: str, value: str) -> None:
    for detection in (f"{key}: {value}", f"{key}: [x, {value}]", f"{key}: {value}\n    b: 1"):
        ruleset = parse_rules(rule_yaml(f"sel:\n    {detection}\ncondition: sel"), on_error="collect")
        assert len(ruleset.rules) + len(ruleset.errors) == 1
        assert all(error.reason for error in ruleset.errors)
        for event in ({}, {"a": None}, {"a": "x"}, {"a": 1.5}):
            ruleset.match(event)


def test_a_rule_converts_again_to_the_same() -> None:
    """What is corrected in a rule is corrected from what was written, each time."""
    written = {
        "a|windash": "-x",
        "b|re|contains": "y",
        "|cased|startswith": "z",
        "c|fieldref": "d",
        "e|base64offset": "f",
    }
    collection = SigmaCollection.from_dicts([rule(written)])
    first = PyEvalBackend().convert(collection)
    assert PyEvalBackend().convert(collection) == first


# -- size --------------------------------------------------------------------------------------------------------------


def nested(depth: int, kind: str) -> str:
    """Return a condition of *depth* groups within each other."""
    return {
        "groups": "(" * depth + "sel" + ")" * depth,
        "negations": "not (" * depth + "sel" + ")" * depth,
        "alternating": "sel and (other or (" * (depth // 2) + "sel" + "))" * (depth // 2),
        "bare negations": "not " * depth + "sel",
    }[kind]


@pytest.mark.parametrize("kind", ["groups", "negations", "alternating", "bare negations"])
@pytest.mark.parametrize("depth", [20, 300, 5000])
def test_deep_conditions_convert_or_are_refused(kind: str, depth: int) -> None:
    text = (
        "title: Deep\nlogsource:\n    product: linux\ndetection:\n    sel:\n        a: 1\n    other:\n        b: 2\n"
        f"    condition: {nested(depth, kind)}\n"
    )
    ruleset = parse_rules(text, on_error="collect")
    if ruleset.errors:
        assert depth > 20
        assert "deep" in ruleset.errors[0].reason
        return
    assert bool(ruleset.match({"a": 1})) is True
    assert bool(ruleset.match({"b": 1})) is False
    compile(emit_standalone(ruleset.rules), "<module>", "exec")


MANY = 10_000
LISTS_OF_MANY: list[Any] = [
    {"field": [f"value{number}" for number in range(MANY)]},
    {"field|contains": [f"value{number}." for number in range(MANY)]},
    {"field|contains|all": ["value", *(f"{number:x}"[0] for number in range(MANY))]},
    {"field|re": [f"^value{number}$" for number in range(MANY)]},
    {"field": [f"v*{number}?" for number in range(MANY)]},
    {"field": list(range(MANY))},
    [f"value{number}" for number in range(MANY)],
    [{f"field{number}": number} for number in range(MANY)],
]


@pytest.mark.parametrize("detection", LISTS_OF_MANY, ids=lambda found: str(found)[:28])
def test_long_lists_convert(detection: Any) -> None:
    (expression,) = convert(rule(detection), "default")
    predicate = compile_expression(expression)
    last = {
        "field": ["value9999", "value9999.", "v99999x", 9999, "value0123456789abcdef"],
        "field9999": 9999,
    }
    assert predicate(last)
    assert not predicate({"field": "other", "field0": 1})


def test_many_detections_convert() -> None:
    found = rule() | {
        "detection": {f"sel{number}": {"field": f"v{number}"} for number in range(MANY)} | {"condition": "1 of sel*"}
    }
    (expression,) = convert(found, "default")
    assert compile_expression(expression)({"field": f"v{MANY - 1}"})
