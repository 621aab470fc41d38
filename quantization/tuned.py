"""HOST. From a float bundle and its checkpoint to a float bundle whose weights are fine-tuned."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import msgspec

from edgekit._files import writing
from edgekit.assets import default_weights
from edgekit.bundle import Bundle, FineTuning, load_bundle, save_bundle, sha256_of
from edgekit.calibration.samples import Samples
from edgekit.calibration.store import Store, key_of
from edgekit.errors import CheckpointError, MissingDependencyError, UsageError
from edgekit.quantization.judging import Truth
from edgekit.targets.registry import exporter
from edgekit.targets.settings import ExportSettings

__all__ = ["Plan", "Tuned", "checkpoint_of", "settings_of", "tune"]

_WEIGHTS = "tuned.safetensors"
_RECORD = "record.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a run is made of; two with equal plans, on the same samples, give equal weights.

    Attributes:
        steps: Of gradient descent, each on eight frames.
        method: By which ranges of activations are chosen.
        seed: Of the frames and how they are turned.
        rate: The first learning rate; it falls to nothing along half a cosine.
    """

    steps: int
    method: str = "mse"
    seed: int = 0
    rate: float = 1e-5


@dataclass(frozen=True, slots=True)
class Tuned:
    """A float bundle with fine-tuned weights.

    Attributes:
        bundle: Like the one it was made from in all else; that one itself if nothing was better.
        record: How it went.
    """

    bundle: Bundle
    record: FineTuning


def checkpoint_of(bundle: Bundle, named: Path | None) -> Path:
    """The checkpoint that a bundle was exported from.

    Args:
        bundle: Its manifest has the checkpoint's SHA-256.
        named: What the user names; by default the shipped weights, if it is theirs.

    Raises:
        MissingDependencyError: torch is not installed.
        UsageError: None is named, and it is not the shipped model.
        CheckpointError: It is another one, or cannot be read.
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
            mend="Name it: --checkpoint FILE",
        )
    raise CheckpointError(
        f"{bundle.path} was exported from {made.checkpoint} with the SHA-256 "
        f"{made.checkpoint_sha256[:12]}; {named} has {found[:12]}.",
        mend="Name that checkpoint, or export this one: edgekit export CHECKPOINT --target "
        f"{bundle.manifest.target}",
    )


def tune(
    bundle: Bundle,
    checkpoint: Path,
    samples: Samples,
    plan: Plan,
    store: Store,
    *,
    truth: Truth | None = None,
    progress: Callable[[int], None] = lambda step: None,
) -> Tuned:
    """Fine-tunes the weights of a bundle for integers, and exports them as it was exported.

    Args:
        bundle: The float model.
        checkpoint: What it was exported from.
        samples: What to learn from.
        plan: How.
        store: Where the weights and the bundle are kept; the same are not made twice.
        truth: What is in ``samples``, to be learned from as well.
        progress: Called with the number of each step that is done.

    Raises:
        CheckpointError: The checkpoint is not of a network that is known here.
        BadInputError: The loss is no longer a finite number.
        CalibrationError: An activation is not.
        ConversionError: The network cannot be followed, or the exporter failed.
        BoundError: The written model differs from the network.
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
        return Tuned(bundle, record)
    place = store.folder(
        "tuned",
        key_of(key, bundle.sha256),
        lambda folder: _exported(bundle, weights / _WEIGHTS, folder / "bundle"),
    )
    return Tuned(load_bundle(place / "bundle"), record)


def settings_of(bundle: Bundle) -> ExportSettings:
    """What a bundle was exported with, as far as its manifest and its model tell."""
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
    plan: Plan,
    truth: Truth | None,
    progress: Callable[[int], None],
    folder: Path,
) -> None:
    from edgekit.models.checkpoints import load_checkpoint, save_checkpoint
    from edgekit.quantization.finetuning import fine_tuned

    loaded = load_checkpoint(checkpoint)
    network, record = fine_tuned(loaded.network, samples, plan, truth=truth, progress=progress)
    save_checkpoint(folder / _WEIGHTS, network, loaded.metadata)
    (folder / _RECORD).write_bytes(msgspec.json.encode(record))


def _exported(bundle: Bundle, weights: Path, out: Path) -> None:
    """The bundle of the weights, with the origin and the notices of ``bundle``."""
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
    """What deformable convolutions became, by the operators of the model."""
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
    # Without any of these it is the third, or there are none.
    return "gather" if "gather" in writer.lowerings else "auto"
