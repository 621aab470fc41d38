"""HOST. Runs ``edgekit export``: checks its options, and has ``build`` make the bundle."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from edgekit._checks import as_path, check_choice, check_range
from edgekit._options import check_types
from edgekit._progress import SILENT, Progress, as_progress
from edgekit.assets import default_weights
from edgekit.bundle import MANIFEST, Bundle, load_bundle, save_bundle
from edgekit.classes import class_names
from edgekit.files.output_paths import (
    refuse_existing,
    refuse_replacing,
    temporary_folder,
    writing,
)
from edgekit.runtime.kinds import FIRST_FRAME_RULES, KINDS
from edgekit.targets.build import bundle_path, export_bundle, read_checkpoint
from edgekit.targets.choices import PLACES, PRECISIONS
from edgekit.targets.dcn_choice import fastest_form, forms_to_time
from edgekit.targets.registry import check_target, exporter
from edgekit.targets.settings import ExportSettings, resolve
from edgekit.targets.verify import read_clip

__all__ = ["ExportOptions", "export", "run_export"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportOptions(ExportSettings):
    """Options of an export, checked; ``export`` documents them.

    Raises:
        UsageError: An option has a value of the wrong type, or out of range.
    """

    checkpoint: Path | None = None
    target: str = "onnx"
    frames: Path | None = None
    out: Path | None = None
    force: bool = False

    def __post_init__(self) -> None:
        check_types(self)
        check_target(self.target)
        check_choice("cascade", self.cascade, KINDS)
        check_choice("first_frame", self.first_frame, FIRST_FRAME_RULES)
        check_choice("precision", self.precision, PRECISIONS)
        check_choice("cascade_in", self.cascade_in, PLACES)
        check_choice("decode_in", self.decode_in, PLACES)
        check_range("frame_gap", self.frame_gap, 1)
        check_range("interval", self.interval, 0.001, 10)
        check_range("top_k", self.top_k, 1)
        check_range("tolerance", self.tolerance, 0, above=True)


# Long: it documents the arguments, and only passes them on.
def export(
    checkpoint: str | os.PathLike[str] | None = None,
    *,
    target: str = "onnx",
    arch: str = "auto",
    classes: str | Sequence[str] | None = None,
    input_size: int | tuple[int, int] | None = None,
    cascade: str | None = None,
    frame_gap: int | None = None,
    interval: float | None = None,
    first_frame: str | None = None,
    mean: tuple[float, float, float] | None = None,
    std: tuple[float, float, float] | None = None,
    precision: str = "fp32",
    chip: str | None = None,
    cascade_in: str = "auto",
    decode_in: str = "auto",
    dcn: str = "auto",
    top_k: int = 50,
    name: str | None = None,
    out: str | os.PathLike[str] | None = None,
    force: bool = False,
    tolerance: float | None = None,
    frames: str | os.PathLike[str] | None = None,
    progress: Progress = SILENT,
) -> Bundle:
    """Exports a checkpoint as a bundle for a target, after verifying that both compute the same.

    Args:
        checkpoint: A CenterNet or KORSAL .pth, a state dict saved by torch, or .safetensors; by
            default the weights that EdgeKit ships.
        target: Name in ``edgekit.targets.registry.TARGETS``.
        arch: Name in ``edgekit.models.registry.ARCHITECTURES`` that the checkpoint must have, or
            ``auto`` for any known one.
        classes: Class names in the order of the heatmap's channels; or ``ucf24``, ``jhmdb21``,
            ``coco``, ``voc``, or the path of a text file with one name per line. By default the
            checkpoint's own, or the list that fits its number of classes.
        input_size: Side, or height and width, of the input in pixels; multiples of 32, at least 64.
            By default the checkpoint's own; 512 for CenterNet's models of COCO, 384 for those of
            VOC, and 256 for others.
        cascade: Kind of motion channels, one of ``edgekit.runtime.kinds.KINDS``. By default the
            checkpoint's own; ``ssim`` for 6 channels, ``rgb`` for 3.
        frame_gap: Number of frames, at least 1, between the two pictures of a pair. By default the
            checkpoint's own, or 1.
        interval: Seconds between the two pictures, 0.001 to 10. By default that of ``frame_gap``
            frames at the rate of the checkpoint's training, or at 25 per second if it states none.
        first_frame: Rule for the first frame, one of ``edgekit.runtime.kinds.FIRST_FRAME_RULES``.
            By default the checkpoint's own, or ``zero``.
        mean: Mean of the B, G and R channels, each in [0, 1]. By default the checkpoint's own, or
            that of CenterNet's models: (0.485, 0.456, 0.406) for VOC, and COCO's for others.
        std: Standard deviation of the B, G and R channels, each in [0, 1]. By default the
            checkpoint's own, or that of CenterNet's models: (0.229, 0.224, 0.225) for VOC, and
            COCO's for others.
        precision: Type of weights and activations, ``fp32`` or ``fp16``.
        chip: Chip to compile for, one of the ``chips`` of the target's exporter. By default its
            first.
        cascade_in: Place of the cascade: ``host``, ``graph``, or ``auto`` for the target's default.
        decode_in: Place of the decoding: ``host``, ``graph``, or ``auto`` for the target's default.
        dcn: Name in ``edgekit.models.lowerings.LOWERINGS``. ``auto`` exports the network once for
            each name that the target takes, measures all of them if the target's runtime is here,
            and keeps the fastest; the times are in the manifest.
        top_k: Largest number of detections per frame, at least 1.
        name: Name of the model. By default the checkpoint's own, or its file name.
        out: Folder to write. By default ``artifacts/NAME-TARGET-PRECISION``.
        force: Whether to replace an existing bundle.
        tolerance: Largest accepted difference from PyTorch, as a share of the largest value of each
            output. By default 0.001 for ``fp32`` and 0.02 for ``fp16``.
        frames: Video whose frames verify the export. By default pictures that EdgeKit ships.
        progress: Display of the progress: one phase of one step.

    Returns:
        The bundle, loaded from the folder that was written. Its manifest has the verification.

    Raises:
        UsageError: A value has the wrong type, is out of range, or does not fit the network.
        CheckpointError: The checkpoint cannot be read, or does not belong to a known network.
        MediaError: ``frames`` cannot be read.
        MissingDependencyError: A package of the extra ``host``, or the runtime, is missing.
        BoundError: The exported model differs from the network by more than the tolerance.
        OutputError: The folder exists and ``force`` is not set, or it cannot be written.
    """
    options = ExportOptions(
        checkpoint=as_path("checkpoint", checkpoint),
        target=target,
        arch=arch,
        classes=class_names(classes) if isinstance(classes, str) else classes,
        input_size=(input_size, input_size) if isinstance(input_size, int) else input_size,
        cascade=cascade,
        frame_gap=frame_gap,
        interval=interval,
        first_frame=first_frame,
        mean=mean,
        std=std,
        precision=precision,
        chip=chip,
        cascade_in=cascade_in,
        decode_in=decode_in,
        dcn=dcn,
        top_k=top_k,
        name=name,
        out=as_path("out", out),
        force=force,
        tolerance=tolerance,
        frames=as_path("frames", frames),
    )
    as_progress(progress).phase(options.target, 1)
    bundle = run_export(options)
    progress.advance()
    return bundle


def run_export(options: ExportOptions) -> Bundle:
    """Exports the bundle that checked options describe; ``export`` documents the errors."""
    checkpoint = options.checkpoint or default_weights()
    loaded = read_checkpoint(checkpoint, options)
    clips = None if options.frames is None else [read_clip(options.frames)]
    written = partial(export_bundle, checkpoint, options.target, clips=clips, loaded=loaded)
    forms = forms_to_time(loaded.network, options, options.target)
    if not forms:
        return written(settings=options, out=options.out, force=options.force)
    name = resolve(options, loaded, checkpoint, exporter(options.target)).name
    place = options.out or bundle_path(name, options.target, options.precision)
    refuse_replacing(place, checkpoint)
    refuse_existing(place, force=options.force, mark=MANIFEST)
    with temporary_folder() as folder, writing(folder.parent):
        best = fastest_form(
            forms,
            lambda form: written(settings=replace(options, dcn=form), out=folder / form),
        )
        made = best.manifest
        files = {entry.path: best.path / entry.path for entry in made.files}
        save_bundle(place, made, files, force=options.force)
    return load_bundle(place)
