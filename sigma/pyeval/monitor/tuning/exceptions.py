"""Exceptions: matches that people declared harmless, each with an owner and a reason."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import NamedTuple

from sigma.pyeval.events import holds
from sigma.pyeval.expression import Predicate, compile_expression
from sigma.pyeval.loading import parse_rules
from sigma.pyeval.output import counted
from sigma.pyeval.pipelines import Placeholders
from sigma.pyeval.rules import Match, Rule

from ..journal import LOGGER
from ..sinks.selection import fits
from .settings import EVERY_RULE, ExceptionSettings


class Compiled(NamedTuple):
    """An exception, and what its ``match`` has become."""

    settings: ExceptionSettings
    holds_of: Predicate


def compile_exception(settings: ExceptionSettings, placeholders: Placeholders) -> Compiled:
    """Return an exception whose ``match`` is a predicate on events.

    It is read as the detection of a rule and means the same, but no pipeline is applied: its fields are those of the events,
    as alerts show them.

    Raises:
        ValueError: ``match`` is no detection that can be converted.
    """
    import yaml

    document = {
        "title": f"exception {settings.name}",
        "logsource": {"category": "any"},
        "detection": {"match": settings.match, "condition": "match"},
    }
    ruleset = parse_rules(yaml.safe_dump(document), placeholders=placeholders or None, on_error="collect")
    if ruleset.errors:
        error = ruleset.errors[0]
        raise ValueError(f"{error.reason}; {error.remedy}" if error.remedy else error.reason)
    return Compiled(settings, compile_expression(ruleset.rules[0].expression, f"exception {settings.name}"))


class Exceptions:
    """The exceptions of a configuration, by the rules that they are for.

    Args:
        exceptions: All of them, in order; the first that holds is the one that is counted.
        rules: The rules that run.
    """

    def __init__(self, exceptions: Sequence[Compiled] = (), rules: Iterable[Rule] = ()) -> None:
        self._by_rule: Mapping[Rule, Sequence[Compiled]] = {
            rule: mine
            for rule in (rules if exceptions else ())
            if (mine := [one for one in exceptions if is_for(one.settings, rule)])
        }
        self._told: set[str] = set()

    def __bool__(self) -> bool:
        return bool(self._by_rule)

    def excepting(self, match: Match, today: date) -> str | None:
        """Return the name of the exception that holds of *match* on a day (UTC), or ``None``."""
        for settings, holds_of in self._by_rule.get(match.rule, ()):
            if settings.expires is not None and today > settings.expires:
                if settings.name not in self._told:  # it expired while the service ran
                    self._told.add(settings.name)
                    LOGGER.warning("exception %s holds no longer: it expired on %s", settings.name, settings.expires)
            elif holds(holds_of, match.event):
                return settings.name
        return None


def is_for(settings: ExceptionSettings, rule: Rule) -> bool:
    """Return whether an exception is for *rule*: what it says of ids, tags and titles has to agree."""
    if settings.rules == (EVERY_RULE,):
        return True
    return (
        (not settings.rules or (rule.id or "").lower() in {one.lower() for one in settings.rules})
        and (not settings.tags or fits(rule.tags, settings.tags))
        and (not settings.titles or fits([rule.title], settings.titles))
    )


def findings(settings: ExceptionSettings, rules: Sequence[Rule], today: date) -> list[str]:
    """Return, for people, why an exception may not do what was meant: it expired, or no rule is as it says."""
    found = []
    if settings.expires is not None and today > settings.expires:
        found.append(f"expired on {settings.expires} and holds no longer; take it out, or give a later date")
    ids = {rule.id.lower() for rule in rules if rule.id}
    missing = [one for one in settings.rules if one != EVERY_RULE and one.lower() not in ids]
    if missing:
        found.append(f"no loaded rule has the {counted(len(missing), 'id')} {', '.join(missing)}")
    elif not any(is_for(settings, rule) for rule in rules):
        found.append("rules, tags and titles select none of the loaded rules")
    return found
