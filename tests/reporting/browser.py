"""Chromium without a window, in its DevTools protocol over two pipes: what a page does, asks for and shows."""

from __future__ import annotations

import json
import os
import select
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
LONGEST = 120  # seconds without an answer
FLAGS = (
    *("--headless", "--hide-scrollbars", "--disable-gpu", "--no-first-run", "--disable-background-networking"),
    "--remote-debugging-pipe",
)


def find_browser() -> str | None:
    """Returns the path of the first browser that the machine has."""
    return next((path for name in NAMES if (path := shutil.which(name))), None)


class Browser:
    """One browser with one page; `close` ends it."""

    def __init__(self, program: str) -> None:
        ours_in, theirs_out = os.pipe()
        theirs_in, ours_out = os.pipe()
        self.folder = tempfile.TemporaryDirectory()
        root = ["--no-sandbox"] if os.geteuid() == 0 else []
        places = [(os.POSIX_SPAWN_DUP2, theirs_in, 3), (os.POSIX_SPAWN_DUP2, theirs_out, 4)]
        silent = [(os.POSIX_SPAWN_OPEN, stream, os.devnull, os.O_WRONLY, 0) for stream in (1, 2)]
        arguments = [program, *FLAGS, *root, f"--user-data-dir={self.folder.name}", "about:blank"]
        self.process = os.posix_spawn(program, arguments, os.environ, file_actions=[*places, *silent])
        os.close(theirs_in)
        os.close(theirs_out)
        self.into, self.out, self.rest, self.number = ours_out, ours_in, b"", 0
        self.events: list[dict[str, Any]] = []
        self.session: str | None = None
        page = self("Target.createTarget", url="about:blank")["targetId"]
        self.session = self("Target.attachToTarget", targetId=page, flatten=True)["sessionId"]
        for part in ("Page", "Network", "Runtime", "Log"):
            self(f"{part}.enable")

    def __call__(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Sends a command and returns its result; what the page does meanwhile is kept in `events`."""
        self.number += 1
        message = {"id": self.number, "method": method, "params": parameters}
        sent = json.dumps(message | ({"sessionId": self.session} if self.session else {})).encode() + b"\0"
        while sent:
            sent = sent[os.write(self.into, sent) :]
        while (found := self._read()).get("id") != message["id"]:
            self.events.append(found)
            if found.get("method") == "Page.javascriptDialogOpening":  # else the page waits for an answer
                self.number += 1
                answer = {"id": self.number, "method": "Page.handleJavaScriptDialog", "params": {"accept": True}}
                os.write(self.into, json.dumps(answer | {"sessionId": self.session}).encode() + b"\0")
        assert "error" not in found, found
        return dict(found["result"])

    def open(self, page: Path) -> None:
        """Loads a page, and waits until it and all that it asks for is there."""
        self.events.clear()
        self("Page.navigate", url=page.as_uri())
        start = time.monotonic()
        while not self.happened("Page.loadEventFired"):
            assert time.monotonic() < start + LONGEST
            self("Runtime.evaluate", expression="0")

    def happened(self, method: str) -> list[dict[str, Any]]:
        """Returns what is known of events of this name since the page was opened."""
        return [event["params"] for event in self.events if event.get("method") == method]

    def run(self, script: str) -> Any:
        """Returns the value of an expression in the page."""
        result = self("Runtime.evaluate", expression=script, returnByValue=True)
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")

    def show(self, width: int, scheme: str = "light", medium: str = "") -> None:
        """Sets the page's width in pixels, its color scheme and its medium."""
        self("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=False)
        feature = {"name": "prefers-color-scheme", "value": scheme}
        self("Emulation.setEmulatedMedia", media=medium, features=[feature])

    def close(self) -> None:
        """Ends the browser."""
        self.session = None
        self("Browser.close")
        os.waitpid(self.process, 0)
        os.close(self.into)
        os.close(self.out)
        self.folder.cleanup()

    def _read(self) -> dict[str, Any]:
        while b"\0" not in self.rest:
            assert select.select([self.out], [], [], LONGEST)[0], "the browser does not answer"
            found = os.read(self.out, 1 << 20)
            assert found, "the browser has ended"
            self.rest += found
        message, _, self.rest = self.rest.partition(b"\0")
        return dict(json.loads(message))
