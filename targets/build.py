"""HOST. Builds a bundle: converts a checkpoint, verifies the model, writes the folder."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import numpy.typing as npt

import edgekit
from edgekit._checks import check_choice, check_range
from edgekit._parameters import parameter
from edgekit._printable import as_unicode
from edgekit.bundle import (
    ARTIFACTS,
    MANIFEST,
    Bundle,
    Manifest,
    OutputSpec,
    Provenance,
    Verification,
    date_of_today,
    load_bundle,
    save_bundle,
)
from edgekit.errors import BundleError, MissingDependencyError, UsageError
from edgekit.files.output_paths import (
    refuse_existing,
    refuse_replacing,
    temporary_folder,
    writing,
)
from edgekit.runtime.cascade import Cascade
from edgekit.runtime.kinds import input_channels
from edgekit.runtime.types import Array
from edgekit.targets.base import SessionOptions
from edgekit.targets.exporter import Exported, Exporter
from edgekit.targets.registry import TARGETS, exporter, open_session
from edgekit.targets.settings import ExportSettings, Resolved, resolve
from edgekit.targets.verify import TOLERANCES, check_bounds, verify

if TYPE_CHECKING:
    from torch import nn

    from edgekit.models.checkpoints import Checkpoint

__all__ = ["bundle_path", "export_bundle", "read_checkpoint"]

_log = logging.getLogger(__name__)

_HEADS = {
    "hm": ("heatmap logits, one channel a class", "(1, classes, H/4, W/4)"),
    "wh": ("box width and height, in cells", "(1, 2, H/4, W/4)"),
    "reg": ("offset of the centre from its cell, x and y, in cells", "(1, 2, H/4, W/4)"),
}
_BOXES = ("x1, y1, x2, y2 in input pixels, score, class; best first", "(K, 6)")


def bundle_path(name: str, target: str, precision: str) -> Path:
    """Returns the default folder of a bundle."""
    return ARTIFACTS / f"{name}-{target}-{precision}"


def export_bundle(
    checkpoint: Path,
    target: str = "onnx",
    *,
    settings: ExportSettings | None = None,
    clips: Sequence[Sequence[npt.NDArray[np.uint8]]] | None = None,
    out: Path | None = None,
    force: bool = False,
    loaded: Checkpoint | None = None,
) -> Bundle:
    """Exports a checkpoint as a bundle for a target, after verifying that both compute the same.

    Args:
        checkpoint: A .pth or .safetensors file; see ``edgekit.models.checkpoints``.
        target: Name in ``edgekit.targets.registry.TARGETS``.
        settings: Export settings; the defaults come from the checkpoint, then from KORSAL.
        clips: Clips of consecutive frames, (H, W, 3) uint8 BGR, to verify with; by default those in
            the package.
        out: Folder to write; by default ``bundle_path``.
        force: Whether to replace an existing bundle.
        loaded: What ``read_checkpoint`` returned for this checkpoint and these settings.

    Returns:
        The bundle, loaded from the folder that was written.

    Raises:
        UsageError: A setting is not possible.
        CheckpointError: The checkpoint does not belong to a known network.
        MissingDependencyError: A package of the extra ``host``, or the runtime, is missing.
        BoundError: The exported model differs from the network by more than the tolerance.
        OutputError: The folder exists and ``force`` is not set, or it cannot be written.
    """
    settings = settings or ExportSettings()
    writer = exporter(target)
    _check_settings(settings, target, writer)
    loaded = loaded or read_checkpoint(checkpoint, settings)
    chosen = resolve(settings, loaded, checkpoint, writer)
    place = out or bundle_path(chosen.name, target, settings.precision)
    refuse_replacing(place, checkpoint)
    refuse_existing(place, force=force, mark=MANIFEST)
    with temporary_folder() as work, writing(work.parent):
        (work / "model").mkdir()
        half = settings.precision == "fp16" and not writer.own_half
        deployed, example = _deployed(loaded.network, chosen, half)
        _log.info("Exporting %s for %s at %s", checkpoint, target, settings.precision)
        with TARGETS.attributed(target):
            made = writer.export(deployed, example, work / "model", settings.precision)
        manifest = _manifest(checkpoint, loaded, chosen, target, settings.precision, made)
        manifest = msgspec.structs.replace(manifest, chip=writer.chip or msgspec.UNSET)
        files = {name: work / "model" / name for name in made.files}
        candidate = save_bundle(work / "candidate", manifest, files)
        options = SessionOptions(runtime=writer.verify_on, arithmetic=writer.verify_in)
        verification = _verified(candidate, loaded.network, chosen, settings, clips, options)
        manifest = msgspec.structs.replace(manifest, verification=verification)
        save_bundle(place, manifest, files | _notices(checkpoint), force=force)
    return load_bundle(place)


def read_checkpoint(path: Path, settings: ExportSettings) -> Checkpoint:
    """Returns the network that an export with these settings converts.

    Raises:
        CheckpointError: The checkpoint does not belong to a known network.
        MissingDependencyError: torch is not installed.
    """
    MissingDependencyError.unless("torch", "host", "Exporting a checkpoint")
    from edgekit.models.checkpoints import load_checkpoint

    classes = None if settings.classes is None else len(settings.classes)
    return load_checkpoint(path, arch=settings.arch, classes=classes)


def _check_settings(settings: ExportSettings, target: str, writer: Exporter) -> None:
    where = f"for the target {target}"
    hint = f"Use {parameter('precision', writer.precisions[0])}."
    check_choice("precision", settings.precision, writer.precisions, where=where, hint=hint)
    usual = "".join(writer.chips[:1])
    if settings.chip is not None and not usual:
        raise UsageError(
            f"A bundle {where} is for no chip in particular; found {settings.chip!r}.",
            hint=f"Leave out {parameter('chip')}.",
        )
    hint = f"Leave out {parameter('chip')} to use {usual}."
    check_choice("chip", settings.chip, writer.chips, where=where, hint=hint)
    writer.chip = settings.chip or usual
    check_range("tolerance", settings.tolerance, 0, above=True)


def _manifest(
    path: Path,
    checkpoint: Checkpoint,
    chosen: Resolved,
    target: str,
    precision: str,
    made: Exported,
) -> Manifest:
    """Returns the manifest of a bundle that is not verified yet."""
    return Manifest(
        name=chosen.name,
        arch=checkpoint.spec.arch,
        classes=chosen.classes,
        target=target,
        precision=precision,
        model=made.model,
        input=chosen.input,
        cascade=chosen.cascade,
        outputs=_outputs(chosen),
        decode=chosen.decode,
        opset=made.opset,
        converter=made.converter,
        provenance=_provenance(path, checkpoint),
    )


def _verified(
    candidate: Bundle,
    network: nn.Module,
    chosen: Resolved,
    settings: ExportSettings,
    clips: Sequence[Sequence[npt.NDArray[np.uint8]]] | None,
    options: SessionOptions,
) -> Verification:
    """Returns the differences of a bundle from its network; raises if they are over the bounds."""
    from edgekit.assets.pictures import verification_frames

    target = candidate.manifest.target
    _log.info("Verifying on %s", target)
    try:
        with open_session(candidate, options) as session:
            found = verify(
                network,
                session,
                _cascade(chosen),
                verification_frames() if clips is None else clips,
                tolerance=settings.tolerance or TOLERANCES[settings.precision],
            )
    except BundleError as error:  # its folder is temporary, and a manifest may quote the message
        message = error.message.replace(f"{candidate.path}/", "")
        message = message.replace(str(candidate.path), "the bundle")
        raise BundleError(message, hint=error.hint) from error
    check_bounds(candidate.manifest, found)
    return found


def _deployed(
    network: nn.Module, chosen: Resolved, half: bool
) -> tuple[nn.Module, tuple[Array, ...]]:
    """Returns the module to export, and an example of its inputs."""
    import torch

    from edgekit.models.cascade_graph import CascadeGraph
    from edgekit.models.dcn import set_lowering
    from edgekit.models.folding import fold_batch_norms
    from edgekit.models.graph import DecodeGraph, Deployed, HalfPrecision

    made = chosen.input
    size = (made.height, made.width)
    tensor = np.zeros((1, input_channels(chosen.cascade.kind), *size), np.float32)
    folded = fold_batch_norms(network, torch.from_numpy(tensor))
    set_lowering(folded, chosen.dcn)
    if half:
        folded = HalfPrecision(folded)
    cascade = decode = None
    example: tuple[Array, ...] = (tensor,)
    if chosen.cascade.place == "graph":
        cascade = CascadeGraph(size, made.mean, made.std, chosen.cascade.kind)
        example = (np.zeros((1, *size, 3), np.uint8), np.zeros((1, *size, 3), np.uint8))
    if chosen.decode.place == "graph":
        decode = DecodeGraph(chosen.decode.top_k, chosen.decode.stride)
    return Deployed(folded, cascade, decode).eval(), example


def _cascade(chosen: Resolved) -> Cascade:
    made, spec = chosen.input, chosen.cascade
    return Cascade(
        (made.height, made.width),
        made.mean,
        made.std,
        kind=spec.kind,
        frame_gap=spec.frame_gap,
        first_frame=spec.first_frame,
    )


def _outputs(chosen: Resolved) -> tuple[OutputSpec, ...]:
    if chosen.decode.place == "graph":
        meaning, layout = _BOXES
        return (OutputSpec(name="detections", meaning=meaning, layout=layout, channels=6),)
    return tuple(
        OutputSpec(
            name=name,
            meaning=meaning,
            layout=layout,
            channels=len(chosen.classes) if name == "hm" else 2,
        )
        for name, (meaning, layout) in _HEADS.items()
    )


def _provenance(path: Path, checkpoint: Checkpoint) -> Provenance:
    return Provenance(
        checkpoint=as_unicode(path.name),
        checkpoint_sha256=checkpoint.sha256,
        edgekit=edgekit.__version__,
        date=date_of_today(),
    )


def _notices(checkpoint: Path) -> dict[str, Path]:
    """Returns LICENSE and NOTICE of the shipped weights; those of other weights are unknown."""
    import edgekit.assets

    folder = Path(edgekit.assets.__file__).parent / "weights"
    if checkpoint.resolve().parent != folder.resolve():
        return {}
    return {name: folder / name for name in ("LICENSE", "NOTICE") if (folder / name).is_file()}
