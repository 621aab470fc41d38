"""``edgekit.evaluate`` and ``edgekit eval``: runs a bundle or reads detections; scores them."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import replace
from functools import partial

from edgekit._checks import as_path, as_sequence
from edgekit._progress import SILENT, Progress, as_progress
from edgekit.bundle import Bundle
from edgekit.datasets.annotations import Truth, VideoTruth
from edgekit.datasets.published import read_truth
from edgekit.datasets.relabelling import in_classes_of
from edgekit.evaluation.dataset_detections import (
    DatasetDetections,
    detect_dataset,
    with_absolute_paths,
)
from edgekit.evaluation.detection import video_detector
from edgekit.evaluation.options import EvaluateOptions
from edgekit.evaluation.results import open_results, results_key
from edgekit.executors.cluster import ClusterExecutor
from edgekit.executors.opening import open_executor
from edgekit.metrics.detections import StoredDetections, open_detections
from edgekit.metrics.detections_writer import write_detections
from edgekit.metrics.eval_result import EvalResult
from edgekit.metrics.evaluate import evaluate as score_detections
from edgekit.targets.base import SessionOptions
from edgekit.targets.bundle_choice import another_bundle, as_bundle, runnable, take

__all__ = ["evaluate", "run_evaluation"]

_SESSION = SessionOptions()


# Long: it documents the arguments, and only passes them on.
def evaluate(
    bundle: Bundle | str | os.PathLike[str] | None = None,
    *,
    root: str | os.PathLike[str] | None = None,
    dataset: str | None = None,
    split: int = 1,
    detections: str | os.PathLike[str] | None = None,
    link: str | None = None,
    cost: str = "score",
    max_misses: int | None = None,
    max_gap: float | None = None,
    min_hits: int | None = None,
    min_length: int = 5,
    delay: int = 0,
    delay_seconds: float | None = None,
    protocol: str = "edgekit",
    frames: str = "all",
    top_k: int | None = None,
    session: SessionOptions = _SESSION,
    workers: int = 1,
    cluster: str | None = None,
    host: str | Sequence[str] = (),
    results: str | os.PathLike[str] | None = None,
    strict: bool = False,
    report: str | os.PathLike[str] | None = None,
    clips: str | os.PathLike[str] | None = None,
    tracking: bool = False,
    compare: str | os.PathLike[str] | None = None,
    save_detections: str | os.PathLike[str] | None = None,
    progress: Progress = SILENT,
) -> EvalResult:
    """Scores a bundle on annotated videos, or saved detections against their own ground truth.

    Args:
        bundle: Bundle to run, its folder, or ``shipped`` for the shipped one. By default the newest
            in ``artifacts/`` that runs on this machine, or the shipped one.
        root: Folder of the dataset; needed unless ``detections`` is given.
        dataset: Layout of the dataset, one of ``edgekit.datasets.layouts.DATASETS``. By default
            ``json``, which reads ``annotations.json`` and the videos beside it.
        split: Number of the published split, 1 to 3; 1 for a layout without splits.
        detections: File of saved detections to score instead of running a bundle.
        link: Name in ``edgekit.linking.choices.LINKS``. By default ``edgekit``, and ``road`` under
            the published protocol.
        cost: Criterion by which a published linker chooses among the boxes that overlap a tube, one
            of ``edgekit.linking.choices.COSTS``.
        max_misses: Number of frames in a row without a detection, at least 1, after which a tube
            ends. By default 30 for ``edgekit``, counted at 25 frames per second, and 5 for others.
        max_gap: Seconds without a detection after which a tube of ``edgekit`` ends; replaces
            ``max_misses``.
        min_hits: Smallest number of detections in a tube; N stands for ``min_length`` N - 1.
        min_length: Number of frames that a tube must exceed to count.
        delay: Number of later frames, at 25 per second, that correct each box of a finished tube;
            for ``edgekit`` only.
        delay_seconds: Seconds of later frames that correct each box; replaces ``delay``.
        protocol: Name in ``edgekit.metrics.protocols.PROTOCOLS``. ``published`` repeats KORSAL's
            own evaluation.
        frames: Frames whose boxes count for frame-AP, one of ``edgekit.metrics.protocols.FRAMES``:
            ``all``, or ``annotated`` for those with an annotated box.
        top_k: Largest number of detections per frame, at least 1. By default the bundle's own.
        session: Options for the runtime; not with ``detections``.
        workers: Number of processes to evaluate with. With more than one, a script needs
            ``if __name__ == "__main__":`` around its work.
        cluster: Address of the scheduler of a Dask cluster, such as ``tcp://10.0.0.5:8786``, whose
            workers process the videos. They read bundle and videos by the paths of this machine.
        host: Names of devices for ``ssh``, on which the EdgeKit that is installed there runs the
            bundle too. The result has their scores as ``hosts``. If the bundle does not run on this
            machine, its figures are those of the first device that has some.
        results: Folder to save the detections of each finished video in. A later call with the same
            bundle and options takes them from there. By default it is in EdgeKit's cache, where an
            interrupted evaluation continues too.
        strict: Whether the first video that fails ends the evaluation. By default it is named in
            ``failures`` of the result, and the figures are those of the other videos.
        report: File to write a report to: a page if its name ends in ``.html``, JSON if it ends in
            ``.json``. It has accuracy by class, video, size and motion, errors by kind, curves, a
            confusion matrix, and the accuracy of early labels. Not for the published protocol.
        clips: Folder for the five worst videos, with annotated boxes and found tubes drawn in.
        tracking: Whether to compute tracking measures too: HOTA, IDF1 and MOTA, by TrackEval.
        compare: File of saved detections of the same videos. The result then has the differences to
            them, by the same linker and protocol, with their 95% intervals.
        save_detections: File to write the detections to; compressed if its name ends in ``.gz``.
        progress: Display of the progress: a phase of one step per video that the bundle runs on.

    Returns:
        frame-AP and video-AP of each class and their means, all from 0 to 1.

    Raises:
        UsageError: A value has the wrong type or is out of range, or two of them contradict.
        BundleError: The bundle is invalid.
        AnnotationError: The annotations or saved detections are missing or invalid, or have classes
            that the bundle does not know; with ``strict``, a video has another number of frames.
        MediaError: No video can be read; with ``strict``, a video cannot be read.
        LostWorkerError: With ``strict``, the processes die that work on a video.
        ResourceError: The processes cannot be started.
        HostError: The bundle does not run on this machine, and no device has a result.
        MissingDependencyError: The runtime, or the package for ``cluster`` or ``tracking``, is not
            installed.
        ClusterError: The cluster cannot be reached, was lost, or does not fit this machine.
        OutputError: ``save_detections``, ``report``, ``clips`` or a result cannot be written.
    """
    options = EvaluateOptions(
        bundle=as_bundle("bundle", bundle),
        root=as_path("root", root),
        dataset=dataset,
        split=split,
        detections=as_path("detections", detections),
        link=link,
        cost=cost,
        max_misses=max_misses,
        max_gap=max_gap,
        min_hits=min_hits,
        min_length=min_length,
        delay=delay,
        delay_seconds=delay_seconds,
        protocol=protocol,
        frames=frames,
        top_k=top_k,
        session=session,
        workers=workers,
        cluster=cluster,
        host=as_sequence(host),
        results=as_path("results", results),
        strict=strict,
        report=as_path("report", report),
        clips=as_path("clips", clips),
        tracking=tracking,
        compare=as_path("compare", compare),
        save_detections=as_path("save_detections", save_detections),
    )
    return run_evaluation(options, as_progress(progress))


def run_evaluation(options: EvaluateOptions, progress: Progress = SILENT) -> EvalResult:
    """Evaluates as checked options describe it; ``evaluate`` documents result and errors."""
    if options.tracking:
        from edgekit.metrics.analysis.tracking import check_installed

        check_installed()
    options.check_outputs()
    # A fault in it is an error before hours of work.
    other = None if options.compare is None else open_detections(options.compare)
    score = partial(
        score_detections,
        link=options.link,
        cost=options.cost,
        max_misses=options.max_misses,
        max_gap=options.max_gap,
        min_length=options.min_length if options.min_hits is None else options.min_hits - 1,
        delay=options.delay,
        delay_seconds=options.delay_seconds,
        protocol=options.protocol,
        frames=options.frames,
    )
    with contextlib.ExitStack() as stack:
        executor = stack.enter_context(open_executor(options.workers, options.cluster))
        # A cluster would have to be sent what lies here, and scoring takes little time.
        here = None if options.cluster else executor
        compared = None if other is None else score(other, executor=here)
        saved: StoredDetections
        failures: dict[str, str] = {}
        videos: dict[str, VideoTruth] = {}
        bundle = None
        analyse = options.report is not None or options.clips is not None
        if options.detections is not None:
            saved = open_detections(options.detections)
        else:
            bundle, truth = _chosen(options, compared)
            if options.host:
                # Only this needs a connection, and the code for it.
                from edgekit.evaluation.devices import evaluate_elsewhere, runs_here

                if not runs_here(bundle, options):
                    away = partial(score, analyse=analyse, executor=here)
                    result = evaluate_elsewhere(options, bundle, away, progress)
                    videos = {each.name: each for each in truth.videos}
                    return _completed(options, result, compared, videos, progress)
            detected = _detect(options, bundle, truth, stack, executor, progress)
            saved, failures = detected, detected.failures
            videos = {each.truth.name: each.truth for each in detected.videos}
        if options.save_detections is not None:
            write_detections(options.save_detections, saved)
        result = score(saved, analyse=analyse, executor=here)
        hosts: dict[str, EvalResult | str] = {}
        if options.host and bundle is not None:
            from edgekit.evaluation.devices import evaluate_on_devices

            hosts = evaluate_on_devices(options, bundle, score, progress)
    result = replace(result, failures=failures, hosts=hosts)
    return _completed(options, result, compared, videos, progress)


def _completed(
    options: EvaluateOptions,
    result: EvalResult,
    compared: EvalResult | None,
    videos: Mapping[str, VideoTruth],
    progress: Progress,
) -> EvalResult:
    """Returns the result with what was asked for besides, and writes the report."""
    if compared is not None:
        from edgekit.metrics.analysis.comparison import compare

        # Hours of detection are not in vain because a video failed.
        ran = options.detections is None
        result = replace(result, comparison=compare(result, compared, common=ran))
    if options.tracking:
        from edgekit.metrics.analysis.tracking import tracking_measures

        result = replace(result, tracking=tracking_measures(result))
    if options.clips is not None:
        from edgekit.evaluation.clips import write_clips

        result = replace(result, clips=write_clips(options.clips, result, videos, progress))
    if options.report is not None:
        from edgekit.evaluation.report.writing import write_report

        write_report(options.report, result)
    return result


def _chosen(options: EvaluateOptions, compared: EvalResult | None) -> tuple[Bundle, Truth]:
    """Returns the bundle, and the annotated videos in its classes, if they can be compared."""
    assert options.root is not None  # checked by the options
    truth = read_truth(options.dataset or "json", options.root, split=options.split)
    bundle = take(
        options.bundle,
        what="bundle in artifacts/ that runs on this machine",
        another=another_bundle("eval"),
        fits=runnable(lambda _: options.session),
    )
    truth = in_classes_of(bundle.manifest.classes, truth)
    if compared is not None:
        from edgekit.metrics.analysis.comparison import refuse_other_videos

        refuse_other_videos(truth, compared)
    return bundle, truth


def _detect(
    options: EvaluateOptions,
    bundle: Bundle,
    truth: Truth,
    stack: contextlib.ExitStack,
    executor: Executor | None,
    progress: Progress,
) -> DatasetDetections:
    """Returns what the bundle detects in the videos of a dataset."""
    assert options.root is not None
    place = bundle.path
    if isinstance(executor, ClusterExecutor):
        executor.require((place, options.root))
        place, truth = place.absolute(), with_absolute_paths(truth)
    key = results_key(bundle, options.session, options.top_k)
    return detect_dataset(
        truth,
        video_detector(place, options.session, options.top_k, alone=executor is None),
        stack.enter_context(open_results(options.results, key)),
        executor=executor,
        strict=options.strict,
        progress=progress,
    )
