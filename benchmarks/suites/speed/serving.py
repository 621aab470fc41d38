"""Measures what the live page costs a run, and takes pictures of it.

Run it as ``python -m edgekit.benchmarks.suites.speed.serving VIDEO``. The baseline is the same run
without the page; both are whole processes, in turn. The viewer receives every message, as a browser
does, in its own process. ``--pictures FOLDER`` instead saves what Chromium shows of the video
played in real time, on a phone and on a desktop.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

from edgekit.benchmarks.suites.support.browser import DESKTOP, PHONE, find_chromium, open_browser
from edgekit.benchmarks.suites.support.viewer import PageViewer
from edgekit.measuring.timing import machine

__all__ = ["main"]


def _start(video: str, *options: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "edgekit", "run", "--source", video, "--json", *options]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def _link(run: subprocess.Popen[str]) -> str:
    assert run.stderr is not None
    for line in run.stderr:
        if line.startswith("Live page: "):
            return line.split()[-1]
    raise SystemExit("The run ended before it served a page.")


def _play(video: str, viewer: PageViewer | None = None) -> tuple[float, int]:
    """Returns frames per second of a run, and how many of them its viewer received."""
    run = _start(video, *(("--serve", "0") if viewer else ()))
    seen = 0
    if viewer is not None:
        viewer.watch(_link(run))
        seen = viewer.seen()
    output, errors = run.communicate()
    if run.returncode:
        raise SystemExit(errors)
    report: dict[str, Any] = json.loads(output)
    return report["frames"] / report["seconds"], seen


def _measure(video: str, repeats: int) -> None:
    print(machine())
    plain, watched, seen = [], [], []
    with PageViewer() as viewer:
        for _ in range(repeats):
            plain.append(_play(video)[0])
            rate, frames = _play(video, viewer)
            watched.append(rate)
            seen.append(frames)
    before, after = statistics.median(plain), statistics.median(watched)
    print(f"nothing served     {before:6.1f} frames a second")
    print(f"page, one viewer   {after:6.1f} frames a second, {after / before:.2f} of it")
    print(f"frames seen        {statistics.median(seen):6.0f}")


async def _photograph(url: str, folder: Path) -> None:
    program = find_chromium()
    if program is None:
        raise SystemExit("Chromium is not installed. Run: apt-get install chromium")
    for name, screen, dark in (("phone", PHONE, False), ("desktop", DESKTOP, True)):
        async with open_browser(program) as browser:
            await browser.open(url, screen, dark=dark)
            for _ in range(200):
                await asyncio.sleep(0.2)
                if await browser.ask("document.querySelectorAll('#tubes li').length > 1"):
                    break
            await asyncio.sleep(2)
            (folder / f"live-{name}.jpg").write_bytes(await browser.picture())


def main() -> None:
    """Prints the rates with and without a viewer, or takes the pictures."""
    parser = argparse.ArgumentParser(description="Measures what the live page costs a run.")
    parser.add_argument("video")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--pictures", type=Path)
    arguments = parser.parse_args()
    if arguments.pictures is None:
        _measure(arguments.video, arguments.repeats)
        return
    run = _start(arguments.video, "--realtime", "--serve", "0")
    try:
        asyncio.run(_photograph(_link(run), arguments.pictures))
    finally:
        run.terminate()
        run.communicate()


if __name__ == "__main__":
    main()
