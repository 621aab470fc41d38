"""Measures whether a run loses frames or grows while its bundle is changed a hundred times.

Run it as ``python -m edgekit.benchmarks.suites.faults.bundle_swaps [--swaps 100]``. One run has two
RTSP cameras of 320x240 pixels on one network, while other processes keep every core busy. With
``--drop-policy none`` the run may drop no frame, so that each missing one was lost by a change. Its
bundle is a symbolic link, which changes between two of the shipped bundles as soon as the run has
taken the previous one; every tenth time it leads to a damaged bundle instead, which must be
refused.

It does so once without changes and once with them. It prints Markdown tables of the sources, of the
delays, and of the run's size over time with its trend. The first fifth of the time does not count
for the trend. It ends with status 5 if a frame was lost, a change is missing, or the run grows more
with changes than without.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import multiprocessing
import os
import shutil
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from edgekit.assets import default_bundle
from edgekit.benchmarks.suites.faults._run_size import (
    SizeSample,
    Trend,
    observed,
    print_sizes,
    trends_of,
)
from edgekit.benchmarks.suites.support.streams import RtspServer
from edgekit.bundle import MANIFEST
from edgekit.measuring.timing import machine

__all__ = ["SourceOutcome", "main", "outcome_of"]

_WARM_UP = 0.2
_DAMAGED = 10
"""One in this many changes leads to a damaged bundle."""

_MOST_MEMORY = 4.0
"""Largest growth, in MiB, that all changes together may add."""

_LONGEST = 30.0
_SECONDS = 4.0
"""Seconds that a change may take on average."""


class SourceOutcome(NamedTuple):
    """Counts from the events of a source.

    Attributes:
        frames: Number of frames that went through the detector.
        lost: Number of frames that were lost.
        running: Number of bundles that took over.
        refused: Number of bundles that were refused.
        wrong: Number of changes to the bundle that ran before.
    """

    frames: int
    lost: int
    running: int
    refused: int
    wrong: int


def outcome_of(lines: list[dict[str, Any]]) -> SourceOutcome:
    """Counts the frames and changes in the events of a source."""
    frames = [line["index"] for line in lines if line["type"] == "frame"]
    lost = sum(after - before - 1 for before, after in itertools.pairwise(frames))
    changes = [line for line in lines if line["type"] == "bundle"]
    taken = [line["bundle"]["sha256"] for line in changes if line["outcome"] == "running"]
    every = [lines[0]["bundle"]["sha256"], *taken]
    wrong = sum(before == after for before, after in itertools.pairwise(every))
    refused = sum(line["outcome"] == "refused" for line in changes)
    return SourceOutcome(len(frames), lost, len(taken), refused, wrong)


class _ChangingLink:
    """The link to the bundle, and the changes of it.

    Attributes:
        delays: Seconds from each change of the link to its event.
    """

    def __init__(self, folder: Path, events: Path) -> None:
        self.delays: list[float] = []
        self.path = folder / "current"
        self._events = events
        int8 = default_bundle()
        self._good = [int8, int8.with_name(int8.name.replace("int8", "fp32"))]
        self._damaged = folder / "damaged"
        shutil.copytree(int8, self._damaged)
        manifest = self._damaged / MANIFEST
        manifest.write_bytes(manifest.read_bytes() + b"\n")  # or it would count as the same bundle
        with (self._damaged / "model.onnx").open("r+b") as file:
            file.write(b"damaged")
        self._lead_to(self._good[0])

    @contextlib.contextmanager
    def changing(self, swaps: int) -> Iterator[None]:
        """Changes the link in a thread while the block runs."""
        over = threading.Event()
        thread = threading.Thread(target=self._work, args=(swaps, over), daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

    def _work(self, swaps: int, over: threading.Event) -> None:
        while not ((self._events.exists() and self._count('"frame"') > 10) or over.wait(0.2)):
            pass
        good = itertools.cycle(reversed(self._good))
        for number in range(1, swaps + 1):
            self._lead_to(self._damaged if number % _DAMAGED == 0 else next(good))
            begin = time.monotonic()
            while self._count('"type":"bundle"') < number:
                if over.wait(0.1) or time.monotonic() - begin > _LONGEST:
                    return
            self.delays.append(time.monotonic() - begin)

    def _count(self, words: str) -> int:
        return self._events.read_text().count(words)

    def _lead_to(self, folder: Path) -> None:
        new = self.path.with_name("new")
        new.symlink_to(folder)
        new.replace(self.path)


@contextlib.contextmanager
def _load(processes: int) -> Iterator[None]:
    """Keeps cores busy while the block runs."""
    context = multiprocessing.get_context("spawn")
    busy = [context.Process(target=_spin, daemon=True) for _ in range(processes)]
    for process in busy:
        process.start()
    try:
        yield
    finally:
        for process in busy:
            process.kill()
            process.join()


def _spin() -> None:
    os.nice(5)
    while True:
        sum(range(10_000))


def _print_outcomes(outcomes: list[SourceOutcome], delays: list[float]) -> None:
    print("\n| source | frames | frames lost | changes | refused | out of order |")
    print("|---|---|---|---|---|---|")
    for number, found in enumerate(outcomes):
        print(f"| {number} | {' | '.join(map(str, found))} |")
    print("\n| changes of the link | median delay, s | longest delay, s |\n|---|---|---|")
    if delays:
        print(f"| {len(delays)} | {statistics.median(delays):.2f} | {max(delays):.2f} |")


def main() -> int:
    """Prints the tables."""
    parser = argparse.ArgumentParser(description="A hundred changes of the bundle of one run.")
    parser.add_argument("--swaps", type=int, default=100, help="changes of the link")
    parser.add_argument("--rate", type=int, default=5, help="frames per second of each camera")
    parser.add_argument("--load", type=int, default=os.cpu_count(), help="busy processes")
    parser.add_argument("--samples", type=Path, help="CSV file for a line every 10 seconds")
    parser.add_argument("options", nargs="*", help="more for edgekit run, after --")
    arguments = parser.parse_args()
    print(machine(), flush=True)
    seconds = 20 + _SECONDS * arguments.swaps
    whole, growths = True, []
    # A tube that does not end grows with its history: the same run without changes shows how much.
    for swaps in (0, arguments.swaps):
        print(f"\n{swaps} changes", flush=True)
        samples, outcomes, delays = _measured(arguments, swaps, seconds)
        _print_outcomes(outcomes, delays)
        steady = [sample for sample in samples if 60 * sample.minute >= _WARM_UP * seconds]
        print_sizes(steady)
        growths.append(trends_of(steady))
        whole &= len(delays) == swaps and all(one.lost == one.wrong == 0 for one in outcomes)
    flat = all(_is_no_larger(name, *(found[name] for found in growths)) for name in growths[0])
    return 0 if whole and flat else 5


def _measured(
    arguments: argparse.Namespace, swaps: int, seconds: float
) -> tuple[list[SizeSample], list[SourceOutcome], list[float]]:
    """Returns the sizes of a run, what its events say, and the delays of its changes."""
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        cameras = [stack.enter_context(RtspServer(rate=arguments.rate)) for _ in range(2)]
        link = _ChangingLink(folder, folder / "e-0.jsonl")
        command = [sys.executable, "-m", "edgekit", "run", "--threads", "1", "--json"]
        for camera in cameras:
            command += ["--source", f"rtsp://127.0.0.1:{camera.port}/video"]
        command += ["--drop-policy", "none", "--bundle", str(link.path)]
        command += ["--events", str(folder / "e.jsonl"), *arguments.options]
        stack.enter_context(_load(arguments.load))
        with link.changing(swaps):
            samples, _ = observed(command, seconds, arguments.samples)
        outcomes = [
            outcome_of([json.loads(line) for line in file.read_text().splitlines()])
            for file in sorted(folder.glob("e-*.jsonl"))
        ]
    return samples, outcomes, link.delays


def _is_no_larger(name: str, without: Trend, with_changes: Trend) -> bool:
    """Returns whether changes of the bundle add nothing to the growth of a size."""
    most = _MOST_MEMORY if name.startswith("memory") else 0.5
    noise = without.uncertainty + with_changes.uncertainty
    return with_changes.growth - without.growth < most + noise


if __name__ == "__main__":
    sys.exit(main())
