"""What it takes to get ready: times of loading and importing, peak memory. ``python -m benchmarks.loading WHAT``, JSON on stdout.

Each measurement is a process of its own, as what is loaded stays: ``load`` times ``load_rules`` of all rules (from YAML
where the cache, below $XDG_CACHE_HOME, is empty; else from there), ``ready`` being how long the first ``match`` takes then;
``memory`` judges all events once, as they are read, with rules from the cache, or without one (``memory-no-cache``);
``linked`` writes a linked module of all rules to FILE, ``import`` times importing the linked module at FILE.
"""

from __future__ import annotations

import gzip
import importlib.util
import json
import resource
import sys
import time
from pathlib import Path

from .data import LANES, events_path

FOLDER, EVENTS = LANES["all"]


def load() -> dict[str, float]:
    start = time.perf_counter()
    from sigma.pyeval import load_rules

    imported = time.perf_counter()
    ruleset = load_rules(FOLDER)
    loaded = time.perf_counter()
    ruleset.match({})
    return {
        "rules": len(ruleset),
        "import": imported - start,
        "load": loaded - imported,
        "ready": time.perf_counter() - loaded,
        "peak_mb": peak_mb(),
    }


def memory(cache: bool) -> dict[str, float]:
    import orjson

    from sigma.pyeval import load_rules

    ruleset = load_rules(FOLDER, cache=cache)
    loaded = peak_mb()
    events = 0
    with gzip.open(events_path(EVENTS)) as file:
        for line in file:
            ruleset.match(orjson.loads(line))
            events += 1
    statistics = ruleset.statistics()
    return {"events": events, "loaded_mb": loaded, "peak_mb": peak_mb(), "memo_mb": statistics.memo_bytes / 1e6}


def write_linked(path: Path) -> dict[str, float]:
    from sigma.pyeval.cli import main as command

    command.main(["compile", "-f", "linked", "-o", str(path), str(FOLDER)], standalone_mode=False)
    return {"mb": path.stat().st_size / 1e6}


def import_module(path: Path) -> dict[str, float]:
    start = time.perf_counter()
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise SystemExit(f"{path.name} is no module")
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    imported = time.perf_counter()
    module.match({})
    return {"import": imported - start, "ready": time.perf_counter() - imported, "peak_mb": peak_mb()}


def peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main(what: str, path: str = "") -> None:
    measured = {
        "load": load,
        "memory": lambda: memory(cache=True),
        "memory-no-cache": lambda: memory(cache=False),
        "linked": lambda: write_linked(Path(path)),
        "import": lambda: import_module(Path(path)),
    }[what]()
    print(json.dumps(measured))


if __name__ == "__main__":
    main(*sys.argv[1:])
