"""The engine: how a set of rules is matched fast. ``docs/architecture.md`` draws it; ``Ruleset.scan`` is what it must equal.

Imports go one way: matcher -> memos, keywords -> fields -> plan -> textcode, witnesses -> predicates -> matchers.
"""
