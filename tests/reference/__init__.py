"""A second, obvious evaluator of Sigma rules: reads a rule's YAML and walks it for each event.

It shares no code with the product and does not use pySigma either: the rule's written values and modifiers are interpreted
by the Sigma specification 2.1 (sections "Values", "Modifiers", "Condition") and, where that is silent, by the project's
documented choices. Slow and plain on purpose: every verdict can be followed by eye.
"""

from .rules import Reference, Refused

__all__ = ["Reference", "Refused"]
