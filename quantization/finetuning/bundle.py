"""HOST. Makes a float bundle with fine-tuned weights from a float bundle and its checkpoint."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import msgspec

from edgekit.assets import default_weights
from edgekit.bundle import Bundle, FineTuning, load_bundle, save_bundle
from edgekit.calibration.samples import Samples
from edgekit.calibration.store import Store, key_of
from edgekit.errors import CheckpointError, MissingDependencyError, UsageError
from edgekit.files.checksums import sha256_of
from edgekit.files.writing import writing
from edgekit.quantization.heads_loss import Truth
from edgekit.targets.registry import exporter
from edgekit.targets.settings import ExportSettings

__all__ = ["FineTunedBundle", "FineTuningPlan", "checkpoint_of", "settings_of", "tune"]

_WEIGHTS = "tuned.safetensors"
_RECORD = "record.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class FineTuningPlan:
    """Settings of a fine-tuning run; equal settings and samples give equal weights.

    Attributes:
        steps: Number of steps of gradient descent, each on eight frames.
        method: Method for choosing the ranges of activations.
        seed: Seed for the choice of frames and for mirroring.
        rate: Initial learning rate, which falls to zero along half a cosine.
    """

    steps: int
    method: str = "mse"
    seed: int = 0
    rate: float = 1e-5


@dataclass(frozen=True, slots=True)
class FineTunedBundle:
    """A float bundle with fine-tuned weights.

    Attributes:
        bundle: Bundle that equals the original except for its weights; the original itself if
            nothing was better.
        record: Record of the fine-tuning.
    """

    bundle: Bundle
    record: FineTuning


def checkpoint_of(bundle: Bundle, named: Path | None) -> Path:
    """Returns the checkpoint that a bundle was exported from.

    Args:
        bundle: Bundle whose manifest has the checkpoint's SHA-256.
        named: Checkpoint that the user names; by default the shipped weights, if they match.

    Raises:
        MissingDependencyError: torch is not installed.
        UsageError: No checkpoint is named, and the bundle is not the shipped model.
        CheckpointError: The checkpoint is another one, or cannot be read.
    """
    MissingDependencyError.unless("torch", "host", "Fine-tuning")
    made = bundle.manifest.provenance
    place = named or default_weights()
    try:
        found = sha256_of(place)
    except OSError as error:
        raise CheckpointError(f"{place} cannot be read: {error.strerror}.") from error
    if found == made.checkpoint_sha256:
        return place
    if named is None:
        raise UsageError(
            f"Fine-tuning needs the checkpoint that {bundle.path} was exported from, "
            f"{made.checkpoint}.",
            hint="Name it: --checkpoint FILE",
        )
    raise CheckpointError(
        f"{bundle.path} was exported from {made.checkpoint} with the SHA-256 "
        f"{made.checkpoint_sha256[:12]}; {named} has {found[:12]}.",
        hint="Name that checkpoint, or export this one: edgekit export CHECKPOINT --target "
        f"{bundle.manifest.target}",
    )


def tune(
    bundle: Bundle,
    checkpoint: Path,
    samples: Samples,
    plan: FineTuningPlan,
    store: Store,
    *,
    truth: Truth | None = None,
    progress: Callable[[int], None] = lambda step: None,
) -> FineTunedBundle:
    """Fine-tunes the weights of a bundle for INT8, and exports them with the bundle's settings.

    Args:
        bundle: Float model.
        checkpoint: Checkpoint that it was exported from.
        samples: Samples to learn from.
        plan: Settings of the fine-tuning.
        store: Store that keeps weights and bundle, so that they are made only once.
        truth: Ground truth of ``samples``, for the additional loss.
        progress: Function called with the number of each finished step.

    Raises:
        CheckpointError: The checkpoint does not belong to a known network.
        BadInputError: The loss is no longer a finite number.
        CalibrationError: An activation is not a finite number.
        ConversionError: The network cannot be traced, or the exporter failed.
        BoundError: The exported model differs from the network.
    """
    key = key_of(
        sha256_of(checkpoint),
        samples.key,
        plan.steps,
        plan.method,
        plan.seed,
        plan.rate,
        [[(label, box.tolist()) for label, box in actions] for actions in truth or ()],
        version("torch"),
    )
    weights = store.folder(
        "tuning", key, lambda folder: _weights(checkpoint, samples, plan, truth, progress, folder)
    )
    record = msgspec.json.decode((weights / _RECORD).read_bytes(), type=FineTuning)
    if not record.used:
        return FineTunedBundle(bundle, record)
    place = store.folder(
        "tuned",
        key_of(key, bundle.sha256),
        lambda folder: _exported(bundle, weights / _WEIGHTS, folder / "bundle"),
    )
    return FineTunedBundle(load_bundle(place / "bundle"), record)


def settings_of(bundle: Bundle) -> ExportSettings:
    """Returns the export settings of a bundle, as far as manifest and model show them."""
    manifest = bundle.manifest
    check = manifest.verification
    return ExportSettings(
        arch=manifest.arch,
        classes=manifest.classes,
        input_size=(manifest.input.height, manifest.input.width),
        cascade=manifest.cascade.kind,
        frame_gap=manifest.cascade.frame_gap,
        first_frame=manifest.cascade.first_frame,
        mean=manifest.input.mean,
        std=manifest.input.std,
        precision=manifest.precision,
        cascade_in=manifest.cascade.place,
        decode_in=manifest.decode.place,
        dcn=_lowering(bundle),
        top_k=manifest.decode.top_k,
        name=manifest.name,
        tolerance=check.tolerance if check else None,
    )


def _weights(
    checkpoint: Path,
    samples: Samples,
    plan: FineTuningPlan,
    truth: Truth | None,
    progress: Callable[[int], None],
    folder: Path,
) -> None:
    from edgekit.models.checkpoints import load_checkpoint, save_checkpoint
    from edgekit.quantization.finetuning.training import fine_tuned

    loaded = load_checkpoint(checkpoint)
    network, record = fine_tuned(loaded.network, samples, plan, truth=truth, progress=progress)
    save_checkpoint(folder / _WEIGHTS, network, loaded.metadata)
    (folder / _RECORD).write_bytes(msgspec.json.encode(record))


def _exported(bundle: Bundle, weights: Path, out: Path) -> None:
    """Exports the weights as a bundle, with the origin and the notices of ``bundle``."""
    from edgekit.targets.build import export_bundle

    with writing(Path(tempfile.gettempdir())), tempfile.TemporaryDirectory() as temporary:
        made = export_bundle(
            weights,
            bundle.manifest.target,
            settings=settings_of(bundle),
            out=Path(temporary) / "bundle",
        )
        own = {entry.path: made.path / entry.path for entry in made.manifest.files}
        manifest = msgspec.structs.replace(made.manifest, provenance=bundle.manifest.provenance)
        save_bundle(out, manifest, own | bundle.notices)


def _lowering(bundle: Bundle) -> str:
    """Returns the lowering of deformable convolutions, by the operators of the model."""
    writer = exporter(bundle.manifest.target)
    operators = writer.operators(bundle.model_path)
    ways = {
        "DeformConv": "deform_conv",
        "DeformableConvolution": "deform_conv",
        "GridSample": "grid_sample",
    }
    for operator, way in ways.items():
        if operator in operators:
            return way
    # Without these operators it is the third lowering, or there are no such layers.
    return "gather" if "gather" in writer.lowerings else "auto"
