"""Measures what a model gains from its SSIM map: frame-mAP with and without its channels.

Run it as ``python -m edgekit.benchmarks.suites.accuracy.ablation ROOT``. Each row replaces channels
of the input by their mean over all frames of the dataset. They then no longer differ between places
or frames.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from edgekit.assets import default_bundle
from edgekit.datasets.annotations import Truth, VideoTruth
from edgekit.datasets.published import read_truth
from edgekit.datasets.relabelling import in_classes_of
from edgekit.detector import Detector
from edgekit.errors import UsageError
from edgekit.media import open_source
from edgekit.metrics.detections import SavedDetections, SavedVideo
from edgekit.metrics.eval_result import EvalResult
from edgekit.metrics.evaluate import evaluate
from edgekit.runtime.letterbox import Letterbox
from edgekit.runtime.types import Array

__all__ = ["ROWS", "ablate", "main"]

ROWS: dict[str, slice] = {
    "as it is": slice(0),
    "SSIM map replaced by its mean": slice(3, 6),
    "colour replaced by its mean": slice(3),
}
"""Channels that each row replaces."""


def ablate(bundle: Path, truth: Truth) -> dict[str, EvalResult]:
    """Evaluates a bundle on a dataset once for each of ``ROWS``.

    Args:
        bundle: Folder of a bundle with six input channels whose cascade runs on the host.
        truth: Annotated videos, each with its path.

    Raises:
        UsageError: The bundle has no SSIM map, or does not make it on the host.
    """
    with Detector(bundle) as detector:
        cascade = detector.bundle.manifest.cascade
        if cascade.kind == "rgb" or cascade.place == "graph":
            raise UsageError(
                f"Expected a bundle that is given its SSIM map; {bundle} has the cascade "
                f"{cascade.kind} in the {cascade.place}.",
                hint="Export one: edgekit export CHECKPOINT --cascade-in host",
            )
        truth = in_classes_of(detector.classes, truth)
        means = _means(detector, truth)
        return {row: _evaluate(detector, truth, means, part) for row, part in ROWS.items()}


def _evaluate(detector: Detector, truth: Truth, means: Array, part: slice) -> EvalResult:
    videos = []
    for video in truth.videos:
        found = []
        for tensor, letterbox in _inputs(detector, video):
            tensor[:, part] = means[part, None, None]
            found.append(detector.decode(detector.infer({"input": tensor}), letterbox))
        videos.append(SavedVideo(video, found))
    return evaluate(SavedDetections(list(detector.classes), videos))


def _means(detector: Detector, truth: Truth) -> Array:
    """Returns the mean of each channel over all frames, (6,)."""
    frames = [
        tensor.mean(axis=(0, 2, 3), dtype=np.float64)
        for video in truth.videos
        for tensor, _ in _inputs(detector, video)
    ]
    means: Array = np.stack(frames).mean(axis=0)
    return means


def _inputs(detector: Detector, video: VideoTruth) -> Iterator[tuple[Array, Letterbox]]:
    detector.reset()
    assert video.path is not None
    with open_source(video.path) as source:
        for frame in source:
            inputs, letterbox = detector.prepare(frame.image, frame.sample_aspect)
            yield inputs["input"], letterbox


def main() -> None:
    """Prints a line for each row."""
    parser = argparse.ArgumentParser(description="Measures what a model gains from its SSIM map.")
    parser.add_argument("root", type=Path, help="folder with annotations.json")
    parser.add_argument("--bundle", type=Path, default=default_bundle(precision="fp32"))
    arguments = parser.parse_args()
    print(f"{'input':<34}{'frame-mAP@0.5':>15}{'video-mAP@0.5':>15}")
    for row, result in ablate(arguments.bundle, read_truth("json", arguments.root)).items():
        print(f"{row:<34}{result.frame_map:>15.3f}{result.video_map['0.5']:>15.3f}")


if __name__ == "__main__":
    main()
