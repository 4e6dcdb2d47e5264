"""The version of the distribution, which also stands in generated modules."""

__version__ = "0.1.0"
