"""Holds the scores of an evaluation, of each class and as means."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from edgekit.metrics.video_map import THRESHOLDS
from edgekit.metrics.video_scores import VideoScores
from edgekit.runtime.types import Array, Tube

if TYPE_CHECKING:
    from edgekit.metrics.analysis.comparison import Comparison
    from edgekit.metrics.analysis.records import Analysis
    from edgekit.metrics.analysis.tracking import TrackingMeasures

__all__ = ["SCHEMA", "ClassAccuracy", "EvalResult"]

SCHEMA = 1
"""Version of the layout of ``EvalResult.to_dict``."""


@dataclass(frozen=True, slots=True)
class ClassAccuracy:
    """Accuracy of one class, from 0 to 1; None without ground truth.

    Attributes:
        frame_ap: AP of single boxes at IoU 0.5.
        video_ap: AP of tubes at "0.2", "0.5", "0.75", and averaged over "0.5:0.95".
    """

    frame_ap: float | None
    video_ap: dict[str, float | None]


# Many attributes: a record of one evaluation, whose fields are public API.
@dataclass(frozen=True, slots=True, eq=False)
class EvalResult:
    """Result of an evaluation; scores are from 0 to 1.

    Attributes:
        classes: Class names, by class index.
        frame_ap: AP of single boxes at IoU 0.5, (C,). NaN without ground truth, but 0 under the
            published protocol.
        video_ap: AP of tubes, (len(THRESHOLDS), C). NaN without ground truth, but 0 under the
            published protocol.
        mean_overlap: Mean overlap of the correct tubes, (len(THRESHOLDS), C).
        video_accuracy: Share of videos whose best tube has the right class.
        tubes: Final tubes of each video by name, ordered by class and then by rank of their path;
            in 0-based pixels of the video.
        frames: Number of frames.
        link: Name of the linker.
        protocol: Name of the protocol.
        seconds: Duration of the evaluation, in seconds.
        failures: Reason of each video that has no detections because it failed, by its name; the
            scores are those of the other videos.
        videos: Scores of each video, in the order of evaluation.
        analysis: What the figures are made of; None if that was not asked for.
        tracking: Tracking measures of the tubes; None if they were not asked for.
        comparison: Differences to another evaluation; None if there is none.
        clips: Clip of each of the worst videos, by the video's name, the worst first; empty if they
            were not asked for.
        hosts: Result of each other device that ran the bundle, by its name, or the reason why it
            has none.
        device: Name of the device whose figures these are; None for this machine.
    """

    classes: list[str]
    frame_ap: Array
    video_ap: Array
    mean_overlap: Array
    video_accuracy: float
    tubes: dict[str, list[Tube]]
    frames: int
    link: str
    protocol: str
    seconds: float
    failures: dict[str, str] = field(default_factory=dict)
    videos: Sequence[VideoScores] = ()
    analysis: Analysis | None = None
    tracking: TrackingMeasures | None = None
    comparison: Comparison | None = None
    clips: Mapping[str, Path] = field(default_factory=dict)
    hosts: Mapping[str, EvalResult | str] = field(default_factory=dict)
    device: str | None = None

    @property
    def frame_map(self) -> float:
        """Mean of ``frame_ap`` over all classes that are not NaN."""
        return float(np.nanmean(self.frame_ap))

    @property
    def video_map(self) -> dict[str, float]:
        """Mean AP of tubes at "0.2", "0.5", "0.75", and averaged over "0.5:0.95"."""
        return _at_thresholds(np.nanmean(self.video_ap, axis=1))

    @property
    def per_class(self) -> dict[str, ClassAccuracy]:
        """Accuracy of each class, by its name."""
        return {
            name: ClassAccuracy(
                _or_none(frame), {at: _or_none(ap) for at, ap in _at_thresholds(video).items()}
            )
            for name, frame, video in zip(
                self.classes, self.frame_ap.tolist(), self.video_ap.T, strict=True
            )
        }

    def to_dict(self) -> dict[str, object]:
        """Returns what ``edgekit eval --json`` prints; null stands for no ground truth.

        ``failures`` is among it only if a video failed; ``tracking``, ``comparison``, ``clips`` and
        ``hosts`` only if they were asked for; ``device`` only if this machine did not run the
        bundle.
        """
        more: dict[str, object] = {"failures": self.failures} if self.failures else {}
        if self.tracking is not None:
            more["tracking"] = asdict(self.tracking)
        if self.comparison is not None:
            more["comparison"] = asdict(self.comparison)
        if self.clips:
            more["clips"] = {name: str(path) for name, path in self.clips.items()}
        if self.device is not None:
            more["device"] = self.device
        if self.hosts:
            more["hosts"] = {
                host: {"error": each} if isinstance(each, str) else each.to_dict()
                for host, each in self.hosts.items()
            }
        return {
            "schema": SCHEMA,
            "frame_map": {"0.5": self.frame_map},
            "video_map": self.video_map,
            "per_class": {name: asdict(found) for name, found in self.per_class.items()},
            "videos": len(self.tubes),
            "frames": self.frames,
            "link": self.link,
            "seconds": self.seconds,
            **more,
        }


def _at_thresholds(values: Array) -> dict[str, float]:
    """Returns the named values out of (len(THRESHOLDS),), and the mean from 0.5 upwards."""
    named = {str(t): float(values[THRESHOLDS.index(t)]) for t in (0.2, 0.5, 0.75)}
    return {**named, "0.5:0.95": float(values[1:].mean())}


def _or_none(value: float) -> float | None:
    return None if np.isnan(value) else value
