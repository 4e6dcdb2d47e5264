"""The engine: how a set of rules is matched fast. ``docs/architecture.md`` draws it; ``Ruleset.scan`` is what it must equal.

Imports go one way: matcher -> shapes, keywords -> memos -> fields -> plan -> textcode, witnesses -> predicates -> matchers.
"""
