"""Reports the share of frames that a run processed, and the expected loss of accuracy."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from edgekit.assets import under_load_file

__all__ = ["LoadCost", "ProcessedShare", "cost_of", "processed_share", "read_costs"]

_FASTEST = 240.0


class LoadCost(msgspec.Struct, frozen=True):
    """Accuracy that remains at a lower frame rate, as shares of that at 25 frames per second."""

    fps: float
    frame_map: float
    video_map: float


def read_costs(path: Path) -> list[LoadCost]:
    """Reads the table that ``edgekit.benchmarks.suites.accuracy.under_load`` writes."""
    return msgspec.json.decode(path.read_bytes(), type=list[LoadCost])


def cost_of(fps: float, table: Sequence[LoadCost]) -> LoadCost:
    """Interpolates the remaining accuracy at a frame rate; clamps rates outside the table.

    Args:
        fps: Frames per second that the detector processes.
        table: Measured rates, highest first.
    """
    fps = min(max(fps, table[-1].fps), table[0].fps)
    for high, low in itertools.pairwise(table):
        if fps >= low.fps:
            # Interpolate over the time between two frames, because a linker has to bridge that
            # time.
            part = (1 / fps - 1 / high.fps) / (1 / low.fps - 1 / high.fps)
            return LoadCost(
                fps,
                high.frame_map + part * (low.frame_map - high.frame_map),
                high.video_map + part * (low.video_map - high.video_map),
            )
    return table[0]


@dataclass(frozen=True, slots=True)
class ProcessedShare:
    """Share of a source's frames that a run processed.

    Attributes:
        taken: The share, from 0 to 1.
        expected: Expected accuracy at this share; None if unknown, or if no frame was dropped.
    """

    taken: float
    expected: LoadCost | None = None

    def to_json(self) -> dict[str, object]:
        """Returns the share as ``edgekit run --json`` prints it."""
        expected = {} if self.expected is None else {"expected": msgspec.to_builtins(self.expected)}
        return {"taken": self.taken, **expected}


def processed_share(
    frames: int, dropped: int, source_fps: float, fps: float
) -> ProcessedShare | None:
    """Returns the share of processed frames and, if some were dropped, the expected accuracy.

    Args:
        frames: Number of frames that the detector processed; if 0, the result is None.
        dropped: Number of frames for which the board was too slow.
        source_fps: Frames per second of the source, or fewer where a limit leaves out frames.
        fps: Frames per second that the detector processed.
    """
    if not frames:
        return None
    taken = round(frames / (frames + dropped), 4)
    path = under_load_file()
    if source_fps <= _FASTEST:  # above it, the rate is a time unit of a source without times
        fps = source_fps * taken
    # Without the table, the report only lacks the expected accuracy.
    if not (dropped and fps > 0 and path.is_file()):
        return ProcessedShare(taken)
    left = cost_of(fps, read_costs(path))
    rounded = LoadCost(round(fps, 2), round(left.frame_map, 3), round(left.video_map, 3))
    return ProcessedShare(taken, rounded)
