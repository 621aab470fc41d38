"""Analyses one video, so that many can be analysed side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from edgekit.datasets.annotations import TruthTube
from edgekit.linking.confirmation import ConfirmedLinker
from edgekit.metrics.analysis.early import early_labels
from edgekit.metrics.analysis.errors import Entries
from edgekit.metrics.analysis.frame_errors import frame_entries
from edgekit.metrics.analysis.groups import properties
from edgekit.metrics.analysis.tube_errors import tube_entries
from edgekit.metrics.frame_detections import FrameDetections
from edgekit.metrics.frame_map import match_boxes
from edgekit.runtime.types import Array, Tube

__all__ = ["VideoAnalysis", "analyse_video"]


@dataclass(frozen=True, slots=True, eq=False)
class VideoAnalysis:
    """Analysis of one video: its correct and wrong boxes and tubes.

    Attributes:
        name: Name of the video.
        length: Number of frames.
        boxes: Boxes that count for frame-AP, and annotated boxes.
        tubes: Final tubes, and annotated tubes.
        shifts: Frames by which each tube begins and ends too late, (n, 2), as ``tube_entries``
            returns them.
        values: Size, motion and cover of each annotated box, (g, 3), as ``properties`` returns
            them.
        early: Whether the class is right after each of ``SHARES``; None without annotated tubes.
    """

    name: str
    length: int
    boxes: Entries
    tubes: Entries
    shifts: Array
    values: Array
    early: list[bool] | None


def analyse_video(
    name: str,
    frames: FrameDetections,
    tubes: Sequence[Tube],
    truth: Sequence[TruthTube],
    classes: int,
    linker: ConfirmedLinker,
    *,
    size: tuple[int, int],
    growth: float,
    annotated_only: bool,
) -> VideoAnalysis:
    """Returns the analysis of a video, in which a box may only match one of its class.

    Args:
        name: Name of the video.
        frames: Detections in the pixels of ``truth``, clamped.
        tubes: Final tubes.
        truth: Annotated tubes.
        classes: Number of classes.
        linker: New linker.
        size: Width and height of the picture.
        growth: Number added to the found boxes, as in ``match_frames`` and ``match_tubes``.
        annotated_only: Whether boxes in frames without an annotated box are ignored.
    """
    matches = match_boxes(
        frames, truth, any_class=False, growth=growth, annotated_only=annotated_only
    )
    boxes, rows = frame_entries(matches, truth, frames.counts)
    entries, shifts = tube_entries(tubes, truth, growth=growth)
    right = {tube.label for tube in truth}
    return VideoAnalysis(
        name,
        len(frames),
        boxes,
        entries,
        shifts,
        properties(truth, size)[rows],
        early_labels(frames, right, classes, linker) if truth else None,
    )
