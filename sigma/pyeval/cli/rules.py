"""``sigma-pyeval rules``: what rules there are and which of them run; and rules updated from a release."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import click
from rich.table import Table
from rich.text import Text

from sigma.pyeval.errors import RuleError, finding_of
from sigma.pyeval.output import counted, json_line, printable
from sigma.pyeval.reports.console import output_console
from sigma.pyeval.restrictiveness import LEVELS
from sigma.pyeval.rules import Rule
from sigma.pyeval.ruleset import Ruleset
from sigma.pyeval.selection import NOT_STATED, STATUSES

from .messages import fail
from .rule_options import EXIT_NOTHING_LOADED, RuleOptions, left_out, rule_options
from .rules_update import rollback, update

UNUSABLE_SHOWN = 5
"""Rules named, in the table, for each reason why rules cannot be used."""


@click.group("rules", invoke_without_command=True, no_args_is_help=True)
@click.option(
    "-r", "--rules", "paths", multiple=True, type=click.Path(path_type=Path), help="Rule file or directory; repeatable."
)
@click.option(
    "-c", "--config", "configuration", type=click.Path(dir_okay=False, path_type=Path),
    help="Take rules, and what is said about them, from this configuration of the monitor.",
)  # fmt: skip
@click.option("--only-level", multiple=True, type=click.Choice([*LEVELS, NOT_STATED]), help="Show rules of this level.")
@click.option(
    "--only-status", multiple=True, type=click.Choice([*STATUSES, NOT_STATED]), help="Show rules of this status."
)
@click.option("--only-tag", multiple=True, metavar="TAG", help="Show rules with such a tag, as attack.t1059*.")
@click.option(
    "--only-logsource", multiple=True, metavar="NAME", help="Show rules whose category, product or service it is."
)
@click.option(
    "--search", metavar="TEXT", help="Show rules whose title, id, path, description or author holds this text."
)
@click.option("--format", "format_", type=click.Choice(["table", "json"]), default="table", show_default=True)
@rule_options
@click.pass_context
def command(
    context: click.Context,
    paths: tuple[Path, ...],
    configuration: Path | None,
    only_level: tuple[str, ...],
    only_status: tuple[str, ...],
    only_tag: tuple[str, ...],
    only_logsource: tuple[str, ...],
    search: str | None,
    format_: str,
    options: RuleOptions,
) -> None:
    """Show the rules that run, what cannot be used and why, and how many were left out.

    Exit codes: 0 done; 2 wrong usage, or no rule could be loaded; 3 stopped by --strict.
    """
    if context.invoked_subcommand is not None:
        return
    if (configuration is None) == (not paths):
        fail("name rules by -r, or a configuration by -c", EXIT_NOTHING_LOADED)
    ruleset = options.load(paths, demanded=False) if configuration is None else _configured(configuration, options)
    wanted = _Wanted(only_level, only_status, only_tag, only_logsource, search)
    shown = [rule for rule in ruleset.all_rules if wanted.shows(rule)]
    if format_ == "json":
        sys.stdout.buffer.write(json_line(_as_dict(ruleset, shown)) + b"\n")
    else:
        _write_tables(ruleset, shown)
    sys.stdout.flush()
    click.echo(f"{counted(len(ruleset.all_rules), 'rule')}, {len(shown)} shown, {left_out(ruleset)}", err=True)
    if not ruleset.rules:
        fail("no rule could be loaded", EXIT_NOTHING_LOADED)


command.add_command(update)
command.add_command(rollback)


def _configured(path: Path, options: RuleOptions) -> Ruleset:
    """Load the rules of a configuration; ends the program where that cannot be."""
    try:
        from sigma.pyeval.monitor.configuration import ConfigurationError, load_configuration
    except ModuleNotFoundError as error:
        fail(f"-c needs {error.name}: pip install 'pySigma-backend-pyeval[monitor]'", EXIT_NOTHING_LOADED)
    if options != RuleOptions(cache=options.cache, strict=options.strict):
        fail("with -c the configuration says which rules run and how; leave the other options out", EXIT_NOTHING_LOADED)
    try:
        settings = load_configuration(path).rules
    except ConfigurationError as error:
        for line in str(error).splitlines()[:-1]:
            click.echo(f"error: {printable(line)}", err=True)
        fail(str(error).splitlines()[-1], EXIT_NOTHING_LOADED)
    return options.load_with(settings.load)


class _Wanted:
    """Which of the rules are shown: those that fit one of each kind of filter that is given."""

    def __init__(
        self,
        levels: tuple[str, ...],
        statuses: tuple[str, ...],
        tags: tuple[str, ...],
        logsources: tuple[str, ...],
        text: str | None,
    ) -> None:
        self._levels = levels
        self._statuses = statuses
        self._tags = [tag.lower() for tag in tags]
        self._logsources = {name.lower() for name in logsources}
        self._text = text.lower() if text else ""

    def shows(self, rule: Rule) -> bool:
        return (
            (not self._levels or (rule.level or NOT_STATED) in self._levels)
            and (not self._statuses or (rule.status or NOT_STATED) in self._statuses)
            and (not self._tags or any(fnmatchcase(tag.lower(), one) for tag in rule.tags for one in self._tags))
            and (not self._logsources or any(n.lower() in self._logsources for n in rule.logsource.as_dict().values()))
            and self._text in "\n".join(filter(None, _searched(rule))).lower()
        )


def _searched(rule: Rule) -> tuple[str | None, ...]:
    return (rule.title, rule.id, rule.path, rule.description, rule.author)


def _logsource(rule: Rule) -> str:
    return "/".join(rule.logsource.as_dict().values()) or "any"


def _counts(rules: Iterable[Rule]) -> dict[str, dict[str, int]]:
    """Return how many rules there are of each level, status and log source; levels from the highest, the rest by number."""
    listed = list(rules)
    levels = Counter(rule.level or NOT_STATED for rule in listed)
    order = [name for name in (*reversed(LEVELS), NOT_STATED) if name in levels]
    return {
        "level": {name: levels[name] for name in order},
        "status": dict(Counter(rule.status or NOT_STATED for rule in listed).most_common()),
        "logsource": dict(Counter(map(_logsource, listed)).most_common()),
    }


def _by_reason(errors: Iterable[RuleError]) -> dict[str, list[RuleError]]:
    """Return the errors by what is wrong, the reason of most rules first."""
    found: dict[str, list[RuleError]] = {}
    for error in errors:  # what would be supported instead is long, and the same for all
        found.setdefault(finding_of(error.reason), []).append(error)
    return dict(sorted(found.items(), key=lambda item: -len(item[1])))


def _as_dict(ruleset: Ruleset, shown: Iterable[Rule]) -> dict[str, Any]:
    listed = list(shown)
    return {
        "rules": [
            {
                "id": rule.id, "title": rule.title, "level": rule.level, "status": rule.status, "tags": rule.tags,
                "logsource": rule.logsource.as_dict(), "path": rule.path, "source_hash": rule.source_hash,
            }
            for rule in listed
        ],
        "counts": _counts(listed),
        "left_out": ruleset.left_out,
        "notes": [{"section": section, "text": text} for section, text in ruleset.notes],
        "unusable": [
            {"reason": reason, "rules": [{"id": e.id, "title": e.title, "path": e.path, "remedy": e.remedy} for e in errors]}
            for reason, errors in _by_reason(ruleset.errors).items()
        ],
    }  # fmt: skip


def _write_tables(ruleset: Ruleset, shown: list[Rule]) -> None:
    console = output_console(highlight=True)
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("level", "status"):
        table.add_column(column, no_wrap=True)
    table.add_column("rule, id, log source, path", overflow="fold")
    for rule in shown:
        about = Text(f"{printable(rule.title)}\n")
        for line in (rule.id or "no id", _logsource(rule), rule.path or "-"):
            about.append(f"{printable(line)}\n", style="dim")
        about.rstrip()
        table.add_row(_text(rule.level or "-"), _text(rule.status or "-"), about)
    if shown:
        console.print(table)
        console.print()
    for name, counts in _counts(shown).items():
        listed = ", ".join(f"{count} {value}" for value, count in list(counts.items())[:20])
        more = f", and {len(counts) - 20} more" if len(counts) > 20 else ""
        if listed:
            console.print(_text(f"by {'log source' if name == 'logsource' else name}: {listed}{more}"))
    for reason, errors in _by_reason(ruleset.errors).items():
        console.print(_text(f"unusable, {counted(len(errors), 'rule')}: {reason}"), style="yellow")
        for error in errors[:UNUSABLE_SHOWN]:
            console.print(_text(f"  {error.title or '-'} ({error.path or 'rule text'})"))
        if len(errors) > UNUSABLE_SHOWN:
            console.print(f"  and {len(errors) - UNUSABLE_SHOWN} more; --format json names them")


def _text(text: str) -> Text:
    return Text(printable(text))
