"""Measures the accuracy of the shipped model with dropped frames (docs/live-benchmarks.md).

``python -m edgekit.benchmarks.suites.accuracy.under_load --write`` also writes the figures from
which ``edgekit run`` reports its expected accuracy.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import msgspec

from edgekit.assets import default_bundle, under_load_file
from edgekit.benchmarks.report.report import LoadAccuracy
from edgekit.benchmarks.under_load import accuracy_under_load
from edgekit.datasets.published import read_truth
from edgekit.detector import Detector
from edgekit.files.writing import atomic_file
from edgekit.synthetic import write_dataset
from edgekit.synthetic.dataset import FPS
from edgekit.targets.base import SessionOptions

__all__ = ["cost_table"]


def cost_table(points: list[LoadAccuracy]) -> list[dict[str, float]]:
    """Returns, for each share of processed frames, the remaining share of the accuracies."""
    full = points[0]
    return [
        {
            "fps": round(FPS / point.every, 3),
            "frame_map": round(point.frame_map / point.frame_map_full, 4),
            "video_map": round(point.video_map["0.5"] / full.video_map["0.5"], 4),
        }
        for point in points
    ]


def main() -> None:
    """Prints a line for each share."""
    parser = argparse.ArgumentParser(description="Measures what dropped frames cost.")
    parser.add_argument("--clips", type=int, default=16)
    parser.add_argument("--seed", type=int, default=700)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--precision", nargs="+", default=["int8", "fp32"])
    parser.add_argument("--write", action="store_true", help="save the first bundle's figures")
    arguments = parser.parse_args()
    print("| model | takes | frames | frame-mAP@0.5 | of full | video-mAP@0.5 | of full |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory() as place:
        root = Path(place) / "clips"
        write_dataset(root, range(arguments.seed, arguments.seed + arguments.clips))
        truth = read_truth("json", root)
        for precision in arguments.precision:
            options = SessionOptions(threads=arguments.threads)
            with Detector(default_bundle(precision=precision), options=options) as detector:
                points = []
                for point in accuracy_under_load(detector, truth):
                    points.append(point)
                    left = cost_table(points)[-1]
                    takes = "each frame" if point.every == 1 else f"1 of {point.every}"
                    print(
                        f"| {precision} | {takes} | {point.taken}/{point.frames} "
                        f"| {point.frame_map:.3f} | {100 * left['frame_map']:.1f}% "
                        f"| {point.video_map['0.5']:.3f} | {100 * left['video_map']:.1f}% |",
                        flush=True,
                    )
            if arguments.write and precision == arguments.precision[0]:
                with atomic_file(under_load_file()) as temporary:
                    text = msgspec.json.format(msgspec.json.encode(cost_table(points)))
                    temporary.write_bytes(text + b"\n")


if __name__ == "__main__":
    main()
