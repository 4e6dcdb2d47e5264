"""The options that say which rules to run, shared by every command that loads rules."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from sigma.pyeval.errors import RuleLoadError
from sigma.pyeval.restrictiveness import Restrictiveness
from sigma.pyeval.ruleset import Ruleset

from .messages import fail, warn

_F = TypeVar("_F", bound=Callable[..., Any])
EXIT_NOTHING_LOADED = 2
EXIT_STRICT = 3


def rule_options(function: _F) -> _F:
    """Add ``--pipeline``, ``--placeholder``, ``--restrictiveness`` and ``--strict`` to a command."""
    options = (
        click.option("-p", "--pipeline", "pipelines", multiple=True, help="Pipeline name or YAML file; repeatable."),
        click.option(
            "--placeholder", "placeholders", multiple=True, metavar="NAME=VALUE",
            help="A value for %NAME% in rules that use |expand; repeat it for a list.",
        ),
        click.option(
            "--restrictiveness", type=click.Choice([member.name.lower() for member in Restrictiveness]),
            help="Keep only these rules: by level, status and threat-hunting tag.",
        ),
        click.option("--cache/--no-cache", default=True, help="Whether to keep loaded rules on disk for the next time."),
        click.option("--strict", is_flag=True, help="Stop at the first rule, file or line that cannot be read."),
    )  # fmt: skip
    for option in reversed(options):
        function = option(function)
    return function


def load_ruleset(
    paths: tuple[Path, ...],
    pipelines: tuple[str, ...],
    placeholders: tuple[str, ...],
    restrictiveness: str | None,
    strict: bool,
    *,
    cache: bool = True,
    quiet: bool = False,
) -> Ruleset:
    """Load rules as the options ask, naming on stderr each that cannot be unless *quiet*; ends the program where none is left."""
    from sigma.exceptions import SigmaError

    from sigma.pyeval.loading import load_rules

    try:
        ruleset = load_rules(
            *paths,
            pipeline=list(pipelines),
            placeholders=placeholder_values(placeholders),
            restrictiveness=restrictiveness,
            on_error="raise" if strict else "collect",
            cache=cache,
        )
    except RuleLoadError as error:
        fail(str(error), EXIT_STRICT)
    except SigmaError as error:
        fail(f"pipeline: {error}", EXIT_NOTHING_LOADED)
    for problem in () if quiet else ruleset.errors:
        warn(str(problem))
    if not ruleset.rules:
        fail("no rule could be loaded", EXIT_NOTHING_LOADED)
    return ruleset


def placeholder_values(pairs: tuple[str, ...]) -> dict[str, list[str | int]] | None:
    """Return the ``--placeholder`` pairs as values by name."""
    values: dict[str, list[str | int]] = {}
    for pair in pairs:
        name, separator, value = pair.partition("=")
        if not separator or not name:
            fail(f"--placeholder {pair!r}: write it as NAME=VALUE", EXIT_NOTHING_LOADED)
        values.setdefault(name, []).append(value)
    return values or None
