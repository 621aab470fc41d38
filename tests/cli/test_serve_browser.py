"""The live page in a real browser."""

from __future__ import annotations

import asyncio
import subprocess
import sys

import pytest

pytest.importorskip("aiohttp")

from edgekit.benchmarks.suites._browser import DESKTOP, PHONE, find_chromium, open_browser


async def until(browser, expression, seconds=60):
    for _ in range(5 * seconds):
        if await browser.ask(expression):
            return
        await asyncio.sleep(0.2)
    raise AssertionError(f"never true: {expression}; {browser.errors}")


@pytest.mark.parametrize("screen", [PHONE, DESKTOP], ids=["phone", "desktop"])
def test_the_page_shows_a_run_and_says_when_it_is_gone(spot_bundle, spot_video, screen):
    program = find_chromium()
    if program is None:
        pytest.skip("needs a browser: apt-get install chromium")
    command = [sys.executable, "-m", "edgekit", "run", "--bundle", str(spot_bundle)]
    options = ["--source", str(spot_video(1500)), "--realtime", "--serve", "0"]
    run = subprocess.Popen(
        [*command, *options], stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
    )

    async def look():
        async with open_browser(program) as browser:
            await browser.open(run.stderr.readline().split()[-1], screen)
            await until(browser, "document.body?.hasAttribute('data-fresh') === true")
            await until(browser, "document.querySelectorAll('#tubes li').length > 0")
            assert browser.errors == []
            assert await browser.ask("document.getElementById('source').textContent") == "spot.mp4"
            wide = await browser.ask("document.documentElement.scrollWidth")
            assert wide <= screen.width, "nothing to scroll sideways"
            run.kill()
            run.wait()
            await until(browser, "document.body.dataset.tone === 'bad'")
            assert not await browser.ask("document.body.hasAttribute('data-fresh')")
            shown = await browser.ask("document.getElementById('notice').innerText")
            assert "Connection to the device lost" in shown

    try:
        asyncio.run(look())
    finally:
        run.kill()
        run.communicate()
