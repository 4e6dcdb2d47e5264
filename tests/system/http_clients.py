"""Clients that send numbered events to an ``http`` source for as long as they are let, whatever becomes of the service."""

from __future__ import annotations

import contextlib
import http.client
import itertools
import json
import threading
import time
import urllib.request
from collections.abc import Iterator


@contextlib.contextmanager
def clients(port: int, number: int, first: int = 0) -> Iterator[list[int]]:
    """Let *number* clients send events numbered from *first*; yield, and go on to add to, those answered positively.

    A refused connection and an answer that asks to come again are no reason to stop; the event is not sent again.
    """
    answered: list[int] = []
    ended = threading.Event()

    def send(start: int) -> None:
        for count in itertools.count(start, number):
            if ended.is_set():
                return
            body = json.dumps({"MESSAGE": f"evil-marker number={count}."}).encode()
            request = urllib.request.Request(f"http://127.0.0.1:{port}/ingest/http", body)
            try:
                with urllib.request.urlopen(request, timeout=10) as reply:
                    assert json.loads(reply.read())["threat_detected"]
                    answered.append(count)
            except (OSError, http.client.HTTPException):
                time.sleep(0.02)

    threads = [threading.Thread(target=send, args=(first + one,)) for one in range(number)]
    for thread in threads:
        thread.start()
    try:
        yield answered
    finally:
        ended.set()
        for thread in threads:
            thread.join()
