"""Compares linkers: video-mAP of all of them on one folder of detections.

Run it as ``python -m edgekit.benchmarks.suites.accuracy.linkers FOLDER``. The folder contains files
for ``edgekit eval --detections``, named ``PRESET_SEED.json.gz``; results of a preset are averaged.
``road`` has a second column with the better of 15 and 30 ``max_misses`` for each preset.

With ``--every 2 3 5 8`` it processes only every second, third, fifth or eighth frame, as on a board
that is slower than its camera. It then shows the share of ``edgekit``'s video-mAP that remains.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from edgekit.metrics.detections import SavedDetections, read_detections
from edgekit.metrics.evaluate import evaluate

__all__ = ["COLUMNS", "main", "means", "scores", "shares", "tables", "thinned"]

COLUMNS: dict[str, dict[str, Any]] = {
    "road": {"link": "road"},
    "korsal-hold": {"link": "korsal-hold"},
    "korsal-motion": {"link": "korsal-motion"},
    "road-15": {"link": "road", "max_misses": 15},
    "road-30": {"link": "road", "max_misses": 30},
    "edgekit": {"link": "edgekit"},
    "delay-15": {"link": "edgekit", "delay": 15},
}
"""Options of each column."""


def scores(saved: SavedDetections, threshold: str) -> list[float]:
    """Returns the video-mAP of each column, from 0 to 1."""
    return [evaluate(saved, **options).video_map[threshold] for options in COLUMNS.values()]


def thinned(saved: SavedDetections, every: int) -> SavedDetections:
    """Returns the detections of every ``every``-th frame; other frames are not processed."""
    videos = [
        replace(
            video,
            detections=[
                found if number % every == 0 else None
                for number, found in enumerate(video.detections)
            ],
        )
        for video in saved.videos
    ]
    return SavedDetections(saved.classes, videos)


def shares(saved: SavedDetections, threshold: str, every: Sequence[int]) -> list[float]:
    """Returns the video-mAP of ``edgekit`` at every frame, then its remaining share at fewer."""
    whole, *parts = (
        evaluate(thinned(saved, number)).video_map[threshold] for number in (1, *every)
    )
    return [whole, *(part / whole for part in parts)]


def means(rows: Sequence[Sequence[float]]) -> list[float]:
    """Returns the mean of each column."""
    return [sum(column) / len(rows) for column in zip(*rows, strict=True)]


def tables(
    folder: Path, measure: Callable[[SavedDetections], list[float]]
) -> dict[str, list[float]]:
    """Returns the results of each preset of a folder, as the mean over its seeds."""
    presets: dict[str, list[list[float]]] = defaultdict(list)
    for path in sorted(folder.glob("*_*.json.gz")):
        presets[path.name.rpartition("_")[0]].append(measure(read_detections(path)))
    if not presets:
        raise SystemExit(f"{folder} has no files named PRESET_SEED.json.gz.")
    return {preset: means(rows) for preset, rows in presets.items()}


def main() -> None:
    """Prints the table, a row for each preset, and the means."""
    parser = argparse.ArgumentParser(description="Scores all linkers on saved detections.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--threshold", default="0.5", choices=["0.2", "0.5", "0.75", "0.5:0.95"])
    parser.add_argument(
        "--every", type=int, nargs="+", metavar="N", help="process only every Nth frame"
    )
    arguments = parser.parse_args()
    threshold, every = arguments.threshold, arguments.every
    if every:
        table = tables(arguments.folder, lambda saved: shares(saved, threshold, every))
        names = ["edgekit", *(f"1/{number}" for number in every)]
    else:
        table = tables(arguments.folder, lambda saved: scores(saved, threshold))
        names = [*COLUMNS, "best road"]
        first, second = names.index("road-15"), names.index("road-30")
        for row in table.values():
            row.append(max(row[first], row[second]))
    table["mean"] = means(list(table.values()))
    print(f"{'video-mAP@' + threshold:<18}" + "".join(f"{name:>15}" for name in names))
    for preset, row in table.items():
        print(f"{preset:<18}" + "".join(f"{value:>15.3f}" for value in row))


if __name__ == "__main__":
    main()
