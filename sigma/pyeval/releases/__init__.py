"""Releases of rules: archives read safely, fetched within bounds, and put in the place of what was installed before."""
