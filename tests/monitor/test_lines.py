"""Streams whose format is told from their first lines, where it cannot be, or does not go with the options."""

from __future__ import annotations

from sigma.pyeval.monitor.lines import LineStream


def reasons(stream: LineStream, *lines: bytes) -> list[str]:
    """Feed *lines*, pause, and return what the problems say."""
    for position, line in enumerate(lines):
        stream.feed(position, line)
    stream.pause()
    records, problems = stream.take()
    assert records == []
    return [problem.reason for problem in problems]


def test_an_unknown_format_is_told_whole_once_and_counted_for_each_line() -> None:
    stream = LineStream()
    whole = (
        "format unknown: none of the first 2 lines is of a known format; "
        "set format and options in the source's settings"
    )
    assert reasons(stream, b"what", b"", b"ever") == [whole, "format unknown"]
    assert reasons(stream, b"what", b"ever") == ["format unknown"] * 2
    assert stream.held_from() is None


def test_a_format_is_still_told_behind_lines_of_none() -> None:
    stream = LineStream()
    assert len(reasons(stream, b"what")) == 1
    stream.feed(1, b'{"a": 1}')
    stream.pause()
    records, problems = stream.take()
    assert ([record.event for record in records], problems) == ([{"a": 1}], [])


def test_options_that_the_format_does_not_have_are_problems() -> None:
    stream = LineStream(options={"year": 2026})
    first, second = reasons(stream, b'{"a": 1}', b'{"a": 2}')
    assert first.startswith(
        "options that do not fit: 2 of the first 2 lines are jsonl, but the format 'jsonl' has no option 'year'"
    )
    assert second == "options that do not fit"
    assert reasons(stream, b'{"a": 3}') != []
