"""Writes the worst videos of an evaluation, with annotated boxes and found tubes drawn in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from edgekit._progress import Progress
from edgekit.datasets.annotations import VideoTruth
from edgekit.files.output_paths import writing
from edgekit.linking.published import LiveTube
from edgekit.media import open_source
from edgekit.media._opencv import cv2
from edgekit.media.drawing.text import put_text
from edgekit.media.sinks.video.file import VideoSink
from edgekit.metrics.analysis.records import Analysis
from edgekit.metrics.eval_result import EvalResult
from edgekit.pipeline.protocols import run_info
from edgekit.pipeline.results import FrameResult, RunSummary
from edgekit.runtime.types import Array, Detections, Frame, Tube

__all__ = ["write_clips"]

_CLIPS = 5
_WHITE = (255, 255, 255)
_BLACK = (0, 0, 0)


def write_clips(
    folder: Path, result: EvalResult, videos: Mapping[str, VideoTruth], progress: Progress
) -> dict[str, Path]:
    """Writes the five worst videos of an evaluation as MP4, the worst one as ``worst-1.mp4``.

    A white box is annotated. A coloured one is that of a found tube whose score is at least the
    working point of its class, or the lowest of all classes if its class is not annotated. It is
    dashed where the tube has no detection.

    Args:
        folder: Folder for the clips, which is created. Clips of the same names are replaced.
        result: Result with its analysis.
        videos: Annotated videos with their paths, by name; their labels mean the result's classes.
        progress: Display of the progress.

    Returns:
        Path of each clip, by the name of its video.

    Raises:
        MediaError: A video can no longer be read.
        OutputError: A clip cannot be written.
    """
    assert result.analysis is not None  # the caller asked for it
    least = _least_scores(result.classes, result.analysis)
    names = [each.name for each in result.analysis.videos[:_CLIPS]]
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    clips = {name: folder / f"worst-{place}.mp4" for place, name in enumerate(names, 1)}
    for name, path in progress.count("Writing clips", clips.items(), len(clips)):
        tubes = [tube for tube in result.tubes[name] if tube.score >= least[tube.label]]
        _write(path, videos[name], tubes, result.classes)
    return clips


def _least_scores(classes: Sequence[str], analysis: Analysis) -> list[float]:
    """Returns the smallest score of a drawn tube, by class."""
    points = {each.name: each.score for each in analysis.tube_classes if each.score is not None}
    lowest = min(points.values(), default=0.0)
    return [points.get(name, lowest) for name in classes]


def _write(path: Path, truth: VideoTruth, tubes: Sequence[Tube], classes: Sequence[str]) -> None:
    sink = VideoSink(path, quiet=True)
    try:
        with open_source(truth.require_path()) as source:
            sink.start(run_info(source, classes))
            frames = 0
            for frame in source:
                frames += 1
                sink.frame(_drawn(frame, truth, tubes, classes))
        sink.end(RunSummary(frames, 0, 0.0, {}))
    finally:
        sink.close()


def _drawn(
    frame: Frame, truth: VideoTruth, tubes: Sequence[Tube], classes: Sequence[str]
) -> FrameResult:
    """Returns a frame with its annotated boxes in the picture, and the found tubes to draw."""
    image = np.array(frame.image, order="C")
    for actor in truth.tubes:
        if actor.start <= frame.index <= actor.end:
            _draw_annotated(image, actor.boxes[frame.index - actor.start], classes[actor.label])
    live = [_live(tube, frame.index) for tube in tubes if tube.start <= frame.index <= tube.end]
    shown = replace(frame, image=image, earlier=None)
    return FrameResult(shown, Detections.empty(len(classes)), live)


def _live(tube: Tube, index: int) -> LiveTube:
    place = index - tube.start
    age = 0 if tube.observed[place] else 1
    box = tube.boxes[place].tolist()
    return LiveTube(tube.id, tube.label, tube.score, box, age, tube.start, place + 1)


def _draw_annotated(image: Array, box: Array, name: str) -> None:
    """Draws an annotated box with its class at the lower left corner, inside."""
    line = max(1, round(min(image.shape[:2]) / 300))
    x1, y1, x2, y2 = (int(value) for value in box.round())
    height = min(max(8.0, min(image.shape[:2]) / 32), 22.0)
    corner = (x1 + 3 * line, y2 - 4 * line)
    for colour, extra in ((_BLACK, 2), (_WHITE, 0)):
        cv2.rectangle(image, (x1, y1), (x2, y2), colour, line + extra)
    shadow = (corner[0] + 1, corner[1] + 1)
    put_text(image, name, shadow, height, _BLACK)
    put_text(image, name, corner, height, _WHITE)
