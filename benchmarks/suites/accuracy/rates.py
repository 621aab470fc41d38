"""Measures the accuracy at other camera rates and with repeated pictures (docs/live-benchmarks.md).

``python -m edgekit.benchmarks.suites.accuracy.rates`` renders the same scenes at several rates and
evaluates a bundle on each. Then it plays those at 25 frames per second like a camera that repeats
every fifth or second picture, losslessly. Each frame is scored twice: against the actors' positions
at that time, and against their positions in the picture that is shown.
"""

from __future__ import annotations

import argparse
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np

from edgekit.assets import default_bundle
from edgekit.benchmarks.under_load import FoundDetections, evaluate_found
from edgekit.datasets.annotations import Truth, VideoTruth
from edgekit.datasets.published import read_truth
from edgekit.datasets.relabelling import in_classes_of
from edgekit.detector import Detector
from edgekit.linking.registry import make_linker
from edgekit.media import open_source
from edgekit.media.sources.source import Source
from edgekit.pipeline.pipeline import Pipeline
from edgekit.runtime.types import Detections, Frame
from edgekit.synthetic import write_dataset
from edgekit.synthetic.dataset import FPS
from edgekit.targets.base import SessionOptions

__all__ = ["frame_map_at_rate", "frame_map_with_repeats"]

_RATES = (12.5, FPS, 50.0, 60.0)
_REPEATED = (5, 2)


def frame_map_at_rate(detector: Detector, truth: Truth) -> float:
    """Returns frame-mAP@0.5 of a bundle on unchanged videos.

    Args:
        detector: Open detector; it stays open.
        truth: Annotated videos, each with its path.
    """
    found = [_found(detector, video, 0) for video in truth.videos]
    return evaluate_found(detector, truth, found).frame_map


def frame_map_with_repeats(detector: Detector, truth: Truth, every: int) -> tuple[float, float]:
    """Returns frame-mAP@0.5 on a camera that repeats one of ``every`` pictures.

    Args:
        detector: Open detector; it stays open.
        truth: Annotated videos, each with its path.
        every: Interval of repeated pictures, at least 2.

    Returns:
        The scores against the truth of each moment, and against that of the shown picture.
    """
    found = [_found(detector, video, every) for video in truth.videos]
    shown = replace(truth, videos=[_as_shown(video, every) for video in truth.videos])
    by_then, as_shown = (evaluate_found(detector, each, found) for each in (truth, shown))
    return by_then.frame_map, as_shown.frame_map


def _is_repeat(index: int, every: int) -> bool:
    return every > 0 and index % every == every - 1


def _as_shown(video: VideoTruth, every: int) -> VideoTruth:
    """Returns the truth of the shown pictures; a tube's first box keeps its place."""
    tubes = []
    for tube in video.tubes:
        numbers = np.arange(len(tube.boxes))
        old = [_is_repeat(tube.start + int(number), every) for number in numbers]
        tubes.append(replace(tube, boxes=tube.boxes[np.maximum(numbers - old, 0)]))
    return replace(video, tubes=tubes)


class _RepeatingCamera(Source):
    """Repeats one of ``every`` pictures of a file in place of the next; none if it is 0."""

    live = True

    def __init__(self, path: Path, every: int) -> None:
        self._source = open_source(str(path))
        self._every = every
        self.name, self.fps = self._source.name, self._source.fps
        self.width, self.height = self._source.width, self._source.height
        self._shown: Frame | None = None

    def read(self) -> Frame | None:
        frame = self._source.read()
        if frame is None:
            return None
        self.position = frame.index + 1
        if self._shown is not None and _is_repeat(frame.index, self._every):
            return replace(frame, image=self._shown.image.copy())
        self._shown = frame
        return frame

    def close(self) -> None:
        self._source.close()


def _found(detector: Detector, video: VideoTruth, every: int) -> list[Detections | None]:
    """Returns the detections of each frame, as in a live run that drops none."""
    found = FoundDetections()
    assert video.path is not None
    with _RepeatingCamera(video.path, every) as camera:
        linker = make_linker("edgekit", len(detector.classes))
        Pipeline(camera, detector.sibling(), linker, [found], drop_policy="none").run()
    return found.detections


def main() -> None:
    """Prints a line for each rate, and for each share of repeated pictures."""
    parser = argparse.ArgumentParser(description="Measures accuracy at other camera rates.")
    parser.add_argument("--clips", type=int, default=16)
    parser.add_argument("--seed", type=int, default=700)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument(
        "--bundle", type=Path, nargs="+", help="bundles to score [default: both shipped ones]"
    )
    arguments = parser.parse_args()
    bundles = arguments.bundle or [default_bundle(precision=name) for name in ("int8", "fp32")]
    seeds = range(arguments.seed, arguments.seed + arguments.clips)
    print("| bundle | frames | frame-mAP@0.5 | of the picture shown |\n| --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory() as place:
        roots = {fps: Path(place) / f"{fps:g}" for fps in _RATES}
        for fps, root in roots.items():
            write_dataset(root, seeds, fps=fps)
        for bundle in bundles:
            with Detector(bundle, options=SessionOptions(threads=arguments.threads)) as detector:
                truths = {
                    fps: in_classes_of(detector.classes, read_truth("json", root))
                    for fps, root in roots.items()
                }
                for fps, truth in truths.items():
                    score = frame_map_at_rate(detector, truth)
                    print(f"| {bundle.name} | {fps:g} a second | {score:.3f} | |", flush=True)
                for every in _REPEATED:
                    now, shown = frame_map_with_repeats(detector, truths[FPS], every)
                    what = f"{FPS:g} a second, every {every}. repeated"
                    print(f"| {bundle.name} | {what} | {now:.3f} | {shown:.3f} |", flush=True)


if __name__ == "__main__":
    main()
