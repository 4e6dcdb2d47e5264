"""The page's API: what is listed, found, told and acknowledged."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from sigma.pyeval.monitor.page import archive as archive_module
from sigma.pyeval.monitor.page.archive import CHUNK
from sigma.pyeval.monitor.page.search import SECONDS

from .kept import keep, make_alert, paged

ALERTS = [
    make_alert(1, level="low", host="db-1", event={"Image": "/usr/bin/curl", "User": "root"}),
    make_alert(2, level="critical", title="Other rule", rule_id="other", attack={"techniques": ["T1059"], "tactics": []}),
    make_alert(3, attack={"tactics": ["discovery"], "techniques": ["T1083"], "groups": [], "software": []}),
    make_alert(4, level=None, host=None, event={"argv": [{"deep": "NEEDLE in a haystack"}]}, source={"name": "audit", "type": "file"}),
]  # fmt: skip


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({}, [4, 3, 2, 1]),
        ({"level": "critical"}, [2]),
        ({"level": "high+"}, [3, 2]),
        ({"level": "none"}, [4]),
        ({"rule": "other"}, [2]),
        ({"host": "DB"}, [1]),
        ({"source": "audit"}, [4]),
        ({"tactic": "discovery"}, [3]),
        ({"technique": "t1059"}, [4, 2, 1]),
        ({"technique": "T1059.004"}, [4, 1]),
        ({"technique": "T105"}, []),
        ({"acknowledged": "yes"}, []),
        ({"acknowledged": "no", "level": "low"}, [1]),
        ({"words": "needle"}, [4]),
        ({"words": "haystack needle"}, [4]),
        ({"words": '"needle haystack"'}, []),
        ({"words": '"in a haystack"'}, [4]),
        ({"words": "image=/usr/bin/curl"}, [1]),
        ({"words": "other"}, [2]),
        ({"words": "marker", "level": "high"}, [3]),
        ({"words": "nothing-like-it"}, []),
        ({"limit": 2}, [4, 3]),
        ({"before": 3}, [2, 1]),
        ({"after": 2}, [4, 3]),
        ({"after": 2, "words": "needle"}, [4]),
        ({"after": 4}, []),
    ],
    ids=str,
)
def test_alerts_that_a_query_finds(tmp_path: Path, query: dict[str, Any], expected: list[int]) -> None:
    async def scenario() -> None:
        async with paged(tmp_path, *ALERTS) as kept:
            assert await kept.numbers(**query) == expected

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("path", "status", "finding"),
    [
        ("/api/alerts?level=urgent", 422, "level"),
        ("/api/alerts?lvel=high", 422, "lvel: Extra inputs"),
        ("/api/alerts?limit=0", 422, "limit"),
        ("/api/alerts?limit=100000", 422, "limit"),
        ("/api/alerts?before=-1", 422, "before"),
        ("/api/alerts?words=" + "x" * 501, 422, "words"),
        ("/api/alerts/none-like-it", 404, "no alert"),
        ("/api/alerts/none-like-it/json", 404, "no alert"),
        ("/api/trends?minutes=0", 422, "minutes"),
        ("/api/trends?minutes=1e9", 422, "minutes"),
        ("/page/../../etc/passwd", 404, ""),
        ("/page/%2e%2e%2fpage.html", 404, ""),
        ("/page/page.html", 404, "no such file"),
        ("/page/unknown.js", 404, "no such file"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_requests_that_are_refused(tmp_path: Path, path: str, status: int, finding: str) -> None:
    async def scenario() -> None:
        async with paged(tmp_path, *ALERTS) as kept:
            reply = await kept.client.get(path)
            assert reply.status_code == status
            assert finding in reply.text

    asyncio.run(scenario())


def test_paging_reaches_every_alert_once(tmp_path: Path) -> None:
    count = 3 * CHUNK + 7
    alerts = [make_alert(number, level=("low", "high")[number % 2]) for number in range(1, count + 1)]

    async def scenario() -> None:
        async with paged(tmp_path, *alerts) as kept:
            for query in ({}, {"words": "evil-marker"}, {"words": "evil-marker", "level": "low"}, {"level": "low"}):
                found, before = [], None
                while True:
                    reply = await kept.alerts(limit=60, **query, **({} if before is None else {"before": before}))
                    found += [int(one["id"], 16) for one in reply["alerts"]]
                    before = reply["next"]
                    if before is None:
                        break
                step = 2 if "level" in query else 1
                assert found == [number for number in range(count, 0, -1) if number % step == 0]
            assert (await kept.alerts(level="low", limit=1))["matching"] == count // 2

    asyncio.run(scenario())


def test_a_search_ends_in_time_and_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A call searches for a bounded time; ``next`` leads on until every alert was looked at."""
    assert SECONDS <= 2
    monkeypatch.setattr("sigma.pyeval.monitor.page.search.SECONDS", 0.0)
    alerts = [make_alert(number) for number in range(1, 2 * CHUNK)]
    alerts[0]["event"]["MESSAGE"] = "needle"

    async def scenario() -> None:
        async with paged(tmp_path, *alerts) as kept:
            assert (await kept.alerts(words="needle"))["alerts"] == []
            reply: dict[str, Any] = {"alerts": [], "next": 2**40}
            rounds = 0
            monkeypatch.setattr("sigma.pyeval.monitor.page.search.SECONDS", 0.0001)
            while not reply["alerts"]:
                assert reply["next"] is not None
                reply = await kept.alerts(words="needle", before=reply["next"])
                rounds += 1
            assert int(reply["alerts"][0]["id"], 16) == 1
            assert rounds > 1
            assert reply["next"] is None

    asyncio.run(scenario())


def test_new_alerts_and_acknowledgements_are_told(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with paged(tmp_path, *ALERTS) as kept:
            first = await kept.alerts()
            await keep(kept.store, make_alert(5), make_alert(6, level="low"))
            reply = await kept.client.post(
                "/api/acknowledgements", json={"by": "ann", "ids": [ALERTS[0]["id"], "f" * 32]}
            )
            assert reply.json()["acknowledged"] == 1
            told = await kept.alerts(after=first["newest"], revision=first["revision"])
            assert [int(one["id"], 16) for one in told["alerts"]] == [6, 5]
            assert [(one["id"], one["by"]) for one in told["acknowledged"]] == [(ALERTS[0]["id"], "ann")]
            assert (told["more"], told["reload"]) == (False, False)
            assert (await kept.alerts(after=0, limit=1))["more"] is True
            assert (await kept.alerts(after=told["newest"], revision=told["revision"]))["acknowledged"] == []
            # A page of before a restart knows a revision that never was.
            assert (await kept.alerts(after=0, revision=10**6))["reload"] is True
            assert await kept.numbers(acknowledged="yes") == [1]
            assert (await kept.store.find(ALERTS[0]["id"])).by == "ann"
            # Once more is no change: the first who did it stays.
            again = await kept.client.post("/api/acknowledgements", json={"by": "bob", "ids": [ALERTS[0]["id"]]})
            assert again.json()["acknowledged"] == 0
            assert (await kept.client.get(f"/api/alerts/{ALERTS[0]['id']}")).json()["by"] == "ann"

    asyncio.run(scenario())


def test_acknowledging_all_that_a_filter_admits_leaves_what_came_later(tmp_path: Path) -> None:
    alerts = [make_alert(number, level=("low", "high")[number % 2]) for number in range(1, 2 * CHUNK + 10)]

    async def scenario() -> None:
        async with paged(tmp_path, *alerts) as kept:
            newest = (await kept.alerts())["newest"]
            await keep(kept.store, make_alert(10_000))
            body = {"by": "ann", "filter": {"level": "high", "words": "marker"}, "newest": newest}
            reply = await kept.client.post("/api/acknowledgements", json=body)
            assert reply.json()["acknowledged"] == sum(alert["rule"]["level"] == "high" for alert in alerts)
            assert await kept.numbers(acknowledged="no", level="high") == [10_000]
            assert (await kept.alerts(acknowledged="no", level="low"))["matching"] == CHUNK + 4

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"by": "ann"}, 422),
        ({"by": "", "ids": ["1"]}, 422),
        ({"by": "an\u202en", "ids": ["1"]}, 422),
        ({"by": "x" * 101, "ids": ["1"]}, 422),
        ({"by": "ann", "ids": []}, 422),
        ({"by": "ann", "ids": ["1"], "filter": {}, "newest": 1}, 422),
        ({"by": "ann", "filter": {}}, 422),
        ({"by": "ann", "filter": {"levl": "high"}, "newest": 1}, 422),
        ([], 422),
        (b"{", 400),
        (b'{"by": "' + b"x" * (1 << 20) + b'"}', 413),
        ({"by": "ann", "ids": ["1"]}, 200),
    ],
    ids=lambda value: str(value)[:40],
)
def test_acknowledgements_that_are_refused(tmp_path: Path, body: Any, status: int) -> None:
    async def scenario() -> None:
        async with paged(tmp_path, *ALERTS) as kept:
            sent = (
                {"content": body, "headers": {"Content-Type": "application/json"}}
                if isinstance(body, bytes)
                else {"json": body}
            )
            reply = await kept.client.post("/api/acknowledgements", **sent)
            assert (reply.status_code, reply.json().get("acknowledged", 0)) == (status, 0)

    asyncio.run(scenario())


def test_what_the_store_forgets_is_no_longer_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive_module, "COMPARE_SECONDS", 0.0)

    async def scenario() -> None:
        async with paged(tmp_path, *ALERTS) as kept:
            assert await kept.numbers() == [4, 3, 2, 1]
            kept.store._database.execute("DELETE FROM alerts WHERE number IN (1, 3)")
            assert await kept.numbers() == [4, 2]

    asyncio.run(scenario())


def test_the_list_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive_module, "MOST_LISTED", 3)

    async def scenario() -> None:
        async with paged(tmp_path, *ALERTS) as kept:
            assert await kept.numbers() == [4, 3, 2]
            await keep(kept.store, make_alert(5))
            assert await kept.numbers() == [5, 4, 3]

    asyncio.run(scenario())


def test_a_page_that_missed_changes_loads_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive_module, "MOST_CHANGES", 2)

    async def scenario() -> None:
        async with paged(tmp_path, *ALERTS) as kept:
            for alert in ALERTS[:3]:
                await kept.client.post("/api/acknowledgements", json={"by": "ann", "ids": [alert["id"]]})
            assert (await kept.alerts(revision=0))["reload"] is True
            told = await kept.alerts(revision=1)
            assert (told["reload"], len(told["acknowledged"])) == (False, 2)

    asyncio.run(scenario())


def test_counts(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with paged(tmp_path, *ALERTS) as kept:
            await kept.client.post("/api/acknowledgements", json={"by": "ann", "ids": [ALERTS[2]["id"]]})
            told = (await kept.client.get("/api/overview")).json()
            assert (told["alerts"], told["unacknowledged"]) == (4, 3)
            assert told["levels"]["high"] == {"alerts": 1, "unacknowledged": 0}
            assert told["levels"]["none"] == {"alerts": 1, "unacknowledged": 1}
            assert [(row["title"], row["alerts"], row["unacknowledged"], row["hosts"]) for row in told["rules"]] == [
                ("Marked line", 3, 2, 2),
                ("Other rule", 1, 1, 1),
            ]
            assert told["hosts"] == [{"host": "web", "alerts": 2}, {"host": "db-1", "alerts": 1}]
            matrix = {
                row["tactic"]: {cell["technique"]: cell["alerts"] for cell in row["techniques"]}
                for row in told["attack"]
            }
            assert matrix == {"execution": {"T1059.004": 2}, "discovery": {"T1083": 1}, "": {"T1059": 1}}
            assert told["health"]["exceptions"] == []

    asyncio.run(scenario())


def test_alerts_with_missing_and_odd_parts_are_listed(tmp_path: Path) -> None:
    """The store may hold alerts of other versions; none of them keeps the page from the others."""
    odd = [
        {"id": "a" * 32},
        make_alert(2, rule={}, attack={}, event={}, source={}),
        make_alert(3, event={"big": 2**63, "text": "x" * 300_000}),
    ]

    async def scenario() -> None:
        async with paged(tmp_path, *odd) as kept:
            listed = (await kept.alerts())["alerts"]
            assert [one["title"] for one in listed] == ["Marked line", "untitled rule", "untitled rule"]
            assert len((await kept.client.get("/api/alerts")).content) < 5_000
            assert str(2**63) in (await kept.client.get(f"/api/alerts/{odd[2]['id']}/json")).text
            assert (await kept.client.get("/api/overview")).status_code == 200

    asyncio.run(scenario())
