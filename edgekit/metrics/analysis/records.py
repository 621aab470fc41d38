"""Records of an analysis, as its JSON has them; shares and AP are from 0 to 1."""

from __future__ import annotations

from dataclasses import dataclass

from edgekit.metrics.analysis.groups import Group

__all__ = [
    "Analysis",
    "ClassFigures",
    "Confusion",
    "EarlyLabels",
    "ErrorFigures",
    "Shifts",
    "VideoFigures",
]


@dataclass(frozen=True, slots=True)
class ErrorFigures:
    """Errors of one kind.

    Attributes:
        kind: Name of the kind.
        count: Number of them at the working points of the classes.
        repaired: Mean AP if all of them were repaired, at every score.
        gain: ``repaired`` minus the mean AP as it is.
    """

    kind: str
    count: int
    repaired: float
    gain: float


@dataclass(frozen=True, slots=True)
class ClassFigures:
    """Accuracy of an annotated class in single frames and as tubes.

    Attributes:
        name: Name of the class.
        annotated: Number of annotated boxes or tubes.
        ap: Average precision.
        score: Score of the working point, where F1 is highest; None if nothing is found.
        precision: Precision at the working point.
        recall: Recall at the working point.
        curve: Highest precision at recall 0, 0.01, ... 1.
    """

    name: str
    annotated: int
    ap: float
    score: float | None
    precision: float
    recall: float
    curve: list[float]


@dataclass(frozen=True, slots=True)
class Confusion:
    """Boxes at the working points by annotated class (rows) and found class (columns).

    Attributes:
        names: Classes of rows and columns. The last row is for boxes that match no annotated box,
            the last column for annotated boxes that nothing matches; neither has a name.
        counts: Number of boxes, one row and one column more than ``names``.
    """

    names: list[str]
    counts: list[list[int]]


@dataclass(frozen=True, slots=True)
class EarlyLabels:
    """Accuracy of the class of a video after a share of its frames.

    Attributes:
        share: Share of the frames.
        accuracy: Share of the annotated videos whose class is right.
    """

    share: float
    accuracy: float


@dataclass(frozen=True, slots=True)
class Shifts:
    """Numbers of frames by which tubes begin and end after their annotated tubes.

    Attributes:
        tubes: Number of tubes at the working points that mean an annotated tube of their class.
        begin: Quartiles (lower, median, upper) of the first frames; negative is early.
        end: Quartiles of the last frames.
    """

    tubes: int
    begin: list[float]
    end: list[float]


@dataclass(frozen=True, slots=True)
class VideoFigures:
    """Accuracy in one video.

    Attributes:
        name: Name of the video.
        frames: Number of frames.
        boxes: Number of annotated boxes.
        found: Share of the annotated boxes that are found at the working points; None if there are
            none.
        frame_ap: Mean frame-AP@0.5 of the annotated classes; None if there are none.
        video_ap: Mean video-AP@0.5 of the annotated classes; None if there are none.
        errors: Number of errors in frames at the working points, by kind.
    """

    name: str
    frames: int
    boxes: int
    found: float | None
    frame_ap: float | None
    video_ap: float | None
    errors: dict[str, int]


# Many attributes: one for each part of the report, all of them read by its users.
@dataclass(frozen=True, slots=True)
class Analysis:
    """Details behind the figures of an evaluation.

    Attributes:
        frame_map: frame-mAP@0.5.
        video_map: video-mAP@0.5.
        frame_errors: Errors in single frames, by kind.
        tube_errors: Errors of tubes, by kind.
        frame_classes: Accuracy of each annotated class in single frames.
        tube_classes: Accuracy of each annotated class as tubes.
        shifts: Early and late begins and ends of tubes; None if no tube means an annotated one.
        confusion: Annotated against found classes in single frames.
        groups: Share of the annotated boxes that are found, by size, motion and cover.
        early: Accuracy of the videos' class against the share of the video seen.
        videos: Accuracy in each video, the worst first.
    """

    frame_map: float
    video_map: float
    frame_errors: list[ErrorFigures]
    tube_errors: list[ErrorFigures]
    frame_classes: list[ClassFigures]
    tube_classes: list[ClassFigures]
    shifts: Shifts | None
    confusion: Confusion
    groups: list[Group]
    early: list[EarlyLabels]
    videos: list[VideoFigures]
