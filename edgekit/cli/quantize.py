"""Defines the command ``edgekit quantize``."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgekit._processes import process_pool
from edgekit.cli.options.bundles import BUNDLE
from edgekit.cli.options.shared import FiniteRange, common_options, emit_json, stdout_console
from edgekit.cli.options.types import OUT, OUT_FILE, OUT_FOLDER, TARGET
from edgekit.cli.output.progress_bars import BarProgress, progress_bar
from edgekit.errors import UsageError
from edgekit.targets.bundle_choice import Named, take

if TYPE_CHECKING:
    from edgekit.bundle import Bundle
    from edgekit.calibration.samples import Samples
    from edgekit.quantization.report.report import RoundingReport

__all__ = ["command"]

_FEW = 32
_PATH = click.Path(path_type=Path)

_log = logging.getLogger(__name__)


@click.command(name="quantize")
@click.argument("bundle", required=False, type=BUNDLE)
@click.option(
    "--calib",
    is_flag=False,
    flag_value="",
    metavar="[PATH]",
    help="Footage that EdgeKit measures the ranges of values on: a video, a folder of videos "
    "or pictures, or a .txt file with one of them per line. The option is required; "
    "without PATH, EdgeKit renders synthetic clips.",
)
@click.option(
    "--target",
    type=TARGET,
    help="Target of the float bundle to quantize, if no BUNDLE is named. [default: the "
    "target of the newest bundle in artifacts/, or onnx for the shipped model]",
)
@click.option(
    "--annotations",
    type=_PATH,
    metavar="ROOT",
    help="Dataset that the loss of frame-mAP is measured on: ROOT/annotations.json, described "
    "in docs/evaluation.md, and the videos beside it. Without it, the detections of the "
    "float model in other frames of the calibration footage are the truth.",
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
    type=click.Choice(["minmax", "percentile", "entropy", "mse", "dynamic"]),
    help="Method that chooses the range of values that each activation's 8 bits cover: all values "
    "(minmax), all but the outermost 0.01% (percentile), the closest distribution (entropy) or the "
    "smallest squared error (mse). dynamic (tflite only) chooses it in each frame and stores "
    "only weights as integers. [default: mse]",
)
@click.option(
    "--io",
    type=click.Choice(["float", "int8"]),
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
    help="Largest accepted loss of frame-mAP, in points: 1 point is 0.01. Layers return to float "
    "until the loss is below it.",
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
    help="Number of processes that measure layers.",
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
    help="Picture to write that shows all calibration frames.",
)
@click.option(
    "--html",
    type=OUT_FILE,
    help="HTML page to write with the report and its plots.",
)
@click.option(
    "--cache",
    type=OUT_FOLDER,
    help="Folder that keeps rendered clips, calibration frames and measured layers for later "
    "runs; `edgekit cache` shows and empties it. [default: ~/.cache/edgekit]",
)
@common_options
def command(
    bundle: Named,
    calib: str | None,
    target: str | None,
    annotations: Path | None,
    workers: int,
    out: Path | None,
    force: bool,
    sheet: Path | None,
    html: Path | None,
    cache: Path | None,
    samples: int,
    seed: int,
    as_json: bool,
    **choices: Any,
) -> None:
    """Quantize a float bundle to INT8, and measure and limit the loss of accuracy.

    Without BUNDLE, it takes what edgekit export wrote last into artifacts/, or the shipped model if
    there is nothing. The word 'shipped' names the shipped model. Frames go through the same
    resizing and cascade as when the bundle runs. Run the same command again to continue.

    Example: edgekit quantize --calib clips --max-drop 0.5
    """
    if calib is None:
        raise UsageError(
            "There is nothing to calibrate with.",
            hint="Name footage like what the detector is to see: --calib PATH; or take rendered "
            "clips: --calib",
        )
    if isinstance(bundle, Path) and target is not None:
        raise UsageError(
            "--target chooses among bundles that are not named, and a BUNDLE was named as well.",
            hint="Leave one of them out.",
        )
    from edgekit.bundle import MANIFEST
    from edgekit.calibration.store import Store, default_store
    from edgekit.files.output_paths import refuse_existing, refuse_unwritable
    from edgekit.quantization.build import quantize_bundle, recipe_of
    from edgekit.quantization.frames import gather, shipped_float
    from edgekit.quantization.registry import quantizer
    from edgekit.quantization.report.report import compare_latency, report
    from edgekit.quantization.report.tables import terminal
    from edgekit.quantization.tubes_loss import TubesLoss
    from edgekit.targets.build import bundle_path

    choices["max_drop"] /= 100
    store = Store(cache or default_store())
    click.get_current_context().with_resource(store.in_use())
    with progress_bar() as bar, process_pool(workers) as executor:
        progress = BarProgress(bar, "Quantizing")
        progress.phase("loading the float model")
        source = take(
            bundle,
            what=f"float bundle for {target} in artifacts/"
            if target
            else "float bundle in artifacts/",
            another="edgekit quantize BUNDLE or edgekit quantize shipped",
            fits=lambda bundle: _is_float(bundle, target),
            shipped=lambda: shipped_float(target or "onnx", store),
        )
        tool = quantizer(source.manifest.target)
        tool.version()  # report a missing tool before the work begins
        place = out or bundle_path(source.manifest.name, source.manifest.target, "int8")
        choice = {name: choices[name] for name in ("method", "io", "keep_float")}
        recipe_of(source, **choice)  # report invalid choices before the work begins
        refuse_existing(place, force=force, mark=MANIFEST)
        for drawn in filter(None, (sheet, html)):
            refuse_unwritable(drawn)
        footage = gather(
            source,
            Path(calib) if calib else None,
            annotations,
            store,
            samples=samples,
            seed=seed,
            progress=progress,
        )
        if not calib:
            _log.warning(
                "Calibrating with rendered clips; your own footage is better: --calib PATH"
            )
        if len(footage.samples) < _FEW:
            _log.warning(
                "Only %d frames to calibrate with; %d or more are advised.",
                len(footage.samples),
                _FEW,
            )
        made = quantize_bundle(
            source,
            footage.samples,
            footage.judging,
            place,
            store=store,
            truth=footage.truth,
            tubes=TubesLoss(source, footage.dataset, footage.sequences, footage.judging, store),
            force=force,
            executor=executor,
            progress=progress,
            **choices,
        )
        progress.phase("timing")
        found = report(made, source, compare_latency(source, made.bundle))
    if sheet is not None or html is not None:
        _draw(found, footage.samples, sheet, html)
    if as_json:
        emit_json(found)
        return
    from edgekit.cli.output.tables import print_grid

    console = stdout_console(as_json)
    for part in terminal(found, every_layer=choices["sensitivity"]):
        if isinstance(part, str):
            console.print(part, soft_wrap=True, markup=False)
        else:
            print_grid(console, part)
    for path in (sheet, html, place):
        if path is not None:
            console.print(f"Wrote {path}", soft_wrap=True, markup=False)


def _is_float(bundle: Bundle, target: str | None) -> bool:
    """Returns whether a bundle is a float bundle, for a target if one is named.

    Raises:
        BundleError: The bundle is a float bundle that cannot be quantized.
    """
    from edgekit.quantization.build import check_float

    manifest = bundle.manifest
    if manifest.quantization is not None or target not in (None, manifest.target):
        return False
    check_float(bundle)
    return True


def _draw(found: RoundingReport, samples: Samples, sheet: Path | None, html: Path | None) -> None:
    """Writes the calibration frames as a picture, and the report as a page."""
    from edgekit.calibration.contact_sheet import contact_sheet, write_sheet
    from edgekit.files.writing import atomic_file
    from edgekit.quantization.report.page import to_html

    drawn = contact_sheet(samples)
    if sheet is not None:
        write_sheet(drawn, sheet)
    if html is not None:
        with atomic_file(html) as temporary:
            temporary.write_text(to_html(found, drawn), encoding="utf-8")
