"""Rules made of what a test is about: a log source and a detection."""

from collections.abc import Callable
from typing import Any

import pytest
from sigma.rule import SigmaRule

MakeRule = Callable[..., SigmaRule]


@pytest.fixture(scope="session")
def make_rule() -> MakeRule:
    """``make_rule({"product": "linux"}, {"Image": "/bin/sh"})`` is a rule with this one detection."""

    def make(logsource: dict[str, str], detection: Any, **more: Any) -> SigmaRule:
        return SigmaRule.from_dict(
            {
                "title": "Test rule",
                "logsource": logsource,
                "detection": {"sel": detection, "condition": "sel"},
                **more,
            }
        )

    return make
