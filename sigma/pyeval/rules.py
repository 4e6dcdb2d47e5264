"""What a rule is once it has become Python: immutable data, no behaviour beyond its own meaning."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

SYSTEM_LOGS = frozenset({"syslog", "messages", "journald", "auth", "authpriv", "secure"})
"""Services that are a log of many programs: sshd's and sudo's lines are lines of ``auth.log`` and the journal."""

NOT_TOLD_APART = frozenset({
    "kernel", "kern", "systemd", "su", "login", "polkit", "postfix", "dovecot", "named", "bind", "mysql", "mariadb",
    "postgresql", "postgres", "samba", "docker", "proftpd",
    "ssh", "openssh", "crond", "clamd", "guacd", "apache2", "httpd",
})  # fmt: skip
"""Services whose lines parsers give to another service: to ``syslog`` or ``auth``, or to it under its usual name."""

_LEFT_TO_SCOPE = SYSTEM_LOGS | NOT_TOLD_APART
_NO_LINES = frozenset({"auditd", "sysmon"})


@dataclass(frozen=True, slots=True)
class LogSource:
    """Which log a rule is for or an event came from (Sigma specification 2.1, section "Log source").

    Each part is a lower-case name or ``None`` where it is not known.
    """

    category: str | None = None
    product: str | None = None
    service: str | None = None

    def conflicts(self, other: LogSource) -> bool:
        """Return whether events of *other* cannot be what a rule for this log source is about.

        They cannot where a part known on both sides differs; an unknown part never excludes anything. A rule
        for one of ``SYSTEM_LOGS`` or ``NOT_TOLD_APART`` may be about the line of any program; which lines it
        means is for the pipeline's scope to say. Audit records and Sysmon's events are no such lines.
        """
        return (
            _differ(self.category, other.category)
            or _differ(self.product, other.product)
            or (_differ(self.service, other.service) and not self._may_hold(other))
        )

    def _may_hold(self, other: LogSource) -> bool:
        return (
            self.service is not None
            and self.service.lower() in _LEFT_TO_SCOPE
            and other.service is not None
            and other.service.lower() not in _NO_LINES
        )

    def as_dict(self) -> dict[str, str]:
        """Return the known parts, in the order category, product, service."""
        parts = (("category", self.category), ("product", self.product), ("service", self.service))
        return {name: value for name, value in parts if value is not None}


def _differ(a: str | None, b: str | None) -> bool:
    return a is not None and b is not None and a.lower() != b.lower()


@dataclass(frozen=True, slots=True)
class Rule:
    """A Sigma rule whose detection is a verified Python expression.

    Attributes:
        id: The rule's UUID as text, or ``None`` where the rule has none.
        title: The rule's title.
        level: informational, low, medium, high or critical; ``None`` where the rule has none.
        status: stable, test, experimental, deprecated or unsupported; ``None`` where the rule has none.
        tags: ``namespace.name`` each, as written.
        logsource: The log source that the rule declares.
        scope: The pipeline's expression for which events the rule is meant at all, or ``None``.
        expression: The whole condition under which the rule matches, the scope included.
        path: The file that the rule was read from, or ``None``.
        author: The author's line, carried because rule licences ask for attribution.
        license: The rule's licence field.
        description: What the rule finds.
        references: Links given by the author.
        falsepositives: Known harmless causes.
        fields: Fields that the author wants shown with a match.
        source_hash: SHA-256 of the rule as read, hexadecimal.
        name: The name by which correlation rules may refer to the rule, or ``None``.
        generate: Whether its matches are matches of their own. Not where the rule serves only correlations (their
            ``generate: false``, the default; specification 2.1, "Generate").
    """

    id: str | None
    title: str
    expression: str
    level: str | None = None
    status: str | None = None
    tags: tuple[str, ...] = ()
    logsource: LogSource = field(default_factory=LogSource)
    scope: str | None = None
    path: str | None = None
    author: str | None = None
    license: str | None = None
    description: str | None = None
    references: tuple[str, ...] = ()
    falsepositives: tuple[str, ...] = ()
    fields: tuple[str, ...] = ()
    source_hash: str = ""
    name: str | None = None
    generate: bool = True

    @property
    def key(self) -> str | None:
        """What correlations refer to it by: its id, or its name where it has none."""
        return self.id or self.name


@dataclass(frozen=True, slots=True)
class CorrelationRule(Rule):
    """A Sigma correlation rule. Its ``expression`` is its one call, see ``sigma.pyeval.correlation.source``."""

    @property
    def key(self) -> str:
        """What other correlations refer to it by; without id and name nothing does, and title and hash tell it from others."""
        return self.id or self.name or f"{self.title} {self.source_hash[:16]}"


def correlation_keys(rules: Iterable[CorrelationRule]) -> list[str]:
    """Return a key for each correlation rule; those of one key are numbered from the second on."""
    seen: Counter[str] = Counter()
    keys: list[str] = []
    for rule in rules:
        seen[rule.key] += 1
        keys.append(rule.key if seen[rule.key] == 1 else f"{rule.key} #{seen[rule.key]}")
    return keys


@dataclass(frozen=True, slots=True)
class Match:
    """One rule that matched one event."""

    rule: Rule
    event: Mapping[str, Any]
