"""Mistakes in a configuration as an operator makes them, and the exact line that each of them gets."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from sigma.pyeval.monitor.configuration import ConfigurationError, load_configuration

GOOD = {
    "rules": "rules: {paths: [rules]}",
    "state": "state: state",
    "sources": "sources: [{type: stdin}]",
    "sinks": "sinks: [{type: stdout}]",
}


def written(**sections: str) -> str:
    """Return a good configuration's text with some sections replaced, left out (empty), or added."""
    return "\n".join(text for text in {**GOOD, **sections}.values() if text) + "\n"


MISTAKES: list[tuple[str, str, list[str]]] = [
    ('section left out', written(state=""), ['state: missing']),
    ('section misspelt', written(sinks="", sink="sinsk: [{type: stdout}]"), ['sinks: missing', "sinsk: unknown; did you mean 'sinks'?"]),
    ('key of rules at the top', written(x="field_mappings: {Image: exe}"), ["field_mappings: unknown; it belongs into 'rules'"]),
    ('key of rules misspelt', written(rules="rules: {path: [rules]}"), ['rules.paths: missing', "rules.path: unknown; did you mean 'paths'?"]),
    ('key of a source misspelt', written(sources="sources: [{type: file, pathes: [/var/log/x]}]"), ['sources[0].paths: missing', "sources[0].pathes: unknown; did you mean 'paths'?"]),
    ('key of a sink misspelt', written(sinks="sinks: [{type: webhook, url: https://example.org, sectret: x}]"), ["sinks[0].sectret: unknown; did you mean 'secret'?"]),
    ('key of a part misspelt', written(server="server: {tls: {certficate: x, key: x}}"), ['server.tls.certificate: missing', 'server.tls.key: there is no such file', "server.tls.certficate: unknown; did you mean 'certificate'?"]),
    ('key of a part within a sink misspelt', written(sinks="sinks: [{type: email, server: {hots: x}, from: a@b.c, to: [a@b.c]}]"), ['sinks[0].server.host: missing', "sinks[0].server.hots: unknown; did you mean 'host'?"]),
    ('number that is a text', written(x="spool_bytes: lots"), ['spool_bytes: a whole number of bytes is needed, without a unit']),
    ('number with its unit', written(x="stop_seconds: 30s"), ['stop_seconds: a number of seconds is needed, without a unit']),
    ('list that is a text', written(rules="rules: {paths: /etc/rules}"), ['rules.paths: write a list: [...]']),
    ('list that is a mapping', written(sources="sources: {type: stdin}"), ["sources: write a list: each part of it begins with '- '"]),
    ('mapping that is a list', written(rules="rules: [/etc/rules]"), ['rules: write a mapping: its keys are paths, pipelines, filters, field_mappings, placeholders, restrictiveness, include, exclude, levels']),
    ('mapping of levels that is a list', written(rules="rules: {paths: [r], levels: [high]}"), ["rules.levels: write a mapping: 'name: value' for each"]),
    ('part that is a text', written(sinks="sinks: [stdout]"), ["sinks[0]: write a mapping: its 'type' is one of email, file, kafka, stdout, syslog, webhook"]),
    ('empty section', written(sinks="sinks:"), ['sinks: write a list: [...]']),
    ('empty list', written(rules="rules: {paths: []}"), ['rules.paths: at least one is needed']),
    ('kind unknown', written(sources="sources: [{type: jounrald}]"), ["sources[0].type: unknown; did you mean 'journald'?"]),
    ('kind missing', written(sinks="sinks: [{path: /x}]"), ["sinks[0]: has no 'type'; it is one of email, file, kafka, stdout, syslog, webhook"]),
    ('level unknown', written(sinks="sinks: [{type: stdout, min_level: hihg}]"), ["sinks[0].min_level: unknown; did you mean 'high'?"]),
    ('level in another case', written(rules="rules: {paths: [r], levels: {level:low: High}}"), ["rules.levels.level:low: unknown; did you mean 'high'?"]),
    ('name twice', written(sinks="sinks: [{type: stdout}, {type: stdout}]"), ["sinks[1].name: 'stdout' is also that of sinks[0]; give it another name"]),
    ('name with a blank', written(sinks="sinks: [{type: stdout, name: my sink}]"), ["sinks[0].name: a name is made of letters, digits, '.', '_' and '-', at most 64 of them"]),
    ('text that YAML reads as a number', written(sources="sources: [{type: syslog, udp: 514}]"), ['sources[0].udp: a text is needed, and YAML reads this as a number; quote it']),
    ('text that YAML reads as false', written(sinks="sinks: [{type: stdout, name: off}]"), ['sinks[0].name: a text is needed, and YAML reads this as true or false; quote it']),
    ('number that YAML reads as true', written(x="spool_bytes: yes"), ['spool_bytes: a number is needed, not true or false']),
    ('secret in a file that is not there', written(server="server: {token: 'file:/nowhere/token'}"), ["server.token: the secret's file /nowhere/token cannot be read: No such file or directory"]),
    ('secret in an empty file', written(server="server: {token: 'file:{}/empty'}"), ["server.token: the secret's file {}/empty is empty"]),
    ('secret in a directory', written(server="server: {token: 'file:{}'}"), ["server.token: the secret's file {} is no regular file"]),
    ('secret in a device', written(server="server: {token: 'file:/dev/zero'}"), ["server.token: the secret's file /dev/zero is no regular file"]),
    ('variable that is not set', written(server="server: {token: '${MISSING}'}"), ['server.token: the environment has no MISSING; set it, or write ${MISSING:-default}']),
    ('variable without its name', written(state="state: ${x"), ["state: '${' begins no reference; write ${NAME}, or $$ for a dollar sign"]),
    ('variable that makes a secret too short', written(server="server: {token: '${SHORT}'}"), ['server.token: at least 16 characters are needed']),
    ('YAML that ends too early', written(x="redact: [password"), ["not YAML: did not find expected ',' or ']' at line 6, column 1"]),
    ('YAML with a tab', written(x="server:\n\tlisten: 127.0.0.1:80"), ['not YAML: found character that cannot start any token at line 6, column 1']),
    ('key twice', written(x="state: elsewhere"), ["not YAML: Duplicate key 'state'"]),
    ('two documents', written(x="---\nrules: {}"), ['several documents, divided by ---']),
    ('no mapping at all', "- rules\n", ['a configuration is a mapping of keys; see docs/monitor.md']),
    ('nothing at all', "", ['a configuration is a mapping of keys; see docs/monitor.md']),
    ('TLS files that are not there', written(server="server: {tls: {certificate: /nowhere/c.pem, key: /nowhere/k.pem}}"), ['server.tls.certificate: there is no such file', 'server.tls.key: there is no such file']),
    ('TLS file of a listener that is not there', written(sources="sources: [{type: syslog, tls: {listen: 127.0.0.1:6514, certificate: /nowhere/c.pem, key: '{}/empty'}}]"), ['sources[0].tls.certificate: there is no such file']),
    ('TLS file of a sink that is not there', written(sinks="sinks: [{type: syslog, host: h, tls: {ca: /nowhere/ca.pem}}]"), ['sinks[0].tls.ca: there is no such file']),
    ('port out of range', written(server="server: {listen: 127.0.0.1:99999}"), ['server.listen: not an address and a port such as 127.0.0.1:8750 or [::1]:8750']),
    ('address without a port', written(server="server: {listen: 127.0.0.1}"), ['server.listen: not an address and a port such as 127.0.0.1:8750 or [::1]:8750']),
    ('beyond loopback without TLS', written(server="server: {listen: 0.0.0.0:8750, token: 0123456789abcdef}"), ['server: listen is beyond loopback without TLS: give tls, or insecure: true if that is meant']),
    ('beyond loopback without a token', written(server="server: {listen: 0.0.0.0:8750, insecure: true}"), ['server: listen is beyond loopback: give a token']),
    ('log format unknown', written(sources="sources: [{type: stdin, format: audit}]"), ["sources[0].format: unknown log format 'audit'; did you mean 'auditd'?"]),
    ('option unknown', written(sources="sources: [{type: stdin, format: jsonl, options: {pattern: x}}]"), ["sources[0].options: the format 'jsonl' has no option 'pattern'"]),
    ('option missing', written(sources="sources: [{type: stdin, format: regex}]"), ["sources[0].options: the format 'regex' needs the option 'pattern'"]),
    ('option that is no regular expression', written(sources="sources: [{type: stdin, format: regex, options: {pattern: '('}}]"), ['sources[0].options: not a regular expression: missing ), unterminated subpattern at position 0']),
    ('pipeline unknown', written(rules="rules: {paths: [r], pipelines: [linux_evla]}"), ["rules.pipelines[0]: unknown; did you mean 'linux_eval'? A file's name ends in .yml"]),
    ('pipeline file that is not there', written(rules="rules: {paths: [r], pipelines: [linux_eval, '{}/no.yml']}"), ['rules.pipelines[1]: there is no file {}/no.yml']),
    ('restrictiveness unknown', written(rules="rules: {paths: [r], restrictiveness: balancd}"), ["rules.restrictiveness: unknown; did you mean 'balanced'?"]),
    ('selector that is none', written(rules="rules: {paths: [r], exclude: [level:low, sudo]}"), ["rules.exclude[1]: 'sudo' is no selector: write an id (a UUID), a tag (attack.t1059*), a path (linux/*.yml), level:low or status:test"]),
    ('selector of a level that is none', written(rules="rules: {paths: [r], include: ['level:hihg']}"), ["rules.include[0]: 'level:hihg' is no selector: the level is one of informational, low, medium, high, critical, or none"]),
    ('selector of levels that is none', written(rules="rules: {paths: [r], levels: {sudo: low}}"), ["rules.levels.sudo: 'sudo' is no selector: write an id (a UUID), a tag (attack.t1059*), a path (linux/*.yml), level:low or status:test"]),
    ('mapping to nothing', written(rules="rules: {paths: [r], field_mappings: {Image: []}}"), ['rules.field_mappings.Image: name a field of your events, or a list of such names']),
    ('mapping to a number', written(rules="rules: {paths: [r], field_mappings: {Image: 5}}"), ['rules.field_mappings.Image: a text is needed, and YAML reads this as a number; quote it']),
    ('field that is none', written(x="redact: [a..b]"), ["redact: 'a..b' is no field: a name stands on both sides of a dot"]),
    ('network that is none', written(sources="sources: [{type: syslog, udp: '127.0.0.1:1', allow: [10.0.0.1/8]}]"), ['sources[0].allow[0]: not a network such as 10.0.0.0/8 or fd00::/8']),
]  # fmt: skip


def problems(text: str, folder: Path) -> list[str]:
    """Return the lines for the configuration *text*, without the file's name; ``{}`` stands for *folder*."""
    path = folder / "monitor.yml"
    path.write_text(text.replace("{}", str(folder)))
    (folder / "empty").touch()
    (folder / "bad.yml").write_text("transformations: [{type: nonsense}]")
    with pytest.raises(ConfigurationError) as caught:
        load_configuration(path, {"SHORT": "x"})
    return [line.removeprefix(f"{path}: ").replace(str(folder), "{}") for line in str(caught.value).split("\n")]


@pytest.mark.parametrize(("text", "expected"), [row[1:] for row in MISTAKES], ids=[row[0] for row in MISTAKES])
def test_mistakes(tmp_path: Path, text: str, expected: list[str]) -> None:
    assert problems(text, tmp_path) == expected


def test_many_at_once(tmp_path: Path) -> None:
    """All in one run, each once, in the order of the sections, the unknown ones last; with their number, by the program."""
    text = written(
        rules="rules: {paths: [], exclude: [sudo], pipelines: [linux_evla], restrictivness: ultra}",
        state="state: [a]",
        sources="sources: [{type: file}, {type: jounrald}]",
        sinks="sinks: [{type: stdout, min_level: hihg, rate_limit: fast}, {type: file, path: '${MISSING}'}]",
        server="server: {listen: here, token: 'file:/nowhere/token'}",
        x="spool_bytes: lots\nsinsk: []",
    )
    expected = [
        "rules.paths: at least one is needed",
        "rules.exclude[0]: 'sudo' is no selector: write an id (a UUID), a tag (attack.t1059*), a path (linux/*.yml), level:low or status:test",
        "rules.pipelines[0]: unknown; did you mean 'linux_eval'? A file's name ends in .yml",
        "rules.restrictivness: unknown; did you mean 'restrictiveness'?",
        "state: a text is needed, not a list",
        "sources[0].paths: missing",
        "sources[1].type: unknown; did you mean 'journald'?",
        "sinks[0].min_level: unknown; did you mean 'high'?",
        "sinks[0].rate_limit: a number is needed, without a unit",
        "sinks[1].path: the environment has no MISSING; set it, or write ${MISSING:-default}",
        "server.listen: not an address and a port such as 127.0.0.1:8750 or [::1]:8750",
        "server.token: the secret's file /nowhere/token cannot be read: No such file or directory",
        "spool_bytes: a whole number of bytes is needed, without a unit",
        "sinsk: unknown; did you mean 'sinks'?",
    ]
    assert sorted(problems(text, tmp_path)) == sorted(expected)
    sections = [line.partition(":")[0].partition(".")[0].partition("[")[0] for line in problems(text, tmp_path)]
    assert list(dict.fromkeys(sections)) == ["rules", "state", "sources", "sinks", "server", "spool_bytes", "sinsk"]
    program = Path(sys.executable).with_name("sigma-pyeval")
    path = tmp_path / "monitor.yml"
    run = subprocess.run([program, "monitor", "-c", path, "--check"], capture_output=True, text=True, check=False)
    assert run.returncode == 2
    assert run.stdout == ""
    assert sorted(run.stderr.splitlines()) == sorted(
        [*(f"error: {path}: {line}" for line in expected), f"14 errors in {path}"]
    )
