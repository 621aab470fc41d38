"""Runs ``edgekit quantize``: from its options to an INT8 bundle and its report."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from edgekit._checks import as_path, as_sequence
from edgekit._parameters import parameter
from edgekit._progress import SILENT, Progress, as_progress
from edgekit.bundle import MANIFEST, Bundle
from edgekit.calibration.contact_sheet import contact_sheet
from edgekit.calibration.samples import Samples
from edgekit.calibration.store import Store, default_store
from edgekit.executors.cluster import ClusterExecutor
from edgekit.executors.opening import open_executor
from edgekit.files.output_paths import refuse_existing, refuse_replacing, refuse_unwritable
from edgekit.files.writing import atomic_file
from edgekit.media.drawing.picture_file import refuse_no_picture, write_picture
from edgekit.quantization.build import check_float, quantize_bundle, recipe_of
from edgekit.quantization.frames import CalibrationFrames, gather, shipped_float
from edgekit.quantization.options import QuantizeOptions
from edgekit.quantization.registry import quantizer
from edgekit.quantization.report.latency import compare_latency
from edgekit.quantization.report.page import to_html
from edgekit.quantization.report.report import RoundingReport, report
from edgekit.quantization.tubes_loss import TubesLoss
from edgekit.targets.build import bundle_path
from edgekit.targets.bundle_choice import another_bundle, as_bundle, take

__all__ = ["QuantizeResult", "quantize", "run_quantization"]

_FEW = 32

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class QuantizeResult:
    """Result of a quantization.

    Attributes:
        bundle: INT8 bundle, loaded from the folder that was written.
        report: Report that compares it with the float bundle.
    """

    bundle: Bundle
    report: RoundingReport


# Long: it documents the arguments, and only passes them on.
def quantize(
    bundle: Bundle | str | os.PathLike[str] | None = None,
    *,
    calib: str | os.PathLike[str] | None,
    target: str | None = None,
    annotations: str | os.PathLike[str] | None = None,
    samples: int = 128,
    method: str | None = None,
    io: str = "float",
    max_drop: float = 1.0,
    keep_float: str | Sequence[str] = (),
    sensitivity: bool = False,
    seed: int = 0,
    workers: int = 1,
    cluster: str | None = None,
    out: str | os.PathLike[str] | None = None,
    force: bool = False,
    sheet: str | os.PathLike[str] | None = None,
    html: str | os.PathLike[str] | None = None,
    cache: str | os.PathLike[str] | None = None,
    progress: Progress = SILENT,
) -> QuantizeResult:
    """Quantizes a float bundle to INT8, and measures and limits the loss of accuracy.

    Finished work is kept: the same call after an interruption continues where it ended.

    Args:
        bundle: Float bundle, its folder, or ``shipped`` for the shipped model. By default the
            newest in ``artifacts/``, or the shipped model.
        calib: Calibration footage: a video, a folder of videos or pictures, or a .txt file with one
            of them per line. None uses rendered clips. Footage of what the detector will see gives
            better ranges.
        target: Name in ``edgekit.targets.registry.TARGETS`` of the float bundle to choose, if
            ``bundle`` is not given. By default that of the newest bundle in ``artifacts/``, or
            ``onnx`` for the shipped model.
        annotations: Folder of ``annotations.json`` and videos that the loss of frame-mAP is
            measured on. By default the detections of the float model in other frames of the
            calibration footage are the truth.
        samples: Number of calibration frames, at least 2.
        method: Method that chooses the ranges of activations, one of
            ``edgekit.quantization.choices.METHODS``; or ``dynamic`` (TFLite only), which computes
            them in each frame. By default the best for the target.
        io: Type of the model's inputs and outputs: ``float``, or ``int8`` for integer-only
            accelerators (TFLite only).
        max_drop: Largest accepted loss of frame-mAP in points, at least 0; 1 point is 0.01. Layers
            return to float until the loss is at most this. If none of the attempts reaches it, no
            bundle is written.
        keep_float: Names or labels of layers that stay float.
        sensitivity: Whether to measure the loss that each layer causes when it alone is quantized.
        seed: Seed for choosing the calibration frames, at least 0.
        workers: Number of processes that measure layers one by one, with ``sensitivity`` or if the
            loss exceeds ``max_drop``. With more than one, a script needs
            ``if __name__ == "__main__":`` around its work.
        cluster: Address of the scheduler of a Dask cluster, such as ``tcp://10.0.0.5:8786``, whose
            workers measure the layers instead. They read ``bundle`` and ``cache`` by the paths of
            this machine, and write the losses into ``cache``.
        out: Folder to write. By default ``artifacts/NAME-TARGET-int8``.
        force: Whether to replace an existing bundle.
        sheet: Picture to write that shows up to 48 of the calibration frames.
        html: HTML page to write with the report and its plots.
        cache: Folder that keeps finished work for later runs. By default ``~/.cache/edgekit``.
        progress: Display of the progress: a phase for each step of the work.

    Returns:
        The INT8 bundle, and the report that compares it with the float bundle.

    Raises:
        UsageError: A value has the wrong type or is out of range, two of them contradict, or the
            target's quantizer has no such method or ``io``, or the model no such layer.
        BundleError: The bundle is invalid, or its precision is not that which the quantizer takes.
        CalibrationError: The footage has no usable frames, or an activation is not finite.
        AnnotationError: The annotations are missing or invalid, or have other classes.
        MissingDependencyError: A package of the quantizer, or the runtime, is not installed.
        BoundError: The loss exceeds ``max_drop``, whichever layers stay float.
        OutputError: The folder exists and ``force`` is not set, or a file cannot be written.
    """
    options = QuantizeOptions(
        bundle=as_bundle("bundle", bundle),
        calib=as_path("calib", calib),
        target=target,
        annotations=as_path("annotations", annotations),
        samples=samples,
        method=method,
        io=io,
        max_drop=max_drop,
        keep_float=as_sequence(keep_float),
        sensitivity=sensitivity,
        seed=seed,
        workers=workers,
        cluster=cluster,
        out=as_path("out", out),
        force=force,
        sheet=as_path("sheet", sheet),
        html=as_path("html", html),
        cache=as_path("cache", cache),
    )
    return run_quantization(options, as_progress(progress))


def run_quantization(options: QuantizeOptions, progress: Progress = SILENT) -> QuantizeResult:
    """Quantizes as checked options describe it; ``quantize`` documents result and errors."""
    cache = options.cache or default_store()
    store = Store(cache.absolute() if options.cluster else cache)
    with store.in_use(), open_executor(options.workers, options.cluster) as executor:
        progress.phase("loading the float model")
        source = _float_bundle(options, store)
        if isinstance(executor, ClusterExecutor):
            source = replace(source, path=source.path.absolute())
            executor.require((source.path, store.path))
        place = _place(options, source)
        footage = _footage(options, source, store, progress)
        made = quantize_bundle(
            source,
            footage.samples,
            footage.evaluation,
            place,
            store=store,
            truth=footage.truth,
            method=options.method,
            io=options.io,
            keep_float=options.keep_float,
            max_drop=options.max_drop / 100,
            sensitivity=options.sensitivity,
            tubes=TubesLoss(source, footage.dataset, footage.sequences, footage.evaluation, store),
            force=options.force,
            executor=executor,
            progress=progress,
        )
        progress.phase("timing")
        found = report(made, source, compare_latency(source, made.bundle))
    if options.sheet is not None or options.html is not None:
        _draw(found, footage.samples, options)
    return QuantizeResult(made.bundle, found)


def _float_bundle(options: QuantizeOptions, store: Store) -> Bundle:
    """Returns the float bundle that the options name or choose."""
    target = options.target

    def fits(bundle: Bundle) -> bool:
        manifest = bundle.manifest
        if manifest.quantization is not None or target not in (None, manifest.target):
            return False
        check_float(bundle)
        return True

    return take(
        options.bundle,
        what=f"float bundle for {target} in artifacts/" if target else "float bundle in artifacts/",
        another=another_bundle("quantize"),
        fits=fits,
        shipped=lambda: shipped_float(target or "onnx", store),
    )


def _place(options: QuantizeOptions, source: Bundle) -> Path:
    """Returns the folder to write, after refusing before the work what would fail after it."""
    quantizer(source.manifest.target).version()
    place = options.out or bundle_path(source.manifest.name, source.manifest.target, "int8")
    recipe_of(source, method=options.method, io=options.io, keep_float=options.keep_float)
    refuse_replacing(place, source.path, options.calib, options.annotations)
    refuse_existing(place, force=options.force, mark=MANIFEST)
    for drawn in filter(None, (options.sheet, options.html)):
        refuse_unwritable(drawn)
    if options.sheet is not None:
        refuse_no_picture(options.sheet)
    return place


def _footage(
    options: QuantizeOptions, source: Bundle, store: Store, progress: Progress
) -> CalibrationFrames:
    """Returns the frames for calibration and evaluation, and warns of poor ones."""
    footage = gather(
        source,
        options.calib,
        options.annotations,
        store,
        samples=options.samples,
        seed=options.seed,
        progress=progress,
    )
    if options.calib is None:
        _LOG.warning(
            "Calibrating with rendered clips; your own footage is better: %s",
            parameter("calib", "PATH"),
        )
    if len(footage.samples) < _FEW:
        _LOG.warning(
            "There are only %d frames for calibration; %d or more are recommended.",
            len(footage.samples),
            _FEW,
        )
    return footage


def _draw(found: RoundingReport, samples: Samples, options: QuantizeOptions) -> None:
    """Writes the calibration frames as a picture, and the report as a page."""
    drawn = contact_sheet(samples)
    if options.sheet is not None:
        write_picture(drawn, options.sheet)
    if options.html is not None:
        with atomic_file(options.html) as temporary:
            temporary.write_text(to_html(found, drawn), encoding="utf-8")
