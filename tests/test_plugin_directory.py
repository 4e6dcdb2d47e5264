"""The entry for pySigma's plugin directory."""

from __future__ import annotations

import json

from sigma.plugins import SigmaPluginDirectory

from .conftest import ROOT


def test_the_entry_is_read_by_pysigma() -> None:
    """pySigma's own parser accepts it, and it describes this package."""
    entry = json.loads((ROOT / "docs" / "pySigma-plugin.json").read_text())
    [plugin] = SigmaPluginDirectory.from_dict({"note": "", **entry}).plugins.values()
    assert (plugin.id, plugin.package) == ("pyeval", "pySigma-backend-pyeval")
    assert len(plugin.description) <= 120
