"""Windows event log files: what becomes of the records that the package hands over."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from sigma.pyeval.logs import evtx
from sigma.pyeval.logs.records import Problem, Record

EVENT = {"Event": {"System": {"EventID": 4688, "Channel": "Security"}, "EventData": {"CommandLine": "whoami"}}}


class Parser:
    """Hands over what it is told to, as the package's parser does; an exception stands for a damaged record."""

    def __init__(self, *items: Any) -> None:
        self._items = iter(items)

    def __call__(self, path: str) -> Parser:
        return self

    def records_json(self) -> Iterator[Any]:
        return self

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        item = next(self._items)
        if isinstance(item, Exception):
            raise item
        return {"data": item}


def read(*items: Any) -> list[Record | Problem]:
    return list(evtx._read_records(Parser(*items), "some.evtx"))


def test_records_are_flat_and_numbered() -> None:
    first, second = read(json.dumps(EVENT), json.dumps(EVENT))
    assert isinstance(first, Record)
    assert (first.event["EventID"], first.event["CommandLine"]) == (4688, "whoami")
    assert (first.line, second.line, first.logsource.product) == (1, 2, "windows")


def test_what_is_no_event_is_a_problem_and_the_rest_goes_on() -> None:
    found = read("not JSON", "{}", json.dumps(EVENT), RuntimeError("checksum"), json.dumps(EVENT))
    reasons = [(item.line, item.reason.partition(":")[0]) for item in found if isinstance(item, Problem)]
    assert reasons == [(1, "unreadable record"), (2, "a record without Event/System"), (4, "unreadable record")]
    assert [item.line for item in found if isinstance(item, Record)] == [3, 5]


def test_a_file_of_damage_is_given_up() -> None:
    found = read(*[OSError("damaged")] * (evtx.MAX_FAILURES + 5))
    assert len(found) == evtx.MAX_FAILURES + 1
    assert isinstance(found[-1], Problem)
    assert found[-1].reason == "given up after 1000 unreadable records in a row"
