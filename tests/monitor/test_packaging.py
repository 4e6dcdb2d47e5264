"""What is shipped beside the program: the example configuration can be used, also with every setting in it switched on."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

from sigma.pyeval.monitor.configuration import parse_configuration

PACKAGING = Path(__file__).resolve().parents[2] / "packaging"
CONFIGURATION = (PACKAGING / "sigma-pyeval.yml").read_text()
UNIT = (PACKAGING / "sigma-pyeval.service").read_text()


def directives() -> dict[str, str]:
    return dict(line.split("=", 1) for line in UNIT.splitlines() if "=" in line and not line.startswith("#"))


def test_the_example_can_be_used_as_it_is() -> None:
    configuration = parse_configuration(yaml.safe_load(CONFIGURATION), {})
    assert [source.type for source in configuration.sources] == ["journald"]
    assert configuration.server is not None
    assert configuration.server.listen == "127.0.0.1:8750"


def test_the_example_can_be_used_with_every_setting(tmp_path: Path) -> None:
    whole = re.sub(r"^( *)#(?=[^ \n])", r"\1", CONFIGURATION, flags=re.MULTILINE)
    assert whole.count("#") < CONFIGURATION.count("#") - 25
    for name, secret in (
        ("token", "x" * 20),
        ("webhook-url", "https://hooks.example.org/x"),
        ("pagerduty", "y" * 32),
    ):
        (tmp_path / name).write_text(secret)
    configuration = parse_configuration(yaml.safe_load(whole), {"CREDENTIALS_DIRECTORY": str(tmp_path)})
    assert len(configuration.sources) == 5
    assert [sink.name for sink in configuration.sinks] == ["file", "syslog", "email", "webhook", "on-call"]
    assert configuration.exceptions
    assert configuration.suppress
    assert configuration.server is not None
    assert configuration.server.token is not None


def test_the_unit_fits_the_configuration_and_the_program() -> None:
    unit = directives()
    configuration = parse_configuration(yaml.safe_load(CONFIGURATION), {})
    assert unit["Type"] == "notify"
    assert float(unit["TimeoutStopSec"]) > configuration.stop_seconds
    assert configuration.state == Path("/var/lib") / unit["StateDirectory"]
    assert unit["ExecStart"].endswith(f"monitor -c /etc/{unit['ConfigurationDirectory']}/monitor.yml")
    assert "2" in unit["RestartPreventExitStatus"].split()
    assert unit["ExecReload"] == "/bin/kill -HUP $MAINPID"
