"""Which share of the frames a run took, and what that costs in expectation."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from edgekit.assets import under_load_file

__all__ = ["LoadCost", "cost_of", "load_cost_json", "load_cost_line", "read_costs"]

_FASTEST = 240.0


class LoadCost(msgspec.Struct, frozen=True):
    """What is left, as shares of the accuracy with 25 frames a second, at a lower rate."""

    fps: float
    frame_map: float
    video_map: float


def read_costs(path: Path) -> list[LoadCost]:
    """The table that ``python -m edgekit.benchmarks.suites.under_load --write`` wrote."""
    return msgspec.json.decode(path.read_bytes(), type=list[LoadCost])


def cost_of(fps: float, table: Sequence[LoadCost]) -> LoadCost:
    """What is left at a rate, between the rates of the table; outside it, as at its end.

    Args:
        fps: Frames a second that go through the detector.
        table: The highest rate first.
    """
    fps = min(max(fps, table[-1].fps), table[0].fps)
    for high, low in itertools.pairwise(table):
        if fps >= low.fps:
            # Of the time between two frames, which is what a linker has to bridge.
            part = (1 / fps - 1 / high.fps) / (1 / low.fps - 1 / high.fps)
            return LoadCost(
                fps,
                high.frame_map + part * (low.frame_map - high.frame_map),
                high.video_map + part * (low.video_map - high.video_map),
            )
    return table[0]


def load_cost_json(frames: int, dropped: int, declared: float, fps: float) -> dict[str, Any]:
    """The share of the frames that was taken and, where some were not, what is left in expectation.

    Args:
        frames: Frames that went through the detector.
        dropped: Frames for which the board was too slow.
        declared: Frames a second that the source declares.
        fps: Frames that went through the detector in a second of the run.
    """
    if not frames:
        return {}
    found: dict[str, Any] = {"taken": round(frames / (frames + dropped), 4)}
    path = under_load_file()
    if declared <= _FASTEST:  # else a time base was taken for a rate
        fps = declared * found["taken"]
    # An installation that lacks the table says no less of the run.
    if dropped and fps > 0 and path.is_file():
        left = cost_of(fps, read_costs(path))
        found["expected"] = {
            "fps": round(fps, 2),
            "frame_map": round(left.frame_map, 3),
            "video_map": round(left.video_map, 3),
        }
    return found


def load_cost_line(report: dict[str, Any]) -> str:
    """A sentence about a report with frames that were dropped; else nothing."""
    if "expected" not in report:
        return ""
    left = report["expected"]
    return (
        f"{100 * report['taken']:.0f}% of the frames were taken, {left['fps']:.1f} a second. "
        f"At such a rate the shipped model has {100 * left['frame_map']:.0f}% of its frame-mAP "
        f"and {100 * left['video_map']:.0f}% of its video-mAP on rendered clips."
    )
