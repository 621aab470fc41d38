"""Compares the rate of ``edgekit run`` on a file with that of the network alone.

Run it as ``python -m edgekit.benchmarks.suites.speed.throughput [VIDEO]``; VIDEO defaults to the
clip of ``edgekit bench``. The network's own rate is that of repeated calls of its session on the
clip's inputs, on one thread. The runs use the pipeline of ``edgekit run``. They are without
outputs, with events, with events and video, with these and the live page for one viewer, and
without outputs in one thread. The last is the default of ``run`` on a file: one frame in the
network for each core. All ways take turns; results are medians over the repeats, also of the ratios
to the network's own rate in the same repeat.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from edgekit.assets import default_bundle
from edgekit.benchmarks.footage import write_demo_clip
from edgekit.benchmarks.suites.support.viewer import PageViewer
from edgekit.detector import Detector
from edgekit.errors import EdgeKitError
from edgekit.linking.registry import make_linker
from edgekit.measuring.timing import machine
from edgekit.media import open_source
from edgekit.media.page import LivePage
from edgekit.media.page.channel import Channel
from edgekit.media.sinks.events import EventsSink
from edgekit.media.sinks.queued import QueuedSink
from edgekit.media.sinks.sink import Sink
from edgekit.media.sinks.video.file import VideoSink
from edgekit.pipeline.pipeline import Pipeline
from edgekit.targets.base import SessionOptions

__all__ = ["main"]

_KEPT_INPUTS = 32


class _Pass(NamedTuple):
    """Frames per second, and the mean milliseconds of an inference."""

    rate: float
    inference: float


def _network_alone(detector: Detector, video: str, frames: int) -> _Pass:
    """Measures the network on prepared inputs of the clip."""
    detector.reset()
    inputs = []
    with open_source(video) as source:
        for frame, _ in zip(source, range(min(frames, _KEPT_INPUTS)), strict=False):
            made, _ = detector.prepare(frame.image, frame.sample_aspect)
            inputs.append({name: value.copy() for name, value in made.items()})
    begin = time.perf_counter()
    for number in range(frames):
        detector.infer(inputs[number % len(inputs)])
    spent = time.perf_counter() - begin
    return _Pass(frames / spent, 1e3 * spent / frames)


def _run(detector: Detector, video: str, sinks: list[Sink], *, overlap: bool) -> _Pass:
    detector.reset()
    queued: list[Sink] = [
        sink if isinstance(sink, Channel) else QueuedSink(sink, type(sink).__name__, live=False)
        for sink in sinks
    ]
    with open_source(video) as source:
        linker = make_linker("edgekit", len(detector.classes))
        lanes = detector.lanes
        pipeline = Pipeline(source, detector, linker, queued, overlap=overlap, lanes=lanes)
        summary = pipeline.run()
    return _Pass(summary.fps, summary.stages["network"].mean)


def _measure(path: Path, video: str, repeats: int, folder: Path) -> None:
    one, many = SessionOptions(threads=1), SessionOptions(hint="throughput")
    with (
        PageViewer() as viewer,
        Detector(path, options=one) as detector,
        Detector(path, options=many) as in_lanes,
    ):
        with open_source(video) as source:
            frames = sum(1 for _ in source)

        def events() -> Sink:
            return EventsSink(folder / "events.jsonl")

        def annotated() -> Sink:
            return VideoSink(folder / "annotated.mp4")

        def page() -> Sink:
            return LivePage("0", say=lambda line: viewer.watch(line.split()[-1])).sink()

        def watched() -> _Pass:
            found = run(events, annotated, page)()
            viewer.seen()
            return found

        def run(*sinks: Callable[[], Sink], overlap: bool = True) -> Callable[[], _Pass]:
            return lambda: _run(detector, video, [make() for make in sinks], overlap=overlap)

        ways: dict[str, Callable[[], _Pass]] = {
            "the network alone": lambda: _network_alone(detector, video, frames),
            "nothing written": run(),
            "events": run(events),
            "events and video": run(events, annotated),
            "events, video and page": watched,
            "nothing written, one thread": run(overlap=False),
            f"nothing written, {in_lanes.lanes} frames at once": lambda: _run(
                in_lanes, video, [], overlap=True
            ),
        }
        for way in ways.values():
            way()
        rounds = [{name: way() for name, way in ways.items()} for _ in range(repeats)]
        _report(detector, frames, rounds)


def _report(detector: Detector, frames: int, rounds: list[dict[str, _Pass]]) -> None:
    described: dict[str, Any] = detector.session.describe()
    print(
        f"\n{detector.bundle.path.name}, {described['runtime']} {described['version']}, "
        f"{described['arithmetic']}, 1 thread, {frames} frames, {len(rounds)} rounds\n"
    )
    print("| way | frames a second | of the network alone | an inference, ms |")
    print("| --- | --- | --- | --- |")
    for name in rounds[0]:
        rate, inference = (
            statistics.median(column)
            for column in zip(*(found[name] for found in rounds), strict=True)
        )
        ratio = statistics.median(
            found[name].rate / found["the network alone"].rate for found in rounds
        )
        print(f"| {name} | {rate:.1f} | {ratio:.2f} | {inference:.2f} |")


def main() -> None:
    """Prints the rates and their ratios as a table for each bundle."""
    parser = argparse.ArgumentParser(description="Compares the rate of a run and its network.")
    parser.add_argument("video", nargs="?")
    parser.add_argument("--bundle", type=Path, action="append", help="repeatable")
    parser.add_argument("--repeats", type=int, default=7)
    arguments = parser.parse_args()
    print(machine())
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        video = arguments.video or str(write_demo_clip(folder))
        for path in arguments.bundle or [default_bundle()]:
            try:
                _measure(path, video, arguments.repeats, folder)
            except EdgeKitError as error:
                raise SystemExit(str(error)) from error


if __name__ == "__main__":
    main()
