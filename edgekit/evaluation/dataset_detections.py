"""Runs a bundle on a whole dataset: keeps what is finished, and goes on past videos that fail."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future, as_completed
from dataclasses import dataclass, replace
from functools import partial

from edgekit._parameters import writes_flags
from edgekit._progress import SILENT, Progress
from edgekit.datasets.annotations import Truth, VideoTruth
from edgekit.errors import AnnotationError, EdgeKitError, LostWorkerError, MediaError
from edgekit.evaluation.results import ResultsFolder, StoredResult
from edgekit.metrics.frame_detections import FrameDetections

__all__ = ["MOST_NAMED", "DatasetDetections", "detect_dataset", "with_absolute_paths"]

_LOG = logging.getLogger(__name__)

MOST_NAMED = 5
"""Number of failed videos that are named one by one; a dataset on a lost disk has thousands."""

_OF_ONE_VIDEO = (MediaError, AnnotationError, LostWorkerError)
"""Errors that other videos need not have."""

Detect = Callable[[VideoTruth], FrameDetections]


@dataclass(frozen=True, slots=True)
class DatasetDetections:
    """The detections of a bundle on a dataset, as ``StoredDetections``.

    Attributes:
        classes: Class names, by class index.
        videos: Videos with detections, in the order of the dataset.
        failures: Reason of each video without detections, by its name, in the same order.
    """

    classes: list[str]
    videos: Sequence[StoredResult]
    failures: dict[str, str]


def detect_dataset(
    truth: Truth,
    detect: Detect,
    results: ResultsFolder,
    *,
    executor: Executor | None = None,
    strict: bool = False,
    progress: Progress = SILENT,
) -> DatasetDetections:
    """Detects in every video that has no stored result; a video that fails is left out.

    Args:
        truth: Ground truth in the bundle's classes.
        detect: Function that returns the detections of a video.
        results: Folder of the results, which are stored as they arrive.
        executor: Executor of ``detect``; by default the videos are processed here.
        strict: Whether the first video that fails ends the work.
        progress: Display of the progress: a phase of one step per video without a result.

    Raises:
        MediaError: A video failed, if ``strict``; or all did.
        AnnotationError: A video has another number of frames than its annotation, if ``strict``.
        LostWorkerError: Worker processes died on a video, if ``strict``.
        OutputError: A result cannot be stored.
        EdgeKitError: No video can be processed: the bundle, the runtime or the executor fails.
    """
    stored: dict[str, StoredResult] = {}
    failed: dict[str, EdgeKitError] = {}
    missing = _missing(truth, results, stored, failed, strict=strict)
    progress.phase("Detecting", len(missing))
    try:
        for video, result in _outcomes(detect, missing, executor):
            try:
                detections = result()
                stored[video.name] = results.keep(video, detections)
                _LOG.info("The detector has processed %s: %d frames.", video.name, len(detections))
            except _OF_ONE_VIDEO as error:
                _fail(video, error, failed, strict=strict)
            progress.advance()
    except KeyboardInterrupt:
        goes_on = "continues with the others" if results.lasting else "begins with the first again"
        words = "%d of %d videos are finished. The same command %s."
        _LOG.warning(words, len(stored), len(truth.videos), goes_on)
        raise
    if len(failed) > MOST_NAMED:
        _LOG.warning(
            "Failed videos that are not named above: %d. %s names all.",
            len(failed) - MOST_NAMED,
            "-v" if writes_flags() else "The log at level INFO",
        )
    if failed and not stored:
        first = next(iter(failed.values()))
        if len(failed) == 1:
            raise first
        raise MediaError(f"All {len(failed)} videos failed. {first.message}", hint=first.hint)
    videos = [stored[video.name] for video in truth.videos if video.name in stored]
    failures = {v.name: failed[v.name].message for v in truth.videos if v.name in failed}
    return DatasetDetections(truth.classes, videos, failures)


def _refuse_unannotated(truth: Truth) -> None:
    """Raises before hours of detection if there is nothing to compare with."""
    if not any(video.tubes for video in truth.videos):
        raise AnnotationError(
            "Expected annotated actions to compare with; found none. Number of videos: "
            f"{len(truth.videos)}.",
            hint="Annotate them, or name another dataset or part. edgekit dataset inspect counts "
            "what is annotated.",
        )


def with_absolute_paths(truth: Truth) -> Truth:
    """Returns the ground truth with paths that do not depend on the working folder."""
    return Truth(
        truth.classes,
        [replace(v, path=None if v.path is None else v.path.absolute()) for v in truth.videos],
    )


def _missing(
    truth: Truth,
    results: ResultsFolder,
    stored: dict[str, StoredResult],
    failed: dict[str, EdgeKitError],
    *,
    strict: bool,
) -> list[VideoTruth]:
    """Returns the videos without a result, and sorts the others into ``stored`` and ``failed``."""
    _refuse_unannotated(truth)
    missing = []
    for video in truth.videos:
        try:
            found = _find(results, video)
        except MediaError as error:
            _fail(video, error, failed, strict=strict)
        else:
            if found is None:
                missing.append(video)
            else:
                stored[video.name] = found
    if stored:
        _LOG.warning(
            "%d of %d videos were processed before; their detections are in %s.",
            len(stored),
            len(truth.videos),
            results.path,
        )
    return missing


def _outcomes(
    detect: Detect, videos: Sequence[VideoTruth], executor: Executor | None
) -> Iterator[tuple[VideoTruth, Callable[[], FrameDetections]]]:
    """Yields each video as it is finished, with a function that returns or raises its outcome."""
    if executor is None:
        for video in videos:
            yield video, partial(detect, video)
        return
    waiting: dict[Future[FrameDetections], VideoTruth] = {
        executor.submit(detect, video): video for video in videos
    }
    for future in as_completed(list(waiting)):
        # The future holds the detections; it must not outlive its turn.
        yield waiting.pop(future), future.result


def _find(results: ResultsFolder, video: VideoTruth) -> StoredResult | None:
    path = video.require_path()
    try:
        return results.find(video)
    except OSError as error:
        raise MediaError(
            f"Cannot read the video {path}: {error.strerror}.",
            hint="Put the video into the folder of its annotations.",
        ) from error


def _fail(
    video: VideoTruth, error: EdgeKitError, failed: dict[str, EdgeKitError], *, strict: bool
) -> None:
    if strict:
        raise error
    failed[video.name] = error
    level = logging.WARNING if len(failed) <= MOST_NAMED else logging.INFO
    _LOG.log(level, "%s failed and is left out: %s", video.name, error.message)
