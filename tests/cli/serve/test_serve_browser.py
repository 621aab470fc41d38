"""Tests the live page in a real browser."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import sys

import pytest

pytest.importorskip("aiohttp")

from edgekit.benchmarks.suites.support.browser import DESKTOP, PHONE, find_chromium, open_browser


async def until(browser, expression, seconds=120):
    for _ in range(5 * seconds):
        if await browser.ask(expression):
            return
        await asyncio.sleep(0.2)
    raise AssertionError(f"never true: {expression}; {browser.errors}")


@pytest.fixture
def look_at(spot_bundle):
    """Runs ``edgekit run`` with a live page, and a function that gets the page's browser."""
    program = find_chromium()
    if program is None:
        pytest.skip("needs a browser: apt-get install chromium")

    def watch(look, *words, screen=DESKTOP):
        command = [sys.executable, "-m", "edgekit", "run", "--bundle", str(spot_bundle)]
        run = subprocess.Popen(
            [*command, *map(str, words), "--realtime", "--serve", "0"],
            stderr=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            text=True,
        )

        async def visit():
            async with open_browser(program) as browser:
                await browser.open(run.stderr.readline().split()[-1], screen)
                await look(browser, run)

        try:
            asyncio.run(visit())
        finally:
            run.kill()
            run.communicate()

    return watch


@pytest.mark.parametrize("screen", [PHONE, DESKTOP], ids=["phone", "desktop"])
def test_the_page_shows_a_run_and_says_when_it_is_gone(look_at, spot_video, screen):
    async def look(browser, run):
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

    look_at(look, "--source", spot_video(1500, fps=5), screen=screen)


@pytest.mark.parametrize("screen", [PHONE, DESKTOP], ids=["phone", "desktop"])
def test_one_of_several_sources_is_chosen(look_at, spot_video, screen):
    clip = spot_video(1500, "yard.mp4", fps=5)
    sources = []
    for place in (clip, *(shutil.copy(clip, clip.with_name(f"{n}.mp4")) for n in ("door", "gate"))):
        sources += ["--source", place]

    async def look(browser, _):
        await until(browser, "document.querySelectorAll('#sources button').length === 3")
        await until(browser, "document.body.hasAttribute('data-fresh')")
        shown = "document.getElementById('source').textContent"
        assert await browser.ask(shown) == "yard.mp4"
        await browser.ask("document.querySelectorAll('#sources button')[2].click()")
        await until(browser, f"{shown} === 'gate.mp4'")
        await until(browser, "document.body.hasAttribute('data-fresh')")
        pressed = "document.querySelector('#sources [aria-pressed=true]').innerText"
        assert "gate.mp4" in await browser.ask(pressed)
        await until(browser, "document.querySelectorAll('#sources [data-tone=good]').length === 3")
        assert await browser.ask("location.search") == "?source=2"
        wide = await browser.ask("document.documentElement.scrollWidth")
        assert wide <= screen.width, "nothing to scroll sideways"
        assert browser.errors == []

    look_at(look, *sources, screen=screen)


def test_frames_that_are_left_out_on_purpose_are_not_missing(look_at, spot_video):
    uptime = "Number(document.getElementById('health').lastElementChild.textContent.slice(2))"

    async def look(browser, _):
        await until(browser, "document.body?.hasAttribute('data-fresh') === true")
        begin = await browser.ask(uptime)
        await until(browser, f"({uptime} + 60 - {begin}) % 60 >= 4")
        assert await browser.ask("document.getElementById('phase').textContent") == "Playing"
        assert browser.errors == []

    look_at(look, "--source", spot_video(1500, fps=5), "--fps", "0.001")


def test_pixels_that_are_not_square_are_shown_as_a_player_does(look_at, spot_video, tmp_path):
    wide = tmp_path / "wide.mp4"
    copied = ["ffmpeg", "-v", "error", "-i", str(spot_video(1500, fps=5)), "-c", "copy"]
    subprocess.run([*copied, "-aspect", "4:1", str(wide)], check=True)
    shown = """(() => {
        const canvas = document.querySelector("canvas");
        const { width, height } = canvas;
        const { data } = canvas.getContext("2d").getImageData(0, 0, width, height);
        const [rows, columns] = [new Set(), new Set()];
        for (let at = 0; at < width * height; at++)
            if (data[4 * at + 3]) { rows.add(Math.floor(at / width)); columns.add(at % width); }
        return columns.size / Math.max(rows.size, 1);
    })()"""

    async def look(browser, _):
        await until(browser, "document.body?.hasAttribute('data-fresh') === true")
        await until(browser, f"{shown} > 0")
        assert await browser.ask(shown) == pytest.approx(4, abs=0.1)
        assert browser.errors == []

    look_at(look, "--source", wide)
