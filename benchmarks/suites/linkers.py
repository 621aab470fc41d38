"""Which linker finds the tubes: video-mAP of all of them on one folder of detections.

Run it as ``python -m edgekit.benchmarks.suites.linkers FOLDER``. The folder holds files that
``edgekit eval --detections`` reads, named ``PRESET_SEED.json.gz``; what has the same preset is
averaged. ``road`` comes once more with the better of 15 and 30 ``max_misses`` for each preset.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from edgekit.metrics.detections import SavedDetections, read_detections
from edgekit.metrics.evaluate import evaluate

__all__ = ["COLUMNS", "judge", "main"]

COLUMNS: dict[str, dict[str, Any]] = {
    "road": {"link": "road"},
    "korsal-hold": {"link": "korsal-hold"},
    "korsal-motion": {"link": "korsal-motion"},
    "road-15": {"link": "road", "max_misses": 15},
    "road-30": {"link": "road", "max_misses": 30},
    "edgekit": {"link": "edgekit"},
    "delay-15": {"link": "edgekit", "delay": 15},
}
"""The options of each column."""


def judge(saved: SavedDetections, threshold: str) -> list[float]:
    """The video-mAP of each column, from 0 to 1."""
    return [evaluate(saved, **options).video_map[threshold] for options in COLUMNS.values()]


def _means(rows: Sequence[Sequence[float]]) -> list[float]:
    return [sum(column) / len(rows) for column in zip(*rows, strict=True)]


def main() -> None:
    """Prints the table, a row for each preset, and the means."""
    parser = argparse.ArgumentParser(description="All linkers on saved detections.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--threshold", default="0.5", choices=["0.2", "0.5", "0.75", "0.5:0.95"])
    arguments = parser.parse_args()
    presets: dict[str, list[list[float]]] = defaultdict(list)
    for path in sorted(arguments.folder.glob("*_*.json.gz")):
        preset = path.name.rpartition("_")[0]
        presets[preset].append(judge(read_detections(path), arguments.threshold))
    if not presets:
        raise SystemExit(f"{arguments.folder} has no files named PRESET_SEED.json.gz.")
    table = {preset: _means(rows) for preset, rows in presets.items()}
    names = list(COLUMNS)
    first, second = names.index("road-15"), names.index("road-30")
    for row in table.values():
        row.append(max(row[first], row[second]))
    table["mean"] = _means(list(table.values()))
    print(f"{'video-mAP@' + arguments.threshold:<18}" + "".join(f"{n:>15}" for n in names), end="")
    print(f"{'best road':>15}")
    for preset, row in table.items():
        print(f"{preset:<18}" + "".join(f"{value:>15.3f}" for value in row))


if __name__ == "__main__":
    main()
