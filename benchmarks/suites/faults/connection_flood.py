"""Measures what half-open and stalled connections of one address cost a run and its viewers.

Run it as ``python -m edgekit.benchmarks.suites.faults.connection_flood [VIDEO]``. Each round runs
``edgekit run`` on the video twice for some seconds, with a live page: once undisturbed, once while
a process at 127.0.0.2 holds 512 half-open and 200 stalled connections, and opens those again that
the page closes. Meanwhile 127.0.0.3 watches the live pictures, and asks for ``/health`` and opens
the live pictures once more, again and again. The stalled connections know the token. The network
has one thread, since the flood needs CPU time too. Rates are medians over the rounds; times are
those of all rounds.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import re
import signal
import statistics
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import AsyncGenerator, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from aiohttp import ClientError, ClientSession, TCPConnector

from edgekit.benchmarks.suites.support.flood import Flood, FloodCounts
from edgekit.measuring.timing import machine
from edgekit.media._opencv import cv2
from edgekit.synthetic.clip import render_clip

__all__ = ["FloodOutcome", "Visits", "main", "play", "write_clip"]

_ATTACKER, _VIEWER = "127.0.0.2", "127.0.0.3"
_TOKEN = "a-token-for-this-benchmark"  # noqa: S105 - of a page that only this machine reaches
_SEED = 1
_PATIENCE = 10.0
_PAUSE = 0.2
_LONGEST = 60.0
_COLUMNS = (
    *("run", "FPS", "share of undisturbed", "median /health, ms", "largest"),
    *("median first frame, ms", "largest", "median next frame, ms", "largest", "visits", "failed"),
    *("connections of the flood", "open at once", "CPU seconds of the flood"),
)
_FASTEST = 400
"""Frames per second that no run exceeds, so that the clip does not end before the time."""


class Visits(NamedTuple):
    """Times of a viewer's visits to the page, in seconds.

    Attributes:
        health: Time to each answer of ``/health``.
        frame: Time from each connection to its first frame.
        pause: Time between two frames for a viewer that stays.
        failed: Number of visits without an answer.
    """

    health: list[float]
    frame: list[float]
    pause: list[float]
    failed: list[str]


class FloodOutcome(NamedTuple):
    """Result of a run.

    Attributes:
        rate: Frames per second.
        visits: Times of its viewer.
        flood: Counts of the flood; None for an undisturbed run.
    """

    rate: float
    visits: Visits
    flood: FloodCounts | None


async def _visit(base: str, over: threading.Event) -> Visits:
    found = Visits([], [], [], [])
    connector = TCPConnector(local_addr=(_VIEWER, 0), force_close=True)
    words = {"Authorization": f"Bearer {_TOKEN}"}
    async with ClientSession(base, connector=connector, headers=words) as session:
        staying = asyncio.create_task(_stay(session, found))
        while not over.is_set():
            for ask, times in ((_health, found.health), (_first_frame, found.frame)):
                begin = time.monotonic()
                try:
                    await asyncio.wait_for(ask(session), _PATIENCE)
                    times.append(time.monotonic() - begin)
                except (ClientError, OSError, asyncio.TimeoutError) as error:
                    if not over.is_set():
                        found.failed.append(repr(error))
            await asyncio.sleep(_PAUSE)
        staying.cancel()
    return found


async def _stay(session: ClientSession, found: Visits) -> None:
    last = 0.0
    while True:
        try:
            async for moment in _frames(session):
                if last:
                    found.pause.append(moment - last)
                last = moment
        except (ClientError, OSError, asyncio.TimeoutError) as error:
            found.failed.append(repr(error))
        await asyncio.sleep(_PAUSE)


async def _health(session: ClientSession) -> None:
    async with session.get("/health") as answer:
        await answer.read()


async def _first_frame(session: ClientSession) -> None:
    async with contextlib.aclosing(_frames(session)) as frames:
        async for _ in frames:
            return
    raise ClientError("the page closed the connection before a frame came")


async def _frames(session: ClientSession) -> AsyncGenerator[float, None]:
    """Watches the page; yields the moment of each frame."""
    async with session.ws_connect("/live", max_msg_size=0) as link:
        async for message in link:
            if not isinstance(message.data, bytes):
                return
            (length,) = struct.unpack_from("<I", message.data)
            if json.loads(message.data[4 : 4 + length])["type"] == "frame":
                yield time.monotonic()
            await link.send_str("k")


@contextlib.contextmanager
def _visiting(port: int) -> Iterator[list[Visits]]:
    """Visits a page inside the block; the list has the result afterwards."""
    found: list[Visits] = []
    over = threading.Event()
    base = f"http://127.0.0.1:{port}"
    thread = threading.Thread(target=lambda: found.append(asyncio.run(_visit(base, over))))
    thread.start()
    try:
        yield found
    finally:
        over.set()
        thread.join()


def play(
    video: str, seconds: float, half_open: int = 0, stalled: int = 0, *options: str
) -> FloodOutcome:
    """Runs on a clip for a time, with or without a flood.

    Args:
        video: Clip that lasts longer than the run.
        seconds: Duration, from the moment at which the page is served.
        half_open: Number of half-open connections.
        stalled: Number of stalled connections; if there are none of both, nothing floods.
        options: Additional options for ``edgekit run``.
    """
    command = [sys.executable, "-m", "edgekit", "run", "--source", video, "--json"]
    command += ["--serve", "0.0.0.0:0", "--token", _TOKEN, *options]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, **pipes) as run:  # type: ignore[call-overload]
        try:
            port = _port(run)
            with contextlib.ExitStack() as stack:
                visits = stack.enter_context(_visiting(port))
                flood = None
                if half_open or stalled:
                    flood = Flood(port, _TOKEN, _ATTACKER, half_open, stalled)
                    stack.enter_context(flood)
                time.sleep(seconds)
                counts = flood.end() if flood else None
            run.send_signal(signal.SIGTERM)
            output, errors = run.communicate(timeout=_LONGEST)
        finally:
            run.kill()
    if run.returncode != 130:
        raise SystemExit(f"The run ended with status {run.returncode}: {errors}")
    report: dict[str, Any] = json.loads(output)
    return FloodOutcome(report["frames"] / report["seconds"], visits[0], counts)


def _port(run: subprocess.Popen[str]) -> int:
    assert run.stderr is not None
    for line in run.stderr:
        if line.startswith("Live page: "):
            return int(re.findall(r":(\d+)/", line)[0])
    raise SystemExit("The run ended before it served a page.")


def write_clip(folder: Path, frames: int) -> str:
    """Writes a rendered clip that repeats, of 25 frames per second; returns its path."""
    path = folder / "clip.avi"
    clip = list(render_clip(_SEED, frames=75))
    height, width = clip[0].shape[:2]
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 25, (width, height))
    for number in range(frames):
        writer.write(clip[number % len(clip)])
    writer.release()
    return str(path)


def _row(name: str, outcomes: list[FloodOutcome], share: float) -> str:
    health = [1e3 * time for outcome in outcomes for time in outcome.visits.health]
    frame = [1e3 * time for outcome in outcomes for time in outcome.visits.frame]
    failed = sum(len(outcome.visits.failed) for outcome in outcomes)
    cells = [name, f"{statistics.median(outcome.rate for outcome in outcomes):.1f}", f"{share:.3f}"]
    pause = [1e3 * time for outcome in outcomes for time in outcome.visits.pause]
    for times in (health, frame, pause):
        cells += [f"{statistics.median(times):.0f}", f"{max(times):.0f}"] if times else ["-", "-"]
    floods = [outcome.flood for outcome in outcomes if outcome.flood is not None]
    opened = sum(flood.opened for flood in floods)
    held = max((flood.held for flood in floods), default=0)
    spent = sum(flood.cpu_seconds for flood in floods)
    cells += [str(len(health) + len(frame)), str(failed), str(opened), str(held), f"{spent:.1f}"]
    return f"| {' | '.join(cells)} |"


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description="A run whose page one address floods.")
    parser.add_argument("video", nargs="?", help="clip that lasts longer than a run")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=15, help="duration of each run")
    parser.add_argument("--half-open", type=int, default=512)
    parser.add_argument("--stalled", type=int, default=200)
    parser.add_argument("options", nargs="*", help="more for edgekit run, after --")
    arguments = parser.parse_args()
    options = ["--threads", "1", "--hint", "latency", *arguments.options]
    print(machine(), flush=True)
    with tempfile.TemporaryDirectory() as folder:
        frames = int(_FASTEST * arguments.seconds)
        video = arguments.video or write_clip(Path(folder), frames)
        rounds = []
        for _ in range(arguments.rounds):
            calm = play(video, arguments.seconds, 0, 0, *options)
            flood = arguments.half_open, arguments.stalled
            rounds.append((calm, play(video, arguments.seconds, *flood, *options)))
    share = statistics.median(flooded.rate / calm.rate for calm, flooded in rounds)
    print(f"\n| {' | '.join(_COLUMNS)} |\n|{'---|' * len(_COLUMNS)}")
    print(_row("undisturbed", [calm for calm, _ in rounds], 1.0))
    print(_row("flooded", [flooded for _, flooded in rounds], share))
    for _, flooded in rounds:
        for words in flooded.visits.failed[:3]:
            print(f"Failed: {words}")


if __name__ == "__main__":
    main()
