"""Secrets: read from files, refused with place and path, and in no output whatever becomes of the configuration."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, get_args

import pytest
from click.testing import CliRunner
from pydantic import BaseModel, SecretStr

from sigma.pyeval.cli import main
from sigma.pyeval.monitor.configuration import (
    Configuration,
    ConfigurationError,
    load_configuration,
    parse_configuration,
)
from sigma.pyeval.monitor.configuration_errors import KINDS, fields_of, model_of
from sigma.pyeval.monitor.secret_files import MOST_BYTES

from .service import Workplace

CANARY = "canary-4f1d9c-0123456789"
WEBHOOK = {"type": "webhook", "url": f"https://example.org/{CANARY}", "preset": "none", "headers": {"X-Key": CANARY}}
EVERY: dict[str, Any] = {
    "rules": {"paths": ["rules"]},
    "state": "state",
    "server": {"token": CANARY},
    "sources": [
        {"type": "http", "token": CANARY},
        {"type": "websocket", "token": CANARY},
        {"type": "kafka", "brokers": ["a:1"], "topics": ["t"], "group": "g", "tls": {}, "sasl": {"username": "u", "password": CANARY}},
    ],
    "sinks": [
        {**WEBHOOK, "token": CANARY, "secret": CANARY, "proxy": f"http://u:{CANARY}@example.org"},
        {"type": "email", "from": "a@b.c", "to": ["a@b.c"], "server": {"host": "x", "username": "u", "password": CANARY}},
        {"type": "kafka", "brokers": ["a:1"], "topic": "t", "tls": {}, "sasl": {"username": "u", "password": CANARY}},
    ],
}  # fmt: skip


def secrets_in(model: type[BaseModel], place: str = "") -> set[str]:
    """Return the places of all secrets in a model, as ``sasl.password``."""
    found: set[str] = set()
    for name, field in fields_of(model).items():
        parts = [field.annotation, *get_args(field.annotation)]
        if any("SecretStr" in str(part) for part in parts):
            found.add(place + name)
        elif (inner := model_of(field.annotation)) is not None:
            found |= secrets_in(inner, f"{place}{name}.")
    return found


def places(value: Any, place: str = "") -> set[str]:
    """Return the places of the canary in *value*, without what names of headers add."""
    if isinstance(value, dict):
        return {one for key, inner in value.items() for one in places(inner, f"{place}{key}.")}
    if isinstance(value, list):
        return {one for inner in value for one in places(inner, place)}
    return {place.rstrip(".").removesuffix(".X-Key")} if CANARY in str(value) else set()


def test_the_canaries_are_everywhere() -> None:
    """In each secret of each kind; but for the passphrase of a key, which needs the key."""
    kinds = {f"{section}.{name}": kind for section, of in KINDS.items() for name, kind in of.items()}
    wanted = {f"{where}: {one}" for where, kind in kinds.items() for one in secrets_in(kind)}
    found = {
        f"{section}.{part['type']}: {one}"
        for section in ("sources", "sinks")
        for part in EVERY[section]
        for one in places(part)
    }
    assert wanted - found == {"sources.kafka: tls.key_password", "sinks.kafka: tls.key_password"}
    assert found <= wanted
    assert secrets_in(Configuration) == {"server.token"}


def outputs(value: dict[str, Any]) -> list[str]:
    """Return what can be seen of a configuration: as an object, dumped, or as its errors."""
    try:
        found = parse_configuration(value, {})
    except ConfigurationError as error:
        causes = [str(one) for one in (error.__cause__, error.__context__) if one is not None]
        return [str(error), repr(error), *causes]
    return [repr(found), str(found), found.model_dump_json(), repr(found.model_dump()), repr(found.secret_files)]


def spoiled(value: Any) -> list[Any]:
    """Return *value* with, in turn, each canary made a list, and text that no header can carry with an unknown key beside it."""
    text = json.dumps(value)
    pieces = text.split(f'"{CANARY}"')
    return [
        json.loads(f'"{CANARY}"'.join(pieces[:n]) + bad + f'"{CANARY}"'.join(pieces[n:]))
        for n in range(1, len(pieces))
        for bad in (
            f'["{CANARY}"]',
            f'"\\u00e9{CANARY}\\n", "x": {{"{CANARY[:3]}": "{CANARY}"}}',
        )
    ]


def test_no_secret_is_in_any_output() -> None:
    assert parse_configuration(EVERY, {}).server is not None
    cases = [EVERY, *spoiled(EVERY), {**EVERY, "state": None, "spool_bytes": "x"}]
    assert len(cases) >= 20
    for case in cases:
        assert [text for text in outputs(case) if CANARY in text] == []


def test_no_secret_is_in_what_the_program_says(tmp_path: Path) -> None:
    """With --check, a good configuration and one whose every part has a mistake."""
    place = Workplace(tmp_path, **{key: EVERY[key] for key in ("server", "sources", "sinks")})
    config = ["monitor", "-c", str(tmp_path / "monitor.yml"), "--check", "--log-level", "debug"]
    good = CliRunner().invoke(main, config)
    assert good.exit_code == 0, good.stderr
    for part in [*place.configuration["sources"], *place.configuration["sinks"]]:
        part["nonsense"] = CANARY
    place.write()
    bad = CliRunner().invoke(main, config)
    assert bad.exit_code == 2
    assert "6 errors" in bad.stderr
    assert CANARY not in good.output + bad.output
    for part in [*place.configuration["sources"], *place.configuration["sinks"]]:
        del part["nonsense"]  # they are shared with the other tests


# -- files -------------------------------------------------------------------------------------------------------------


def with_files(value: Any, folder: Path) -> Any:
    """Return *value* with each canary, or text around it, in a file of its own."""
    if isinstance(value, dict):
        return {key: with_files(inner, folder) for key, inner in value.items()}
    if isinstance(value, list):
        return [with_files(inner, folder) for inner in value]
    if CANARY not in str(value):
        return value
    path = folder / str(len(list(folder.iterdir())))
    path.write_text(f"{value}\n")
    return f"file:{path}"


def test_every_secret_may_be_in_a_file(tmp_path: Path) -> None:
    found, expected = parse_configuration(with_files(EVERY, tmp_path), {}), parse_configuration(EVERY, {})
    assert (found.sources, found.sinks, found.server) == (expected.sources, expected.sinks, expected.server)
    assert len(found.secret_files) == len(list(tmp_path.iterdir())) == 11
    assert found.secret_files[0].place == "server.token"
    assert {file.path for file in found.secret_files} < set(found.watched_paths())
    assert CANARY not in repr(found) + repr(found.secret_files)


CONTENTS: list[tuple[str, bytes | None, str | None]] = [
    # what the file holds, and the secret, or None where it is refused
    ("plain", b"0123456789abcdef", "0123456789abcdef"),
    ("one newline", b"0123456789abcdef\n", "0123456789abcdef"),
    ("of Windows", b"0123456789abcdef\r\n", "0123456789abcdef"),
    ("empty", b"", "is empty"),
    ("a newline alone", b"\n", "is empty"),
    ("no text", b"\xff" * 20, "is no UTF-8 text"),
    ("too long", b"a" * (MOST_BYTES + 1), "is longer than 65536 bytes; is it the right one?"),
    ("not there", None, "cannot be read: No such file or directory"),
]  # fmt: skip


@pytest.mark.parametrize(("data", "expected"), [row[1:] for row in CONTENTS], ids=[row[0] for row in CONTENTS])
def test_contents(tmp_path: Path, data: bytes | None, expected: str) -> None:
    path = tmp_path / "token"
    if data is not None:
        path.write_bytes(data)
    value = {**EVERY, "server": {"token": "file:${CREDENTIALS_DIRECTORY}/token"}}
    environment = {"CREDENTIALS_DIRECTORY": str(tmp_path)}
    if expected.startswith("0"):
        server = parse_configuration(value, environment).server
        assert server is not None
        assert server.token == SecretStr(expected)
        return
    with pytest.raises(ConfigurationError) as caught:
        parse_configuration(value, environment)
    assert caught.value.problems == (("server.token", f"the secret's file {path} {expected}"),)


def test_two_newlines_are_one_too_many(tmp_path: Path) -> None:
    """What a file holds beyond one newline is part of the secret, and no header can carry it."""
    (tmp_path / "token").write_text("0123456789abcdef\n\n")
    with pytest.raises(ConfigurationError, match=r"server\.token: a token is made of visible ASCII"):
        parse_configuration({**EVERY, "server": {"token": f"file:{tmp_path / 'token'}"}}, {})


def test_no_writer_is_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ConfigurationError, match="is no regular file"):
        parse_configuration({**EVERY, "server": {"token": f"file:{tmp_path / 'pipe'}"}}, {})


def test_only_secrets_are_read(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("elsewhere")
    value = {**EVERY, "state": f"file:{tmp_path / 'x'}", "redact": [f"file:{tmp_path.name}"]}
    assert str(parse_configuration(value, {}).state) == f"file:{tmp_path / 'x'}"


def test_check_warns_of_files_that_everybody_may_read(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("0123456789abcdef")
    Workplace(tmp_path, sources=[{"type": "stdin"}], server={"token": f"file:{token}"})
    for mode, expected in ((0o644, f"server.token: everybody may read {token}; chmod o= {token}"), (0o640, "")):
        token.chmod(mode)
        result = CliRunner().invoke(main, ["monitor", "-c", str(tmp_path / "monitor.yml"), "--check"])
        assert result.exit_code == 0
        assert result.stderr == (f"warning: {tmp_path / 'monitor.yml'}: {expected}\n" if expected else "")


def test_a_reload_reads_them_anew(tmp_path: Path) -> None:
    token = tmp_path / "token"
    Workplace(tmp_path, sources=[{"type": "stdin"}], server={"token": f"file:{token}"})
    found = []
    for secret in ("0123456789abcdef", "fedcba9876543210"):
        token.write_text(secret)
        found.append(load_configuration(tmp_path / "monitor.yml").server)
    assert found[0] != found[1]
