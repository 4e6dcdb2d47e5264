"""The options that say which rules to run, shared by every command that loads rules."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from sigma.pyeval.errors import RuleLoadError, errors_in_brief
from sigma.pyeval.output import counted
from sigma.pyeval.pipelines import FieldMappings, pipeline_problem
from sigma.pyeval.restrictiveness import Restrictiveness
from sigma.pyeval.ruleset import Ruleset
from sigma.pyeval.selection import Selection, describe_left_out

from .bar import Bar
from .messages import fail, warn

if TYPE_CHECKING:
    from sigma.pyeval.loading import OnError, Progress

_F = TypeVar("_F", bound=Callable[..., Any])
EXIT_NOTHING_LOADED = 2
EXIT_STRICT = 3


@dataclass(frozen=True)
class RuleOptions:
    """What the options of ``rule_options`` said."""

    pipelines: tuple[str, ...] = ()
    placeholders: tuple[str, ...] = ()
    field_mappings: tuple[str, ...] = ()
    restrictiveness: str | None = None
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    levels: tuple[str, ...] = ()
    cache: bool = True
    strict: bool = False

    def load(self, paths: tuple[Path, ...], *, demanded: bool = True) -> Ruleset:
        """Load rules as the options ask, telling on stderr what is odd; ends the program where that cannot be.

        With *demanded*, each rule that is unusable is named as well, and to be left with none ends the program.
        """
        from sigma.pyeval.loading import load_rules

        selection, meaning = self._selection(), self.meaning()

        def load(on_error: OnError, progress: Progress) -> Ruleset:
            return load_rules(
                *paths,
                **meaning,
                selection=selection,
                on_error=on_error,
                cache=self.cache,
                progress=progress,
            )

        ruleset = self.load_with(load, _OPTIONS)
        for problem in errors_in_brief(ruleset.errors) if demanded else ():
            warn(str(problem))
        if not ruleset.rules and demanded:
            chosen = f"; {left_out(ruleset)}" if ruleset.left_out else ""
            fail(f"no rule could be loaded{chosen}", EXIT_NOTHING_LOADED)
        return ruleset

    def tell_without_pipeline(self) -> None:
        """Warn where no pipeline was given: most logs have other names for the fields than rules."""
        if not self.pipelines:
            warn("no --pipeline was given: the rules' fields keep Sigma's names; for Linux logs there is -p linux_eval")

    def meaning(self) -> dict[str, Any]:
        """Return what decides how rules are read, as arguments of ``load_rules`` and ``parse_rules``."""
        return {
            "pipeline": [FieldMappings.of(_field_names(self.field_mappings)), *self.pipelines],
            "placeholders": _placeholder_values(self.placeholders),
        }

    def load_with(
        self, load: Callable[[OnError, Progress], Ruleset], sections: Mapping[str, str] | None = None
    ) -> Ruleset:
        """Return what *load* loads, with a progress bar; *sections*: what parts of the choice are called here."""
        from sigma.exceptions import SigmaError

        try:
            with Bar("loading rules") as bar:
                ruleset = load("raise" if self.strict else "collect", bar.show)
        except RuleLoadError as error:
            fail(str(error), EXIT_STRICT)
        except SigmaError as error:
            fail(f"pipeline: {why_no_pipeline(self.pipelines, error)}", EXIT_NOTHING_LOADED)
        for section, text in ruleset.notes:
            warn(f"{(sections or {}).get(section, section)}: {text}")
        return ruleset

    def _selection(self) -> Selection:
        levels = dict(_pair(text, "--level", "SELECTOR=LEVEL", last=True) for text in self.levels)
        try:
            return Selection.parse(self.restrictiveness, self.include, self.exclude, levels)
        except ValueError as error:
            fail(str(error), EXIT_NOTHING_LOADED)


_OPTIONS = {
    "include": "--include", "exclude": "--exclude", "levels": "--level", "field_mappings": "--field-mapping", "paths": "rules",
}  # fmt: skip
_CHOICE = (
    click.option(
        "--restrictiveness", type=click.Choice([member.name.lower() for member in Restrictiveness]),
        help="Keep only these rules: by level, status and threat-hunting tag.",
    ),
    click.option(
        "--include", multiple=True, metavar="SELECTOR",
        help="Keep these rules whatever --restrictiveness says: an id, a tag (attack.t1059*), a path, level:high, status:test.",
    ),
    click.option("--exclude", multiple=True, metavar="SELECTOR", help="Leave these rules out; the last word."),
    click.option("--level", "levels", multiple=True, metavar="SELECTOR=LEVEL", help="Give these rules another level."),
)  # fmt: skip
_MEANING = (
    click.option(
        "-p", "--pipeline", "pipelines", multiple=True,
        help="Pipeline: linux_eval, linux_eval_ecs, linux_eval_sysmon, an installed one's name, or a YAML file; repeatable.",
    ),
    click.option(
        "--field-mapping", "field_mappings", multiple=True, metavar="FIELD=NAME",
        help="The events' name for a field of rules; repeat it for several names of which an event has one.",
    ),
    click.option(
        "--placeholder", "placeholders", multiple=True, metavar="NAME=VALUE",
        help="A value for %NAME% in rules that use |expand; repeat it for a list.",
    ),
)  # fmt: skip
_LOADING = (
    click.option("--cache/--no-cache", default=True, help="Whether to keep loaded rules on disk for the next time."),
    click.option("--strict", is_flag=True, help="Stop at the first rule, file or line that cannot be read."),
)


def rule_options(function: _F) -> _F:
    """Add the options that say how rules are loaded to a command, which gets them as one argument ``options``."""

    @functools.wraps(function)
    def command(*arguments: Any, **values: Any) -> Any:
        own = {name: values.pop(name) for name in RuleOptions.__dataclass_fields__}
        return function(*arguments, options=RuleOptions(**own), **values)

    wrapped: Any = command
    for option in reversed((*_MEANING, *_CHOICE, *_LOADING)):
        wrapped = option(wrapped)
    return wrapped  # type: ignore[no-any-return]


def why_no_pipeline(names: tuple[str, ...], error: Exception) -> str:
    """Return which of the pipelines there is not and what to do, or else what *error*, from making them, says."""
    problems = ((name, pipeline_problem(name)) for name in names)
    return next((f"{name!r}: {problem}" for name, problem in problems if problem), str(error))


def left_out(ruleset: Ruleset, *, noun: str = "rule") -> str:
    """Return, for the last line of a command, how many rules do not run, and why; *noun* may be empty."""
    counts = {"unusable": len(ruleset.errors), **ruleset.left_out}
    reasons = describe_left_out(counts)
    number = sum(counts.values())
    return f"{counted(number, noun) if noun else number} left out" + (f" ({reasons})" if reasons else "")


def _pair(text: str, option: str, form: str, *, last: bool = False) -> tuple[str, str]:
    name, separator, value = text.rpartition("=") if last else text.partition("=")
    if not separator or not name:
        fail(f"{option} {text!r}: write it as {form}", EXIT_NOTHING_LOADED)
    return name, value


def _placeholder_values(pairs: tuple[str, ...]) -> dict[str, list[str | int]] | None:
    values: dict[str, list[str | int]] = {}
    for pair in pairs:
        name, value = _pair(pair, "--placeholder", "NAME=VALUE")
        values.setdefault(name, []).append(value)
    return values or None


def _field_names(pairs: tuple[str, ...]) -> dict[str, list[str]]:
    names: dict[str, list[str]] = {}
    for pair in pairs:
        field, name = _pair(pair, "--field-mapping", "FIELD=NAME")
        if not name.strip():
            fail(f"--field-mapping {pair!r}: write it as FIELD=NAME", EXIT_NOTHING_LOADED)
        names.setdefault(field, []).append(name)
    return names
