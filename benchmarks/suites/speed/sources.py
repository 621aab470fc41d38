"""Compares several sources on one model with one source, in the same run.

Run it as ``python -m edgekit.benchmarks.suites.speed.sources [VIDEO]``; VIDEO defaults to the clip
of ``edgekit bench``. It uses the pipelines of ``edgekit run``, without outputs and with one thread
for the network. The first table has files, which use every turn that they get. It shows frames per
second of all sources together, and of the source with the fewest. The second has cameras that show
the video at their own rate. It shows the age of a frame when its inference starts, which should
stay below a frame interval plus one inference for each source. All numbers of sources take turns;
results are medians over the repeats, also of the ratios to one source in the same repeat.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from edgekit.assets import default_bundle
from edgekit.benchmarks.footage import write_demo_clip
from edgekit.detector import Detector
from edgekit.errors import EdgeKitError
from edgekit.linking.registry import make_linker
from edgekit.measuring.timing import machine
from edgekit.media import Source, open_source
from edgekit.pipeline.fair_semaphore import FairSemaphore
from edgekit.pipeline.multiple_sources import run_all
from edgekit.pipeline.pipeline import Pipeline
from edgekit.pipeline.results import RunSummary
from edgekit.runtime.types import Frame
from edgekit.targets.base import SessionOptions

__all__ = ["main"]


class _SteadyCamera(Source):
    """Pictures that repeat at the camera's own rate."""

    live = True

    def __init__(self, images: Sequence[Any], fps: float) -> None:
        self._images = images
        self.fps = fps
        self.height, self.width = images[0].shape[:2]
        self.name = "camera"
        self._begin: float | None = None

    def read(self) -> Frame:
        """Returns the next picture, once it is due."""
        now = time.monotonic()
        self._begin = now if self._begin is None else self._begin
        seconds = self.position / self.fps
        time.sleep(max(0.0, self._begin + seconds - now))
        image = self._images[self.position % len(self._images)]
        self.position += 1
        return Frame(self.position - 1, seconds, image)

    def close(self) -> None:
        """Does nothing: there is nothing to release."""


def _run(
    detector: Detector, sources: Sequence[Source], duration: float | None
) -> tuple[float, list[RunSummary]]:
    """Returns wall-clock seconds, and the summary of each source."""
    turn = FairSemaphore()
    pipelines = [
        Pipeline(
            source,
            detector.sibling(),
            make_linker("edgekit", len(detector.classes)),
            overlap=True,
            turn=turn,
            duration=duration,
        )
        for source in sources
    ]

    def stop() -> None:
        for pipeline in pipelines:
            pipeline.stop()

    def failed(number: int, error: EdgeKitError) -> None:
        raise error

    begin = time.perf_counter()
    outcomes = run_all(pipelines, stop=stop, failed=failed)
    seconds = time.perf_counter() - begin
    return seconds, [outcome for outcome in outcomes if isinstance(outcome, RunSummary)]


def _files(detector: Detector, video: str, count: int) -> dict[str, float]:
    sources = [open_source(video) for _ in range(count)]
    try:
        seconds, summaries = _run(detector, sources, None)
    finally:
        for source in sources:
            source.close()
    rates = [summary.fps for summary in summaries]
    frames = sum(summary.frames for summary in summaries)
    return {"all": frames / seconds, "least": min(rates)}


def _cameras(
    detector: Detector, images: Sequence[Any], fps: float, seconds: float, count: int
) -> dict[str, float]:
    _, summaries = _run(detector, [_SteadyCamera(images, fps) for _ in range(count)], seconds)
    ages = [summary.age for summary in summaries if summary.age is not None]
    inference = max(summary.stages["network"].p50 for summary in summaries)
    return {
        "all": sum(summary.frames for summary in summaries) / seconds,
        "p50": max(age.p50 for age in ages),
        "p99": max(age.p99 for age in ages),
        "limit": 1e3 / fps + count * inference,
    }


def _rounds(
    way: Callable[[int], dict[str, float]], counts: Sequence[int], repeats: int
) -> dict[int, dict[str, float]]:
    """Returns medians by number of sources; ``ratio`` compares total rates with one source."""
    rounds = [{count: way(count) for count in counts} for _ in range(repeats)]
    found = {}
    for count in counts:
        names = rounds[0][count]
        found[count] = {name: statistics.median(r[count][name] for r in rounds) for name in names}
        ratios = [r[count]["all"] / r[1]["all"] for r in rounds]
        found[count]["ratio"] = statistics.median(ratios)
    return found


def _measure(path: Path, video: str, most: int, repeats: int, seconds: float) -> None:
    counts = [count for count in (1, 2, 3, 4, 6, 8) if count <= most]
    with Detector(path, options=SessionOptions(threads=1)) as detector:
        described: dict[str, Any] = detector.session.describe()
        with open_source(video) as source:
            images = [frame.image for frame, _ in zip(source, range(64), strict=False)]
            fps = source.fps
        _files(detector, video, 1)
        print(f"\n{path.name}, {described['runtime']} {described['version']}, 1 thread\n")
        print("| files | frames a second in all | of one file | the slowest file |")
        print("| --- | --- | --- | --- |")
        found = _rounds(lambda count: _files(detector, video, count), counts, repeats)
        for count, row in found.items():
            print(f"| {count} | {row['all']:.1f} | {row['ratio']:.2f} | {row['least']:.1f} |")
        print(f"\n| cameras of {fps:g} FPS | frames a second in all | age p50, ms | p99 | limit |")
        print("| --- | --- | --- | --- | --- |")
        found = _rounds(
            lambda count: _cameras(detector, images, fps, seconds, count), counts, repeats
        )
        for count, row in found.items():
            ages = " | ".join(f"{row[name]:.1f}" for name in ("p50", "p99", "limit"))
            print(f"| {count} | {row['all']:.1f} | {ages} |")


def main() -> None:
    """Prints both tables."""
    parser = argparse.ArgumentParser(description="Compares several sources with one source.")
    parser.add_argument("video", nargs="?")
    parser.add_argument("--bundle", type=Path, default=default_bundle())
    parser.add_argument("--most", type=int, default=8, help="largest number of sources")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=10.0, help="seconds to watch the cameras")
    arguments = parser.parse_args()
    print(machine())
    with tempfile.TemporaryDirectory() as name:
        video = arguments.video or str(write_demo_clip(Path(name)))
        _measure(arguments.bundle, video, arguments.most, arguments.repeats, arguments.seconds)


if __name__ == "__main__":
    main()
