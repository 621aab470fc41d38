"""Trains on annotations that are read already: decodes clips, runs epochs, writes the run."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Sequence
from pathlib import Path

from edgekit._parameters import parameter
from edgekit._progress import SILENT, Progress
from edgekit.datasets.annotations import Truth
from edgekit.errors import AnnotationError, BadInputError, OutputError
from edgekit.files.output_paths import writing
from edgekit.files.writing import atomic_file
from edgekit.models.checkpoints import save_checkpoint
from edgekit.training.held_out import held_out_frame_map
from edgekit.training.result import Epoch, TrainingResult
from edgekit.training.samples import TrainingClip, load_clip
from edgekit.training.start import starting_network
from edgekit.training.trainer import Settings, Trainer

__all__ = ["STATE", "WEIGHTS", "fit"]

_LOG = logging.getLogger(__name__)

STATE = "state.pt"
WEIGHTS = "weights.safetensors"
_HISTORY = "history.json"


# Long: it documents the arguments of a run.
def fit(
    datasets: Sequence[Truth],
    out: Path,
    settings: Settings,
    *,
    arch: str = "lite0",
    origin: str = "imagenet",
    name: str = "model",
    hold_out: float = 0.0,
    workers: int = 2,
    allow_partial: bool = False,
    resume: bool = False,
    force: bool = False,
    progress: Progress = SILENT,
) -> TrainingResult:
    """Trains a network on annotated clips.

    Args:
        datasets: Annotated clips, each with its path. All datasets must have the same classes, and
            each contributes the same number of samples.
        out: Folder for the results and for the state to resume from, which is saved after every
            epoch.
        settings: Settings of the training run.
        arch: Name of the network in ``edgekit.models.registry.ARCHITECTURES``.
        origin: Source of the initial weights; see ``starting_network``.
        name: Name of the model, stored in its checkpoint.
        hold_out: Share of each video, in [0, 1), at its end, that is used for scoring and not for
            training.
        workers: Number of threads that prepare samples.
        allow_partial: Whether less than half of a checkpoint's parameters may be used.
        resume: Whether to continue from the state in ``out``.
        force: Whether to replace the files in ``out``.
        progress: Display of the progress: a phase of one step per clip, then one of all batches,
            with a note after each epoch.

    Raises:
        AnnotationError: There is nothing to learn from, or the datasets differ in their classes.
        MediaError: A video cannot be read.
        BadInputError: ``out`` has no state to resume from.
        OutputError: ``out`` holds a run, and neither ``resume`` nor ``force`` is set.
    """
    classes = _classes(datasets)
    _check_folder(out, resume=resume, force=force)
    clips = _clips(datasets, hold_out, progress)
    start = starting_network(
        arch,
        origin,
        classes=classes,
        channels=3 if settings.kind == "rgb" else 6,
        mean=settings.mean,
        std=settings.std,
        seed=settings.seed,
        allow_partial=allow_partial,
    )
    trainer = Trainer(start.network, start.trained, clips, len(classes), settings, workers=workers)
    with writing(out):  # reports an unwritable folder before the first epoch, not after it
        out.mkdir(parents=True, exist_ok=True)
    history = _run_epochs(trainer, settings, out / STATE, progress, resume=resume)
    average = trainer.average.cpu()
    save_checkpoint(out / WEIGHTS, average, _metadata(name, arch, classes, settings))
    scores = tuple(
        held_out_frame_map(average, truth, settings, hold_out)
        for truth in (datasets if hold_out else ())
    )
    _write_history(out / _HISTORY, settings, history, scores)
    return TrainingResult(out / WEIGHTS, history, scores, start.fresh)


def _check_folder(out: Path, *, resume: bool, force: bool) -> None:
    """Raises unless a run may be written to ``out``, or the run in it can be resumed."""
    if out.exists() and any(out.iterdir()) and not (resume or force):
        raise OutputError(
            f"{out} holds an earlier run.",
            hint=f"Add {parameter('resume', True)} to go on with it, {parameter('force', True)} to "
            "replace it, or name another place.",
        )
    if resume:
        _refuse_no_state(out / STATE)


def _clips(datasets: Sequence[Truth], hold_out: float, progress: Progress) -> list[TrainingClip]:
    """Reads the part of every clip that is trained on."""
    videos = [(number, video) for number, truth in enumerate(datasets) for video in truth.videos]
    return [
        load_clip(video, (0.0, 1.0 - hold_out), dataset=number)
        for number, video in progress.count("Reading clips", videos, len(videos))
    ]


def _run_epochs(
    trainer: Trainer, settings: Settings, state: Path, progress: Progress, *, resume: bool
) -> list[Epoch]:
    """Trains the epochs that are left, and saves the state after each of them."""
    finished = trainer.resume(state) if resume else 0
    history = []
    steps = math.ceil(settings.images / settings.batch)
    progress.phase("Training", settings.epochs * steps)
    for _ in range(finished * steps):
        progress.advance()
    for epoch in trainer.run(progress.advance):
        trainer.save(state)
        history.append(epoch)
        progress.note(f"epoch {epoch.number}, loss {epoch.losses['total']:.3f}")
        _LOG.info("%s", ", ".join(f"{part} {loss:.4f}" for part, loss in epoch.losses.items()))
    return history


def _metadata(name: str, arch: str, classes: Sequence[str], settings: Settings) -> dict[str, str]:
    """Returns what an export needs to know of the model, as JSON strings."""
    values = {
        "name": name,
        "arch": arch,
        "classes": classes,
        "input_size": list(settings.size),
        "mean": list(settings.mean),
        "std": list(settings.std),
        "cascade": settings.kind,
        "frame_gap": settings.frame_gap,
        "first_frame": "zero",
    }
    return {key: json.dumps(value) for key, value in values.items()}


def _write_history(
    path: Path, settings: Settings, history: Sequence[Epoch], scores: Sequence[float]
) -> None:
    record = {
        "settings": repr(settings),
        "epochs": [{"epoch": e.number, **e.losses} for e in history],
        "held_out_frame_map": scores,
    }
    with atomic_file(path) as temporary:
        temporary.write_text(json.dumps(record, indent=2) + "\n")


def _refuse_no_state(state: Path) -> None:
    """Raises unless the state of a run is there; the error names the runs beside it."""
    if state.is_file():
        return
    others = sorted(path.parent for path in state.parent.parent.glob(f"*/{STATE}"))
    hint = f"To begin a run, leave {parameter('resume')} away."
    if others:
        folders = parameter("out", " or ".join(map(str, others[:3])))
        hint += f" To resume another one, name its folder: {folders}"
    raise BadInputError(f"There is nothing to resume: no {state} was found.", hint=hint)


def _classes(datasets: Sequence[Truth]) -> list[str]:
    for truth in datasets:
        if not any(video.tubes for video in truth.videos):
            raise AnnotationError(
                "Expected annotated tubes to learn from; found none.",
                hint="Name the folder that holds annotations.json and its videos with "
                f"{parameter('root')}.",
            )
        if truth.classes != datasets[0].classes:
            raise AnnotationError(
                "Expected the same classes in every dataset, in the same order; found "
                f"{', '.join(datasets[0].classes)} and {', '.join(truth.classes)}.",
                hint="Give all of them one list of classes; not every dataset has to use them all.",
            )
    return list(datasets[0].classes)
