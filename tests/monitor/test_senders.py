"""Senders of one source: what they hold back is known and bounded."""

from __future__ import annotations

import pytest

from sigma.pyeval.logs.records import Record
from sigma.pyeval.monitor.lines import LineStream
from sigma.pyeval.monitor.sources.senders import LINE_BYTES, SILENCE, HeldBytes, SenderStream

SYSCALL = b'type=SYSCALL msg=audit(%d.000:%d): arch=c000003e syscall=59 success=yes items=2 pid=2 exe="/bin/id"'
PLAIN = b"type=USER_LOGIN msg=audit(%d.000:%d): pid=1 res=success"


def sender(held: HeldBytes, address: str = "192.0.2.1") -> SenderStream:
    return SenderStream(address, LineStream("auditd"), held)


def joined(one: SenderStream) -> list[Record]:
    return [record for record in one.take()[0] if "_EXE" in record.event]


def test_what_is_held_back_counts_from_the_earliest_line_held() -> None:
    held = HeldBytes()
    one = sender(held)
    one.feed(1, PLAIN % (1, 1))
    one.take()
    assert held.senders == []
    assert one.due() is None
    one.feed(2, SYSCALL % (1, 2))
    one.take()
    assert held.senders == [one]
    assert one.due() is not None
    for number in range(3, 1_000):
        one.feed(number, SYSCALL % (number, number))
        one.take()
    # Events older than auditd's window were given out, so a busy sender does not count as one that hoards.
    assert one._held_bytes() < 10 * (len(SYSCALL) + 10 + LINE_BYTES)
    one.pause()
    one.take()
    assert held.senders == []


def test_beyond_the_bound_the_sender_with_the_most_gives_out_what_it_has() -> None:
    held = HeldBytes(10 * (len(SYSCALL % (1, 1)) + LINE_BYTES) - 1)
    little, much = sender(held, "192.0.2.1"), sender(held, "192.0.2.2")
    little.feed(1, SYSCALL % (1, 1))
    assert joined(little) == []
    for number in range(2, 11):
        much.feed(number, SYSCALL % (1, number))
        assert joined(much) == []
    assert held.senders == [little]
    assert len(joined(much)) == 9
    assert little.due() is not None


def test_many_short_lines_do_not_pass_the_bound() -> None:
    held = HeldBytes(100 * LINE_BYTES)
    one = SenderStream("192.0.2.1", LineStream("jsonl"), held)
    for number in range(1, 1_000):
        one.feed(number, b"{")
        one.take()
    assert len(one._marks) <= 100


def test_a_sender_is_due_after_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.monotonic", lambda: 1_000.0)
    one = sender(HeldBytes())
    one.feed(1, SYSCALL % (1, 1))
    one.take()
    assert one.due() == 1_000.0 + SILENCE
    monkeypatch.setattr("time.monotonic", lambda: 1_001.0)
    one.take()  # nothing was fed meanwhile
    assert one.due() == 1_000.0 + SILENCE
