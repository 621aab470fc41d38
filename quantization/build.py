"""From a float bundle to a bundle of integers: calibrate, quantize, judge, give layers back."""

from __future__ import annotations

import difflib
import logging
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path

import msgspec

from edgekit._files import writing
from edgekit.bundle import (
    Bundle,
    Manifest,
    Quantization,
    RoundingCheck,
    load_bundle,
    save_bundle,
)
from edgekit.calibration.samples import Samples
from edgekit.calibration.store import Store, key_of
from edgekit.errors import BoundError, BundleError, UsageError
from edgekit.quantization.base import Layer, Quantizer, Recipe
from edgekit.quantization.judging import Judge, Truth
from edgekit.quantization.registry import quantizer
from edgekit.quantization.search import Step, search
from edgekit.targets.registry import exporter

__all__ = ["Quantized", "Workbench", "check_float", "quantize_bundle"]

_SENSITIVITY_FRAMES = 16

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Quantized:
    """What quantizing a bundle came to.

    Attributes:
        bundle: The integer bundle, as loaded again from where it was written.
        check: Its loss.
        steps: What was tried, the last being what was written.
        layers: All that can be quantized.
        sensitivity: For each layer the loss where it alone is quantized; empty where not measured.
        max_drop: Points of frame-mAP that were allowed.
        statistics: The folder of what the quantizer measured on the samples.
        io: What the model takes and gives.
    """

    bundle: Bundle
    check: RoundingCheck
    steps: tuple[Step, ...]
    layers: tuple[Layer, ...]
    sensitivity: dict[str, RoundingCheck]
    max_drop: float
    statistics: Path
    io: str = "float"


def check_float(bundle: Bundle) -> None:
    """Raises unless a bundle can be quantized.

    Raises:
        BundleError: It is of integers already, or of half precision.
    """
    manifest = bundle.manifest
    if manifest.precision != "fp32":
        found = "INT8 already" if manifest.quantization else f"of {manifest.precision}"
        raise BundleError(
            f"Expected a bundle of fp32; {bundle.path} is {found}.",
            mend=f"Export the checkpoint again: edgekit export CHECKPOINT --target "
            f"{manifest.target}",
        )


@dataclass(frozen=True, slots=True)
class Workbench:
    """A float bundle with what is needed to try recipes on it; goes from process to process.

    Attributes:
        bundle: The float model.
        samples: What to calibrate with.
        statistics: What the quantizer measured on them.
        store: The folder where finished work is kept.
    """

    bundle: Bundle
    samples: Samples
    statistics: Path
    store: Path

    @property
    def runtime(self) -> str | None:
        """What runs the target's models here, where its own runtime cannot."""
        return exporter(self.bundle.manifest.target).verify_on

    def make(self, recipe: Recipe, folder: Path) -> Bundle:
        """Quantizes by a recipe into a new bundle at ``folder``, without a check."""
        manifest = self.bundle.manifest
        with writing(Path(tempfile.gettempdir())), tempfile.TemporaryDirectory() as temporary:
            work = Path(temporary)
            tool = _quantizer(self.bundle)
            made = tool.quantize(self.bundle, self.statistics, recipe, work)
            manifest = msgspec.structs.replace(
                manifest,
                precision="int8",
                model=made.model,
                converter={**manifest.converter, **tool.version()},
                quantization=Quantization(
                    method=recipe.method,
                    samples=len(self.samples),
                    kept_float=tuple(sorted(recipe.keep_float)),
                    float_bundle=self.bundle.sha256,
                ),
                verification=None,
            )
            files = {name: work / name for name in made.files}
            notices = {name: self.bundle.path / name for name in _notices(self.bundle)}
            return save_bundle(folder, manifest, files | notices)

    def judged(self, recipe: Recipe, judge: Judge) -> RoundingCheck:
        """The loss of a recipe; found in the store where it was measured before."""
        made = self.bundle.manifest
        tool = _quantizer(self.bundle)
        key = key_of(
            self.bundle.sha256,
            self.samples.key,
            recipe.method,
            sorted(recipe.keep_float),
            _edition(tool),
            judge.key,
            *([recipe.io] if recipe.io != "float" else []),
        )

        def measure(folder: Path) -> None:
            with tempfile.TemporaryDirectory() as temporary:
                check = judge.judge(self.make(recipe, Path(temporary) / "bundle"))
            (folder / "check.json").write_bytes(msgspec.json.encode(check))

        _log.info("Judging %s with %d layers in float", made.name, len(recipe.keep_float))
        place = Store(self.store).folder("check", key, measure)
        content = (place / "check.json").read_bytes()
        return msgspec.json.decode(content, type=RoundingCheck)


def quantize_bundle(
    bundle: Bundle,
    samples: Samples,
    judging: Samples,
    out: Path,
    *,
    store: Store,
    truth: Truth | None = None,
    method: str | None = None,
    io: str = "float",
    keep_float: Sequence[str] = (),
    max_drop: float = 1.0,
    sensitivity: bool = False,
    force: bool = False,
    executor: Executor | None = None,
    progress: Callable[[str], None] = lambda note: None,
) -> Quantized:
    """Quantizes a float bundle so that it loses no more than allowed.

    Args:
        bundle: The float model.
        samples: What to calibrate with.
        judging: Other frames, to judge by.
        out: The folder to write.
        store: Where finished work is kept.
        truth: What is in ``judging``; by default what the float model finds there.
        method: One of the quantizer's; by default its first.
        io: What the model is to take and give: ``float``, or ``int8`` where the target has it.
        keep_float: Names or labels of layers that stay float.
        max_drop: Points of frame-mAP that may be lost.
        sensitivity: Measure every layer even where no layer has to be given back.
        force: Replace a bundle that is already there.
        executor: Where layers are measured; here, one after the other, without one.
        progress: Told what is done next.

    Raises:
        UsageError: The target's quantizer has no such method or ``io``, or the model no such layer.
        BundleError: The bundle is not of fp32.
        MissingDependencyError: A package of the quantizer or the runtime is not installed.
        CalibrationError: An activation is not finite, or there is nothing to judge by.
        BoundError: The loss is larger than allowed whatever stays float.
        OutputError: ``out`` is there without ``force``, or cannot be written.
    """
    check_float(bundle)
    tool = _quantizer(bundle)
    method = method or tool.methods[0]
    if method not in tool.methods:
        raise UsageError(
            f"The quantizer for {bundle.manifest.target} has the methods "
            f"{', '.join(tool.methods)}, not {method!r}."
        )
    if io not in tool.ios:
        raise UsageError(
            f"Models for {bundle.manifest.target} take and give {', '.join(tool.ios)}, not {io}.",
            mend="Leave --io away; tflite has int8.",
        )
    layers = tool.layers(bundle)
    fixed = _named(keep_float, layers)
    progress("calibrating")
    key = key_of(bundle.sha256, samples.key, _edition(tool))
    statistics = store.folder("activations", key, partial(tool.calibrate, bundle, samples))
    bench = Workbench(bundle, samples, statistics, store.path)
    progress("asking the float model")
    judge = Judge(bundle, judging, store, truth=truth, runtime=bench.runtime)

    def check(kept: frozenset[str]) -> RoundingCheck:
        progress(f"judging, {len(kept)} layers in float")
        return bench.judged(Recipe(method=method, keep_float=kept, io=io), judge)

    def measure(wanted: Sequence[Layer]) -> dict[str, RoundingCheck]:
        progress(f"measuring {len(wanted)} layers")
        work = partial(_alone, bench, judging.thinned(_SENSITIVITY_FRAMES), method, layers)
        results = executor.map(work, wanted) if executor else map(work, wanted)
        return {layer.name: found for layer, found in zip(wanted, results, strict=True)}

    steps, measured = search(layers, check, measure, max_drop=max_drop, fixed=fixed)
    if sensitivity:
        measured |= measure([layer for layer in layers if layer.name not in measured])
    last = steps[-1]
    if last.check.drop > max_drop:
        raise BoundError(_missed(steps, max_drop))
    progress("writing")
    with writing(Path(tempfile.gettempdir())), tempfile.TemporaryDirectory() as temporary:
        recipe = Recipe(method=method, keep_float=last.kept, io=io)
        made = bench.make(recipe, Path(temporary) / "made")
        manifest = _with_check(made.manifest, last.check)
        files = {entry.path: made.path / entry.path for entry in made.manifest.files}
        save_bundle(out, manifest, files, force=force)
    return Quantized(
        load_bundle(out), last.check, tuple(steps), layers, measured, max_drop, statistics, io
    )


def _quantizer(bundle: Bundle) -> Quantizer:
    return quantizer(bundle.manifest.target)


def _edition(tool: Quantizer) -> dict[str, str]:
    """Of all that decides what a quantizer makes, the versions."""
    return {"edgekit": version("edgekit"), **tool.version()}


def _alone(
    bench: Workbench, judging: Samples, method: str, layers: Sequence[Layer], layer: Layer
) -> RoundingCheck:
    """The loss where one layer alone is quantized; a function that processes can share."""
    judge = Judge(bench.bundle, judging, Store(bench.store), runtime=bench.runtime, threads=1)
    others = frozenset(other.name for other in layers) - {layer.name}
    return bench.judged(Recipe(method=method, keep_float=others), judge)


def _named(names: Sequence[str], layers: Sequence[Layer]) -> frozenset[str]:
    known = {layer.shown: layer.name for layer in layers}
    known |= {layer.name: layer.name for layer in layers}
    for name in names:
        if name not in known:
            shown = [layer.shown for layer in layers]
            near = difflib.get_close_matches(name, shown, 3, 0.3) or shown[:3]
            raise UsageError(
                f"The model has no layer {name!r} to keep float.",
                mend=f"Did you mean {' or '.join(near)}? --sensitivity lists all.",
            )
    return frozenset(known[name] for name in names)


def _notices(bundle: Bundle) -> list[str]:
    return [e.path for e in bundle.manifest.files if e.path in ("LICENSE", "NOTICE")]


def _with_check(manifest: Manifest, check: RoundingCheck) -> Manifest:
    assert manifest.quantization is not None
    done = msgspec.structs.replace(manifest.quantization, check=check)
    return msgspec.structs.replace(manifest, quantization=done)


def _missed(steps: Sequence[Step], max_drop: float) -> str:
    table = "\n".join(
        f"  {len(step.kept):>3} layers in float: {step.check.drop:.2f} points, "
        f"{step.check.agreement:.1%} of the detections"
        for step in steps
    )
    return (
        f"INT8 loses more than the {max_drop:g} points of frame-mAP that are allowed, whatever "
        f"stays float. Nothing was written.\n{table}"
    )
