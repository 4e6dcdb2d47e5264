"""Access logs: formats, fields, attacks."""

from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from parsing import (
    SHARED,
    check_invariants,
    damaged,
    events,
    feed_all,
    needs_shared_data,
    problems,
    the_event,
)

from sigma.pyeval.logs.access_format import (
    COMBINED,
    NGINX_COMBINED,
    AccessFormatError,
    compile_access_format,
)
from sigma.pyeval.logs.access_log import AccessLogParser
from sigma.pyeval.logs.records import Record
from sigma.pyeval.rules import LogSource

LINE = (
    b'192.0.2.7 - ann [10/Oct/2000:13:55:36 -0700] "GET /a/b.php?x=1&y=2 HTTP/1.1" 200 2326 '
    b'"http://ref.example/" "Mozilla/5.0 (X11)"'
)
FIELDS = {
    "c-ip": "192.0.2.7",
    "cs-username": "ann",
    "date": "2000-10-10",
    "time": "20:55:36",
    "cs-method": "GET",
    "cs-version": "HTTP/1.1",
    "c-uri": "/a/b.php?x=1&y=2",
    "cs-uri": "/a/b.php?x=1&y=2",
    "cs-uri-stem": "/a/b.php",
    "cs-uri-query": ["x=1&y=2", "/a/b.php?x=1&y=2"],
    "sc-status": 200,
    "sc-bytes": 2326,
    "cs-referer": "http://ref.example/",
    "cs-referrer": "http://ref.example/",
    "cs-user-agent": "Mozilla/5.0 (X11)",
    "c-useragent": "Mozilla/5.0 (X11)",
}
COMMON_FIELDS = {name: FIELDS[name] for name in FIELDS if "refer" not in name and "agent" not in name}
COMMON = LINE[: LINE.index(b' "http://ref')]


@pytest.mark.parametrize(
    ("line", "fields"),
    [
        (LINE, FIELDS),
        (COMMON, COMMON_FIELDS),
        (b"www.example:8080 " + LINE, FIELDS | {"cs-host": "www.example", "s-port": "8080"}),
        (b"www.example " + COMMON, COMMON_FIELDS | {"cs-host": "www.example"}),
        (b'"' + LINE + b'"', FIELDS),
        (b'"' + COMMON + b'"', COMMON_FIELDS),
        (LINE + b' "-"', FIELDS),
        (LINE + b' "198.51.100.9"', FIELDS | {"extra": '"198.51.100.9"'}),
        (LINE + b"\r", FIELDS),
        (LINE.replace(b"192.0.2.7", b"2001:db8::7"), FIELDS | {"c-ip": "2001:db8::7"}),
        (LINE.replace(b"ann", b"ann lee"), FIELDS | {"cs-username": "ann lee"}),
    ],
    ids=str,
)
def test_known_formats(line: bytes, fields: dict[str, Any]) -> None:
    assert the_event(AccessLogParser(), line) == fields


REQUEST = (
    ("cs-method", "cs-version", "c-uri", "cs-uri-stem", "cs-uri-query"),
    [
        (b"GET /a HTTP/1.0", ("GET", "HTTP/1.0", "/a", "/a", "/a")),
        (b"GET /a? HTTP/1.0", ("GET", "HTTP/1.0", "/a?", "/a", ["", "/a?"])),
        (b"GET /a?b?c HTTP/1.0", ("GET", "HTTP/1.0", "/a?b?c", "/a", ["b?c", "/a?b?c"])),
        (b"GET /a b?c d HTTP/1.0", ("GET", "HTTP/1.0", "/a b?c d", "/a b", ["c d", "/a b?c d"])),
        (b"GET /a", ("GET", None, "/a", "/a", "/a")),
        (b"get /a HTTP/1.0", ("get", "HTTP/1.0", "/a", "/a", "/a")),
        (b"OPTIONS * HTTP/1.0", ("OPTIONS", "HTTP/1.0", "*", "*", "*")),
        (
            b"CONNECT x.example:443 HTTP/1.1",
            ("CONNECT", "HTTP/1.1", "x.example:443", "x.example:443", "x.example:443"),
        ),
        (b"\\x16\\x03\\x01 a", (None, None, "\x16\x03\x01 a", "\x16\x03\x01 a", "\x16\x03\x01 a")),
        (b"\\xc3\\xa4 \\xff", (None, None, "ä \\xff", "ä \\xff", "ä \\xff")),
        (b"quit", (None, None, "quit", "quit", "quit")),
        (b"/a?b", (None, None, "/a?b", "/a", ["b", "/a?b"])),
        (b'GET /a?\\"b\\\\c\\n HTTP/1.1', ("GET", "HTTP/1.1", '/a?"b\\c\n', "/a", ['"b\\c\n', '/a?"b\\c\n'])),
        (b'GET /a?"b" c HTTP/1.1', ("GET", "HTTP/1.1", '/a?"b" c', "/a", ['"b" c', '/a?"b" c'])),
        (b"-", (None, None, None, None, None)),
        (b"", (None, None, None, None, None)),
    ],
)


@pytest.mark.parametrize(("request_line", "values"), REQUEST[1])
def test_requests_as_attackers_send_them(request_line: bytes, values: tuple[Any, ...]) -> None:
    event = the_event(AccessLogParser(), LINE.replace(b"GET /a/b.php?x=1&y=2 HTTP/1.1", request_line))
    assert tuple(event.get(field) for field in REQUEST[0]) == values
    assert event["cs-user-agent"] == "Mozilla/5.0 (X11)"


def test_an_absolute_target_names_the_host() -> None:
    event = the_event(AccessLogParser(), LINE.replace(b"/a/b.php?", b"http://x.example/p?"))
    assert (event["cs-host"], event["cs-uri-stem"]) == ("x.example", "/p")
    assert event["c-uri"] == "http://x.example/p?x=1&y=2"


@pytest.mark.parametrize(
    ("old", "new", "field", "value"),
    [
        (b"200 2326", b"304 -", "sc-bytes", 0),
        (b"200 2326", b"- 5", "sc-status", None),
        (b'"Mozilla/5.0 (X11)"', b'"-"', "cs-user-agent", None),
        (b'"Mozilla/5.0 (X11)"', b'""', "cs-user-agent", ""),
        (b'"Mozilla/5.0 (X11)"', b'"() { :;}; echo \\"x\\""', "cs-user-agent", '() { :;}; echo "x"'),
        (
            b"10/Oct/2000:13:55:36 -0700",
            b"99/Oct/2000:13:55:36 -0700",
            "time",
            "[99/Oct/2000:13:55:36 -0700]",
        ),
        (b"10/Oct/2000:13:55:36 -0700", b"1/Apr/2014:00:00:01 +0530", "date", "2014-03-31"),
    ],
)
def test_values(old: bytes, new: bytes, field: str, value: Any) -> None:
    assert the_event(AccessLogParser(), LINE.replace(old, new)).get(field) == value


def test_percent_decoding_is_an_option() -> None:
    line = LINE.replace(b"/a/b.php?x=1&y=2", b"/%61?q=%3Cscript%3E+1")
    assert the_event(AccessLogParser(), line)["cs-uri-query"] == ["q=%3Cscript%3E+1", "/%61?q=%3Cscript%3E+1"]
    decoded = the_event(AccessLogParser(decode_urls=True), line)
    assert decoded["cs-uri-stem"] == ["/%61", "/a"]
    assert decoded["cs-uri-query"] == [
        "q=%3Cscript%3E+1",
        "/%61?q=%3Cscript%3E+1",
        "q=<script> 1",
        "/a?q=<script> 1",
    ]
    assert the_event(AccessLogParser(decode_urls=True), LINE)["cs-uri-stem"] == "/a/b.php"


def test_log_source() -> None:
    (record,) = feed_all(AccessLogParser(), LINE)
    assert isinstance(record, Record)
    assert record.logsource == LogSource(category="webserver")


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (
            b"[Sun Dec 04 04:47:44 2005] [error] [client 192.0.2.7] x",
            "a line of an Apache error log, not of an access log",
        ),
        (b"[error] [client 192.0.2.7] x", "a line of an Apache error log, not of an access log"),
        (b"2024/01/02 03:04:05 [error] 7#7: x", "a line of an nginx error log, not of an access log"),
        (b"#Fields: date time", "a line of a W3C extended log (IIS), not of an access log"),
        (b"2024-01-02 03:04:05 GET /a - 80 -", "a line of a W3C extended log (IIS), not of an access log"),
        (b"something else", "not a line of this access log format"),
    ],
)
def test_other_lines_are_problems(line: bytes, reason: str) -> None:
    assert problems(feed_all(AccessLogParser(), line, b"", LINE)) == [(1, reason)]


@pytest.mark.parametrize(
    ("log_format", "line", "fields"),
    [
        (NGINX_COMBINED, LINE, FIELDS),
        (COMBINED.replace('"', '\\"'), LINE, FIELDS),  # as it is quoted in a configuration file
        (
            '%{X-Forwarded-For}i %a %m %U%q %H %>s %B %I %D %p "%{Cookie}i" %{SSL_PROTOCOL}x %L',
            b'198.51.100.9 192.0.2.7 GET /a?b HTTP/1.1 404 12 99 1234 443 "k=\\"v\\"" TLSv1.3 -',
            {
                "x-forwarded-for": "198.51.100.9",
                "c-ip": "192.0.2.7",
                "cs-method": "GET",
                "c-uri": "/a?b",
                "cs-uri": "/a?b",
                "cs-uri-stem": "/a",
                "cs-uri-query": ["b", "/a?b"],
                "cs-version": "HTTP/1.1",
                "sc-status": 404,
                "sc-bytes": 12,
                "cs-bytes": 99,
                "time-taken": "1234",
                "s-port": "443",
                "cs-cookie": 'k="v"',
                "SSL_PROTOCOL": "TLSv1.3",
            },
        ),
        (
            '$host,$remote_addr,$request_method "$uri" "$args" ${status} $http_x_real_ip $scheme',
            b'www.example,192.0.2.7,POST "/a" "b=1" 200 198.51.100.9 https',
            {
                "cs-host": "www.example",
                "c-ip": "192.0.2.7",
                "cs-method": "POST",
                "c-uri": "/a?b=1",
                "cs-uri": "/a?b=1",
                "cs-uri-stem": "/a",
                "cs-uri-query": ["b=1", "/a?b=1"],
                "sc-status": 200,
                "cs(x-real-ip)": "198.51.100.9",
                "scheme": "https",
            },
        ),
        ('"%h" "%U"', b'"192.0.2.7" "/a"', {"c-ip": "192.0.2.7", "cs-uri-stem": "/a"}),
        ("%h %{Content-Type}i", b"192.0.2.7 text/plain", {"c-ip": "192.0.2.7", "cs-content-type": "text/plain"}),
        ("$http_content_type", b"text/plain", {"cs-content-type": "text/plain"}),
        ("$content_type", b"text/plain", {"cs-content-type": "text/plain"}),
        ("100%% %h", b"100% 192.0.2.7", {"c-ip": "192.0.2.7"}),
    ],
)
def test_custom_formats(log_format: str, line: bytes, fields: dict[str, Any]) -> None:
    assert the_event(AccessLogParser(log_format), line) == fields


@pytest.mark.parametrize(
    ("log_format", "reason"),
    [("", "no directive"), ("text", "no directive"), ("%h%u", "nothing separates %h from %u")],
)
def test_formats_that_cannot_be_compiled(log_format: str, reason: str) -> None:
    with pytest.raises(AccessFormatError, match=reason):
        AccessLogParser(log_format)


@given(st.text(alphabet='%${}"[] hutrsb>i_,1', max_size=30))
def test_any_format_is_compiled_or_refused(text: str) -> None:
    try:
        compiled = compile_access_format(text)
    except AccessFormatError:
        return
    assert compiled.pattern.groups == len(compiled.fields) + 1


@given(damaged(LINE, COMMON, b"www.example:80 " + LINE, LINE.replace(b"/a/b", b'/\\"\\xff\\')))
def test_no_line_breaks_the_parser(lines: list[bytes]) -> None:
    for parser in (AccessLogParser(), AccessLogParser(decode_urls=True), AccessLogParser(NGINX_COMBINED)):
        check_invariants(parser, lines)


@given(st.text(st.characters(exclude_characters='\\"\n\r', codec="utf-8"), max_size=30))
def test_every_query_is_seen_in_both_readings(query: str) -> None:
    event = the_event(AccessLogParser(), LINE.replace(b"x=1&y=2", query.encode()))
    assert event["cs-uri-query"] == [query, f"/a/b.php?{query}"]


@pytest.mark.parametrize(
    "line",
    [
        b"a " * 30_000,
        b'a b c [1/Jan/2000:00:00:00 +0000] "' + b'" 200 ' * 10_000,
        LINE + b'" "' * 20_000,
        b"[" * 60_000,
        b'"' * 60_000,
    ],
)
def test_hostile_lines_take_no_time(line: bytes) -> None:
    start = time.process_time()
    AccessLogParser().feed(1, line)
    assert time.process_time() - start < 0.5


@needs_shared_data
@pytest.mark.parametrize("name", ["elastic_apache_access_combined.log", "scan_acunetix.log", "lnav_shop_access.log"])
def test_logs_of_others_are_read_without_problems(name: str) -> None:
    lines = (SHARED / "data/linux/web" / name).read_bytes().split(b"\n")
    found = feed_all(AccessLogParser(), *lines)
    assert problems(found) == []
    assert len(events(found)) == sum(1 for line in lines if line.strip())
