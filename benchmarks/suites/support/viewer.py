"""Views the live page: receives every message, as a browser does, and draws nothing."""

from __future__ import annotations

import subprocess
import sys

from edgekit._closing import Closing
from edgekit.system.installation import install_line

__all__ = ["PageViewer"]

_SCRIPT = """
import asyncio, struct, json, sys
from aiohttp import ClientSession
async def watch(url):
    count = 0
    async with ClientSession() as session, session.ws_connect(url, max_msg_size=0) as link:
        async for message in link:
            (length,) = struct.unpack_from("<I", message.data)
            kind = json.loads(message.data[4 : 4 + length])["type"]
            count += kind == "frame"
            if kind != "hello" and not link.closed:
                await link.send_str("k")
    return count
print("ready", flush=True)
for line in sys.stdin:
    print(asyncio.run(watch(line.strip())), flush=True)
"""


class PageViewer(Closing):
    """A process that watches pages, one after the other. It is a context manager."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", _SCRIPT],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._read()

    def watch(self, page: str) -> None:
        """Begins to watch the page at an address, until its run ends."""
        assert self._process.stdin is not None
        self._process.stdin.write(page.replace("http", "ws", 1) + "live\n")
        self._process.stdin.flush()

    def seen(self) -> int:
        """Returns the number of frames of the last page, once its run has ended."""
        return int(self._read())

    def close(self) -> None:
        """Ends the process."""
        self._process.kill()
        self._process.communicate()

    def _read(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit(f"The viewer needs aiohttp. Run: {install_line('serve')}")
        return line
