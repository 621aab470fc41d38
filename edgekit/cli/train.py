"""Defines the command ``edgekit train``."""

from __future__ import annotations

import logging
from pathlib import Path

import click

from edgekit.cli.options.shared import (
    FiniteRange,
    common_options,
    emit_json,
    progress_bar,
    stdout_console,
)
from edgekit.cli.options.types import OUT, SIZE

__all__ = ["command"]

_LOG = logging.getLogger(__name__)


@click.command(name="train")
@click.option(
    "--dataset",
    type=click.Choice(["json", "ucf24", "jhmdb21"]),
    default="json",
    show_default=True,
    help="Layout of the annotated clips. json means ROOT/annotations.json with the videos "
    "beside it.",
)
@click.option(
    "--root",
    "roots",
    type=click.Path(path_type=Path),
    required=True,
    multiple=True,
    help="Folder of the clips. Repeat the option for several; each contributes the same "
    "number of samples.",
)
@click.option(
    "--split",
    type=click.IntRange(1, 3),
    default=1,
    show_default=True,
    help="Number of the dataset's split; json has only one.",
)
@click.option("--arch", default="lite0", show_default=True, help="Network architecture to train.")
@click.option(
    "--from",
    "origin",
    help="Weights to start from: imagenet (the default for lite0), scratch (the default "
    "for other networks), or a checkpoint.",
)
@click.option(
    "--epochs",
    type=click.IntRange(1),
    default=60,
    show_default=True,
    help="Number of epochs.",
)
@click.option(
    "--images",
    type=click.IntRange(1),
    default=288,
    show_default=True,
    help="Number of samples per epoch, drawn evenly over the classes.",
)
@click.option(
    "--batch",
    type=click.IntRange(2),
    default=16,
    show_default=True,
    help="Number of samples per batch.",
)
@click.option(
    "--rate",
    type=FiniteRange(0, min_open=True),
    default=1e-3,
    show_default=True,
    help="Learning rate of new weights. Weights from a checkpoint or ImageNet use 0.3 of it.",
)
@click.option(
    "--input-size",
    type=SIZE,
    default="256",
    show_default=True,
    help="Size of the network input in pixels: SIDE for a square, or HEIGHTxWIDTH.",
)
@click.option(
    "--cascade",
    type=click.Choice(["ssim", "ssim-shifted", "dssim", "rgb"]),
    default="ssim",
    show_default=True,
    help="Motion channels of the input: similarity to the earlier picture over nine shifts "
    "(ssim) or over all but the zero shift (ssim-shifted), dissimilarity (dssim), or none "
    "(rgb).",
)
@click.option(
    "--frame-gap",
    type=click.IntRange(1),
    default=1,
    show_default=True,
    help="Number of frames between the two pictures of a pair. Training varies it from "
    "half to twice as many.",
)
@click.option(
    "--seed",
    type=click.IntRange(0),
    default=1,
    show_default=True,
    help="Seed for everything random. The same seed gives the same weights on the same machine.",
)
@click.option(
    "--hold-out",
    type=FiniteRange(0, 0.9),
    default=0.0,
    show_default=True,
    help="Share at the end of each video that is not trained on. The result is evaluated on it.",
)
@click.option(
    "--workers",
    type=click.IntRange(1),
    default=2,
    show_default=True,
    help="Number of threads that prepare samples.",
)
@click.option("--name", help="Name of the model. [default: ARCH-DATASET]")
@click.option("-o", "--out", type=OUT, help="Folder to write the run to. [default: runs/NAME]")
@click.option("--resume", is_flag=True, help="Continue the run in the output folder.")
@click.option("--force", is_flag=True, help="Replace the run in the output folder.")
@common_options
def command(
    dataset: str,
    roots: tuple[Path, ...],
    split: int,
    arch: str,
    origin: str | None,
    epochs: int,
    images: int,
    batch: int,
    rate: float,
    input_size: tuple[int, int],
    cascade: str,
    frame_gap: int,
    seed: int,
    hold_out: float,
    workers: int,
    name: str | None,
    out: Path | None,
    resume: bool,
    force: bool,
    as_json: bool,
) -> None:
    """Train or fine-tune a network on annotated clips.

    The run is seeded, saved after every epoch, and writes weights.safetensors, which
    `edgekit export` takes. On a CPU the default takes about a quarter of an hour.

    Example: edgekit train --dataset json --root clips --epochs 60
    """
    from edgekit.datasets.published import read_truth
    from edgekit.errors import MissingDependencyError, UsageError

    if resume and force:
        raise UsageError(
            "--resume goes on with a run, and --force replaces it.", hint="Leave one of them out."
        )
    datasets = [read_truth(dataset, root, split=split, part="train") for root in roots]
    for root, truth in zip(roots, datasets, strict=True):
        count = sum(len(video.tubes) for video in truth.videos)
        _LOG.info("Read %s: %d videos, %d tubes.", root, len(truth.videos), count)
    MissingDependencyError.unless("torch", "host", "Training")
    from edgekit.targets.settings import MEAN, STD
    from edgekit.training.fit import fit
    from edgekit.training.trainer import Epoch, Settings

    name = name or f"{arch}-{dataset}"
    origin = origin or ("imagenet" if arch == "lite0" else "scratch")
    out = out or Path("runs") / name
    settings = Settings(
        epochs=epochs,
        images=images,
        batch=batch,
        rate=rate,
        slow_rate=0.3 * rate,
        size=input_size,
        seed=seed,
        kind=cascade,
        frame_gap=frame_gap,
        mean=MEAN,
        std=STD,
    )
    with progress_bar() as bar:
        reading = bar.add_task(
            "Reading clips", total=sum(len(truth.videos) for truth in datasets), note=""
        )
        steps = epochs * -(-images // batch)
        training = bar.add_task("Training", total=steps, note="", start=False)

        def on_clip() -> None:
            bar.advance(reading)
            bar.start_task(training)

        def on_epoch(epoch: Epoch) -> None:
            done = epoch.number * (steps // epochs)
            note = f"epoch {epoch.number}, loss {epoch.losses['total']:.3f}"
            bar.update(training, completed=done, note=note)
            if bar.disable:
                _LOG.warning("%s", note)
            _LOG.info("%s", ", ".join(f"{name} {loss:.4f}" for name, loss in epoch.losses.items()))

        result = fit(
            datasets,
            out,
            settings,
            arch=arch,
            origin=origin,
            name=name,
            hold_out=hold_out,
            workers=workers,
            resume=resume,
            force=force,
            on_clip=on_clip,
            on_step=lambda: bar.advance(training),
            on_epoch=on_epoch,
        )
    if as_json:
        losses = result.history[-1].losses if result.history else {}
        emit_json(
            {
                "weights": str(result.weights),
                "epochs": epochs,
                "losses": losses,
                "held_out_frame_map": result.held_out,
            }
        )
        return
    console = stdout_console(as_json)
    for root, score in zip(roots, result.held_out, strict=False):
        console.print(f"frame-mAP@0.5 on what was held out of {root}: {score:.3f}", soft_wrap=True)
    console.print(f"Wrote {result.weights}", soft_wrap=True)
    console.print(f"Next: edgekit export {result.weights} --target onnx", soft_wrap=True)
