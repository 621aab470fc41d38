"""Scores a network on videos, or parts of them, that it was not trained on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
import torch
from torch import nn

from edgekit._parameters import parameter
from edgekit.datasets.annotations import Truth, TruthTube, VideoTruth
from edgekit.errors import AnnotationError
from edgekit.media import open_source
from edgekit.metrics.detections import SavedDetections, SavedVideo
from edgekit.metrics.evaluate import evaluate
from edgekit.runtime.cascade import Cascade
from edgekit.runtime.decode import decode
from edgekit.training.data.targets import STRIDE
from edgekit.training.result import Best
from edgekit.training.settings import Settings

__all__ = ["Validation", "held_out_frame_map"]

_TOP_K = 50


@dataclass(frozen=True, slots=True)
class Validation:
    """Scores a network after some epochs of a run.

    Attributes:
        truths: Annotations of the datasets to score; empty for a run without validation.
        share: Share of each video to score, in (0, 1], at its end.
        settings: Settings of the run.
    """

    truths: Sequence[Truth]
    share: float
    settings: Settings

    def check(self) -> None:
        """Raises, before the first epoch, if there is nothing to score.

        Raises:
            AnnotationError: A dataset has no annotated box in the frames to score.
        """
        for truth in self.truths:
            if not any(_rest(video, 1.0 - self.share).tubes for video in truth.videos):
                raise AnnotationError(
                    "Expected annotated tubes in the frames to evaluate the network on; found none "
                    f"in the last {self.share:.0%} of each video.",
                    hint=f"Hold out more, or name other clips: {parameter('validate', 'FOLDER')}",
                )

    def due(self, epoch: int) -> bool:
        """Returns whether the network is scored after an epoch, which is counted from 1."""
        every = self.settings.validate_every
        last = epoch == self.settings.epochs
        return bool(self.truths) and (last or (every > 0 and epoch % every == 0))

    def scores(self, network: nn.Module) -> tuple[float, ...]:
        """Returns frame-mAP at IoU 0.5 on each dataset.

        Raises:
            MediaError: A video cannot be read.
        """
        return tuple(
            held_out_frame_map(network, truth, self.settings, self.share) for truth in self.truths
        )

    def stops(self, epoch: int, best: Best | None) -> bool:
        """Returns whether a run ends early after an epoch.

        Args:
            epoch: Number of finished epochs.
            best: Best validation so far.
        """
        patience = self.settings.early_stop
        if not patience or best is None or not self.due(epoch):
            return False
        return epoch - best.epoch >= patience


def held_out_frame_map(network: nn.Module, truth: Truth, settings: Settings, share: float) -> float:
    """Returns frame-mAP at IoU 0.5 on the last ``share`` of each video.

    As in ``evaluate``, what is found in videos without any action counts as wrong.

    Args:
        network: Network in evaluation mode.
        truth: Annotations of the whole videos.
        settings: Settings of the run, which give input size, cascade, mean and std.
        share: Share of each video to score, in (0, 1].
    """
    device = next(network.parameters()).device
    saved = []
    classes = list(truth.classes)
    for video in truth.videos:
        rest = _rest(video, 1.0 - share)
        if not rest.frames:  # of a short video, which nothing is held out of
            continue
        cascade = Cascade(
            settings.size,
            settings.mean,
            settings.std,
            kind=settings.kind,
            frame_gap=settings.frame_gap,
        )
        found = []
        assert video.path is not None
        with open_source(video.path) as source:
            for frame in islice(source, video.frames - rest.frames, video.frames):
                tensor, letterbox = cascade(frame.image, source.sample_aspect)
                with torch.inference_mode():
                    outputs = network(torch.from_numpy(tensor).to(device))
                arrays = {name: value.cpu().numpy() for name, value in outputs.items()}
                found.append(decode(arrays, len(classes), letterbox, top_k=_TOP_K, stride=STRIDE))
        saved.append(SavedVideo(rest, found))
    return float(evaluate(SavedDetections(classes, saved)).frame_map)


def _rest(video: VideoTruth, start: float) -> VideoTruth:
    first = round(start * video.frames)
    tubes = []
    for tube in video.tubes:
        boxes = np.asarray(tube.boxes)[max(0, first - tube.start) :]
        if len(boxes):
            tubes.append(TruthTube(tube.label, max(tube.start - first, 0), boxes))
    return VideoTruth(
        video.name,
        video.frames - first,
        video.width,
        video.height,
        tubes,
        video.label,
        video.path,
    )
