"""Defines the command ``edgekit quantize``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgekit.cli.options.bundles import BUNDLE
from edgekit.cli.options.shared import FiniteRange, build, common_options, emit_json, stdout_console
from edgekit.cli.options.types import OUT, OUT_FILE, OUT_FOLDER, TARGET
from edgekit.cli.output.progress_bars import BarProgress, progress_bar
from edgekit.errors import UsageError
from edgekit.quantization.choices import DYNAMIC, IOS, METHODS

if TYPE_CHECKING:
    from edgekit.quantization.options import QuantizeOptions
    from edgekit.quantization.quantize import QuantizeResult

__all__ = ["command"]

_PATH = click.Path(path_type=Path)


@click.command(name="quantize")
@click.argument("bundle", required=False, type=BUNDLE)
@click.option(
    "--calib",
    is_flag=False,
    flag_value="",
    metavar="[PATH]",
    help="Footage that EdgeKit measures the ranges of values on: a video, a folder of videos or "
    "pictures, or a .txt file with one of them per line. Without PATH, EdgeKit renders "
    "synthetic clips; then put BUNDLE first, as in edgekit quantize BUNDLE --calib. "
    "[required]",
)
@click.option(
    "--target",
    type=TARGET,
    help="Target of the float bundle to quantize, if no BUNDLE is named. [default: the target of "
    "the newest float bundle in artifacts/, or onnx for the shipped model]",
)
@click.option(
    "--annotations",
    type=_PATH,
    metavar="FOLDER",
    help="Dataset that the loss of frame-mAP is measured on, in the layout json only: "
    "annotations.json in FOLDER, described in docs/evaluation.md, and the videos beside it. "
    "Without it, the detections of the float model in other frames of the calibration "
    "footage are the truth.",
)
@click.option(
    "--samples",
    type=click.IntRange(2),
    default=128,
    show_default=True,
    help="Number of calibration frames.",
)
@click.option(
    "--method",
    type=click.Choice((*METHODS, DYNAMIC)),
    help="Method that chooses the range of values that each activation's 8 bits cover: all values "
    "(minmax), all but the outermost 0.01% (percentile), the range whose 8-bit values are "
    "distributed most like the float values (entropy), or the range with the smallest "
    "expected squared error (mse). dynamic (tflite only) chooses it in each frame and stores "
    "only weights as integers. [default: mse]",
)
@click.option(
    "--io",
    type=click.Choice(IOS),
    default="float",
    show_default=True,
    help="Type of the model's inputs and outputs. Use int8 for accelerators that cannot "
    "compute in float (tflite only).",
)
@click.option(
    "--max-drop",
    type=FiniteRange(0),
    default=1.0,
    show_default=True,
    metavar="POINTS",
    help="Largest accepted loss of frame-mAP (accuracy in single frames), in points: 1 is 0.01. If "
    "INT8 loses more, layers return to float until the loss is at most this. If no choice of "
    "layers reaches it, EdgeKit writes no bundle and ends with status 5.",
)
@click.option(
    "--keep-float",
    multiple=True,
    metavar="NODE",
    help="Layer that stays float, by its name in the table that --sensitivity prints. Repeat "
    "the option for several layers.",
)
@click.option(
    "--sensitivity",
    is_flag=True,
    help="Measure the loss that each layer causes when it alone is quantized, and print it in "
    "a table of all layers.",
)
@click.option(
    "--seed",
    type=click.IntRange(0),
    default=0,
    show_default=True,
    help="Seed for choosing the calibration frames.",
)
@click.option(
    "--workers",
    type=click.IntRange(1),
    default=1,
    show_default=True,
    help="Number of processes that measure layers one by one: with --sensitivity, or if the loss "
    "exceeds --max-drop. Otherwise it has no effect.",
)
@click.option(
    "--cluster",
    metavar="ADDRESS",
    help="Address of the scheduler of a Dask cluster whose workers measure layers one by one, such "
    "as tcp://10.0.0.5:8786. They read the bundle and --cache by the paths of this machine.",
)
@click.option(
    "-o",
    "--out",
    type=OUT,
    help="Folder to write the bundle to. [default: artifacts/NAME-TARGET-int8]",
)
@click.option(
    "--force", is_flag=True, help="Replace a bundle that is already in the output folder."
)
@click.option(
    "--sheet",
    type=OUT_FILE,
    help="Picture to write that shows up to 48 of the calibration frames.",
)
@click.option(
    "--html",
    type=OUT_FILE,
    help="HTML page to write with the report and its plots.",
)
@click.option(
    "--cache",
    type=OUT_FOLDER,
    help="Folder of the work cache: it keeps rendered clips, calibration frames and measured "
    "layers for later runs, and `edgekit cache` shows and empties it. It is not the --cache "
    "of edgekit run, which keeps compiled models. [default: ~/.cache/edgekit]",
)
@common_options
def command(calib: str | None, as_json: bool, **values: object) -> None:
    """Quantize a float bundle to INT8, and measure and limit the loss of accuracy.

    BUNDLE is a folder, or 'shipped' for the shipped model. By default it is the newest bundle in
    artifacts/ that can be quantized (fp32, or fp16 for rknn and qnn), or the shipped model if there
    is none. Frames go through the same resizing and cascade as when the bundle runs. After an
    interruption, run the same command again; it continues from the work cache.

    Example: edgekit quantize --calib clips --max-drop 0.5
    """
    if calib is None:
        raise UsageError(
            "No calibration footage was given.",
            hint="Name footage that resembles what the detector will see: --calib PATH. To use "
            "rendered clips instead, give --calib without a path.",
        )
    from edgekit.quantization.options import QuantizeOptions
    from edgekit.quantization.quantize import run_quantization

    # --calib without PATH is empty text, and stands for rendered clips.
    options = build(QuantizeOptions, {**values, "calib": Path(calib) if calib else None})
    with progress_bar() as bar:
        result = run_quantization(options, BarProgress(bar, "Quantizing"))
    if as_json:
        emit_json(result.report)
    else:
        _print(result, options)


def _print(result: QuantizeResult, options: QuantizeOptions) -> None:
    from edgekit.cli.output.tables import print_grid
    from edgekit.quantization.report.tables import terminal

    console = stdout_console()
    for part in terminal(result.report, every_layer=options.sensitivity):
        if isinstance(part, str):
            console.print(part, soft_wrap=True)
        else:
            print_grid(console, part)
    for path in (options.sheet, options.html, result.bundle.path):
        if path is not None:
            console.print(f"Wrote {path}", soft_wrap=True)
