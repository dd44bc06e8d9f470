"""A headless Chromium for tests of pages, driven over its own protocol by a pipe: no other program, no port."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
OPTIONS = (
    "--headless=new",
    "--no-sandbox",  # it refuses root otherwise, and the page is ours
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--remote-debugging-pipe",
)
END = b"\0"


class Page:
    """One page: what it said, what it asked for, and a way to ask it."""

    def __init__(self, to_browser: BinaryIO, from_browser: BinaryIO) -> None:
        self._to, self._from = to_browser, from_browser
        self._number = 0
        self._session: str | None = None
        self._buffer = b""
        self.events: list[dict[str, Any]] = []
        target = self._ask("Target.createTarget", url="about:blank")["targetId"]
        self._session = self._ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self._ask(f"{domain}.enable")

    def open(self, path: Path) -> None:
        """Load a file and wait until it is there."""
        self.events.clear()
        self._ask("Page.navigate", url=path.as_uri())
        while not any(event["method"] == "Page.loadEventFired" for event in self.events):
            self.events.append(self._read())

    def run(self, script: str) -> Any:
        """The value of an expression in the page, awaited."""
        found = self._ask("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in found, found["exceptionDetails"]
        return found["result"].get("value")

    def complaints(self) -> list[str]:
        """Errors and everything else that the page wrote to its console, or that the browser refused."""
        kinds = {
            "Runtime.exceptionThrown",
            "Runtime.consoleAPICalled",
            "Log.entryAdded",
            "Page.javascriptDialogOpening",
        }
        return [json.dumps(event["params"]) for event in self.events if event["method"] in kinds]

    def requests(self) -> list[str]:
        """The addresses that were asked for."""
        sent = [event["params"] for event in self.events if event["method"] == "Network.requestWillBeSent"]
        return [params["request"]["url"] for params in sent]

    def _ask(self, method: str, **params: object) -> dict[str, Any]:
        self._number += 1
        message: dict[str, object] = {"id": self._number, "method": method, "params": params}
        if self._session is not None:
            message["sessionId"] = self._session
        self._to.write(json.dumps(message).encode() + END)
        self._to.flush()
        while "id" not in (answer := self._read()):
            self.events.append(answer)
        assert answer["id"] == self._number
        assert "error" not in answer, answer["error"]
        result: dict[str, Any] = answer["result"]
        return result

    def _read(self) -> dict[str, Any]:
        while END not in self._buffer:
            found = os.read(self._from.fileno(), 1 << 16)
            assert found, "the browser has ended"
            self._buffer += found
        text, _, self._buffer = self._buffer.partition(END)
        message: dict[str, Any] = json.loads(text)
        return message


@contextmanager
def opened_browser(folder: Path) -> Iterator[Page]:
    """A browser with a profile in `folder`, and its page."""
    assert CHROMIUM is not None
    its_input, ours = os.pipe()
    theirs, its_output = os.pipe()
    # It listens on descriptor 3 and speaks on 4.
    wired = f'exec "$@" 3<&{its_input} 4>&{its_output}'
    command = ["bash", "-c", wired, "bash", CHROMIUM, *OPTIONS, f"--user-data-dir={folder}"]
    with subprocess.Popen(
        command, pass_fds=(its_input, its_output), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        os.close(its_input)
        os.close(its_output)
        with os.fdopen(ours, "wb") as to_browser, os.fdopen(theirs, "rb", buffering=0) as from_browser:
            try:
                page = Page(to_browser, from_browser)  # type: ignore[arg-type]  # unbuffered, it is a raw reader
                yield page
            finally:
                process.terminate()
