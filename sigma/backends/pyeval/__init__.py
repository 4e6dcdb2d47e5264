"""pySigma backend ``pyeval``: Sigma rules become Python expressions."""

from .backend import PyEvalBackend

__all__ = ["PyEvalBackend"]
