"""The live page in a browser, on a running service: what comes is shown, filtered, acknowledged, and never markup."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from ..monitor.service import Running, Workplace, free_port
from ..monitor.test_correlation import GUESSING
from .browser import Browser, Tab, browsing, find_chromium

pytestmark = pytest.mark.system

TOKEN = "a-token-of-some-length"
OTHER_RULE = """
title: Second line
id: 0c1d2e3f-6d0c-4d5e-9b1a-0f3c2a7b9e11
level: low
description: "A rule <b>whose</b> text \u202e is hostile"
references: ["https://example.org/about", "javascript:alert(1)", "https://user@example.org/"]
tags: [attack.discovery, attack.t1083]
logsource: {product: linux}
detection:
  keywords: [second-marker]
  condition: keywords
"""
HOSTILE = (
    "evil-marker <script>document.title='owned'</script>",
    "evil-marker <img src=x onerror=\"document.title='owned'\">",
    "evil-marker \u202egnp.exe \u2066isolate\u2069 \u200bzero",
    "evil-marker \x1b[2J\x1b]0;owned\x07 NUL\x00 end",
    "evil-marker lone \ud83d surrogate",
    "evil-marker &lt;b&gt; {{7*7}} ${7*7} </td></table></body>",
)


@dataclass
class Site:
    """A service with a page: ``address``, its place, the program, and its log file."""

    address: str
    place: Workplace
    service: Running
    log: Path

    def write(self, *messages: str, **fields: object) -> None:
        """Let events come."""
        with self.log.open("a", encoding="ascii") as file:
            file.writelines(json.dumps({"MESSAGE": message, **fields}) + "\n" for message in messages)

    def kept(self, count: int) -> None:
        """Wait until *count* alerts have been delivered."""
        self.service.until(lambda: len(self.place.alerts()) >= count)


def answers(port: int) -> bool:
    """Return whether somebody listens there."""
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def begin(path: Path, **server: object) -> Iterator[Site]:
    log, port = path / "app.jsonl", free_port()
    log.touch()
    place = Workplace(
        path,
        sources=[{"type": "file", "name": "app", "paths": [str(log)], "format": "jsonl", "start": "beginning"}],
        server={"listen": f"127.0.0.1:{port}", **server},
    )
    (path / "rules" / "second.yml").write_text(OTHER_RULE, encoding="utf-8")
    with place.start() as service:
        service.until(lambda: answers(port))
        yield Site(f"http://127.0.0.1:{port}", place, service, log)
        assert service.stop() == 0


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """Yield a browser; without one, these tests are skipped."""
    program = find_chromium()
    if program is None:
        pytest.skip("no Chromium on this machine (Debian: apt-get install chromium)")
    with browsing(program, tmp_path_factory.mktemp("profile")) as found:
        yield found


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """Yield a service without a token."""
    yield from begin(tmp_path)


@pytest.fixture
def tab(browser: Browser, site: Site) -> Iterator[Tab]:
    """Yield the page, loaded; nothing may have gone wrong in it, and nothing been asked of others."""
    found = browser.stranger()
    found.go(f"{site.address}/page/")
    found.until("document.querySelector('#levels li') && document.querySelector('#shown').textContent")
    yield found
    assert found.errors == []
    assert {address for address in found.requests if not address.startswith(site.address)} <= {"about:blank"}


ROWS = "Array.from(document.querySelectorAll('#rows tr'), (row) => row.querySelector('.line').textContent)"


def rows(tab: Tab, count: int) -> list[str]:
    """Wait until the list has *count* rows and return their lines."""
    return list(tab.until(f"((rows) => rows.length === {count} ? rows : null)({ROWS})"))


def test_alerts_appear_while_the_page_is_open(site: Site, tab: Tab) -> None:
    assert "No alerts are kept" in tab.text("#none")
    site.write("evil-marker one")
    assert rows(tab, 1) == ["evil-marker one"]
    site.write("evil-marker two", "second-marker three", "harmless")
    assert rows(tab, 3) == ["second-marker three", "evil-marker two", "evil-marker one"]
    tab.until("document.querySelector('#announced').textContent.includes('new alert')")
    tab.until("document.querySelector('#levels .high .count').textContent === '2'")
    assert tab.text("#rows tr .badge") == "●low"
    # Who reads further down is not pushed about: what is new waits.
    tab.run("document.querySelector('#rows button').focus()")
    site.write("evil-marker four")
    tab.until("!document.querySelector('#fresh').hidden")
    assert len(rows(tab, 3)) == 3
    tab.key("n")
    assert rows(tab, 4)[0] == "evil-marker four"


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_text_stays_text(site: Site, tab: Tab, text: str) -> None:
    site.write(text, Image=text, **{text[12:40]: text})
    site.kept(1)
    rows(tab, 1)
    tab.click("#rows button")
    tab.until("document.querySelector('table.event')")
    shown = tab.run("document.querySelector('#detail').textContent + document.querySelector('#rows').textContent")
    for character in shown:
        assert character.isprintable() or character == "\n", ascii(character)
    written = (
        text.encode("ascii", "backslashreplace")
        .decode()
        .replace("\x1b", "\\x1b")
        .replace("\x07", "\\x07")
        .replace("\x00", "\\x00")
    )
    # An alert holds a lone surrogate as the text of its escape already.
    assert tab.run(ROWS)[0] == written
    assert shown.count(written[12:]) >= 3
    for selector in ("#detail script, #rows script, #detail img, #rows img", "body > b, #detail b, #rows b"):
        assert tab.run(f"document.querySelectorAll({json.dumps(selector)}).length") == 0
    assert tab.run("document.title") == "sigma-pyeval"
    assert tab.run("document.querySelector('#rows .log').matches('bdi[dir=ltr]')")


def test_a_script_in_the_page_would_not_run(site: Site, tab: Tab) -> None:
    """The second lock holds by itself: markup that got in, and text made markup, run nothing."""
    tab.until("document.querySelector('#rows')")
    said = tab.run(
        "(() => { try { document.body.insertAdjacentHTML('beforeend', \"<img src=x onerror=\\\"document.title='owned'\\\">\"); return 'in'; }"
        " catch (error) { return error.name; } })()"
    )
    assert said == "TypeError"  # trusted types
    tab.run(
        "(() => { const node = document.createElement('img'); node.setAttribute('src', 'http://192.0.2.1/x'); document.body.append(node); })()"
    )
    tab.until("true")
    assert tab.run("document.title") == "sigma-pyeval"
    assert any("Content Security Policy" in error or "TrustedHTML" in error for error in tab.errors)
    tab.errors.clear()
    tab.requests[:] = [address for address in tab.requests if "192.0.2.1" not in address]


def test_a_line_of_a_megabyte_is_opened_piece_by_piece(site: Site, tab: Tab) -> None:
    size = 1_000_000
    site.write("x" * (size // 2) + "evil-marker" + "<b>" * (size // 6))  # a source takes lines of up to 1 MiB
    site.kept(1)
    assert len(rows(tab, 1)[0]) < 400
    assert "characters" in tab.text("#rows tr .line")
    tab.click("#rows button")
    tab.until("document.querySelector('table.event mark')")
    assert tab.text("table.event mark") == "evil-marker"
    assert tab.run("document.querySelector('#detail').textContent.length") < 10_000
    tab.click(".long button")
    tab.until("document.querySelector('.pieces')")
    assert tab.run("document.querySelector('.pieces').textContent.length") < 25_000
    assert "more;" in tab.text(".pieces button")
    tab.click(".pieces button")
    tab.until("document.querySelectorAll('.pieces .piece').length === 2")
    assert tab.run("document.querySelectorAll('#detail b').length") == 0
    # Opened to its end, the page still answers at once.
    tab.run(
        "(async () => { for (let next; (next = document.querySelector('.pieces button')); ) { next.click(); await new Promise(requestAnimationFrame); } })()"
    )
    assert (
        tab.run("Array.from(document.querySelectorAll('.pieces .piece'), (node) => node.textContent).join('').length")
        >= size
    )
    assert (
        tab.run(
            "(() => { const began = performance.now(); document.querySelector('.pieces').scrollTop = 1e6; document.body.offsetHeight; return performance.now() - began; })()"
        )
        < 500
    )


def test_filter_search_and_address(site: Site, tab: Tab) -> None:
    site.write("evil-marker alpha", "second-marker beta", host="web-1")
    site.write("evil-marker gamma delta", host="db-1")
    rows(tab, 3)
    tab.key("/")
    tab.type("gamma")
    assert rows(tab, 1) == ["evil-marker gamma delta"]
    assert "1 alert with this filter" in tab.text("#shown")
    tab.run(
        "(() => { const field = document.querySelector('#words'); field.value = ''; field.dispatchEvent(new Event('input', {bubbles: true})); })()"
    )
    rows(tab, 3)
    tab.run(
        "(() => { const field = document.querySelector('#level'); field.value = 'high+'; field.dispatchEvent(new Event('input', {bubbles: true})); })()"
    )
    assert rows(tab, 2) == ["evil-marker gamma delta", "evil-marker alpha"]
    assert tab.run("location.hash") == "#alerts?level=high%2B"
    # Only what the filter admits is added.
    site.write("second-marker more", "evil-marker more")
    assert rows(tab, 3)[0] == "evil-marker more"
    tab.go(f"{site.address}/page/#alerts?technique=T1083")
    tab.run("window.isOld = true; location.reload()")
    tab.until("!window.isOld")
    assert rows(tab, 2) == ["second-marker more", "second-marker beta"]
    assert tab.run("document.querySelector('#technique').value") == "T1083"
    tab.click("#chips button:last-child")
    assert len(rows(tab, 5)) == 5
    tab.run("location.hash = '#alerts?words=%22nothing+like+it%22'")
    tab.until("document.querySelector('#none').checkVisibility()")


def test_the_detail_tells_all(site: Site, tab: Tab) -> None:
    site.write("second-marker \U0001f600 here", pid=18446744073709551615, tags=["a", {"b": None}], empty="")
    rows(tab, 1)
    tab.key("j")
    tab.key("Enter")
    tab.until("document.querySelector('table.event')")
    assert tab.run("document.activeElement.id") == "detail-title"
    cells = dict(
        tab.run(
            "Array.from(document.querySelectorAll('table.event tbody tr'), (row) => [row.cells[0].innerText.trim(), row.cells[1].innerText])"
        )
    )
    assert cells["pid"] == "18446744073709551615"
    assert (cells["tags.0"], cells["tags.1.b"], cells["empty"]) == ("a", "null", "empty")
    assert tab.text("table.event mark") == "second-marker"
    links = tab.run(
        "Array.from(document.querySelectorAll('#detail a.outside'), (node) => [node.href, node.rel, node.textContent])"
    )
    assert ["https://example.org/about", "noreferrer noopener", "https://example.org/about"] in links
    assert all(
        href.startswith(("https://example.org/about", "https://attack.mitre.org/techniques/")) for href, *_ in links
    )
    assert "javascript:alert(1)" in tab.text("#detail")
    assert "\\u202e" in tab.text("#detail")
    tab.run(
        "Array.from(document.querySelectorAll('#detail button')).find((node) => node.textContent === 'Show').click()"
    )
    tab.until("document.querySelector('.pieces')")
    assert (
        json.loads(tab.run("document.querySelector('.pieces .piece').textContent").replace("\\n\n", "\n"))["event"][
            "empty"
        ]
        == ""
    )
    tab.key("Escape")
    tab.until("document.querySelector('#detail').hidden")
    assert tab.run("document.activeElement.matches('#rows button.open')")


def test_the_detail_tells_what_a_correlation_found(site: Site, tab: Tab) -> None:
    """Window, group and the events that contributed, each as it was read; text of the log stays text here too."""
    (site.place.path / "rules" / "guessing.yml").write_text(GUESSING, encoding="utf-8")
    site.service.until(lambda: "reloaded: " in site.service.log)
    host = "<b>web</b>\u202e"
    begin = time.time() - 600
    for second in range(3):
        site.write("failed for root", host=host, **{"@timestamp": begin + second})
    rows(tab, 1)
    tab.key("j")
    tab.key("Enter")
    tab.until("document.querySelector('#detail ol.why')")
    text = tab.text("#detail")
    assert "does not have" not in text
    assert "3 events" in text
    assert "<b>web</b>\\u202e" in text
    assert tab.run("document.querySelectorAll('#detail b').length") == 0
    events = tab.run("Array.from(document.querySelectorAll('#detail ol.why li'), (node) => node.textContent)")
    assert len(events) == 3
    assert all("failed" in one and "app" in one and "offset" in one for one in events)
    tab.click("#detail ol.why details summary")
    tab.until("document.querySelector('#detail ol.why details table.event').checkVisibility()")
    tab.picture(site.place.path / "correlation.png")


def test_acknowledging_shows_in_other_pages(site: Site, tab: Tab, browser: Browser) -> None:
    other = browser.stranger()
    other.go(f"{site.address}/page/")
    site.write("evil-marker one", "second-marker two", "evil-marker three")
    rows(tab, 3)
    rows(other, 3)
    tab.key("j")
    tab.key("a")
    tab.until("document.querySelector('#ask').open")
    tab.type("<b>ann")
    tab.key("Enter")
    for page in (tab, other):
        page.until("document.querySelector('#rows tr .c-state').textContent === '✓ <b>ann'")
    assert tab.run("document.querySelectorAll('#rows .acknowledged').length") == 1
    tab.key("j")
    tab.key("a")  # the name is known now
    other.until("document.querySelectorAll('#rows .acknowledged').length === 2")
    tab.run(
        "(() => { const field = document.querySelector('#acknowledged'); field.value = 'no'; field.dispatchEvent(new Event('input', {bubbles: true})); })()"
    )
    rows(tab, 1)
    tab.click("#acknowledge-all")
    tab.until("document.querySelector('#ask').open")
    tab.click("#ask button.main")
    other.until("document.querySelectorAll('#rows .acknowledged').length === 3")
    assert other.errors == []


def test_the_keyboard_reaches_everything(site: Site, tab: Tab) -> None:
    site.write(*(f"evil-marker {number}" for number in range(5)))
    rows(tab, 5)
    focused = "document.activeElement.closest('tr')?.querySelector('.line').textContent"
    for key, line in (("j", 4), ("ArrowDown", 3), ("j", 2), ("k", 3), ("ArrowUp", 4), ("k", 4)):
        tab.key(key)
        assert tab.run(focused) == f"evil-marker {line}"
    tab.key("?")
    assert tab.run("document.querySelector('#help').open")
    tab.key("Escape")
    tab.until("!document.querySelector('#help').open")
    for key, view in (("2", "rules"), ("3", "attack"), ("4", "trends"), ("5", "health"), ("1", "alerts")):
        tab.key(key)
        tab.until(f"document.querySelector('#view-{view}').checkVisibility()")
        assert tab.run("document.querySelector('nav [aria-current]').dataset.view") == view
    # Typing is typing.
    tab.key("/")
    tab.key("j")
    assert tab.run("document.querySelector('#words').value") == "j"
    tab.key("Escape")
    assert tab.run("document.activeElement === document.body")


def test_rules_are_sorted_and_lead_to_their_alerts(site: Site, tab: Tab) -> None:
    site.write("evil-marker one", "evil-marker two", "second-marker three")
    rows(tab, 3)
    tab.key("2")
    titles = "Array.from(document.querySelectorAll('#rules tbody th'), (node) => node.textContent)"
    tab.until(f"{titles}.length === 2")
    assert tab.run(titles) == ["Marked line", "Second line"]
    assert "Last detected, UTC" in tab.text("#rules thead")
    tab.click("#rules thead th:nth-child(3) button")
    assert tab.run(titles) == ["Second line", "Marked line"]
    assert tab.run("document.querySelector('#rules thead th:nth-child(3)').getAttribute('aria-sort')") == "ascending"
    assert tab.run("document.activeElement.dataset.column") == "2"
    tab.click("#rules tbody a")
    assert rows(tab, 1) == ["second-marker three"]
    tab.key("3")
    tab.click("#attack a.cell")
    assert rows(tab, 2) == ["evil-marker two", "evil-marker one"]


def test_plots_are_drawn_and_read_by_keyboard(site: Site, tab: Tab) -> None:
    site.write("evil-marker one")
    rows(tab, 1)
    tab.key("4")
    tab.until("document.querySelectorAll('#trends path.line').length >= 3", 30)
    label = tab.run("document.querySelector('#trends svg.plot').getAttribute('aria-label')")
    assert "Events judged, a second" in label
    assert "app: now" in label
    tab.run("document.querySelector('#trends svg.plot').focus()")
    tab.key("ArrowLeft")
    assert "UTC: app" in tab.text("#trends .reading")
    tab.run("document.querySelector('#trends summary').click()")
    tab.until("document.querySelector('#trends details table')")
    assert "Time, UTC" in tab.text("#trends details table")


def test_a_lost_connection_is_said_and_mends_itself(tmp_path: Path, browser: Browser) -> None:
    sites = begin(tmp_path)
    site = next(sites)
    tab = browser.stranger()
    tab.go(f"{site.address}/page/")
    site.write("evil-marker one")
    rows(tab, 1)
    assert site.service.stop() == 0
    tab.until("document.querySelector('#lost').checkVisibility()")
    assert "Connection lost since" in tab.text("#lost")
    site.write("evil-marker two")
    with site.place.start() as again:
        tab.until("!document.querySelector('#lost').checkVisibility()", 40)
        assert rows(tab, 2)[0] == "evil-marker two"
        assert again.stop() == 0
    sites.close()


def test_login(tmp_path: Path, browser: Browser) -> None:
    for site in begin(tmp_path, token=TOKEN):
        tab = browser.stranger()
        tab.go(f"{site.address}/#alerts?level=high")
        tab.until("document.querySelector('#token')")
        for token, said in ((f"{TOKEN}-wrong", "not the token"), (TOKEN, "")):
            tab.until("document.activeElement.id === 'token'")
            tab.run("document.querySelector('#token').value = ''")
            tab.type(token)
            tab.key("Enter")
            if said:
                tab.until(f"document.querySelector('#said').textContent.includes('{said}')")
                tab.until("new Promise((resolve) => setTimeout(resolve, 2100, true))")  # the pause between attempts
        tab.until("document.querySelector('#rows')")
        assert tab.run("location.hash") == "#alerts?level=high"
        assert tab.run("document.cookie") == ""  # no script can read it
        assert TOKEN not in tab.run(
            "JSON.stringify([sessionStorage, localStorage, document.documentElement.outerHTML])"
        )
        site.write("evil-marker one")
        rows(tab, 1)
        tab.click("#rows button")
        tab.until("document.querySelector('#detail-state button')")
        tab.key("a")
        tab.until("document.querySelector('#ask').open")
        tab.type("ann")
        tab.key("Enter")
        tab.until("document.querySelector('#rows .acknowledged')")
        tab.click("#logout")
        tab.until("document.querySelector('#token')")
        assert [error for error in tab.errors if "401" not in error] == []


FIRST_ROW_AT = """
window.places = new Set();
(function look() {
  const row = document.querySelector("#rows tr");
  if (row) places.add(row.getBoundingClientRect().y);
  requestAnimationFrame(look);
})();
"""


@pytest.mark.parametrize("width", [360, 800, 1400])
def test_the_list_does_not_move_once_it_is_there(site: Site, tab: Tab, width: int) -> None:
    """What stands above it would push it down under somebody's pointer."""
    site.write("evil-marker one", "second-marker two")
    rows(tab, 2)
    tab.resize(width, 800)
    tab.call("Page.addScriptToEvaluateOnNewDocument", {"source": FIRST_ROW_AT})
    tab.call("Page.reload")
    tab.until("document.querySelector('#levels li') && document.querySelector('#rows tr') && places.size")
    tab.until("new Promise((resolve) => setTimeout(resolve, 2000, true))")
    assert tab.run("places.size") == 1


@pytest.mark.parametrize("width", [360, 1400])
def test_new_alerts_wait_while_somebody_aims_at_a_row(site: Site, tab: Tab, width: int) -> None:
    site.write("evil-marker one")
    rows(tab, 1)
    tab.resize(width, 800)
    place = "document.querySelector('#rows tr').getBoundingClientRect().y"
    before = tab.run(place)
    aim = "document.querySelector('#rows tr').dispatchEvent(new PointerEvent('pointermove', {bubbles: true}))"
    tab.run(f"window.aiming = setInterval(() => {aim}, 100)")
    site.write("evil-marker two")
    tab.until("document.querySelector('#fresh').textContent === 'Show 1 new alert'")
    assert tab.run(ROWS) == ["evil-marker one"]
    assert tab.run(place) == before
    tab.run("clearInterval(aiming)")
    time.sleep(2.1)
    site.write("evil-marker three")
    assert rows(tab, 3) == ["evil-marker three", "evil-marker two", "evil-marker one"]
    assert not tab.run("document.querySelector('#fresh').checkVisibility()")


@pytest.mark.parametrize("width", [360, 800, 1600])
def test_no_view_is_wider_than_the_window(site: Site, tab: Tab, width: int) -> None:
    site.write("evil-marker " + "W" * 5_000, "second-marker short", **{"K" * 300: "V" * 3_000})
    rows(tab, 2)
    tab.resize(width, 800)
    for key in "12345":
        tab.key(key)
        tab.until("document.querySelector('nav [aria-current]')")
        assert tab.run("document.documentElement.scrollWidth") <= width
    tab.key("1")
    tab.click("#rows button")
    tab.until("document.querySelector('table.event')")
    assert tab.run("document.documentElement.scrollWidth") <= width


def test_time_and_the_longest_level_have_room_beside_the_title(site: Site, tab: Tab) -> None:
    site.write("evil-marker one")
    rows(tab, 1)
    tab.resize(1400, 800)
    edge = "((node) => node.getBoundingClientRect().right)"
    for opened in (False, True):
        if opened:
            tab.click("#rows button")
            tab.until("document.querySelector('table.event')")
        tab.run("document.querySelector('#rows .badge').lastChild.textContent = 'informational'")
        room = f"{edge}(document.querySelector('#rows .c-level')) - {edge}(document.querySelector('#rows .badge'))"
        assert tab.run(f"Math.round({room})") >= 8
        assert "detected" in tab.text("#rows .c-time")
        assert tab.run("((cell) => cell.scrollWidth <= cell.clientWidth)(document.querySelector('#rows .c-time'))")


def test_levels_need_no_colour(site: Site, tab: Tab, tmp_path: Path) -> None:
    """Light, dark and forced colours are drawn, and differ; level and state are words in all of them."""
    site.write("evil-marker one", "second-marker two")
    rows(tab, 2)
    pictures = set()
    for features in ({"prefers_color_scheme": "light"}, {"prefers_color_scheme": "dark"}, {"forced_colors": "active"}):
        tab.media(**features)
        pictures.add(tab.picture(tmp_path / "page.png"))
        assert tab.run("Array.from(document.querySelectorAll('#rows .badge'), (node) => node.innerText)") == [
            "●low",
            "▲high",
        ]
    assert len(pictures) == 3


@pytest.fixture(scope="module")
def axe(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return axe-core, the accessibility checker, from npm; without it, its test is skipped."""
    npm = shutil.which("npm")
    folder = tmp_path_factory.mktemp("axe")
    command = [npm or "npm", "install", "--no-save", "--ignore-scripts", "--no-audit", "--no-fund", "axe-core@4"]
    if (
        npm is None
        or subprocess.run(command, check=False, cwd=folder, capture_output=True, timeout=120, env=os.environ).returncode
    ):
        pytest.skip("axe-core cannot be had from npm (Debian: apt-get install npm)")
    return (folder / "node_modules/axe-core/axe.min.js").read_text(encoding="utf-8")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1360])
def test_axe_finds_nothing(site: Site, tab: Tab, axe: str, scheme: str, width: int) -> None:
    """Names, roles, contrast, landmarks and order of headings in every view (WCAG 2.2 AA and axe's best practices)."""
    site.write("evil-marker one", "second-marker \x1b two " + "x" * 2_000)
    rows(tab, 2)
    tab.media(prefers_color_scheme=scheme)
    tab.resize(width, 900)
    check = "axe.run(document, {resultTypes: ['violations']}).then((found) => found.violations.map((one) => one.id + ': ' + one.nodes.map((node) => node.html.slice(0, 160)).join(' | ')))"
    tab.call("Runtime.evaluate", {"expression": axe})
    for key in "12345":
        tab.key(key)
        tab.until("document.querySelector('nav [aria-current]')")
        if key == "4":
            tab.until("document.querySelector('#trends figure')")
        assert tab.run(check) == [], key
    tab.key("1")
    tab.click("#rows button")
    tab.until("document.querySelector('table.event')")
    assert tab.run(check) == []
    tab.key("?")
    tab.until("document.querySelector('#help').open")
    assert tab.run(check) == []
