"""Placeholder."""

pipelines: dict = {}
