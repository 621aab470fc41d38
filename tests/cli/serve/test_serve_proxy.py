"""Tests the live page behind nginx and Caddy, configured as in docs/live-page.md."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import re
import shutil
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from edgekit.benchmarks.suites.support.streams import WITH_ITS_PARENT, free_ports
from edgekit.cli import main
from tests.waiting import LIMIT

aiohttp = pytest.importorskip("aiohttp")

NAME, TOKEN = "cam.example.com", "a-long-token"
DOCS = Path(__file__).parents[3] / "docs" / "live-page.md"
PLACES = "/usr/sbin:/usr/bin:/usr/local/bin"


class Page:
    """A run that is served for a proxy.

    Attributes:
        lines: Where it says that the page is.
    """

    def __init__(self, stack: contextlib.ExitStack, words: list[Any], origin: str) -> None:
        words = [*words, "--realtime", "--serve", "0", "--public-origin", origin]
        words += ["--trusted-proxy", "127.0.0.1"]
        command = [sys.executable, "-m", "edgekit", "run", *map(str, words)]
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE, "text": True}
        run: Any = stack.enter_context(subprocess.Popen(command, **quiet))  # type: ignore[call-overload]
        stack.callback(run.kill)
        said: list[str] = []
        while len(said) < 2 or not said[-2].startswith("Live page"):
            said.append(run.stderr.readline())
            assert said[-1], said
        self.lines = said[-2:]
        (port,) = re.findall(r":(\d+)/", self.lines[0])
        self.port = int(port)

    def get(self, path: str = "/", **headers: str) -> int:
        """The status of a request that no proxy has passed on."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=LIMIT)
        with contextlib.closing(connection):
            connection.request("GET", path, headers=headers)
            return connection.getresponse().status


class Proxy:
    """Certificate and port of a proxy; ``start`` runs it until the end of the test."""

    def __init__(self, folder: Path, stack: contextlib.ExitStack, program: str) -> None:
        self.folder, self._stack, self._program = folder, stack, program
        self.port = free_ports(1)
        self.origin = f"https://{NAME}:{self.port}"
        command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
        command += ["-subj", f"/CN={NAME}", "-addext", f"subjectAltName=DNS:{NAME}"]
        names = ["-keyout", f"{NAME}.key", "-out", f"{NAME}.pem"]
        subprocess.run([*command, *names], cwd=folder, check=True, capture_output=True)

    def page(self, words: list[Any]) -> Page:
        """A run that is served until the end of the test."""
        return Page(self._stack, words, self.origin)

    def start(self, upstream: int, *, passes_host: bool = True) -> None:
        """Runs the configuration of the documentation before a page on a port."""
        words = self._caddy(upstream) if "caddy" in self._program else self._nginx(upstream)
        config = self.folder / words[-1]
        if not passes_host:
            config.write_text(re.sub(r".*proxy_set_header Host.*\n", "", config.read_text()))
        command = [*WITH_ITS_PARENT, self._program, *words]
        homes = {name: str(self.folder) for name in ("HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME")}
        process = self._stack.enter_context(
            subprocess.Popen(command, cwd=self.folder, env=homes, stderr=subprocess.DEVNULL)
        )
        self._stack.callback(process.kill)
        limit = time.monotonic() + LIMIT
        while process.poll() is None and time.monotonic() < limit:
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", self.port)).close()
                return
            time.sleep(0.05)
        raise AssertionError(f"{self._program} does not listen; status {process.poll()}")

    def _documented(self, language: str, *changes: tuple[str, str]) -> str:
        (text,) = re.findall(rf"```{language}\n(.*?)```", DOCS.read_text(), re.DOTALL)
        for old, new in changes:
            assert old in text
            text = text.replace(old, new)
        return text

    def _nginx(self, upstream: int) -> list[str]:
        text = self._documented(
            "nginx",
            ("listen 443 ssl", f"listen 127.0.0.1:{self.port} ssl"),
            ("/etc/ssl/", f"{self.folder}/"),
            ("127.0.0.1:8080", f"127.0.0.1:{upstream}"),
        )
        places = "".join(
            f"{kind}_temp_path {self.folder}/{kind};\n"
            for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        (self.folder / "nginx.conf").write_text(
            f"daemon off; master_process off; pid {self.folder}/pid; error_log stderr;\n"
            f"events {{}}\nhttp {{\n{places}{text}}}\n"
        )
        return ["-p", str(self.folder), "-c", "nginx.conf"]

    def _caddy(self, upstream: int) -> list[str]:
        certificate = f"bind 127.0.0.1\n    tls {NAME}.pem {NAME}.key\n"
        text = self._documented(
            "caddy",
            (f"{NAME} {{\n", f"{NAME}:{self.port} {{\n    {certificate}"),
            ("127.0.0.1:8080", f"127.0.0.1:{upstream}"),
        )
        options = "{\n    admin off\n    auto_https off\n    skip_install_trust\n}\n"
        (self.folder / "Caddyfile").write_text(options + text)
        return ["run", "--adapter", "caddyfile", "--config", "Caddyfile"]

    @contextlib.asynccontextmanager
    async def browser(self) -> Any:
        """A client that finds the name here, trusts the certificate, and keeps cookies."""

        class Here(aiohttp.abc.AbstractResolver):
            async def resolve(self, host: str, port: int = 0, family: int = 0) -> list[Any]:
                assert host == NAME
                known = {"hostname": host, "host": "127.0.0.1", "port": port}
                return [{**known, "family": socket.AF_INET, "proto": 0, "flags": 0}]

            async def close(self) -> None:
                pass

        trusted = ssl.create_default_context(cafile=str(self.folder / f"{NAME}.pem"))
        connector = aiohttp.TCPConnector(resolver=Here(), ssl=trusted)
        async with aiohttp.ClientSession(self.origin, connector=connector) as session:
            yield session


@pytest.fixture(params=["nginx"])
def proxy(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Proxy]:
    program = shutil.which(request.param, path=PLACES)
    if program is None:
        pytest.skip(f"{request.param} is not installed")
    with contextlib.ExitStack() as stack:
        yield Proxy(tmp_path, stack, program)


async def _opened(session: Any, **headers: str) -> int:
    """Status of the opening of a socket; 101 where frames come through it."""
    try:
        async with session.ws_connect("/live", headers=headers) as link:
            async for message in link:
                if b'"frame"' in message.data[:200]:
                    return 101
                await link.send_str("k")
    except aiohttp.WSServerHandshakeError as error:
        return int(error.status)
    return 0


@pytest.fixture
def words(spot_bundle: Path, spot_video: Callable[..., Path]) -> list[Any]:
    return ["--bundle", spot_bundle, "--source", spot_video(3000, fps=10)]


@pytest.mark.parametrize(
    ("proxy", "passes_host"),
    [("nginx", True), ("nginx", False), ("caddy", True)],
    indirect=["proxy"],
)
def test_the_page_works_behind_a_proxy(proxy: Proxy, words: list[Any], passes_host: bool) -> None:
    async def look() -> None:
        async with proxy.browser() as session:
            async with session.get("/") as answer:
                assert (answer.status, "<form" in await answer.text()) == (401, True)
            async with session.get("/health") as answer:
                assert answer.status == 401  # a header says that it is asked for somebody else
            assert await _opened(session, Origin=proxy.origin) == 401
            async with session.get("/", params={"token": TOKEN}) as answer:
                assert (answer.status, answer.url.path, answer.url.query_string) == (200, "/", "")
                (first,) = answer.history
                cookie = first.headers["Set-Cookie"]
                assert ("Secure" in cookie, "HttpOnly" in cookie) == (passes_host, True)
            async with session.get("/page.js") as answer:
                assert answer.status == 200
            assert await _opened(session, Origin=proxy.origin) == 101
            for origin in ("https://evil.example", f"https://{NAME}.evil.example", "null"):
                assert await _opened(session, Origin=origin) == 403

    page = proxy.page([*words, "--token", TOKEN])
    assert page.lines[1] == f"Through the proxy: {proxy.origin}/\n"
    proxy.start(page.port, passes_host=passes_host)
    asyncio.run(look())
    assert page.get("/", Host="evil.example") == 421
    assert page.get("/health") == 200


@pytest.mark.parametrize("proxy", ["nginx", "caddy"], indirect=True)
def test_wrong_tokens_shut_out_who_sent_them(proxy: Proxy, words: list[Any]) -> None:
    async def look() -> None:
        async with proxy.browser() as session:
            for number in range(11):
                # A name that is made up does not help: the proxy adds the true one or replaces it.
                headers = {"X-Forwarded-For": f"192.0.2.{number}"}
                params = {"token": f"wrong-{number}"}
                async with session.get("/", params=params, headers=headers) as answer:
                    assert answer.status == (403 if number < 10 else 429)

    page = proxy.page([*words, "--token", TOKEN])
    proxy.start(page.port)
    asyncio.run(look())
    headers = {"X-Forwarded-For": "192.0.2.7", "Authorization": f"Bearer {TOKEN}"}
    assert page.get("/", **headers) == 200


def test_a_token_is_made_for_a_proxy(words: list[Any]) -> None:
    origin = f"https://{NAME}"
    with contextlib.ExitStack() as stack:
        page = Page(stack, words, origin)
        token = page.lines[1].strip().partition(f"{origin}/?token=")[2]
        assert len(token) > 20
        assert page.get("/") == 401
        assert page.get("/", Host=NAME, Authorization=f"Bearer {token}") == 200
        assert page.get("/", Host="other.example.com") == 421


@pytest.mark.parametrize("origin", ["cam.example.com", "https://cam.example.com/door"])
def test_what_is_no_origin_is_refused(origin: str, capsys: Any) -> None:
    assert main(["run", "--source", "x.mp4", "--serve", "0", "--public-origin", origin]) == 2
    assert f"--public-origin is '{origin}'" in capsys.readouterr().err
    assert main(["run", "--source", "x.mp4", "--public-origin", "https://cam.example.com"]) == 2
    assert "--serve 8080" in capsys.readouterr().err


def test_what_is_no_proxy_is_refused(capsys: Any) -> None:
    words = ["run", "--source", "x.mp4", "--serve", "0", "--trusted-proxy"]
    assert main([*words, "127.0.0.1"]) == 2
    assert "--public-origin https://cam.example.com" in capsys.readouterr().err
    assert main([*words, "nginx", "--public-origin", "https://cam.example.com"]) == 2
    assert "--trusted-proxy is 'nginx'" in capsys.readouterr().err


def test_a_browser_shows_the_page_behind_nginx(
    proxy: Proxy, words: list[Any], tmp_path: Path
) -> None:
    from edgekit.benchmarks.suites.support.browser import DESKTOP, find_chromium, open_browser

    chromium = find_chromium()
    if chromium is None:
        pytest.skip("needs a browser: apt-get install chromium")
    program = tmp_path / "browser"
    rules = f'"--host-resolver-rules=MAP {NAME} 127.0.0.1" --ignore-certificate-errors'
    program.write_text(f'#!/bin/sh\nexec "{chromium}" {rules} "$@"\n')
    program.chmod(0o755)
    page = proxy.page(words)  # which makes a token
    proxy.start(page.port)

    async def look() -> None:
        async with open_browser(str(program)) as browser:
            await browser.open(page.lines[1].split()[-1], DESKTOP)
            limit = time.monotonic() + LIMIT
            while not await browser.ask("document.body?.hasAttribute('data-fresh') === true"):
                assert time.monotonic() < limit, browser.errors
                await asyncio.sleep(0.2)
            assert await browser.ask("location.href") == f"{proxy.origin}/"
            assert browser.errors == []

    asyncio.run(look())
