"""Which alerts a page asks for."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Final, Literal

from pydantic import Field

from sigma.pyeval.marks import event_leaves
from sigma.pyeval.matchers.values import text_of

from ..batches import Json
from ..settings import Settings
from ..sinks.alert_text import part
from .archive import Entry

LONGEST_WORDS: Final = 500
_WORD = re.compile(r'"([^"]+)"|(\S+)')

Text = Annotated[str, Field(max_length=300)]


class Filter(Settings):
    """What an alert has to be; what is empty admits every alert. Texts are compared without regard to case."""

    level: Annotated[str, Field(pattern=r"^(|none|(informational|low|medium|high|critical)\+?)$")] = ""
    """A level, or with ``+`` that level and those above; ``none`` for rules without."""

    rule: Text = ""
    """A rule's id, or its title where it has none."""

    host: Text = ""
    """A part of the host's name."""

    source: Text = ""
    """A source's name."""

    tactic: Text = ""
    """A tactic of ATT&CK, ``initial-access``."""

    technique: Text = ""
    """A technique of ATT&CK with its sub-techniques (``T1059``), or a sub-technique (``T1059.004``)."""

    acknowledged: Literal["", "yes", "no"] = ""
    """Whether somebody acknowledged it."""

    words: Annotated[str, Field(max_length=LONGEST_WORDS)] = ""
    """Words that all occur in the alert's rule, host or event (``field=value`` a line); in quotes, several words in a row."""

    def admits(self, entry: Entry) -> bool:
        """Return whether all but the words hold of *entry*."""
        return (
            self._admits_level(entry.level)
            and (not self.rule or entry.rule.lower() == self.rule.lower())
            and self.host.lower() in entry.host.lower()
            and (not self.source or entry.source == self.source)
            and (not self.tactic or self.tactic.lower() in entry.tactics)
            and (not self.technique or self._admits_technique(entry.techniques))
            and (not self.acknowledged or (self.acknowledged == "yes") == (entry.acknowledged is not None))
        )

    def wanted(self) -> tuple[str, ...]:
        """Return the words, in lower case."""
        return tuple((found[1] or found[2]).lower() for found in _WORD.finditer(self.words))

    def _admits_level(self, level: str) -> bool:
        if not self.level.endswith("+"):
            return self.level in {"", level}
        return level in LEVELS and LEVELS.index(level) >= LEVELS.index(self.level[:-1])

    def _admits_technique(self, techniques: tuple[str, ...]) -> bool:
        wanted = self.technique.upper()
        return any(name == wanted or name.startswith(f"{wanted}.") for name in techniques)


LEVELS: Final = ("informational", "low", "medium", "high", "critical")


def has_words(alert: Mapping[str, Json], words: tuple[str, ...]) -> bool:
    """Return whether each of *words*, in lower case, occurs in what the alert says of its rule, host or event."""
    rule = part(alert, "rule")
    lines = [str(rule.get(name) or "") for name in ("title", "id", "description", "author", "level")]
    lines += [str(tag) for tag in rule.get("tags") or ()]
    lines += [str(alert.get("host") or ""), str(part(alert, "source").get("name") or "")]
    for path, value in event_leaves(part(alert, "event")):
        lines.append(f"{'.'.join(map(str, path))}={text_of(value)}")
    text = "\n".join(lines).lower()
    return all(word in text for word in words)
