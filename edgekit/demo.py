"""The demonstration: runs a bundle on a rendered clip and scores it against the ground truth."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from edgekit.datasets.annotations import Truth, TruthTube, VideoTruth
from edgekit.datasets.relabelling import in_classes_of
from edgekit.detector import Detector
from edgekit.errors import OutputError
from edgekit.evaluation.detection import DetectionsCollector
from edgekit.files.writing import atomic_folder
from edgekit.linking.registry import make_linker
from edgekit.media.sinks.events import EventsSink
from edgekit.media.sinks.sink import Sink
from edgekit.media.sinks.summary_picture import PictureSink
from edgekit.media.sinks.video.file import VideoSink
from edgekit.media.sources.source import Source
from edgekit.metrics.detections import SavedDetections, SavedVideo
from edgekit.metrics.eval_result import EvalResult
from edgekit.metrics.evaluate import evaluate
from edgekit.pipeline.pipeline import Pipeline
from edgekit.pipeline.results import RunSummary
from edgekit.runtime.types import Frame
from edgekit.synthetic import CLASSES, PuppetClip, render_clip
from edgekit.synthetic.dataset import FPS

__all__ = ["DEMO_SEED", "FILES", "DemoResult", "PuppetSource", "run_demo", "truth_of"]

_LOG = logging.getLogger(__name__)

DEMO_SEED = 161
"""Seed of a clip in which a post hides a climber; one rider and one juggler hold still."""

_FRAMES = 130
_LINK = "edgekit"
FILES = {"video": "annotated.mp4", "events": "events.jsonl", "picture": "demo.png"}
"""Files that a demonstration writes into its folder."""


class PuppetSource(Source):
    """Provides the frames of a rendered clip as if they came from a file."""

    def __init__(self, clip: PuppetClip) -> None:
        self.name = f"puppets, seed {clip.seed}"
        self.height, self.width = clip.size
        self.fps = FPS
        self.frames = len(clip)
        self._images = iter(clip)

    def read(self) -> Frame | None:
        """Returns the next frame, painted now."""
        image = next(self._images, None)
        if image is None:
            return None
        frame = Frame(self.position, self.position / self.fps, image)
        self.position += 1
        return frame

    def close(self) -> None:
        """Does nothing: there is nothing to release."""


@dataclass(frozen=True, slots=True, eq=False)
class DemoResult:
    """Result of a demonstration.

    Attributes:
        summary: Summary of the run.
        accuracy: Accuracy against the ground truth; None if the run was interrupted.
        truth: Ground truth in the bundle's classes.
        classes: Class names of the bundle.
        bundle: Name and SHA-256 of the bundle.
    """

    summary: RunSummary
    accuracy: EvalResult | None
    truth: VideoTruth
    classes: tuple[str, ...]
    bundle: tuple[str, str]


def truth_of(clip: PuppetClip) -> Truth:
    """Returns the ground truth of a rendered clip as a dataset of one video."""
    tubes = [TruthTube(tube.label, tube.start, tube.boxes) for tube in clip.tubes]
    height, width = clip.size
    video = VideoTruth(f"puppets-{clip.seed}", len(clip), width, height, tubes)
    return Truth(list(CLASSES), [video])


def run_demo(
    bundle: Path,
    folder: Path,
    *,
    seed: int = DEMO_SEED,
    force: bool = False,
    sinks: Callable[[], list[Sink]] = list,
    on_start: Callable[[Pipeline], contextlib.AbstractContextManager[None]] = (
        lambda pipeline: contextlib.nullcontext()
    ),
) -> DemoResult:
    """Renders a clip, runs a bundle on it and scores the tubes that it found.

    Args:
        bundle: Folder of the bundle.
        folder: Output folder for ``FILES``; it appears when everything is finished.
        seed: Seed for the rendered clip.
        force: Whether to replace an earlier demonstration.
        sinks: Function that makes additional sinks for the run.
        on_start: Function that makes the context in which the pipeline runs, such as a signal
            handler.

    Raises:
        OutputError: The folder already exists, or cannot be written.
        BundleError: The bundle cannot be loaded.
        AnnotationError: The bundle does not know a class of the clip.
    """
    _check_place(folder, force)
    _LOG.info("Rendering a clip of %d frames with the seed %d.", _FRAMES, seed)
    clip = render_clip(seed, frames=_FRAMES)
    with _place(folder, force) as place, Detector(bundle) as detector, PuppetSource(clip) as source:
        classes = detector.classes
        keep = DetectionsCollector(len(classes))
        truth = in_classes_of(classes, truth_of(clip)).videos[0]
        known = [(tube.label, tube.start, tube.end) for tube in truth.tubes]
        made = (detector.bundle.manifest.name, detector.bundle.sha256)
        pipeline = Pipeline(
            source,
            detector,
            make_linker(_LINK, len(classes)),
            [
                *sinks(),
                keep,
                EventsSink(place / FILES["events"]),
                VideoSink(place / FILES["video"]),
                PictureSink(place / FILES["picture"], truth=known, stages=True),
            ],
            bundle=made,
        )
        with on_start(pipeline):
            summary = pipeline.run()
    accuracy = None
    if not summary.interrupted:
        saved = SavedDetections(list(classes), [SavedVideo(truth, keep.detections())])
        accuracy = evaluate(saved, link=_LINK)
    return DemoResult(summary, accuracy, truth, classes, made)


def _check_place(folder: Path, force: bool) -> None:
    """Allows ``force`` to replace an earlier demonstration, but no folder that others made."""
    if not force or not folder.is_dir():
        return
    others = sorted({path.name for path in folder.iterdir()} - set(FILES.values()))
    if others:
        raise OutputError(
            f"EdgeKit does not replace {folder}: it holds a file that is not of a demonstration, "
            f"{others[0]}.",
            hint="Choose another folder: edgekit demo -o FOLDER",
        )


@contextlib.contextmanager
def _place(folder: Path, force: bool) -> Iterator[Path]:
    """Provides the folder while it is being filled; errors name its final path."""
    with atomic_folder(folder, force=force) as place:
        try:
            yield place
            _check_place(folder, force)  # others may have put something there meanwhile
        except OutputError as error:
            message = error.message.replace(str(place), str(folder))
            raise OutputError(message, hint=error.hint) from error
