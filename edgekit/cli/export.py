"""Defines the command ``edgekit export``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgekit.classes import CLASS_LISTS
from edgekit.cli.options.shared import FiniteRange, build, common_options, emit_json, stdout_console
from edgekit.cli.options.types import OUT, SIZE, TARGET, NameType
from edgekit.cli.output.progress_bars import progress_bar
from edgekit.models.lowerings import LOWERINGS
from edgekit.models.registry import ARCHITECTURES
from edgekit.runtime.kinds import FIRST_FRAME_RULES, KINDS
from edgekit.targets.choices import PLACES, PRECISIONS
from edgekit.targets.registry import TARGETS

if TYPE_CHECKING:
    from edgekit.bundle import Bundle

__all__ = ["command"]

_PLACE = click.Choice(PLACES)
_TARGETS = ", ".join(f"{name} ({TARGETS[name].hardware})" for name in TARGETS.own)


@click.command(name="export")
@click.argument("checkpoint", required=False, type=click.Path(path_type=Path))
@click.option(
    "--target",
    "targets",
    multiple=True,
    default=["onnx"],
    show_default=True,
    type=TARGET,
    help=f"Target to export for: {_TARGETS}. Repeat the option to export for several targets.",
)
@click.option(
    "--arch",
    type=NameType(ARCHITECTURES, first=("auto",)),
    default="auto",
    show_default=True,
    help="Network architecture that the checkpoint must have. auto recognizes it from the weights.",
)
@click.option(
    "--classes",
    metavar="LIST",
    help=f"Class names: {', '.join(CLASS_LISTS)}, or a text file with one name per line. "
    "[default: the checkpoint's own; else the list that fits its number of classes]",
)
@click.option(
    "--input-size",
    type=SIZE,
    help="Size of the network input in pixels: SIDE for a square, or HEIGHTxWIDTH. "
    "[default: the checkpoint's own; 512 for CenterNet's models of COCO, 384 for those of VOC; "
    "else 256]",
)
@click.option(
    "--cascade",
    type=click.Choice(KINDS),
    help="Kind of the cascade: extra input channels with a map of the structural similarity "
    "(SSIM) of the frame to an earlier one. It must be the kind that the checkpoint was "
    "trained with: ssim for KORSAL's published checkpoints (6 input channels), ssim-shifted "
    "or dssim for KORSAL's variants, or rgb, which is no cascade, for a plain CenterNet (3 "
    "channels). ssim takes the similarity at the best of nine shifts by at most one pixel; "
    "ssim-shifted omits the zero shift; dssim takes the dissimilarity, (1 - similarity) / 2, "
    "at the best of all nine. [default: the checkpoint's own; ssim for 6 channels, rgb for "
    "3]",
)
@click.option(
    "--frame-gap",
    type=click.IntRange(1),
    metavar="N",
    help="Number of frames from the earlier picture of the cascade to the current one, at the "
    "frame rate of the training, whatever the rate of a source. Checkpoints of edgekit train "
    "state that rate. For others EdgeKit assumes 25 frames per second, so that 1 is 40 ms; if it "
    "was another rate, give --interval. [default: the checkpoint's own, or 1]",
)
@click.option(
    "--interval",
    type=FiniteRange(0.001, 10),
    metavar="SECONDS",
    help="Seconds from the earlier picture of the cascade to the current one, by the time stamps "
    "of the source; replaces --frame-gap. A run keeps to it at any frame rate. [default: "
    "the duration of --frame-gap frames]",
)
@click.option(
    "--first-frame",
    type=click.Choice(FIRST_FRAME_RULES),
    help="Earlier picture for the first frame of a source: a black one (zero), as in the "
    "training of KORSAL's checkpoints, or the frame itself (repeat). [default: the "
    "checkpoint's own, or zero]",
)
@click.option(
    "--mean",
    type=float,
    nargs=3,
    metavar="B G R",
    help="Mean of the B, G and R channels of the training pictures: three numbers from 0 to 1, "
    "separated by spaces, as in --mean 0.408 0.447 0.470. [default: the checkpoint's own; "
    "0.485 0.456 0.406 for CenterNet's models of VOC; else those of the example]",
)
@click.option(
    "--std",
    type=float,
    nargs=3,
    metavar="B G R",
    help="Standard deviation of the B, G and R channels of the training pictures: three numbers "
    "from 0 to 1, separated by spaces, as in --std 0.289 0.274 0.278. [default: the "
    "checkpoint's own; 0.229 0.224 0.225 for CenterNet's models of VOC; else those of the "
    "example]",
)
@click.option(
    "--precision",
    type=click.Choice(PRECISIONS),
    default="fp32",
    show_default=True,
    help="Type of the weights and activations in the bundle.",
)
@click.option(
    "--chip",
    metavar="NAME",
    help="Chip that runs the bundle, for targets that compile for one chip. Another chip refuses "
    "the bundle. A wrong name gives the list of the target's chips. [default: the target's "
    "first]",
)
@click.option(
    "--cascade-in",
    type=_PLACE,
    default="auto",
    show_default=True,
    help="Place where the cascade is computed: by EdgeKit on the CPU, before the model runs "
    "(host), or inside the model (graph). auto is graph for jetson, where the GPU "
    "computes it, and host, which is faster on a CPU, for the others.",
)
@click.option(
    "--decode-in",
    type=_PLACE,
    default="auto",
    show_default=True,
    help="Place where the network's heatmaps become boxes: in EdgeKit on the CPU, after the "
    "model has run (host), or inside the model (graph). auto is graph for jetson, and "
    "host, which is faster on a CPU, for the others.",
)
@click.option(
    "--dcn",
    type=click.Choice([*LOWERINGS, "auto"]),
    default="auto",
    show_default=True,
    help="Operators that replace each deformable convolution, if the network has any: one "
    "DeformConv (deform_conv), GridSample and a convolution (grid_sample), or Gather and "
    "MatMul (gather). auto measures each form that the target supports, keeps the target's default "
    "unless another form is faster by more than 5%, and records the times in the manifest. Without "
    "the target's runtime on this machine it takes the target's default.",
)
@click.option(
    "--top-k",
    type=click.IntRange(1),
    default=50,
    show_default=True,
    help="Largest number of detections per frame, unless --top-k of run or eval gives another.",
)
@click.option("--name", help="Name of the model. [default: the checkpoint's own, or its file name]")
@click.option(
    "-o",
    "--out",
    type=OUT,
    help="Folder to write the bundle to. [default: artifacts/NAME-TARGET-PRECISION]",
)
@click.option(
    "--force", is_flag=True, help="Replace a bundle that is already in the output folder."
)
@click.option(
    "--tolerance",
    type=FiniteRange(0, min_open=True),
    help="Largest accepted difference between an output of the written model and PyTorch's, "
    "divided by the largest value of that output. [default: 1e-3 for fp32, 2e-2 for fp16]",
)
@click.option(
    "--frames",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Video whose first frames verify the export. [default: pictures that EdgeKit ships]",
)
@common_options
def command(targets: tuple[str, ...], classes: str | None, as_json: bool, **values: object) -> None:
    """Turn a checkpoint into a verified bundle for a target, on the host.

    CHECKPOINT is a CenterNet or KORSAL .pth, a state dict saved by torch, or .safetensors; by
    default the weights that EdgeKit ships. EdgeKit keeps a bundle only if, on the same frames, the
    outputs of its model differ from PyTorch's by at most --tolerance. To run the bundle on another
    machine, copy its folder there.

    Example: edgekit export model_last.pth --classes ucf24 --target onnx
    """
    from edgekit.errors import MissingDependencyError, UsageError

    targets = tuple(dict.fromkeys(targets))
    if values["out"] is not None and len(targets) > 1:
        raise UsageError(
            f"Expected one target with --out; found {len(targets)}.",
            hint="Leave out --out. EdgeKit then writes each bundle to its own folder in "
            "artifacts/.",
        )
    MissingDependencyError.unless("torch", "host", "edgekit export")
    from edgekit.classes import class_names
    from edgekit.targets.export import ExportOptions, run_export

    options = build(ExportOptions, {**values, "classes": class_names(classes) if classes else None})
    bundles: list[Bundle] = []
    try:
        with progress_bar() as bar:
            task = bar.add_task("Exporting", total=len(targets), note="")
            for target in targets:
                bar.update(task, note=target)
                bundles.append(run_export(replace(options, target=target)))
                bar.advance(task)
    finally:
        # If a target fails, the bundles of earlier targets are complete and stay.
        if bundles:
            _show(bundles, as_json)


def _show(bundles: Sequence[Bundle], as_json: bool) -> None:
    from edgekit.cli.output.verification import lowering_line, print_verification

    console = stdout_console(to_stderr=as_json)
    print_verification(console, bundles)
    for bundle in bundles:
        if line := lowering_line(bundle):
            console.print(f"Deformable convolutions: {line}.", soft_wrap=True)
        console.print(str(bundle.path), soft_wrap=True)
    if as_json:
        emit_json({"bundles": [_summary(bundle) for bundle in bundles]})


def _summary(bundle: Bundle) -> dict[str, object]:
    manifest = bundle.manifest
    lowerings = manifest.provenance.lowerings
    return {
        "path": str(bundle.path),
        "name": manifest.name,
        "arch": manifest.arch,
        "target": manifest.target,
        "precision": manifest.precision,
        "sha256": bundle.sha256,
        "size": bundle.size,
        "verification": manifest.verification,
        **({"lowerings": lowerings} if lowerings else {}),
    }
