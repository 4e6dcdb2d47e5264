"""What may stand in emitted source, written anew: a whitelist by ``ast`` that knows nothing of the product's own."""

from __future__ import annotations

import ast
import json
from typing import Any

import pytest
from sigma.collection import SigmaCollection
from sigma.processing.pipeline import ProcessingPipeline

from sigma.backends.pyeval import PyEvalBackend
from sigma.pyeval.documents import regex_policy
from sigma.pyeval.matchers import MATCHERS


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
