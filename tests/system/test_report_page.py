"""The report page in a browser: hostile text runs nowhere, counts and marks show, the filter filters, nothing overflows."""

from __future__ import annotations

import html
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from sigma.pyeval.reports import HtmlReport

from ..reports.samples import FINDINGS, HOSTILE, NOW, SHELL, hostile_finding

pytestmark = pytest.mark.system

FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--hide-scrollbars", "--virtual-time-budget=3000",
)  # fmt: skip


@pytest.fixture(scope="module")
def chromium() -> str:
    """Return the browser's program; without one, these tests are skipped."""
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if found is None:
        pytest.skip("no Chromium on this machine (Debian: apt-get install chromium)")
    return found


def dom(chromium: str, source: str, tmp_path: Path, *flags: str) -> str:
    """Return the document as it is after the browser has loaded *source* and run what it lets run."""
    page = tmp_path / "page.html"
    page.write_text(source, encoding="utf-8")
    command = [chromium, *FLAGS, *flags, f"--user-data-dir={tmp_path / 'profile'}", "--dump-dom", page.as_uri()]
    return subprocess.run(command, capture_output=True, timeout=120, check=True).stdout.decode("utf-8")


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return the page of ordinary and of hostile findings."""
    path = tmp_path_factory.mktemp("report") / "report.html"
    with path.open("wb") as stream:
        writer = HtmlReport(stream, now=lambda: NOW)
        for finding in [*FINDINGS, SHELL, *(hostile_finding(text) for text in HOSTILE)]:
            writer.write(finding)
        writer.close()
    return path.read_text(encoding="utf-8")


def title(document: str) -> str:
    """Return the document's title."""
    return html.unescape(re.findall(r"<title>(.*?)</title>", document)[0])


def with_driver(report: str, script: str) -> str:
    """Return the page without its policy and with one more script, which plays the user."""
    without_policy = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", report)
    assert without_policy != report
    return without_policy.replace("</body>", f"<script>{script}</script></body>")


def test_a_script_in_a_page_would_run(chromium: str, tmp_path: Path) -> None:
    """What the next tests exclude does happen in this browser where nothing prevents it."""
    source = f"<!doctype html><title>Mine</title><body>{HOSTILE[0]}{HOSTILE[1]}"
    assert title(dom(chromium, source, tmp_path)) == "owned"


def test_hostile_text_runs_nowhere(chromium: str, report: str, tmp_path: Path) -> None:
    """Scripts, event handlers and closing tags in rules and logs are shown, and change nothing."""
    document = dom(chromium, report, tmp_path)
    assert title(document) == "Sigma report"
    assert document.count("<script") == report.count("<script") == 1
    assert "&lt;script&gt;document.title='owned'&lt;/script&gt;" in document
    assert not re.search(r"<(img|svg on|iframe|object)", document)


def test_the_policy_stops_what_were_to_get_in(chromium: str, report: str, tmp_path: Path) -> None:
    """The second lock holds by itself: markup written into the page runs no script and loads nothing."""
    broken = report.replace(
        "<footer>", "<footer><script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">"
    )
    assert broken != report
    assert title(dom(chromium, broken, tmp_path)) == "Sigma report"


def test_counts_and_marks_show(chromium: str, report: str, tmp_path: Path) -> None:
    """Style and script are let through by their hashes: the filter is there and has counted the events."""
    document = dom(chromium, report, tmp_path)
    events = report.count('<details class="event">')
    assert f"{events} of {events} events</output>" in document
    assert "/usr/bin<mark>/bash</mark>" in document
    assert '<span class="count">2</span><span class="name">high</span>' in document
    drawn = with_driver(report, "document.title = getComputedStyle(document.querySelector('mark')).backgroundColor")
    assert title(dom(chromium, drawn, tmp_path)) == "rgb(255, 224, 138)"


@pytest.mark.parametrize(
    ("words", "level", "shown"),
    [("", "", None), ("php-fpm web-1", "", 2), ("php-fpm web-1", "low", 0), ("", "critical", 1), ("NETWORK device", "high", 2), ("<script>", "", 1)],
)  # fmt: skip
def test_the_filter_filters(
    chromium: str, report: str, tmp_path: Path, words: str, level: str, shown: int | None
) -> None:
    """All words must occur in the event or its rule's title, whatever their case, and the level must be the one chosen."""
    events = report.count('<details class="event">')
    script = f"""
        const form = document.querySelector(".filter");
        form.querySelector("input").value = {words!r};
        form.querySelector("select").value = {level!r};
        form.querySelector("input").dispatchEvent(new Event("input"));
        const seen = (selector) => Array.from(document.querySelectorAll(selector)).filter((node) => node.checkVisibility()).length;
        form.querySelector(".open").click();
        document.title = [form.querySelector("output").textContent, seen("details.event"), seen("details.event[open]")].join();
    """
    expected = events if shown is None else shown
    found = title(dom(chromium, with_driver(report, script), tmp_path))
    if words == "<script>":
        assert int(found.split()[0]) >= 1
    else:
        assert found == f"{expected} of {events} events,{expected},{expected}"


@pytest.mark.parametrize("width", [360, 800, 1600])
def test_no_page_is_wider_than_the_window(chromium: str, report: str, tmp_path: Path, width: int) -> None:
    """Wide tables scroll in their own frame, long values break; with all events open."""
    script = f"""
        document.querySelector(".open").click();
        const frame = document.createElement("iframe");
        frame.style.width = "{width}px";
        const copy = document.documentElement.cloneNode(true);
        copy.querySelectorAll("script").forEach((node) => node.remove());
        frame.srcdoc = "<!doctype html>" + copy.outerHTML;
        frame.onload = () => {{ document.title = frame.contentDocument.documentElement.scrollWidth <= {width} ? "fits" : "wider"; }};
        document.body.append(frame);
    """
    assert title(dom(chromium, with_driver(report, script), tmp_path)) == "fits"


def test_the_page_is_drawn(chromium: str, report: str, tmp_path: Path) -> None:
    """A picture of it can be taken, in light and dark, and these differ."""
    page = tmp_path / "page.html"
    page.write_text(report, encoding="utf-8")
    pictures = []
    for scheme in (1, 0):
        picture = tmp_path / f"{scheme}.png"
        flags = (
            f"--user-data-dir={tmp_path / 'profile'}",
            f"--blink-settings=preferredColorScheme={scheme}",
            f"--screenshot={picture}",
        )
        subprocess.run([chromium, *FLAGS, *flags, page.as_uri()], capture_output=True, timeout=120, check=True)
        pictures.append(picture.read_bytes())
    assert all(picture.startswith(b"\x89PNG") for picture in pictures)
    assert pictures[0] != pictures[1]
