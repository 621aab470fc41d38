"""Measures whether ``edgekit run`` keeps its speed and memory on a live stream for hours.

Run it as ``python -m edgekit.benchmarks.suites.faults.soak [--minutes 60]``. The stream has 30
frames per second and comes from GStreamer's RTSP server on loopback. The network is the shipped
float model on one thread, which is slower than the stream on most machines. It prints a Markdown
table with a row for each twelfth of the time.

The bound for a frame's age at its inference is one frame interval plus one inference. The frame was
the newest one when its predecessor entered the network, or it arrived during that inference.
"""

from __future__ import annotations

import argparse
import json
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from edgekit.assets import default_bundle
from edgekit.benchmarks.suites.faults.stream_faults import problems_of, size_of
from edgekit.benchmarks.suites.support.streams import RtspServer
from edgekit.measuring.timing import machine

__all__ = ["Span", "main", "spans_of"]

_RATE = 30
_ROWS = 12
_SAMPLE = 5.0
_PATIENCE = 60.0


class Span(NamedTuple):
    """A part of the run.

    Attributes:
        begin: Minutes from the first frame.
        frames: Number of frames that went through the network.
        dropped: Number of frames that were dropped.
        network: Median milliseconds of an inference.
        age: Milliseconds from the reading of a frame to its inference: median, 99% and longest.
        late: Number of frames older than an interval plus the preceding inference.
    """

    begin: float
    frames: int
    dropped: int
    network: float
    age: tuple[float, float, float]
    late: int


def spans_of(events: Sequence[dict[str, Any]], rate: float, seconds: float) -> Iterator[Span]:
    """Yields the parts of a run, in order.

    Args:
        events: Events of ``edgekit run``, parsed.
        rate: Frames per second of the source.
        seconds: Duration of each part, in seconds.
    """
    parts: dict[int, list[dict[str, Any]]] = {}
    begin = None
    for event in events:
        if event["type"] == "frame":
            begin = event["time"] if begin is None else begin
            part = int((event["time"] - begin) / seconds)
        elif event["type"] != "gap":
            continue
        else:
            part = max(parts, default=0)
        parts.setdefault(part, []).append(event)
    before = float("inf")
    for part, found in parts.items():
        late, ages, inferences = 0, [], []
        for frame in (event for event in found if event["type"] == "frame"):
            ages.append(frame["age"])
            inferences.append(frame["ms"]["network"])
            late += frame["age"] > 1e3 / rate + before
            before = frame["ms"]["network"]
        dropped = sum(event["frames"] for event in found if event["type"] == "gap")
        tail = float(np.percentile(ages, 99))
        age = (statistics.median(ages), tail, max(ages))
        network = statistics.median(inferences)
        yield Span(part * seconds / 60, len(ages), dropped, network, age, late)


def _run(minutes: float, options: list[str], events: Path) -> tuple[list[tuple[float, float]], str]:
    """Runs; returns memory in MiB over the minutes of its samples, and how the run ended."""
    with RtspServer(rate=_RATE) as server:
        source = f"rtsp://127.0.0.1:{server.port}/video"
        command = [sys.executable, "-m", "edgekit", "run", "--source", source, "--json"]
        command += ["--events", str(events), *options]
        sizes = []
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as run:
            try:
                begin = time.monotonic()
                while run.poll() is None and time.monotonic() < begin + 60 * minutes:
                    time.sleep(_SAMPLE)
                    sizes.append(((time.monotonic() - begin) / 60, size_of(run.pid)[0]))
                run.send_signal(signal.SIGTERM)
                asked = time.monotonic()
                said = b"".join(run.communicate(timeout=_PATIENCE)).decode()
            except subprocess.TimeoutExpired:
                return sizes, f"not within {_PATIENCE:.0f} s of SIGTERM"
            finally:
                run.kill()
        if run.returncode != 130:
            raise SystemExit(f"The run ended with exit status {run.returncode}:\n{said}")
        return sizes, f"{time.monotonic() - asked:.1f} s after SIGTERM"


def _report(events: list[dict[str, Any]], sizes: list[tuple[float, float]], row: float) -> None:
    print(
        "\n| from minute | frames | dropped | inference, ms | age, ms: median | 99% | longest "
        "| over the bound | MiB |\n|---|---|---|---|---|---|---|---|---|"
    )
    for span in spans_of(events, _RATE, 60 * row):
        inside = [size for minute, size in sizes if 0 <= minute - span.begin < row]
        memory = f"{min(inside):.1f} to {max(inside):.1f}" if inside else "-"
        ages = " | ".join(f"{age:.1f}" for age in span.age)
        print(
            f"| {span.begin:.0f} | {span.frames} | {span.dropped} | {span.network:.1f} | {ages} "
            f"| {span.late} | {memory} |"
        )
    problems = problems_of(events)
    print(f"\nEvents: {'; '.join(problems[:3]) or 'valid'}.")


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(
        description="Measures frame age and memory in a long live run."
    )
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--bundle", type=Path, default=default_bundle(precision="fp32"))
    parser.add_argument("options", nargs="*", help="options for edgekit run, after --")
    arguments = parser.parse_args()
    print(f"{machine()}; {arguments.bundle.name}", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        events = Path(folder, "events.jsonl")
        options = ["--bundle", str(arguments.bundle), "--threads", "1", *arguments.options]
        sizes, end = _run(arguments.minutes, options, events)
        if not events.exists():
            raise SystemExit("The run ended before its first frame: give more --minutes.")
        found = [json.loads(line) for line in events.read_text().splitlines()]
    _report(found, sizes, arguments.minutes / _ROWS)
    print(f"It ended {end}.")


if __name__ == "__main__":
    main()
