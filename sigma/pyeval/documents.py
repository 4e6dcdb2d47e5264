"""YAML text becomes the documents of rules, checked for what would harm or be lost before pySigma looks at them."""

from __future__ import annotations

import contextlib
import importlib
from functools import lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import yaml

LARGE_FILE_BYTES = 20_000
"""The C parser recurses; text smaller than this cannot nest deep enough to exhaust its stack."""
DEEPEST = 64
MOST_VALUES = 200_000
"""Values of one document, each alias counted where it is used: the bound on what aliases may multiply into."""


class DocumentError(ValueError):
    """YAML text that is no Sigma rule file; ``remedy`` says what to do."""

    def __init__(self, reason: str, remedy: str) -> None:
        self.remedy = remedy
        super().__init__(reason)


def parse_documents(text: str | bytes) -> list[dict[str, Any]]:
    """Return the documents of *text* that are not empty; keys written twice are an error.

    Raises:
        DocumentError: Not YAML, not mappings, or nested or multiplied beyond what a rule needs.
    """
    documents = [document for document in _parse_yaml(text) if document is not None]
    for document in documents:
        if not isinstance(document, dict):
            reason = f"a rule is a mapping of keys, not {type(document).__name__}"
            raise DocumentError(reason, "is this a Sigma rule file?")
        _check_document(document)
    return documents


def parse_yaml(text: str | bytes) -> Any:
    """Return the one document of *text*; keys written twice are an error.

    Raises:
        DocumentError: Not YAML, several documents, or nested or multiplied beyond reason.
    """
    documents = _parse_yaml(text)
    if len(documents) > 1:
        raise DocumentError("several documents, divided by ---", "write one")
    if documents and isinstance(documents[0], dict):
        _check_document(documents[0])
    return documents[0] if documents else None


def _parse_yaml(text: str | bytes) -> list[Any]:
    import yaml

    try:
        if len(text) > LARGE_FILE_BYTES:
            _check_nesting(text)
        return list(yaml.load_all(text, Loader=_yaml_loader()))
    except (yaml.YAMLError, ValueError, TypeError, RecursionError) as error:
        if isinstance(error, DocumentError):
            raise
        raise DocumentError(_yaml_reason(error), "correct the YAML") from error


@lru_cache(maxsize=1)
def _yaml_loader() -> type[yaml.CSafeLoader]:
    """Return the safe loader in C, with keys written twice as an error; YAML itself is imported only now."""
    import yaml

    class Loader(yaml.CSafeLoader):
        def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
            written = node.value
            count = len(written)
            mapping: dict[Any, Any] = super().construct_mapping(node, deep)
            if len(mapping) != count:  # a key twice, or others merged in by <<
                keys = [self.construct_object(key, deep=deep) for key, _ in written]
                twice = [key for number, key in enumerate(keys) if key in keys[:number]]
                if twice:
                    raise yaml.YAMLError(f"Duplicate key '{twice[0]}'")
            return mapping

    return Loader


@lru_cache(maxsize=1)
def regex_policy() -> dict[str, Any]:
    """Return the argument that lets pySigma's parser read regular expressions as Python's, which this product runs.

    pySigma 2 compiles them with RE2 by default; pySigma 1 knows no policies and needs no argument.
    """
    with contextlib.suppress(ModuleNotFoundError):
        return {"policy": importlib.import_module("sigma.policy.profiles").TrustedPolicy}
    return {}


def _check_nesting(text: str | bytes) -> None:
    import yaml

    depth = 0
    for event in yaml.parse(text, Loader=yaml.CSafeLoader):
        if isinstance(event, (yaml.MappingStartEvent, yaml.SequenceStartEvent)):
            depth += 1
            if depth > DEEPEST:
                raise DocumentError(*_TOO_DEEP)
        elif isinstance(event, (yaml.MappingEndEvent, yaml.SequenceEndEvent)):
            depth -= 1


def _check_document(document: dict[str, Any]) -> None:
    """Walk every value of *document*, each alias where it is used, within bounds of depth and number."""
    from sigma.backends.pyeval.modifiers import DASH, MOST_DASHES

    pending: list[tuple[Any, int, bool]] = [(document, 0, False)]
    values = 0
    while pending:
        value, depth, windash = pending.pop()
        values += 1
        if values > MOST_VALUES:
            raise DocumentError(f"more than {MOST_VALUES:,} values, counting aliases", "write out what is meant")
        if depth > DEEPEST:
            raise DocumentError(*_TOO_DEEP)
        if isinstance(value, dict):
            pending.extend((inner, depth + 1, _has_windash(key)) for key, inner in value.items())
        elif isinstance(value, list):
            pending.extend((inner, depth + 1, windash) for inner in value)
        elif windash and isinstance(value, str) and len(DASH.findall(value)) > MOST_DASHES:
            # pySigma 1.5 would make 5 to the power of n texts of it while it parses the rule
            reason = f"windash on a value with more than {MOST_DASHES} dashes: {value[:60]!r}"
            raise DocumentError(reason, "split the value into several")


_TOO_DEEP = (f"nested more than {DEEPEST} levels deep", "a rule needs no such depth")


def _has_windash(key: object) -> bool:
    return isinstance(key, str) and "windash" in key.split("|")[1:]


def _yaml_reason(error: Exception) -> str:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or " ".join(str(error).split())
    return f"not YAML: {problem}" + (f" at line {mark.line + 1}, column {mark.column + 1}" if mark is not None else "")
