"""Whether ``edgekit run`` keeps its pace and its size on a live stream, hour after hour.

Run it as ``python -m edgekit.benchmarks.suites.soak [--minutes 60]``. The stream has 30 frames a
second and comes from GStreamer's RTSP server on loopback; the network is the shipped float model on
one thread, which is slower than that on most machines. Prints a Markdown table, a row for each
twelfth of the time.

The bound of a frame's age at its inference is one frame interval and one inference: the frame was
the newest one when its predecessor went into the network, or came while that one was in it.
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

from edgekit.assets import default_bundle
from edgekit.benchmarks.suites._streams import RtspServer
from edgekit.benchmarks.suites.stream_faults import problems_of, size_of
from edgekit.benchmarks.timing import machine

__all__ = ["Span", "main", "spans_of"]

_RATE = 30
_ROWS = 12
_SAMPLE = 5.0
_PATIENCE = 60.0


class Span(NamedTuple):
    """A part of the run.

    Attributes:
        begin: Minutes from the first frame.
        frames: That went through the network.
        dropped: That did not.
        network: Milliseconds of an inference, the median.
        age: Milliseconds from the reading of a frame to its inference: median, 99% and longest.
        late: Frames older than an interval and the inference before theirs.
    """

    begin: float
    frames: int
    dropped: int
    network: float
    age: tuple[float, float, float]
    late: int


def spans_of(events: Sequence[dict[str, Any]], rate: float, seconds: float) -> Iterator[Span]:
    """The parts of a run, in order.

    Args:
        events: Of ``edgekit run``, parsed.
        rate: Frames a second of the source.
        seconds: Of each part.
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
        tail = statistics.quantiles(ages, n=100)[-1] if len(ages) > 1 else ages[0]
        age = (statistics.median(ages), tail, max(ages))
        network = statistics.median(inferences)
        yield Span(part * seconds / 60, len(ages), dropped, network, age, late)


def _run(minutes: float, options: list[str], events: Path) -> tuple[list[tuple[float, float]], str]:
    """Runs, and gives the minutes at which memory was looked at with the MiB, and how it ended."""
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
    parser = argparse.ArgumentParser(description="Age and memory of a long live run.")
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--bundle", type=Path, default=default_bundle(precision="fp32"))
    parser.add_argument("options", nargs="*", help="more for edgekit run, after --")
    arguments = parser.parse_args()
    print(f"{machine()}; {arguments.bundle.name}", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        events = Path(folder, "events.jsonl")
        options = ["--bundle", str(arguments.bundle), "--threads", "1", *arguments.options]
        sizes, end = _run(arguments.minutes, options, events)
        found = [json.loads(line) for line in events.read_text().splitlines()]
    _report(found, sizes, arguments.minutes / _ROWS)
    print(f"It ended {end}.")


if __name__ == "__main__":
    main()
