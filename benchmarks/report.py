"""What a run of the benchmarks found, in Markdown: tables, a plot, and what they were measured on."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from .data import LANES
from .plot import Line, svg

Found = dict[str, Any]
PASSES = ("first", "warm", "unique")
LANE_NAMES = {
    "all": "all rules, Windows events",
    "process_creation": "rules for Windows process creation, Windows events",
    "linux": "Linux rules, Linux events",
}
_PACKAGES = ("pysigma", "orjson", "ahocorasick-rs")
_BEGIN, _END = "<!-- written by make bench -->", "<!-- end -->"


def describe_machine(root: Path, quick: bool) -> dict[str, str]:
    """Return what the results depend on, taken before anything is measured; no name of the machine or of a path."""
    changed = _git(root, "status", "--porcelain", "--untracked-files=no")
    commit = _git(root, "rev-parse", "--short", "HEAD") or "unknown"
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "commit": commit,
        "state": "with changes that are not committed" if changed else "",
        "processor": f"{_processor()}, {len(os.sched_getaffinity(0))} cores",
        "Python": f"{platform.python_implementation()} {platform.python_version()}, {platform.system()}",
        "packages": ", ".join(f"{name} {_version(name)}" for name in _PACKAGES),
        "load average before": f"{os.getloadavg()[0]:.2f}" + (" (a quick run: not worth quoting)" if quick else ""),
    }


def write(folder: Path, machine: dict[str, str], found: Found, failed: dict[str, str]) -> Path:
    """Write the results, and the plot beside them; return the path of the results."""
    folder.mkdir(parents=True, exist_ok=True)
    stem = f"{machine['date']}-{machine['commit']}"
    if "counts" in found:
        (folder / f"{stem}.svg").write_text(rule_count_plot(found["counts"]))
    load = f"{os.getloadavg()[0]:.2f}"
    commit = " ".join(filter(None, (machine["commit"], machine["state"])))
    facts = {
        "commit": commit,
        **{key: machine[key] for key in ("processor", "Python", "packages", "load average before")},
    }
    parts = [
        f"# Speed and memory, {machine['date']}",
        "\n".join(f"- {key}: {value}" for key, value in (facts | {"load average after": load}).items()),
        "All in CPU time of one process on one core, JSON decoding and the garbage collector included, unless it says otherwise. "
        "*first*: one pass with nothing learned yet. *warm*: the same events again. *unique*: a first pass over events in which "
        "every text is unique. Percentages: of merely decoding the same lines with orjson, which takes turns with each pass; "
        "*times scan*: of evaluating rule by rule, on 100 events from all over the file. The median of several runs counts; scan "
        "and logs are run once.",
        "## Throughput\n\n" + lanes_table(found),
        "With the log source told from each event, matches of rules for other ones left out:\n\n"
        + lanes_table(found, " routed"),
    ]
    if "counts" in found:
        parts.append(
            f"## Against the number of rules\n\n![Events a second]({stem}.svg)\n\n" + counts_table(found["counts"])
        )
    parts.append("## Beside other programs, on the same rules and events\n\n" + peers_section(found, failed))
    parts.append("## Loading and memory\n\n" + loading_table(found))
    parts.append("## Reading logs\n\n" + logs_section(found))
    if failed:
        parts.append("## Not measured\n\n" + "\n".join(f"- {name}: {reason}" for name, reason in failed.items()))
    path = folder / f"{stem}.md"
    path.write_text("\n\n".join(parts) + "\n")
    return path


def lanes_table(found: Found, kind: str = "") -> str:
    rows = []
    for lane in LANES:
        one = found.get(lane + kind)
        if one is not None:
            cells = [_pass(one, name) for name in PASSES]
            times = one["passes"]["first"][2]
            what = f"{LANE_NAMES[lane]} ({one['rules']:,} x {one['events']:,})"
            rows.append([what, *cells, _rate(one["decode"]), f"{_rate(one['scan'])}; first = {times:,.0f} times scan"])
    return table(["events/s", *PASSES, "decoding alone", "scan"], rows)


def counts_table(counts: Sequence[Found]) -> str:
    rows = [[f"{one['rules']:,}", *(_pass(one, name) for name in PASSES), _rate(one["scan"])] for one in counts]
    return table(["rules", *PASSES, "scan"], rows)


def rule_count_plot(counts: Sequence[Found]) -> str:
    colours = {"warm": "#1a7f37", "first": "#0969da", "unique": "#8250df", "scan": "#bc4c00"}
    lines = [Line(name, colours[name], [(one["rules"], one[name]) for one in counts]) for name in colours]
    lines.append(Line("decoding alone", "#6e7781", [(one["rules"], one["decode"]) for one in counts], dashed=True))
    return svg(
        "Events a second against the number of rules",
        f"one core, JSON decoding included, {counts[0]['events']:,} Windows events; both scales logarithmic",
        lines,
    )


def peers_section(found: Found, failed: dict[str, str]) -> str:
    rows = []
    for peer in ("sqlite", "azuma"):
        beside = found.get(f"beside {peer}")
        if beside is not None:
            name = f"this package, first pass on {beside['events']:,} events"
            rows.append([name, f"{beside['rules']:,}", f"{beside['matches']:,}", _rate(beside["first"]), "1"])
        one = found.get(peer)
        if one is not None and beside is not None:
            taken = f"{one['taken']:,} of {one['rules']:,}" + (f", {one['failed']} fail" if one["failed"] else "")
            rate = one["events"] / one["seconds"]
            times = f"1/{beside['first'] / rate:,.0f}"
            rows.append([f"{one['version']}, the same", taken, f"{one['matches']:,}", _rate(rate), times])
        elif peer in failed:
            rows.append([peer, "none", "", "not measured", ""])
    return (
        table(["", "rules taken", "matches", "events/s", "times ours"], rows)
        + "\n\nThe time is that of matching and decoding, not of loading rules. SQLite runs each rule as one query over a "
        "table of all the events, filling it included. A first pass gains "
        "with the number of events, so few of them show the least of it. "
        "Matches differ where programs read a rule in different ways."
    )


def loading_table(found: Found) -> str:
    rows: list[list[str]] = []

    def row(name: str, key: str, text: str) -> None:
        if key in found:
            rows.append([name, text.format(**found[key])])

    row("load_rules of all rules from YAML, planning and keeping them for the next time", "load cold",
        "{load:.2f} s for {rules:,} rules, ready for the first event after {ready:.2f} s more")  # fmt: skip
    row("the same, kept from an earlier run", "load cached", "{load:.2f} s, ready after {ready:.2f} s more")
    row("import sigma.pyeval", "load cached", "{import:.2f} s")
    row(
        "importing a linked module of all rules, for the first time",
        "import cold",
        "{import:.2f} s, ready after {ready:.2f} s more",
    )
    row("again, compiled by Python then", "import again", "{import:.2f} s, ready after {ready:.2f} s more")
    row("size of the linked module", "linked", "{mb:.1f} MB")
    row("peak memory: all rules kept from an earlier run, one pass over all events", "memory",
        "{peak_mb:.0f} MB ({loaded_mb:.0f} MB after loading; what was learned: about {memo_mb:.0f} MB)")  # fmt: skip
    row(
        "the same, rules loaded from YAML in the same process",
        "memory, no cache",
        "{peak_mb:.0f} MB ({loaded_mb:.0f} MB after loading)",
    )
    return "Elapsed time, each in a process of its own.\n\n" + table(["", ""], rows)


def logs_section(found: Found) -> str:
    names = {
        "log bytes": "reading the file",
        "log lines": "splitting its lines",
        "log read": "records from it",
        "log scan": "records from it, held against the Linux rules, matches written to a file",
        "log monitor": "the same by the monitor, alerts kept in its store and delivered to a file",
    }
    rows = []
    for key, name in names.items():
        if key in found:
            one = found[key]
            records = one.get("records", one.get("lines"))
            each = f"{records / one['seconds']:,.0f}" if records else ""
            rate = f"{one['bytes'] / 1e6 / one['seconds']:,.0f}"
            rows.append([name, rate, each, f"{one['seconds']:.2f}", f"{one['peak_mb']:.0f}"])
    scan = found.get("log scan", {})
    about = (
        f"An audit log of {scan['bytes'] / 1e6:.0f} MB: a real one repeated with new serials and times, so that its other values "
        f"repeat more than in life. {scan['rules']} rules in the pipeline `linux_eval`; {scan['records']:,} records, "
        f"{scan['problems']:,} problems, {scan['matches']:,} matches.\n\n"
        if scan
        else ""
    )
    return about + table(["", "MB/s", "lines or records/s", "CPU seconds", "peak memory, MB"], rows)


def write_readme(readme: Path, results: Path, found: Found) -> None:
    """Write the part of README.md between its two marks: the plot and the table of the lanes."""
    base = results.relative_to(readme.parent).with_suffix("")
    section = (
        f"{_BEGIN}\n![Events a second against the number of rules]({base}.svg)\n\n{lanes_table(found)}\n\n"
        f"[All of this run]({base}.md): routing, other programs, loading, memory, reading logs.\n{_END}"
    )
    text = readme.read_text()
    readme.write_text(re.sub(f"{_BEGIN}.*?{_END}", lambda _: section, text, flags=re.DOTALL))


def _pass(one: Found, name: str) -> str:
    rate, share, _ = one["passes"][name]
    return f"{_rate(rate)} ({share:.1%})"


def _rate(rate: float) -> str:
    return f"{rate:,.0f}" if rate >= 1 else f"{rate:.2g}"


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    ruler = "|".join(["---", *("---:" for _ in heads[1:])])
    return "\n".join([f"| {' | '.join(heads)} |", f"|{ruler}|", *(f"| {' | '.join(row)} |" for row in rows)])


def _git(root: Path, *arguments: str) -> str:
    try:
        done = subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True, check=False)
    except OSError:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def _processor() -> str:
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return platform.processor() or platform.machine()
    found = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
    return found[1] if found else platform.machine()


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "unknown"
