"""Alerts in a store, and the page's routes over it, on a real server."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx

from sigma.pyeval.monitor.metrics import Metrics
from sigma.pyeval.monitor.page.health import PartsHealth
from sigma.pyeval.monitor.page.routes import Page
from sigma.pyeval.monitor.server import ServerSettings
from sigma.pyeval.monitor.store import Outgoing, Store
from sigma.pyeval.monitor.trends import Trends
from sigma.pyeval.ruleset import Ruleset

from ..serving import serving


def make_alert(number: int, **parts: Any) -> dict[str, Any]:
    """Return an alert; *parts* replace members of it, or of its rule (``level``, ``title``, ``rule_id``)."""
    rule = {
        "id": parts.pop("rule_id", "5d3f7a51-6d0c-4d5e-9b1a-0f3c2a7b9e10"),
        "title": parts.pop("title", "Marked line"),
        "level": parts.pop("level", "high"),
        "tags": ["attack.execution", "attack.t1059.004"],
        "logsource": {"product": "linux"},
    }
    return {
        "schema_version": 1,
        "id": f"{number:032x}",
        "rule": rule,
        "attack": {"tactics": ["execution"], "techniques": ["T1059.004"], "groups": [], "software": []},
        "event": {"MESSAGE": f"evil-marker number={number}."},
        "event_time": "2026-11-22T03:00:00.000000Z",
        "detected": datetime(2026, 11, 22, 3, 0, tzinfo=UTC).isoformat().replace("+00:00", ".000000Z"),
        "host": "web",
        "logsource": {"product": "linux"},
        "source": {"name": "stdin", "type": "stdin"},
        "matched": [],
        **parts,
    }


async def keep(store: Store, *alerts: dict[str, Any]) -> None:
    """Put alerts into the store's history, wanted by no sink."""
    await store.settle("stdin", [Outgoing(alert, []) for alert in alerts], None)


class Kept(SimpleNamespace):
    """A store, the page over it, and a client: ``store``, ``page``, ``address``, ``client``."""

    async def alerts(self, **query: Any) -> dict[str, Any]:
        """Return the reply to a query."""
        reply = await self.client.get("/api/alerts", params=query)
        assert reply.status_code == 200, reply.text
        return dict(reply.json())

    async def numbers(self, **query: Any) -> list[int]:
        """Return the numbers within the ids that a query finds."""
        return [int(one["id"], 16) for one in (await self.alerts(**query))["alerts"]]


@asynccontextmanager
async def paged(path: Path, *alerts: dict[str, Any], **settings: Any) -> AsyncIterator[Kept]:
    """Yield the page of a store with *alerts*."""
    store = Store(path / "state.sqlite", 64 << 20)
    try:
        await keep(store, *alerts)
        metrics = Metrics()
        health = PartsHealth({}, {}, lambda: Ruleset([]), metrics, store)
        token = ServerSettings.model_validate(settings).token
        page = Page(store, Trends(metrics), health, token)
        async with (
            serving(page.routes(), **settings) as address,
            httpx.AsyncClient(base_url=f"http://{address}", timeout=10) as client,
        ):
            yield Kept(store=store, page=page, address=address, client=client)
    finally:
        await store.close()
