"""Rules come from strangers: whatever their text, what is emitted holds calls of matchers and literals, nothing else."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sigma.exceptions import SigmaError
from sigma.processing.pipeline import ProcessingItem, ProcessingPipeline
from sigma.processing.transformations import SetStateTransformation, ValueListPlaceholderTransformation

from sigma.pyeval import ExpressionError, compile_expression

from .emitted import (
    assert_harmless,
    convert,
    records_of,
    rule,
)

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
