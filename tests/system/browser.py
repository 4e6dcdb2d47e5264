"""Chromium driven through its DevTools protocol: tabs that are looked at, typed into, and whose console and requests are kept."""

from __future__ import annotations

import base64
import contextlib
import json
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from websockets.sync.client import connect

FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--remote-debugging-port=0", "--window-size=1360,900",
)  # fmt: skip

_KEYS = {"Enter": "\r", "Escape": "", "Tab": "", "ArrowDown": "", "ArrowUp": "", "ArrowLeft": "", "ArrowRight": ""}


class Browser:
    """A running Chromium with a profile of its own."""

    def __init__(self, program: str, profile: Path) -> None:
        self._process = subprocess.Popen(
            [program, *FLAGS, f"--user-data-dir={profile}", "about:blank"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        port_file = profile / "DevToolsActivePort"
        deadline = time.monotonic() + 60
        while not (port_file.exists() and len(lines := port_file.read_text().split("\n")) > 1):
            assert time.monotonic() < deadline, "Chromium does not start"
            assert self._process.poll() is None, "Chromium ended"
            time.sleep(0.05)
        self._open = contextlib.ExitStack()
        self._socket = self._open.enter_context(connect(f"ws://127.0.0.1:{lines[0]}{lines[1]}", max_size=None))
        self._number = 0
        self.tabs: dict[str, Tab] = {}

    def tab(self, context: str | None = None) -> Tab:
        """Open an empty tab; one of another *context* has cookies of its own."""
        where = {} if context is None else {"browserContextId": context}
        target = self.call("Target.createTarget", {"url": "about:blank", **where})["targetId"]
        session = self.call("Target.attachToTarget", {"targetId": target, "flatten": True})["sessionId"]
        tab = self.tabs[session] = Tab(self, session)
        for domain in ("Page", "Runtime", "Network", "Log"):
            tab.call(f"{domain}.enable")
        return tab

    def stranger(self) -> Tab:
        """Open a tab without the cookies of others."""
        return self.tab(self.call("Target.createBrowserContext")["browserContextId"])

    def call(self, method: str, parameters: dict[str, Any] | None = None, session: str | None = None) -> dict[str, Any]:
        """Send a command and return its result."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters or {}}
        self._socket.send(json.dumps(message if session is None else {**message, "sessionId": session}))
        while True:
            answer = json.loads(self._socket.recv(timeout=60))
            if answer.get("id") == self._number:
                assert "error" not in answer, answer["error"]
                return dict(answer["result"])
            if (tab := self.tabs.get(answer.get("sessionId", ""))) is not None:
                tab.note(answer["method"], answer["params"])

    def close(self) -> None:
        """End the browser."""
        with contextlib.suppress(Exception):
            self.call("Browser.close")
        self._open.close()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait(20)


class Tab:
    """One page.

    Attributes:
        errors: What its console said beside plain messages: exceptions, warnings, errors, violations of the policy.
        requests: The addresses it asked for.
    """

    def __init__(self, browser: Browser, session: str) -> None:
        self._browser = browser
        self._session = session
        self.errors: list[str] = []
        self.requests: list[str] = []

    def call(self, method: str, parameters: dict[str, Any] | None = None) -> dict[str, Any]:
        """Send a command for this tab."""
        return self._browser.call(method, parameters, self._session)

    def note(self, method: str, event: dict[str, Any]) -> None:
        """Keep what an event tells."""
        if method == "Runtime.exceptionThrown":
            self.errors.append(str(event["exceptionDetails"].get("exception", event["exceptionDetails"])))
        elif method == "Runtime.consoleAPICalled" and event["type"] in {"error", "warning", "assert"}:
            self.errors.append(str(event["args"]))
        elif method == "Log.entryAdded" and event["entry"]["level"] in {"error", "warning"}:
            self.errors.append(f"{event['entry']['text']} {event['entry'].get('url', '')}")
        elif method == "Network.requestWillBeSent":
            self.requests.append(event["request"]["url"])

    def go(self, address: str) -> None:
        """Load a page."""
        self.call("Page.navigate", {"url": address})
        self.until("document.readyState === 'complete'")

    def run(self, expression: str) -> Any:
        """Return the value of a JavaScript expression; a promise is awaited."""
        answer = self.call(
            "Runtime.evaluate",
            {"expression": expression, "returnByValue": True, "awaitPromise": True, "userGesture": True},
        )
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def until(self, expression: str, seconds: float = 15) -> Any:
        """Wait until *expression* is true and return its value."""
        deadline = time.monotonic() + seconds
        while True:
            with contextlib.suppress(AssertionError):  # the page is being replaced
                if value := self.run(f"((value) => value instanceof Node ? true : value)({expression})"):
                    return value
            if time.monotonic() > deadline:
                raise AssertionError(f"waited in vain for {expression}; {self.errors}; {self.text()[:3000]}")
            time.sleep(0.03)

    def text(self, selector: str = "body") -> str:
        """Return the visible text of an element."""
        return str(self.run(f"document.querySelector({json.dumps(selector)})?.innerText ?? ''"))

    def click(self, selector: str) -> None:
        """Click on an element as a mouse does."""
        place = self.until(
            f"(async () => {{ const node = document.querySelector({json.dumps(selector)}); if (!node?.checkVisibility()) return null;"
            " node.scrollIntoView({block: 'center'}); const frame = () => new Promise(requestAnimationFrame); await frame(); await frame();"
            " const box = node.getBoundingClientRect(), x = box.x + Math.min(box.width / 2, 40), y = box.y + box.height / 2;"
            " return node.contains(document.elementFromPoint(x, y)) ? [x, y] : null; })()"
        )
        for kind in ("mousePressed", "mouseReleased"):
            self.call(
                "Input.dispatchMouseEvent",
                {"type": kind, "x": place[0], "y": place[1], "button": "left", "clickCount": 1},
            )

    def key(self, key: str) -> None:
        """Press and release a key."""
        text = _KEYS.get(key, key)
        event = {"key": key, "code": key if key in _KEYS else "", **({"text": text} if text else {})}
        if key in {"Enter", "Tab", "Escape"}:
            event["windowsVirtualKeyCode"] = {"Enter": 13, "Tab": 9, "Escape": 27}[key]
        self.call("Input.dispatchKeyEvent", {"type": "keyDown", **event})
        self.call("Input.dispatchKeyEvent", {"type": "keyUp", "key": key})

    def type(self, text: str) -> None:
        """Insert text where the focus is."""
        self.call("Input.insertText", {"text": text})

    def media(self, **features: str) -> None:
        """Pretend preferences, such as ``prefers_color_scheme="dark"``."""
        pairs = [{"name": name.replace("_", "-"), "value": value} for name, value in features.items()]
        self.call("Emulation.setEmulatedMedia", {"features": pairs})

    def resize(self, width: int, height: int) -> None:
        """Give the page another size."""
        self.call(
            "Emulation.setDeviceMetricsOverride",
            {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False},
        )

    def picture(self, path: Path) -> bytes:
        """Take a picture of what is visible."""
        data = base64.b64decode(self.call("Page.captureScreenshot", {"format": "png"})["data"])
        path.write_bytes(data)
        return data


def find_chromium() -> str | None:
    """Return the browser's program, if there is one."""
    return next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


@contextlib.contextmanager
def browsing(program: str, profile: Path) -> Iterator[Browser]:
    """Yield a browser that is ended behind the body."""
    browser = Browser(program, profile)
    try:
        yield browser
    finally:
        browser.close()
