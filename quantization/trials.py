"""Quantizes a float bundle by given recipes (method, float layers), and measures each loss."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import msgspec

from edgekit._progress import SILENT, Progress
from edgekit.bundle import Bundle, Quantization, RoundingCheck, load_bundle, save_bundle
from edgekit.calibration.samples import Samples
from edgekit.calibration.store import Store, key_of
from edgekit.files.output_paths import temporary_folder, writing
from edgekit.quantization.base import Layer, Quantizer, Recipe
from edgekit.quantization.heads_loss import HeadsLoss
from edgekit.quantization.registry import evaluation_runtime, quantizer

__all__ = ["RecipeTrials", "last_evaluated", "loss_alone"]

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class RecipeTrials:
    """A float bundle with everything needed to try recipes on it; can be pickled.

    Attributes:
        bundle: Float model.
        samples: Calibration samples.
        statistics: Folder of the quantizer's measurements on them.
        store: Folder of the store for intermediate results.
    """

    bundle: Bundle
    samples: Samples
    statistics: Path
    store: Path

    @classmethod
    def prepare(
        cls, bundle: Bundle, samples: Samples, store: Store, progress: Progress = SILENT
    ) -> RecipeTrials:
        """Measures the model on the samples, or finds the measurements in the store.

        Raises:
            MissingDependencyError: A package of the quantizer or the runtime is not installed.
            CalibrationError: An activation is not finite.
            OutputError: The store cannot be written.
        """
        tool = _quantizer(bundle)
        key = key_of(bundle.sha256, samples.key, tool.version())
        statistics = store.folder(
            "activations",
            key,
            partial(tool.calibrate, bundle, progress.watch("calibrating", samples)),
        )
        return cls(bundle, samples, statistics, store.path)

    @property
    def runtime(self) -> str | None:
        """Runtime that measures the loss on this machine; None: the target's own."""
        return evaluation_runtime(self.bundle)

    def make(self, recipe: Recipe, folder: Path) -> Bundle:
        """Quantizes by a recipe and returns the new bundle at ``folder``, without checking it."""
        manifest = self.bundle.manifest
        with temporary_folder() as work, writing(work.parent):
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
            return save_bundle(folder, manifest, files | self.bundle.notices)

    def evaluate(
        self,
        recipe: Recipe,
        loss: HeadsLoss,
        progress: Progress = SILENT,
        *,
        place: Path | None = None,
    ) -> RoundingCheck:
        """Returns the loss of a recipe, from the store if it was measured before.

        Args:
            recipe: Recipe to try.
            loss: Measure of the loss.
            progress: Progress display.
            place: Folder for the quantized bundle, which replaces the one there and stays; nothing
                is written if the loss was measured before. By default no bundle stays.
        """
        made = self.bundle.manifest
        tool = _quantizer(self.bundle)
        key = key_of(
            self.bundle.sha256,
            self.samples.key,
            recipe.method,
            sorted(recipe.keep_float),
            tool.version(),
            loss.key,
            *([recipe.io] if recipe.io != "float" else []),
        )

        def measure(folder: Path) -> None:
            with temporary_folder() as temporary:
                made = self.make(recipe, place or temporary / "bundle")
                check = loss.measure(made, progress)
            (folder / "check.json").write_bytes(msgspec.json.encode(check))

        if place is not None:
            shutil.rmtree(place, ignore_errors=True)
        _log.info("Evaluating %s with %d layers in float", made.name, len(recipe.keep_float))
        place = Store(self.store).folder("check", key, measure)
        content = (place / "check.json").read_bytes()
        return msgspec.json.decode(content, type=RoundingCheck)


def loss_alone(
    trials: RecipeTrials, evaluation: Samples, method: str, layers: Sequence[Layer], layer: Layer
) -> RoundingCheck:
    """Returns the loss with one layer quantized; a function that can be sent to processes."""
    loss = HeadsLoss(
        trials.bundle, evaluation, Store(trials.store), runtime=trials.runtime, threads=1
    )
    others = frozenset(other.name for other in layers) - {layer.name}
    return trials.evaluate(Recipe(method=method, keep_float=others), loss)


def last_evaluated(place: Path, kept: frozenset[str]) -> Bundle | None:
    """Returns the bundle that ``evaluate`` left at a place, if these are its layers in float."""
    if not place.is_dir():
        return None
    bundle = load_bundle(place)
    assert bundle.manifest.quantization is not None
    same = bundle.manifest.quantization.kept_float == tuple(sorted(kept))
    return bundle if same else None


def _quantizer(bundle: Bundle) -> Quantizer:
    return quantizer(bundle.manifest.target)
