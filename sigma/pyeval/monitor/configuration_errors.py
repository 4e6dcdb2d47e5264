"""pydantic's errors in the words of the file: the place as people write it, and what to write there instead.

No value of the file is shown: it may be a secret.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final, NamedTuple, get_args

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from .kinds import SINKS, SOURCES
from .settings import Settings

Problem = tuple[str, str]
"""Place, as ``sources[0].path``, and finding."""

KINDS: Final[Mapping[str, Mapping[str, type[Settings]]]] = {
    "sources": {name: kind[0] for name, kind in SOURCES.items()},
    "sinks": {name: kind[0] for name, kind in SINKS.items()},
}
"""The settings of each ``type``, by section."""


class _Place(NamedTuple):
    """Where an error is: its path, the model that has the last step as a field, and the model expected there."""

    path: str
    name: str
    holder: type[BaseModel] | None
    model: type[BaseModel] | None
    kinds: Mapping[str, type[Settings]]


def problems_of(error: ValidationError, root: type[BaseModel], value: Mapping[str, Any]) -> list[Problem]:
    """Return one problem for each place of *error*, which was raised when *value* was read as *root*.

    A place within which there are others is left out: pydantic calls a list too short whose members are wrong, and tries
    each type of a union.
    """
    details = error.errors(include_url=False)
    placed = [(_placed(detail, root, value), detail) for detail in details]
    paths = [place.path for place, _ in placed]
    return [
        _problem(place, detail) for place, detail in placed if not any(is_within(path, place.path) for path in paths)
    ]


def is_within(inner: str, outer: str) -> bool:
    """Return whether the place *inner* is a part of *outer*."""
    return inner.startswith((f"{outer}.", f"{outer}["))


def truth_for_numbers(value: Mapping[str, Any], model: type[BaseModel], path: str = "") -> Iterator[Problem]:
    """Yield the places where a number is expected and YAML reads true or false, which pydantic takes for 1 or 0."""
    fields = fields_of(model)
    for key, inner in value.items():
        field = fields.get(key)
        if field is None:
            continue
        place = f"{path}.{key}".lstrip(".")
        if isinstance(inner, bool) and _is_number(field.annotation):
            yield place, "a number is needed, not true or false"
        elif isinstance(inner, dict) and (part := model_of(field.annotation)) is not None:
            yield from truth_for_numbers(inner, part, place)
        elif isinstance(inner, list) and not path:
            for number, one in enumerate(inner):
                kinds = KINDS.get(key)
                kind = model_of(field.annotation) if kinds is None else None
                if kinds is not None and isinstance(one, dict):
                    kind = kinds.get(str(one.get("type")))
                if kind is not None and isinstance(one, dict):
                    yield from truth_for_numbers(one, kind, f"{place}[{number}]")


def _placed(detail: ErrorDetails, root: type[BaseModel], value: Any) -> _Place:
    """Follow an error's location through the file; steps that it does not have are names of validators and union members."""
    location = detail["loc"]
    kinds: Mapping[str, type[Settings]] = KINDS.get(str(location[0]), {}) if location else {}
    holder: type[BaseModel] | None = None
    model: type[BaseModel] | None = root
    path = name = ""
    for index, step in enumerate(location):
        if index == 2 and step in kinds:
            model = kinds[str(step)]
            continue
        if isinstance(value, list) and isinstance(step, int):
            path += f"[{step}]"
            holder, value = model, value[step]
        elif isinstance(value, dict) and (step in value or (model is not None and step in fields_of(model))):
            field = fields_of(model).get(str(step)) if model is not None else None
            path, name = f"{path}.{step}".lstrip("."), str(step)
            holder, model = model, model_of(field.annotation) if field is not None else None
            value = value.get(step)
    return _Place(path, name, holder, model, kinds)


def _problem(place: _Place, detail: ErrorDetails) -> Problem:
    kind = detail["type"]
    if kind == "union_tag_invalid":
        return f"{place.path}.type", f"unknown; {nearest(str(detail['ctx']['tag']), place.kinds)}"
    if kind == "extra_forbidden" and place.holder is not None:
        return place.path, f"unknown; {_belonging(place) or nearest(place.name, fields_of(place.holder))}"
    if detail["loc"][-1:] == ("[key]",) and kind == "string_type":
        return place.path, "a key is a text; quote it"
    if kind in _SENTENCES:
        return place.path, _SENTENCES[kind].format(**detail.get("ctx", {}))
    if kind in _FINDINGS:
        return place.path, _FINDINGS[kind](place, detail)
    return place.path, detail["msg"].removeprefix("Value error, ")


def _text(_: _Place, detail: ErrorDetails) -> str:
    found = detail["input"]
    if found is None:
        return "empty; a text is needed"
    if isinstance(found, list | dict):
        return f"a text is needed, not a {'list' if isinstance(found, list) else 'mapping'}"
    read = "true or false" if isinstance(found, bool) else "a number" if isinstance(found, int | float) else "a date"
    return f"a text is needed, and YAML reads this as {read}; quote it"


def _number(place: _Place, detail: ErrorDetails) -> str:
    unit = next((unit for unit in ("bytes", "seconds") if place.name.endswith(unit)), "")
    whole = "whole " if detail["type"].startswith("int") else ""
    return f"a {whole}number{f' of {unit}' if unit else ''} is needed, without a unit"


def _list(_: _Place, detail: ErrorDetails) -> str:
    if isinstance(detail["input"], dict):
        return "write a list: each part of it begins with '- '"
    return "write a list: [...]"


def _mapping(place: _Place, _: ErrorDetails) -> str:
    if place.model is not None:
        return f"write a mapping: its keys are {', '.join(fields_of(place.model))}"
    if place.kinds:
        return f"write a mapping: its 'type' is one of {', '.join(place.kinds)}"
    return "write a mapping: 'name: value' for each"


def _too_short(_: _Place, detail: ErrorDetails) -> str:
    least = detail["ctx"]["min_length"]
    if detail["ctx"].get("field_type") != "Tuple":
        return "must not be empty" if least == 1 else f"at least {least} characters are needed"
    return "at least one is needed" if least == 1 else f"at least {least} are needed"


def _choice(_: _Place, detail: ErrorDetails) -> str:
    names = re.findall(r"'([^']*)'", detail["ctx"]["expected"])
    if isinstance(detail["input"], bool):
        return f"YAML reads this as true or false; quote it; there are {', '.join(names)}"
    return f"unknown; {nearest(str(detail['input']), names)}"


def _no_tag(place: _Place, _: ErrorDetails) -> str:
    return f"has no 'type'; it is one of {', '.join(place.kinds)}"


_NETWORK = "not a network such as 10.0.0.0/8 or fd00::/8"
_SENTENCES: Final[Mapping[str, str]] = {
    "missing": "missing",
    "bool_type": "true or false is needed",
    "bool_parsing": "true or false is needed",
    "finite_number": "a finite number is needed",
    "greater_than": "must be greater than {gt}",
    "greater_than_equal": "must be at least {ge}",
    "less_than": "must be less than {lt}",
    "less_than_equal": "must be at most {le}",
    "string_too_long": "at most {max_length} characters are possible",
    "string_pattern_mismatch": "must match the regular expression {pattern}",
    "path_not_file": "there is no such file",
    "ip_v4_network": _NETWORK,
    "ip_v6_network": _NETWORK,
    "invalid_key": "a key is a text; quote it",
}
_FINDINGS: Final[Mapping[str, Callable[[_Place, ErrorDetails], str]]] = {
    **dict.fromkeys(("string_type", "path_type"), _text),
    **dict.fromkeys(("int_type", "int_parsing", "int_parsing_size", "int_from_float"), _number),
    **dict.fromkeys(("float_type", "float_parsing"), _number),
    **dict.fromkeys(("tuple_type", "list_type"), _list),
    **dict.fromkeys(("model_type", "model_attributes_type", "dict_type"), _mapping),
    **dict.fromkeys(("too_short", "string_too_short"), _too_short),
    "literal_error": _choice,
    "union_tag_not_found": _no_tag,
}


def _belonging(place: _Place) -> str:
    """Return in which section of the file a key is known that stands beside the sections; empty where in none."""
    if "." in place.path or place.holder is None:
        return ""
    sections = fields_of(place.holder)
    parts = {name: model_of(field.annotation) for name, field in sections.items()}
    homes = [name for name, part in parts.items() if part is not None and place.name in fields_of(part)]
    return f"it belongs into {homes[0]!r}" if homes else ""


def nearest(name: str, names: Iterable[str]) -> str:
    """Return a question for the one of *names* that is like *name*, or what there is."""
    known = list(names)
    close = difflib.get_close_matches(name, known, 1, 0.6)
    return f"did you mean {close[0]!r}?" if close else f"there are {', '.join(known)}"


def fields_of(model: type[BaseModel]) -> dict[str, FieldInfo]:
    """Return the fields of *model* by the keys that the file has for them."""
    return {field.alias or name: field for name, field in model.model_fields.items()}


def model_of(annotation: Any) -> type[BaseModel] | None:
    """Return the model within an annotation such as ``Tls | None``; ``None`` where there is none."""
    candidates = [annotation, *get_args(annotation)]
    return next((one for one in candidates if isinstance(one, type) and issubclass(one, BaseModel)), None)


def _is_number(annotation: Any) -> bool:
    types = {annotation, *get_args(annotation)}
    return bool(types & {int, float}) and bool not in types
