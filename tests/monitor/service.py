"""Running the service in tests: a directory with a rule and a configuration, and the program started on it."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import yaml

RULE = """
title: Marked line
id: 5d3f7a51-6d0c-4d5e-9b1a-0f3c2a7b9e10
status: test
level: high
tags: [attack.execution, attack.t1059.004]
logsource: {product: linux}
detection:
  keywords: [evil-marker]
  condition: keywords
"""


class Workplace:
    """A directory in which the service runs.

    Args:
        path: An empty directory.
        configuration: What the configuration says beside rules, state and a sink into ``alerts.jsonl``.
    """

    def __init__(self, path: Path, **configuration: Any) -> None:
        self.path = path
        (path / "rules").mkdir(exist_ok=True)
        (path / "rules" / "marked.yml").write_text(RULE)
        self.configuration = {
            "rules": {"paths": [str(path / "rules")], "pipelines": []},
            "state": str(path / "state"),
            "sinks": [{"type": "file", "path": str(path / "alerts.jsonl")}],
            **configuration,
        }
        self.write()

    def write(self) -> None:
        """Write the configuration as it is now."""
        (self.path / "monitor.yml").write_text(yaml.safe_dump(self.configuration))

    def start(self, *arguments: str, within: Sequence[str] = (), **options: Any) -> Running:
        """Start the program; *within* is a command that runs the one behind it."""
        return Running(self, (*within, *self._command, *arguments), options)

    @property
    def _command(self) -> tuple[str, ...]:
        program = Path(sys.executable).with_name("sigma-pyeval")
        return (str(program), "monitor", "-c", str(self.path / "monitor.yml"))

    def alerts(self) -> list[dict[str, Any]]:
        """Return the alerts in ``alerts.jsonl``; a line that is being written is left out."""
        try:
            lines = (self.path / "alerts.jsonl").read_bytes().split(b"\n")
        except FileNotFoundError:
            return []
        return [json.loads(line) for line in lines[:-1]]


class Running:
    """The program ``sigma-pyeval monitor``, started on a workplace."""

    def __init__(self, place: Workplace, command: tuple[str, ...], options: dict[str, Any]) -> None:
        self.place = place
        self._log_path = place.path / "log"
        with self._log_path.open("ab") as log:
            self._log_start = log.tell()
            self.process = subprocess.Popen(
                command,
                stderr=log,
                env={**os.environ, "PYTHONUNBUFFERED": "1"},
                **{"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, **options},
            )

    @property
    def log(self) -> str:
        """What this run has written to standard error so far."""
        return self._log_path.read_bytes()[self._log_start :].decode()

    def until(self, condition: Callable[[], object], seconds: float = 20) -> Any:
        """Wait until *condition* is true and return its value; fail with the log after *seconds*."""
        deadline = time.monotonic() + seconds
        while not (value := condition()):
            assert time.monotonic() < deadline, f"waited {seconds} s in vain; the log:\n{self.log[-4000:]}"
            assert self.process.poll() is None or condition(), f"the service ended; the log:\n{self.log[-4000:]}"
            time.sleep(0.02)
        return value

    def stop(self, seconds: float = 20) -> int:
        """Send SIGTERM and return the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(seconds)

    def kill(self) -> None:
        """End it as a crash would."""
        self.process.kill()
        self.process.wait()

    def __enter__(self) -> Running:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.kill()
        for stream in (self.process.stdin, self.process.stdout):
            if stream is not None:
                stream.close()


def free_port() -> int:
    """Return a port on loopback that was free a moment ago."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port
