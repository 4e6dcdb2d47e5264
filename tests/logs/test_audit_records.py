"""One line of an audit log: its fields, as rules for ``service: auditd`` see them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sigma.pyeval.logs.audit_records import parse_audit_line, parse_audit_text, parse_fields

HEADER = "msg=audit(1700000000.123:456): "
SYSCALL = (
    "arch=c000003e syscall=59 success=yes exit=0 a0=6120 a1=7f a2=0 a3=8 items=2 ppid=10 pid=11 "
    'auid=1000 uid=0 tty=pts0 ses=1 comm="id" exe="/usr/bin/id" key=(null)'
)


def fields(line: str) -> dict[str, Any]:
    """Return the fields of a line without what every record has."""
    event = parse_audit_text(line)
    assert event is not None
    return {name: value for name, value in event.items() if not name.startswith("_")}


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        pytest.param(
            f"type=SYSCALL {HEADER}{SYSCALL}",
            {
                "a0": "6120",
                "comm": "id",
                "exe": "/usr/bin/id",
                "key": None,
                "ARCH": "x86_64",
                "SYSCALL": "execve",
            },
            id="registers stay as they are, names follow from numbers",
        ),
        pytest.param(
            f'type=SYSCALL {HEADER}{SYSCALL}\x1dARCH=x86_64 SYSCALL=execve AUID="amy" UID="root"',
            {"key": None, "ARCH": "x86_64", "SYSCALL": "execve", "AUID": "amy", "UID": "root"},
            id="enriched",
        ),
        pytest.param(
            f'type=SYSCALL {HEADER}{SYSCALL}ARCH=x86_64 SYSCALL=execve AUID="amy" UID="root"',
            {"key": None, "ARCH": "x86_64", "SYSCALL": "execve", "AUID": "amy", "UID": "root"},
            id="enriched, separator lost",
        ),
        pytest.param(
            f'type=SYSCALL {HEADER}arch=c000003e exe="/a b" key="k"ARCH=x86_64 UID="root"',
            {"key": "k", "ARCH": "x86_64", "UID": "root"},
            id="enriched, separator lost behind a quote",
        ),
        pytest.param(
            f'type=LOGIN {HEADER}pid=7 uid=0 auid=0 res=1UID="root" OLD-AUID="unset" AUID="root"',
            {"res": "1", "UID": "root", "OLD-AUID": "unset", "AUID": "root"},
            id="enriched, separator lost behind a number",
        ),
        pytest.param(
            f'type=PATH {HEADER}item=0 name="/tmp/xUID=y" inode=5 nametype=NORMAL cap_fe=0\x1dOUID="Jo Doe"',
            {"name": "/tmp/xUID=y", "cap_fe": "0", "OUID": "Jo Doe"},
            id="enriched name with a blank",
        ),
        pytest.param(
            f'type=PATH {HEADER}item=0 name="/tmp/aOUID=b" inode=5 nametype=NORMAL',
            {"name": "/tmp/aOUID=b", "inode": "5", "nametype": "NORMAL"},
            id="a file name may look like an enriched field",
        ),
        pytest.param(
            f"node=web1 type=CWD {HEADER} cwd=2F746D702F6120622063",
            {"node": "web1", "cwd": "/tmp/a b c"},
            id="node and hexadecimal directory",
        ),
        pytest.param(
            f"type=PATH {HEADER}item=1 name=(null) inode=5 dev=08:01 mode=040755 nametype=PARENT",
            {"item": "1", "name": None, "inode": "5", "mode": "040755"},
            id="no name",
        ),
        pytest.param(
            f'type=SYSCALL {HEADER}arch=c000003e syscall=257 subj==unconfined comm="a=b" exe=2F6220 key="k"',
            {"subj": "=unconfined", "comm": "a=b", "exe": "/b ", "key": "k", "SYSCALL": "openat"},
            id="equals signs in values",
        ),
        pytest.param(
            f'type=SYSCALL {HEADER}arch=c000003e syscall=1 subj=/usr/bin/man (enforce) comm="man" key=(null)',
            {"subj": "/usr/bin/man (enforce)", "comm": "man", "key": None},
            id="AppArmor mode",
        ),
        pytest.param(
            f"type=SYSCALL {HEADER}arch=c000003e syscall=2 key=61016220",
            {"key": ["a", "b "]},
            id="several keys",
        ),
        pytest.param(
            f"type=SYSCALL {HEADER}arch=c0de syscall=59 success=yes",
            {"arch": "c0de", "ARCH": None, "SYSCALL": None},
            id="unknown architecture",
        ),
        pytest.param(
            f'type=EXECVE {HEADER}argc=3 a0="sh" a1="-c" a2=6C73202D6C',
            {"argc": "3", "a0": "sh", "a1": "-c", "a2": "ls -l"},
            id="arguments",
        ),
        pytest.param(
            f'type=EXECVE {HEADER}argc=2 a0="a=1" a1="x\\"',
            {"argc": "2", "a0": "a=1", "a1": "x\\"},
            id="arguments with an equals sign and a backslash",
        ),
        pytest.param(
            f'type=EXECVE {HEADER}argc=2 a0="cat" a1_len=6 a1[0]=6120 a1[1]="bcd"',
            {"a0": "cat", "a1": "a bcd", "a1[0]": "a ", "a1[1]": "bcd", "a1_len": "6"},
            id="pieces of a long argument",
        ),
        pytest.param(
            f"type=EXECVE {HEADER} a12[7]=2D2D",
            {"a12[7]": "--", "a12": "--"},
            id="a piece alone",
        ),
        pytest.param(
            f"type=PROCTITLE {HEADER}proctitle=6964002D75",
            {"proctitle": "id -u"},
            id="process title",
        ),
        pytest.param(
            f"type=SOCKADDR {HEADER}saddr=02000050C0000205{'0' * 16}",
            {
                "saddr": f"02000050C0000205{'0' * 16}",
                "saddr_fam": "inet",
                "laddr": "192.0.2.5",
                "lport": "80",
            },
            id="socket address",
        ),
        pytest.param(
            f"type=SOCKADDR {HEADER}saddr=1000\x1dSADDR={{ saddr_fam=netlink nlnk-fam=16 nlnk-pid=0 }}",
            {"saddr_fam": "netlink", "nlnk-fam": "16", "nlnk-pid": "0", "SADDR": None},
            id="enriched socket address",
        ),
        pytest.param(
            f"""type=USER_LOGIN {HEADER}pid=1 uid=0 auid=1001 msg='op=login acct=28696E76616C69642075736572"""
            """29 exe="/usr/sbin/sshd" hostname=? addr=192.0.2.1 terminal=sshd res=failed'""",
            {"uid": "0", "op": "login", "acct": "(invalid user)", "exe": "/usr/sbin/sshd", "res": "failed"},
            id="a program's message",
        ),
        pytest.param(
            f"""type=USER_CMD {HEADER}pid=1 uid=5 msg='cwd="/" cmd=6964202D75 res=success'\x1dUID="amy\"""",
            {"cwd": "/", "cmd": "id -u", "res": "success", "UID": "amy"},
            id="sudo, enriched",
        ),
        pytest.param(
            f"""type=USER_CMD {HEADER}pid=1 uid=5 msg='cwd="/" cmd="id" terminal=? res=success'UID="amy\"""",
            {"cmd": "id", "res": "success", "UID": "amy"},
            id="sudo, enriched, separator lost",
        ),
        pytest.param(
            f"""type=USER_AUTH {HEADER}pid=1 uid=0 msg='op=PAM:x acct="o'neil" type=EXECVE uid=9 res=no'""",
            {"type": "USER_AUTH", "uid": "0", "acct": "o'neil", "res": "no"},
            id="what the program says does not replace what the kernel says",
        ),
        pytest.param(
            f"type=USER_END {HEADER}user pid=1 msg='PAM: session acct=root : (hostname=?, addr=?, res=0)'",
            {"acct": "root", "hostname": "?", "addr": "?", "res": "0", "msg": "user PAM: session"},
            id="prose of old programs",
        ),
        pytest.param(
            f'type=AVC {HEADER}avc:  denied  {{ read write }} for  pid=1 comm="x" name="f" tclass=dir',
            {"seresult": "denied", "seperms": "read write", "pid": "1", "name": "f", "msg": None},
            id="SELinux",
        ),
        pytest.param(
            f'type=TTY {HEADER}tty pid=2 uid=0 comm="bash" data=6C730D',
            {"data": "ls\r", "comm": "bash"},
            id="terminal input",
        ),
        pytest.param(
            f"type=BPF {HEADER}prog-id=20 op=LOAD data=6C730D",
            {"prog-id": "20", "data": "6C730D"},
            id="data of other types is a number",
        ),
        pytest.param(
            "type=DAEMON_CONFIG msg=audit(1700000000.123:4) config changed, auid=0 pid=15 res=success",
            {"auid": "0", "res": "success", "msg": "config changed"},
            id="header without a colon",
        ),
        pytest.param(
            'type=1400 audit(1700000000.123:4): apparmor="DENIED" operation="open" profile="/usr/bin/x"',
            {"type": "AVC", "apparmor": "DENIED", "operation": "open", "profile": "/usr/bin/x"},
            id="the kernel's own form",
        ),
        pytest.param(f"type=EOE {HEADER}", {"type": "EOE"}, id="no fields"),
        pytest.param(
            f'type=CWD {HEADER}cwd="/tmp/\u00a0x"', {"cwd": "/tmp/\u00a0x"}, id="a no-break space is no blank"
        ),
    ],
)
def test_fields(line: str, expected: dict[str, Any]) -> None:
    found = fields(line)
    assert {name: found.get(name) for name in expected} == expected


def test_a_record_knows_its_event() -> None:
    event = parse_audit_line(b'node=n type=CWD msg=audit(1700000000.007:42): cwd="/"')
    assert event is not None
    assert list(event.items()) == [
        ("type", "CWD"),
        ("cwd", "/"),
        ("node", "n"),
        ("_SOURCE_REALTIME_TIMESTAMP", "1700000000007000"),
        ("_AUDIT_ID", "42"),
    ]


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"# comment",
        b"type=SYSCALL",
        b"type=UNKNOWN[1329] msg=?",
        b"type=X msg=audit(1.1:1): a=b",
        b"\xff\x00",
    ],
)
def test_what_is_no_record(line: bytes) -> None:
    assert parse_audit_line(line) is None


def test_events_do_not_share_state() -> None:
    """Records with the same text are independent, although the text is read once."""
    line = b'type=CWD msg=audit(1700000000.007:42): cwd="/"'
    first, second = parse_audit_line(line), parse_audit_line(line)
    assert first is not None
    assert second is not None
    first["cwd"] = "changed"
    assert second["cwd"] == "/"


WORDS = st.text(st.characters(codec="ascii", min_codepoint=0x21, exclude_characters="\"'=(),{}\x7f"), min_size=1)
NAMES = st.from_regex(r"[a-z][a-z0-9_]{0,8}", fullmatch=True).filter(lambda name: name not in {"name", "key"})


@given(st.dictionaries(NAMES, WORDS, min_size=1))
def test_splitting_and_scanning_agree(pairs: dict[str, str]) -> None:
    """The fast reading of plain bodies gives what the general one gives, which a second blank forces."""
    text = " ".join(f"{name}={value}" for name, value in pairs.items())
    scanned = parse_fields("PATH", text.replace(" ", "  ") + '  name="x y"')
    assert {**parse_fields("PATH", text), "name": "x y"} == scanned


@given(st.sampled_from(["SYSCALL", "EXECVE", "PATH", "USER_CMD", "AVC", "SOCKADDR", "TTY", "X"]), st.text())
def test_any_text_is_read(record_type: str, text: str) -> None:
    assert isinstance(parse_fields(record_type, text), dict)
