"""Correlation rules: windows over event time, groups, and what they raise; their meaning stands in docs/correlations.md.

Of this package's own: the standard library, the matchers' reading of values, and the times of events.
"""
