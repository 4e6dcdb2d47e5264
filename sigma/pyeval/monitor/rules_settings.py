"""The section ``rules``: which rules run, for whose fields, and under which level."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field, StrictInt, field_validator

from sigma.pyeval.loading import OnError, Progress, load_rules
from sigma.pyeval.pipelines import PIPELINE_SUFFIXES, FieldMappings, pipeline_problem
from sigma.pyeval.restrictiveness import Restrictiveness
from sigma.pyeval.ruleset import Ruleset
from sigma.pyeval.selection import Selection, Selector

from .configuration_errors import nearest
from .settings import Level, Settings


def _selector(value: str) -> str:
    Selector.parse(value)
    return value


def _pipeline(value: str) -> str:
    if problem := pipeline_problem(value):
        raise ValueError(problem)
    return value


def _event_fields(value: str | tuple[str, ...]) -> str | tuple[str, ...]:
    if not value or not all(name.strip() for name in ((value,) if isinstance(value, str) else value)):
        raise ValueError("name a field of your events, or a list of such names")
    return value


SelectorText = Annotated[str, AfterValidator(_selector)]
PipelineName = Annotated[str, AfterValidator(_pipeline)]
EventFields = Annotated[str | tuple[str, ...], AfterValidator(_event_fields)]


class RulesSettings(Settings):
    """Which rules to run."""

    paths: tuple[Path, ...] = Field(min_length=1)
    """Rule files and directories."""

    pipelines: tuple[PipelineName, ...] = ("linux_eval",)
    """Pipelines by name, or YAML files."""

    filters: tuple[Path, ...] = ()
    """Files and directories of Sigma filters that stand apart from the rules; among the rules they work as well."""

    field_mappings: dict[Annotated[str, Field(min_length=1)], EventFields] = Field(default={})
    """Field as rules name it: the name that your events have for it, or a list of names of which an event has one."""

    placeholders: dict[str, tuple[str | StrictInt, ...] | str | StrictInt] = Field(default={})
    """Values for ``%name%`` in rules that use ``expand``."""

    restrictiveness: str | None = None
    """Keep only these rules: permissive, balanced, restrictive or ultra."""

    include: tuple[SelectorText, ...] = ()
    """Rules that run although ``restrictiveness`` leaves them out, by selectors."""

    exclude: tuple[SelectorText, ...] = ()
    """Rules that do not run, by selectors; the last word. A file that a path selects is not even read."""

    levels: dict[SelectorText, Level] = Field(default={})
    """Selector: the level that its rules have from now on, for ``restrictiveness``, sinks and alerts."""

    @field_validator("restrictiveness")
    @classmethod
    def _known(cls, value: str | None) -> str | None:
        names = [member.name.lower() for member in Restrictiveness]
        if value is not None and value.lower() not in names:
            raise ValueError(f"unknown; {nearest(value.lower(), names)}")
        return value

    @property
    def selection(self) -> Selection:
        """Which rules run."""
        return Selection.parse(self.restrictiveness, self.include, self.exclude, self.levels)

    def load(self, on_error: OnError = "collect", progress: Progress | None = None) -> Ruleset:
        """Return the rules; what could not be loaded is in ``errors``, what was left out in ``left_out``.

        Raises:
            RuleLoadError: The first problem, with ``on_error="raise"``.
            sigma.exceptions.SigmaError: A pipeline cannot be used.
        """
        return load_rules(
            *self.paths,
            *self.filters,
            pipeline=[FieldMappings.of(self.field_mappings), *self.pipelines],
            placeholders=self.placeholders or None,
            selection=self.selection,
            on_error=on_error,
            progress=progress,
        )

    def files(self) -> list[Path]:
        """Return the files and directories that decide what the rules are."""
        pipelines = [Path(name) for name in self.pipelines if Path(name).suffix in PIPELINE_SUFFIXES]
        return [*self.paths, *self.filters, *pipelines]
