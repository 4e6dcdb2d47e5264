"""Which pipelines rules go through: those asked for by name, file or object, and mappings of the caller's own fields.

pySigma is imported only when a pipeline is made.
"""

from __future__ import annotations

import copy
import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias

if TYPE_CHECKING:
    from sigma.processing.pipeline import ProcessingPipeline

    OnePipeline: TypeAlias = "str | Path | ProcessingPipeline | FieldMappings"
    PipelineSpec: TypeAlias = OnePipeline | Sequence[OnePipeline]

Placeholders = Mapping[str, str | int | Sequence[str | int]]
PIPELINE_SUFFIXES: Final = (".yml", ".yaml")

_READS_MORE = (b"file_placeholders", b"http_placeholders", b"command_placeholders", b"template", b"vars_path")
"""Words of a YAML pipeline that takes values from elsewhere: what it makes of rules may change while it does not."""
_OWN_PIPELINES = "linux_eval"
"""How the names of this distribution's pipelines begin; what they do changes with the installation only."""


@dataclass(frozen=True, slots=True)
class FieldMappings:
    """A pipeline that gives fields of rules the names that events have for them; it goes before all others.

    No pipeline maps such a field again, and none of this distribution's refuses it; their scopes follow the mapping. To other
    pipelines it has a name that they don't know.

    Attributes:
        names: Field as rules name it -> the events' name for it, or several of which an event has one.
    """

    names: Mapping[str, tuple[str, ...]]

    @classmethod
    def of(cls, mapping: Mapping[str, str | Sequence[str]]) -> FieldMappings:
        """Return the mappings of *mapping*; raises ValueError for a name that is empty, and for a list without names."""
        names = {
            field: (listed,) if isinstance(listed, str) else tuple(dict.fromkeys(listed))
            for field, listed in mapping.items()
        }
        for field, listed in names.items():
            if not field.strip():
                raise ValueError("a field of rules has no name")
            if not listed or not all(name.strip() for name in listed):
                raise ValueError(f"field {field!r} is mapped to no name")
        return cls(names)


def resolve_pipeline(
    pipeline: PipelineSpec | None, placeholders: Placeholders | None = None
) -> ProcessingPipeline | None:
    """Return one fresh pipeline for the given ones, lowest priority number first, placeholders before all.

    Raises:
        sigma.exceptions.SigmaError: A pipeline does not exist or cannot be read.
    """
    specs = specs_of(pipeline)
    mapped = mappings_of(specs)
    others = [spec for spec in specs if not isinstance(spec, FieldMappings)]
    if mapped and all(isinstance(spec, str) and spec in _own_names() for spec in others) and others:
        parts = _sorted([_own(str(spec), mapped) for spec in others])
    elif mapped:
        # Under names that no other pipeline knows, the fields pass through all of them.
        hidden = {field: (f"pyeval mapped {number}",) for number, field in enumerate(mapped)}
        kept = {hidden[field][0]: names for field, names in mapped.items()}
        scoped = {**mapped, **{name: (name,) for name in kept}}
        own = _own_names()
        parts = _sorted(
            [_own(spec, scoped) if isinstance(spec, str) and spec in own else _made(spec) for spec in others]
        )
        parts = [_renaming(hidden, "pyeval_hide"), *parts, _renaming(kept, "pyeval_map")]
    else:
        parts = _sorted([_made(spec) for spec in others])
    if placeholders is not None:
        parts.insert(0, _placeholder_pipeline(placeholders))
    if not parts:
        return None
    merged, *rest = parts
    for part in rest:
        merged = merged + part
    return merged


def specs_of(pipeline: PipelineSpec | None) -> list[Any]:
    """Return the given pipelines as a list."""
    if pipeline is None:
        return []
    single = isinstance(pipeline, (str, Path, FieldMappings)) or not isinstance(pipeline, Sequence)
    return [pipeline] if single else list(pipeline)  # type: ignore[arg-type]


def mappings_of(specs: Sequence[Any]) -> dict[str, tuple[str, ...]]:
    """Return the field mappings among *specs*, joined; the last counts for a field that several have."""
    return {field: names for spec in specs if isinstance(spec, FieldMappings) for field, names in spec.names.items()}


def inputs_of(pipeline: PipelineSpec | None) -> list[bytes] | None:
    """Return what decides what the pipelines make of rules; ``None`` where that cannot be told."""
    parts: list[bytes] = []
    for spec in specs_of(pipeline):
        if isinstance(spec, FieldMappings):
            parts.append(repr(sorted(spec.names.items())).encode("utf-8", "replace"))
        elif not isinstance(spec, (str, Path)):
            return None
        elif isinstance(spec, Path) or Path(spec).suffix in PIPELINE_SUFFIXES:
            try:
                text = Path(spec).read_bytes()
            except OSError:
                return None
            if any(word in text for word in _READS_MORE):
                return None
            parts.append(text)
        elif spec.startswith(_OWN_PIPELINES):
            parts.append(spec.encode())
        else:
            return None
    return parts


def _sorted(parts: list[ProcessingPipeline]) -> list[ProcessingPipeline]:
    return sorted(parts, key=lambda part: part.priority)


def _made(spec: str | Path | ProcessingPipeline) -> ProcessingPipeline:
    from sigma.exceptions import SigmaPipelineNotFoundError
    from sigma.processing.pipeline import ProcessingPipeline

    if isinstance(spec, ProcessingPipeline):
        return copy.deepcopy(spec)  # its items would else belong to the first backend they are given to
    if isinstance(spec, str) and Path(spec).suffix not in PIPELINE_SUFFIXES:
        return _named(spec)
    try:
        text = Path(spec).read_text(encoding="utf-8")
    except OSError as error:
        raise SigmaPipelineNotFoundError(f"{spec} ({error.strerror})") from error
    return ProcessingPipeline.from_yaml(text)


def _named(name: str) -> ProcessingPipeline:
    from sigma.plugins import InstalledSigmaPlugins

    if name in _own_names():
        return _own(name, {})
    resolved: ProcessingPipeline = InstalledSigmaPlugins.autodiscover().get_pipeline_resolver().resolve_pipeline(name)
    return resolved


def _own_names() -> frozenset[str]:
    from sigma.pipelines import linux_eval

    return frozenset(linux_eval.pipelines)


def _own(name: str, mapped: Mapping[str, tuple[str, ...]]) -> ProcessingPipeline:
    from sigma.pipelines import linux_eval

    own: ProcessingPipeline = linux_eval.pipelines[name](field_mappings=mapped)
    return own


def _renaming(names: Mapping[str, tuple[str, ...]], identifier: str) -> ProcessingPipeline:
    """Return a pipeline that renames fields and lets all others be; several names mean one of them."""
    from sigma.processing.pipeline import ProcessingItem, ProcessingPipeline

    from sigma.pipelines.linux_eval.fields import FieldTable
    from sigma.pipelines.linux_eval.transformations import FieldCheckTransformation, NamesOfFieldTransformation

    table = FieldTable(names, numbered="(?s)(.*)")  # every field is one that stays as it is
    return ProcessingPipeline(
        items=[
            ProcessingItem(FieldCheckTransformation(table, ""), identifier=f"{identifier}_check"),
            ProcessingItem(NamesOfFieldTransformation(table), identifier=identifier),
        ]
    )


def _placeholder_pipeline(placeholders: Placeholders) -> ProcessingPipeline:
    from sigma.processing.pipeline import ProcessingItem, ProcessingPipeline
    from sigma.processing.transformations import ValueListPlaceholderTransformation

    return ProcessingPipeline(
        items=[ProcessingItem(ValueListPlaceholderTransformation(), identifier="pyeval_placeholders")],
        vars={
            name: list(value) if isinstance(value, (list, tuple)) else [value] for name, value in placeholders.items()
        },
    )


def pipeline_problem(name: str) -> str | None:
    """Return why there is no pipeline of this name, or in this YAML file, with what to do; ``None`` where there is one."""
    from sigma.exceptions import SigmaError
    from yaml import YAMLError

    if name in _own_names():
        return None
    if Path(name).suffix in PIPELINE_SUFFIXES and not Path(name).is_file():
        return f"there is no file {name}"
    try:
        _made(name)
    except (SigmaError, YAMLError, OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        if Path(name).suffix in PIPELINE_SUFFIXES:
            return f"{name} is no pipeline: {' '.join(str(error).split())}"
        near = difflib.get_close_matches(name, _own_names(), 1, 0.6)
        hint = f"did you mean {near[0]!r}?" if near else f"of this package there are {', '.join(sorted(_own_names()))}."
        return f"unknown; {hint} A file's name ends in .yml"
    return None
