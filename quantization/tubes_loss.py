"""Measures the loss in tubes: compares video-mAP of a quantized model and the float model."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from edgekit._progress import SILENT, Progress
from edgekit.bundle import Bundle, TubeCheck
from edgekit.calibration.samples import Samples
from edgekit.calibration.sequences import FrameSequence
from edgekit.calibration.store import Store, key_of
from edgekit.datasets.annotations import Truth as Dataset
from edgekit.datasets.annotations import TruthTube, VideoTruth
from edgekit.detector import Detector
from edgekit.evaluation.detection import detect_videos
from edgekit.linking.confirmation import MIN_HITS
from edgekit.linking.registry import make_linker
from edgekit.linking.tracker import RATE
from edgekit.metrics.detections import SavedDetections, SavedVideo, read_detections
from edgekit.metrics.detections_writer import write_detections
from edgekit.metrics.evaluate import evaluate
from edgekit.metrics.frame_detections import FrameDetections
from edgekit.quantization.registry import evaluation_runtime
from edgekit.runtime.frame_rate import MeasuredRate
from edgekit.runtime.types import Detections
from edgekit.system.distributions import installed_versions
from edgekit.targets.base import SessionOptions
from edgekit.targets.registry import runtime_packages

__all__ = ["TubesLoss"]

_STRETCHES = 8
_FRAMES = 64
"""Frames per unannotated sequence: enough for tubes, and 512 frames in total take seconds."""


class TubesLoss:
    """Compares the tubes of quantized models with those of a float one.

    The ground truth is the annotated videos if there are any. Otherwise it is what ``edgekit run``
    shows with the float model, in at most 64 frames of at most 8 sequences.

    Args:
        bundle: Float model.
        dataset: Annotated videos, in the classes of the bundle; may be empty.
        sequences: Sequences of the calibration footage.
        evaluation: Evaluation samples of these sequences, which mark the frames to use.
        store: Store that keeps the models' outputs.
    """

    def __init__(
        self,
        bundle: Bundle,
        dataset: Dataset,
        sequences: Sequence[FrameSequence],
        evaluation: Samples,
        store: Store,
    ) -> None:
        self._bundle = bundle
        self._dataset = dataset
        self._store = store
        self._key = evaluation.key
        first = {place.sequence: place.frame for place in reversed(evaluation.places)}
        last = {place.sequence: place.frame for place in evaluation.places}
        # If the reserved frames are too few for tubes, the frames before them are used too.
        first = {n: max(0, min(begin, last[n] + 1 - _FRAMES)) for n, begin in first.items()}
        numbers = sorted(first)
        picks = np.linspace(0, len(numbers) - 1, min(_STRETCHES, len(numbers))).round().astype(int)
        chosen = [numbers[pick] for pick in picks.tolist()]
        self._stretches = (
            [] if dataset.videos else [(sequences[number], first[number]) for number in chosen]
        )

    def measure(self, bundle: Bundle, progress: Progress = SILENT) -> TubeCheck | None:
        """Runs a quantized model on the videos, and the float model unless its result is stored.

        Args:
            bundle: Quantized bundle for the same target, classes and input.
            progress: Progress display, called for each video.

        Returns:
            None if there is no tube to compare with.
        """
        annotated = bool(self._dataset.videos)
        before, after = (self._detected(made, progress) for made in (self._bundle, bundle))
        if not annotated:
            truth = [_own_tubes(video, len(before.classes)) for video in before.videos]
            before, after = (
                SavedDetections(
                    saved.classes,
                    [
                        SavedVideo(known, video.detections)
                        for known, video in zip(truth, saved.videos, strict=True)
                    ],
                )
                for saved in (before, after)
            )
        tubes = sum(len(video.truth.tubes) for video in before.videos)
        if not tubes:
            return None
        # The minimum length is that of edgekit run, whose tubes are the truth without annotations.
        length = 5 if annotated else MIN_HITS - 1
        found = [evaluate(s, min_length=length).video_map["0.5"] for s in (before, after)]
        return TubeCheck(
            videos=len(before.videos),
            tubes=tubes,
            annotated=annotated,
            float_map=found[0],
            video_map=found[1],
        )

    def _detected(self, bundle: Bundle, progress: Progress) -> SavedDetections:
        # Models for other machines run here on the runtime that verifies them.
        options = SessionOptions(runtime=evaluation_runtime(bundle))

        def make(folder: Path) -> None:
            if self._dataset.videos:
                progress.phase("linking tubes", len(self._dataset.videos))
                saved = detect_videos(
                    bundle.path, self._dataset, options=options, on_video=progress.advance
                )
            else:
                saved = self._followed(bundle, options, progress)
            write_detections(folder / "detections.json.gz", saved)

        places = [(sequence.sha256, first) for sequence, first in self._stretches]
        tubes = [
            (video.name, tube.label, tube.start, tube.boxes.tolist())
            for video in self._dataset.videos
            for tube in video.tubes
        ]
        versions = installed_versions(runtime_packages())
        key = key_of(bundle.sha256, self._key, places, tubes, options.runtime, versions)
        return read_detections(self._store.folder("tubes", key, make) / "detections.json.gz")

    def _followed(
        self, bundle: Bundle, options: SessionOptions, progress: Progress
    ) -> SavedDetections:
        """Returns a model's detections in the chosen frames."""
        videos = []
        counted = progress.count("linking tubes", self._stretches, len(self._stretches))
        with Detector(bundle, options=options) as detector:
            for number, (sequence, first) in enumerate(counted):
                detector.reset()
                frames = itertools.islice(sequence.frames(again=True), first, first + _FRAMES)
                found: list[Detections] = []
                height = width = 1
                rate = MeasuredRate(RATE)
                for frame in frames:
                    rate.add(frame)
                    height, width = frame.image.shape[:2]
                    found.append(detector.detect(frame.image, frame.sample_aspect))
                if found:
                    truth = VideoTruth(str(number), len(found), width, height)
                    every = FrameDetections.of(found, len(detector.classes), rate.fps)
                    videos.append(SavedVideo(truth, every))
        return SavedDetections(list(bundle.manifest.classes), videos)


def _own_tubes(video: SavedVideo, classes: int) -> VideoTruth:
    """Returns a video with the tubes that ``edgekit run`` shows as its ground truth."""
    linker = make_linker("edgekit", classes)
    frames = FrameDetections.of(video.detections, classes)
    closed = [
        tube
        for index, found in enumerate(frames)
        if found is not None
        for tube in linker.update(found, index / frames.fps).closed
    ]
    known = video.truth
    limits = np.array([known.width, known.height] * 2)
    tubes = [
        TruthTube(tube.label, tube.start, np.clip(tube.boxes, 0, limits))
        for tube in (*closed, *linker.finish())
    ]
    return replace(known, tubes=tubes)
