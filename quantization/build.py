"""Makes an INT8 bundle from a float bundle: calibrate, quantize, score, return layers to float."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import msgspec

from edgekit._checks import check_choice
from edgekit._parameters import parameter
from edgekit._progress import SILENT, Progress
from edgekit.bundle import Bundle, Manifest, RoundingCheck, TubeCheck, load_bundle, save_bundle
from edgekit.calibration.samples import Samples
from edgekit.calibration.store import Store
from edgekit.errors import BoundError, BundleError, UsageError
from edgekit.files.output_paths import temporary_folder
from edgekit.quantization.base import Layer, Recipe
from edgekit.quantization.heads_loss import HeadsLoss, Truth
from edgekit.quantization.registry import quantizer
from edgekit.quantization.search import SearchStep, search
from edgekit.quantization.trials import RecipeTrials, last_evaluated, loss_alone
from edgekit.quantization.tubes_loss import TubesLoss

__all__ = ["Quantized", "check_float", "quantize_bundle", "recipe_of"]

_SENSITIVITY_FRAMES = 16


@dataclass(frozen=True, slots=True)
class Quantized:
    """Result of quantizing a bundle.

    Attributes:
        bundle: INT8 bundle, loaded from the folder that was written.
        check: Loss of the INT8 bundle.
        steps: Attempts in order; the last one was written.
        layers: All layers that can be quantized.
        sensitivity: Loss for each layer when only that layer is quantized; empty if not measured.
        max_drop: Largest accepted loss of frame-mAP, as a share.
        statistics: Folder of the quantizer's measurements on the samples.
        io: Type of the model's inputs and outputs.
        tubes: Loss in tubes; None if it was not requested, or if there were no tubes.
    """

    bundle: Bundle
    check: RoundingCheck
    steps: tuple[SearchStep, ...]
    layers: tuple[Layer, ...]
    sensitivity: dict[str, RoundingCheck]
    max_drop: float
    statistics: Path
    io: str = "float"
    tubes: TubeCheck | None = None


def check_float(bundle: Bundle) -> None:
    """Raises unless a bundle can be quantized.

    Raises:
        BundleError: The bundle is INT8 already, or of a precision that the target's quantizer does
            not take.
    """
    manifest = bundle.manifest
    source = quantizer(manifest.target).source
    if manifest.precision != source:
        found = "INT8 already" if manifest.quantization else manifest.precision
        raise BundleError(
            f"Expected an {source} bundle; {bundle.path} is {found}.",
            hint=f"Export the checkpoint again: edgekit export CHECKPOINT --target "
            f"{manifest.target} --precision {source}",
        )


def recipe_of(
    bundle: Bundle, *, method: str | None = None, io: str = "float", keep_float: Sequence[str] = ()
) -> Recipe:
    """Returns the requested recipe after checking it, which needs no calibration.

    Args:
        bundle: Float model.
        method: Method of the quantizer; by default its first.
        io: Type of the model's inputs and outputs: ``float``, or ``int8`` if the target supports
            it.
        keep_float: Names or labels of layers that stay float.

    Raises:
        UsageError: The target's quantizer has no such method or ``io``, or not both together, or
            the model has no such layer.
        BundleError: The precision of the bundle is not that which the quantizer takes.
        MissingDependencyError: A package of the quantizer is not installed.
    """
    check_float(bundle)
    target = bundle.manifest.target
    tool = quantizer(target)
    method = method or tool.methods[0]
    where = f"for the target {bundle.manifest.target}"
    hint = f"Leave out {parameter('method')} to use {tool.methods[0]}."
    check_choice("method", method, tool.methods, where=where, hint=hint)
    check_choice("io", io, tool.ios, where=where, hint=f"Leave out {parameter('io')}.")
    # Reading the layers of a model takes long, so it is skipped if no layer is named.
    kept = _named(keep_float, tool.layers(bundle)) if keep_float else frozenset()
    recipe = Recipe(method=method, keep_float=kept, io=io)
    tool.check_recipe(bundle, recipe)
    return recipe


# Long: most of it documents the arguments and the errors.
def quantize_bundle(
    bundle: Bundle,
    samples: Samples,
    evaluation: Samples,
    out: Path,
    *,
    store: Store,
    truth: Truth | None = None,
    method: str | None = None,
    io: str = "float",
    keep_float: Sequence[str] = (),
    max_drop: float = 0.01,
    sensitivity: bool = False,
    tubes: TubesLoss | None = None,
    force: bool = False,
    executor: Executor | None = None,
    progress: Progress = SILENT,
) -> Quantized:
    """Quantizes a float bundle so that its loss stays within a bound.

    Args:
        bundle: Float model.
        samples: Calibration samples.
        evaluation: Evaluation samples, from other frames.
        out: Folder to write.
        store: Store for intermediate results.
        truth: Ground truth of ``evaluation``; by default the float model's detections.
        method: Method of the quantizer; by default its first.
        io: Type of the model's inputs and outputs: ``float``, or ``int8`` if the target supports
            it.
        keep_float: Names or labels of layers that stay float.
        max_drop: Largest accepted loss of frame-mAP, as a share.
        sensitivity: Whether to measure every layer even if none has to return to float.
        tubes: Measure of the loss in tubes, which is reported and not bounded.
        force: Whether to replace an existing bundle.
        executor: Executor that measures layers; by default they are measured one after the other
            here.
        progress: Progress display, called for each sample and layer.

    Raises:
        UsageError: The target's quantizer has no such method or ``io``, or the model no such layer.
        BundleError: The precision of the bundle is not that which the quantizer takes.
        MissingDependencyError: A package of the quantizer or the runtime is not installed.
        CalibrationError: An activation is not finite, or there is no ground truth to compare with.
        BoundError: The loss exceeds the bound, whichever layers stay float.
        OutputError: ``out`` exists and ``force`` is not set, or it cannot be written.
    """
    asked = recipe_of(bundle, method=method, io=io, keep_float=keep_float)
    layers = quantizer(bundle.manifest.target).layers(bundle)
    trials = RecipeTrials.prepare(bundle, samples, store, progress)
    loss = HeadsLoss(
        bundle, evaluation, store, truth=truth, runtime=trials.runtime, progress=progress
    )

    def check(kept: frozenset[str]) -> RoundingCheck:
        return trials.evaluate(replace(asked, keep_float=kept), loss, progress, place=evaluated)

    def measure(wanted: Sequence[Layer]) -> dict[str, RoundingCheck]:
        telling = loss.telling(_SENSITIVITY_FRAMES)
        work = partial(loss_alone, trials, telling, asked.method, layers)
        results = executor.map(work, wanted) if executor else map(work, wanted)
        counted = progress.count("measuring layers", results, len(wanted))
        return {layer.name: found for layer, found in zip(wanted, counted, strict=True)}

    with temporary_folder() as folder:
        evaluated = folder / "evaluated"
        steps, measured = search(layers, check, measure, max_drop=max_drop, fixed=asked.keep_float)
        if sensitivity:
            measured |= measure([layer for layer in layers if layer.name not in measured])
        last = steps[-1]
        if last.check.drop > max_drop:
            hint = f"Raise {parameter('max_drop')}, or use more footage."
            raise BoundError(_missed(steps, max_drop), hint=hint)
        progress.phase("writing")
        made = last_evaluated(evaluated, last.kept) or trials.make(
            replace(asked, keep_float=last.kept), folder / "made"
        )
        lost = tubes.measure(made, progress) if tubes else None
        manifest = _completed(made.manifest, bundle, last.check, lost)
        files = {entry.path: made.path / entry.path for entry in made.manifest.files}
        save_bundle(out, manifest, files, force=force)
    return Quantized(
        bundle=load_bundle(out),
        check=last.check,
        steps=tuple(steps),
        layers=layers,
        sensitivity=measured,
        max_drop=max_drop,
        statistics=trials.statistics,
        io=io,
        tubes=lost,
    )


def _named(names: Sequence[str], layers: Sequence[Layer]) -> frozenset[str]:
    known = {layer.shown: layer.name for layer in layers}
    known |= {layer.name: layer.name for layer in layers}
    for name in names:
        if name not in known:
            shown = [layer.shown for layer in layers]
            near = difflib.get_close_matches(name, shown, 3, 0.3) or shown[:3]
            raise UsageError(
                f"The model has no layer {name!r} to keep in float.",
                hint=f"Did you mean {' or '.join(near)}? {parameter('sensitivity', True)} "
                "lists all layers.",
            )
    return frozenset(known[name] for name in names)


def _completed(
    manifest: Manifest,
    source: Bundle,
    check: RoundingCheck,
    tubes: TubeCheck | None,
) -> Manifest:
    assert manifest.quantization is not None
    done = msgspec.structs.replace(
        manifest.quantization,
        float_bundle=source.sha256,
        check=check,
        tubes=tubes or msgspec.UNSET,
    )
    return msgspec.structs.replace(manifest, quantization=done)


def _missed(steps: Sequence[SearchStep], max_drop: float) -> str:
    table = "\n".join(
        f"  {len(step.kept):>3} layers in float: {step.check.drop:.4f} of frame-mAP lost, "
        f"{step.check.agreement:.3f} of the detections found again"
        for step in steps
    )
    return (
        f"INT8 loses more frame-mAP than the {max_drop:g} that {parameter('max_drop')} allows, "
        f"whichever layers stay in float. Nothing was written.\n{table}"
    )
