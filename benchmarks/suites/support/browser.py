"""Drives a headless Chromium over its own protocol: opens pages, and takes pictures of them."""

from __future__ import annotations

import base64
import contextlib
import itertools
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator
from typing import Any, NamedTuple

from aiohttp import ClientSession, ClientWebSocketResponse

from edgekit.benchmarks.suites.support.streams import WITH_ITS_PARENT

__all__ = ["DESKTOP", "PHONE", "Browser", "Screen", "find_chromium", "open_browser"]


class Screen(NamedTuple):
    """A screen that a page is shown on.

    Attributes:
        width: Width in CSS pixels.
        height: Height in CSS pixels.
        density: Number of device pixels per CSS pixel.
    """

    width: int
    height: int
    density: float = 1.0


PHONE = Screen(390, 844, 2.0)
DESKTOP = Screen(1440, 900)


def find_chromium() -> str | None:
    """Returns the path of the browser; None if it is not installed."""
    return shutil.which("chromium") or shutil.which("chromium-browser")


class Browser:
    """One tab of a running browser."""

    def __init__(self, socket: ClientWebSocketResponse) -> None:
        self._socket = socket
        self._numbers = itertools.count(1)
        self.errors: list[str] = []
        """Errors of the page: exceptions, refused resources, violated policies."""

    async def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Sends one command of the DevTools protocol, and returns its result."""
        number = next(self._numbers)
        await self._socket.send_json({"id": number, "method": method, "params": parameters})
        while True:
            message = await self._socket.receive_json(timeout=120)
            if message.get("id") == number:
                if "error" in message:
                    raise RuntimeError(f"{method}: {message['error']}")
                result: dict[str, Any] = message["result"]
                return result
            self._note(message)

    async def open(self, url: str, screen: Screen = DESKTOP, *, dark: bool = False) -> None:
        """Shows a page on a screen, light or dark."""
        for domain in ("Page", "Runtime", "Log"):
            await self.call(f"{domain}.enable")
        await self.call(
            "Emulation.setDeviceMetricsOverride",
            width=screen.width,
            height=screen.height,
            deviceScaleFactor=screen.density,
            mobile=screen.width < 600,
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        await self.call("Emulation.setEmulatedMedia", features=[scheme])
        await self.call("Page.navigate", url=url)

    async def ask(self, expression: str) -> Any:
        """Returns the value of a JavaScript expression in the page."""
        done = await self.call(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True
        )
        return done["result"].get("value")

    async def picture(self, *, quality: int = 85, whole: bool = False) -> bytes:
        """Returns the visible area or the whole page, as JPEG."""
        done = await self.call(
            "Page.captureScreenshot", format="jpeg", quality=quality, captureBeyondViewport=whole
        )
        return base64.b64decode(done["data"])

    def _note(self, message: dict[str, Any]) -> None:
        parameters = message.get("params", {})
        if message.get("method") == "Runtime.exceptionThrown":
            self.errors.append(str(parameters["exceptionDetails"]))
        elif message.get("method") == "Log.entryAdded" and parameters["entry"]["level"] == "error":
            self.errors.append(f"{parameters['entry']['text']} {parameters['entry'].get('url')}")


@contextlib.asynccontextmanager
async def open_browser(program: str) -> AsyncIterator[Browser]:
    """Starts a browser with one empty tab, and ends it after the block."""
    command = [
        *WITH_ITS_PARENT,
        program,
        *("--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--no-first-run"),
        *("--disable-background-networking", "--disable-extensions", "--remote-debugging-port=0"),
    ]
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        process = subprocess.Popen(
            [*command, f"--user-data-dir={profile}", "about:blank"],
            stderr=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            env={**os.environ, "HOME": profile},
            text=True,
        )
        try:
            port = _port_of(process)
            async with ClientSession() as session:
                async with session.get(f"http://127.0.0.1:{port}/json/list") as answer:
                    tabs = await answer.json()
                tab = next(tab for tab in tabs if tab["type"] == "page")
                url = tab["webSocketDebuggerUrl"]
                async with session.ws_connect(url, max_msg_size=0) as socket:
                    yield Browser(socket)
        finally:
            process.kill()
            process.communicate()


def _port_of(process: subprocess.Popen[str]) -> int:
    assert process.stderr is not None
    for line in process.stderr:
        if found := re.search(r"DevTools listening on ws://127\.0\.0\.1:(\d+)/", line):
            return int(found[1])
    raise RuntimeError("Chromium ended without saying where it listens.")
