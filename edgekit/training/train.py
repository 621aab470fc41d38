"""``edgekit.train`` and ``edgekit train``: checks options, reads annotations, calls ``fit``."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Sequence
from pathlib import Path

from edgekit._checks import as_path, as_paths
from edgekit._progress import SILENT, Progress, as_progress
from edgekit.classes import alike
from edgekit.datasets.annotations import Truth
from edgekit.datasets.published import read_truth
from edgekit.errors import MissingDependencyError
from edgekit.training.options import TrainOptions
from edgekit.training.result import TrainingResult
from edgekit.training.settings import MOST_STORED, FitOptions, Settings
from edgekit.training.tensorboard import require_tensorboard

__all__ = ["TrainOptions", "run_train", "train"]

_LOG = logging.getLogger(__name__)


# Long: it documents the arguments, and only passes them on.
def train(
    root: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    *,
    dataset: str = "json",
    split: int = 1,
    recipe: str = "lite0",
    arch: str | None = None,
    origin: str | os.PathLike[str] | None = None,
    teacher: str | os.PathLike[str] | None = None,
    epochs: int | None = None,
    images: int | None = None,
    batch: int | None = None,
    rate: float | None = None,
    input_size: int | tuple[int, int] | None = None,
    cascade: str = "ssim",
    frame_gap: int = 1,
    seed: int = 1,
    hold_out: float = 0.0,
    validate: str | os.PathLike[str] | Sequence[str | os.PathLike[str]] = (),
    validate_every: int | None = None,
    early_stop: int | None = None,
    accumulate: int = 1,
    precision: str = "fp32",
    schedule: str | None = None,
    augmentation: str | None = None,
    frame_store: str | os.PathLike[str] | None = None,
    frame_store_size: int = MOST_STORED,
    workers: int | None = None,
    allow_partial: bool = False,
    name: str | None = None,
    out: str | os.PathLike[str] | None = None,
    logdir: str | os.PathLike[str] | None = None,
    resume: bool = False,
    force: bool = False,
    progress: Progress = SILENT,
) -> TrainingResult:
    """Trains or fine-tunes a network on annotated clips, on a GPU if torch finds one.

    The same options give the same weights on the same machine. The run is saved after every epoch.
    torch's random numbers are seeded, as for the whole process.

    Args:
        root: Folder of the annotated clips, or several of them; each contributes the same number of
            samples.
        dataset: Layout of the clips, one of ``edgekit.datasets.layouts.DATASETS``. ``json`` reads
            ``annotations.json`` and the videos beside it.
        split: Number of the published split, 1 to 3; 1 for a layout without splits.
        recipe: Settings that belong together, one of ``edgekit.training.settings.RECIPES``: they
            hold for each argument below that says so and is None.
        arch: Name in ``edgekit.models.registry.ARCHITECTURES``. By default that of the recipe.
        origin: Weights to start from: ``imagenet`` (the default for ``lite0``), ``scratch`` (the
            default for other networks), ``shipped`` for the weights of the shipped model, or the
            path of a checkpoint. Heads are matched by class name; layers that do not fit are named
            in a warning and start with fresh weights.
        teacher: Checkpoint of a trained network, usually a larger one. Its heatmaps and boxes are
            targets of the training beside the annotations. The recipe ``distill`` needs one.
        epochs: Number of epochs, at least 1. By default that of the recipe.
        images: Number of samples per epoch, at least 1, drawn evenly over the classes. By default
            that of the recipe.
        batch: Number of samples per batch, at least 2. By default that of the recipe.
        rate: Learning rate of new weights, above 0. By default that of the recipe. With ``lite0``,
            weights from a checkpoint or ImageNet use 0.3 of it.
        input_size: Side, or height and width, of the input in pixels; multiples of 32, at least 64.
            By default that of the recipe.
        cascade: Kind of motion channels, one of ``edgekit.runtime.kinds.KINDS``.
        frame_gap: Number of frames, at least 1, between the two pictures of a pair. The
            augmentation ``wide`` varies it from half to twice as many.
        seed: Seed for everything random, at least 0.
        hold_out: Share at the end of each video, 0 to 0.9, that is evaluated and not trained on.
        validate: Folder of annotated clips, or several of them, to evaluate the network on, in the
            layout ``dataset``. It reads the part ``test`` where the layout has parts.
        validate_every: Number of epochs between evaluations; the best weights are kept. By default
            only the last epoch is evaluated.
        early_stop: Number of epochs without a better frame-mAP after which the run ends. By default
            all epochs are trained.
        accumulate: Number of batches whose gradients are summed for one step of the optimizer.
        precision: Arithmetic of the network: ``fp32``, ``bf16`` or ``fp16``.
        schedule: Learning rate over the run: ``cosine`` for a short rise and half a cosine down, or
            ``steps`` for a tenth after 25/60 of it and a hundredth after 40/60. By default that of
            the recipe.
        augmentation: Random changes of the samples: ``wide`` for other distances and lighting, or
            ``centernet`` for the crops and colours of CenterNet. By default that of the recipe.
        frame_store: Folder for the frames of videos, which are stored once as pictures. By default
            the user's cache folder. Folders of pictures are read where they are.
        frame_store_size: Largest size of that folder in bytes.
        workers: Number of processes that prepare samples; 0 prepares them in this process. By
            default 2 for the command, and 0 from Python: a program that starts processes has to
            begin with ``if __name__ == "__main__":``.
        allow_partial: Whether a checkpoint may be used of which less than half fits the network.
        name: Name of the model. By default ``ARCH-DATASET``.
        out: Folder to write the run to. By default ``runs/NAME``.
        logdir: Folder for TensorBoard, in which the run gets a folder of its name. It needs the
            extra ``tensorboard``.
        resume: Whether to continue the run in ``out``.
        force: Whether to replace the run in ``out``.
        progress: Display of the progress: a phase of one step per clip, then one of all batches,
            with a note after each epoch.

    Returns:
        The path of the weights, which ``export`` takes, the losses of each epoch, and frame-mAP on
        what was held out.

    Raises:
        UsageError: A value has the wrong type or is out of range, or two of them contradict.
        AnnotationError: The annotations are missing, invalid, empty, or of different classes.
        MediaError: A video cannot be read.
        CheckpointError: ``origin`` cannot be read or is of another network, or the run in ``out``
            has other settings.
        BadInputError: There is no run to resume, or the loss is no longer finite.
        MissingDependencyError: torch, the package of the ImageNet weights, or that of TensorBoard
            is not installed.
        OutputError: ``out`` holds a run, and neither ``resume`` nor ``force`` is set; or it cannot
            be written.
    """
    options = TrainOptions(
        root=as_paths("root", root),
        dataset=dataset,
        split=split,
        recipe=recipe,
        arch=arch,
        origin=as_path("origin", origin) if isinstance(origin, os.PathLike) else origin,
        teacher=as_path("teacher", teacher),
        epochs=epochs,
        images=images,
        batch=batch,
        rate=rate,
        input_size=(input_size, input_size) if isinstance(input_size, int) else input_size,
        cascade=cascade,
        frame_gap=frame_gap,
        seed=seed,
        hold_out=hold_out,
        validate=as_paths("validate", validate),
        validate_every=validate_every,
        early_stop=early_stop,
        accumulate=accumulate,
        precision=precision,
        schedule=schedule,
        augmentation=augmentation,
        frame_store=as_path("frame_store", frame_store),
        frame_store_size=frame_store_size,
        workers=workers,
        allow_partial=allow_partial,
        name=name,
        out=as_path("out", out),
        logdir=as_path("logdir", logdir),
        resume=resume,
        force=force,
    )
    return run_train(options, as_progress(progress))


def run_train(
    options: TrainOptions,
    progress: Progress = SILENT,
    say: Callable[[str], None] = _LOG.info,
) -> TrainingResult:
    """Trains as checked options describe it; ``train`` documents result and errors.

    Args:
        options: Options of the run.
        progress: Display of the progress.
        say: Function that shows the user what the run will need.
    """
    datasets = [_read(options, root, "train") for root in options.root]
    validation = [_read(options, root, "test") for root in options.validate]
    MissingDependencyError.unless("torch", "host", "Training")
    if options.logdir is not None:
        require_tensorboard()
    from edgekit.training.fit import fit

    arch = options.chosen.arch
    name = options.name or f"{arch}-{options.dataset}"
    return fit(
        datasets,
        options.out or Path("runs") / name,
        _settings(options),
        FitOptions(
            recipe=options.recipe,
            arch=arch,
            origin=str(options.origin or ("imagenet" if arch == "lite0" else "scratch")),
            allow_partial=options.allow_partial,
            name=name,
            workers=options.processes,
            frame_store=options.frame_store,
            most_stored=options.frame_store_size,
            logdir=options.logdir,
            resume=options.resume,
            force=options.force,
        ),
        progress,
        say,
        validation,
    )


def _read(options: TrainOptions, root: Path, part: str) -> Truth:
    truth = read_truth(options.dataset, root, split=options.split, part=part)
    for first, name in alike(truth.classes):
        _LOG.warning(
            "The classes '%s' and '%s' of %s differ in case or spaces only. The network learns two "
            "classes. If they are one, correct the annotations.", first, name, root,
        )  # fmt: skip
    count = sum(len(video.tubes) for video in truth.videos)
    _LOG.info("Read %s: %d videos, %d tubes.", root, len(truth.videos), count)
    return truth


def _settings(options: TrainOptions) -> Settings:
    from edgekit.targets.published import MEAN, STD

    recipe = options.chosen
    return Settings(
        epochs=recipe.epochs,
        images=recipe.images,
        batch=recipe.batch,
        rate=recipe.rate,
        slow_rate=recipe.slow_share * recipe.rate,
        size=(recipe.input_size[0], recipe.input_size[1]),
        seed=options.seed,
        kind=options.cascade,
        frame_gap=options.frame_gap,
        mean=MEAN,
        std=STD,
        accumulate=options.accumulate,
        precision=options.precision,
        hold_out=options.hold_out,
        validate_every=options.validate_every or 0,
        early_stop=options.early_stop or 0,
        schedule=recipe.schedule,
        augmentation=recipe.augmentation,
        weight_decay=recipe.weight_decay,
        small_first=recipe.small_first,
        teacher=str(options.teacher or ""),
    )
