"""Trains on annotations that are read already: prepares clips, runs epochs, writes the run."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from edgekit._parameters import parameter
from edgekit._progress import SILENT, Progress
from edgekit.datasets.annotations import Truth
from edgekit.errors import AnnotationError
from edgekit.models.checkpoints import save_checkpoint
from edgekit.training.data.loading import TrainingSamples
from edgekit.training.data.preparing import ClipSource, PreparedClips, prepared_clips
from edgekit.training.estimate import estimate, seconds_left
from edgekit.training.held_out import held_out_frame_map
from edgekit.training.optimization.process_group import ProcessGroup, process_group
from edgekit.training.result import Epoch, TrainingResult
from edgekit.training.run_folder import STATE, WEIGHTS, add_to_history, begin, may_resume
from edgekit.training.settings import MOST_STORED, Settings
from edgekit.training.start import starting_network
from edgekit.training.trainer import Trainer

__all__ = ["FitOptions", "fit"]

_LOG = logging.getLogger(__name__)

_SAVE_EVERY = 600.0
"""Seconds after which the state is saved within an epoch."""

_MEASURED_STEPS = 5
"""Steps after which the rest of the run is estimated; the first one is not measured."""


# Many attributes: one for each choice of a user.
@dataclass(frozen=True, slots=True, kw_only=True)
class FitOptions:
    """Choices for a run that do not change its samples.

    Attributes:
        arch: Name of the network in ``edgekit.models.registry.ARCHITECTURES``.
        origin: Source of the initial weights; see ``starting_network``.
        allow_partial: Whether less than half of a checkpoint's parameters may be used.
        name: Name of the model, stored in its checkpoint.
        hold_out: Share of each video, in [0, 1), at its end, that is used for scoring and not for
            training.
        workers: Number of processes that prepare samples; 0 prepares them in this process.
        frame_store: Folder for the frames of videos; None for the user's cache folder.
        most_stored: Largest size of that folder, in bytes.
        resume: Whether to continue from the state in the output folder.
        force: Whether to replace the files in the output folder.
    """

    arch: str = "lite0"
    origin: str = "imagenet"
    allow_partial: bool = False
    name: str = "model"
    hold_out: float = 0.0
    workers: int = 0
    frame_store: Path | None = None
    most_stored: int = MOST_STORED
    resume: bool = False
    force: bool = False


def fit(
    datasets: Sequence[Truth],
    out: Path,
    settings: Settings,
    options: FitOptions,
    progress: Progress = SILENT,
    say: Callable[[str], None] = _LOG.info,
) -> TrainingResult:
    """Trains a network on annotated clips, together with the other processes of ``torchrun``.

    Args:
        datasets: Annotated clips, each with its path. All datasets must have the same classes, and
            each contributes the same number of samples.
        out: Folder for the results and for the state to resume from, which is saved after every
            epoch and every ten minutes.
        settings: Settings of the training run.
        options: Further choices.
        progress: Display of the progress: a phase of one step per clip, one of the clips to store
            if there are any, then one of all batches, with a note after each epoch.
        say: Function that tells the user what the run will need.

    Raises:
        AnnotationError: There is nothing to learn from, or the datasets differ in their classes.
        MediaError: A video cannot be read.
        BadInputError: ``out`` has no state to resume from.
        OutputError: ``out`` holds a run, and neither ``resume`` nor ``force`` is set; or there is
            no space for the frames.
    """
    classes = _classes(datasets)
    videos = [(number, video) for number, truth in enumerate(datasets) for video in truth.videos]
    source = ClipSource(
        videos,
        1.0 - options.hold_out,
        settings.size,
        options.frame_store,
        options.most_stored,
        options.workers,
    )
    with process_group(settings.batch) as group:
        if not group.first:
            progress, say = SILENT, _LOG.debug
        resume = group.first and may_resume(out, resume=options.resume, force=options.force)
        resume = group.from_first(resume)
        with prepared_clips(source, group, progress, say) as clips:
            run = _Run(out, settings, options, group, progress, say)
            return run.train(datasets, classes, clips, resume=resume)


@dataclass(frozen=True, slots=True)
class _Run:
    """One run: where it writes, what was chosen, and whom it tells."""

    out: Path
    settings: Settings
    options: FitOptions
    group: ProcessGroup
    progress: Progress
    say: Callable[[str], None]

    def train(
        self,
        datasets: Sequence[Truth],
        classes: Sequence[str],
        clips: PreparedClips,
        *,
        resume: bool,
    ) -> TrainingResult:
        """Trains, and writes the results if this process is the first."""
        settings, options = self.settings, self.options
        start = starting_network(
            options.arch,
            options.origin,
            classes=classes,
            channels=3 if settings.kind == "rgb" else 6,
            mean=settings.mean,
            std=settings.std,
            seed=settings.seed,
            allow_partial=options.allow_partial,
        )
        plan = estimate(
            clips.index,
            start.network,
            settings,
            workers=options.workers,
            processes=self.group.count,
        )
        plan = replace(plan, disk=clips.disk)
        self.say(str(plan))
        trainer = Trainer(
            start.network,
            start.trained,
            TrainingSamples(clips.index, clips.places, len(classes), settings),
            workers=options.workers,
            group=self.group,
        )
        history, seconds = self._run_epochs(trainer, resume=resume)
        plan = replace(plan, seconds=seconds)
        weights = self.out / WEIGHTS
        scores: tuple[float, ...] = ()
        if self.group.first:
            average = trainer.average.cpu()
            save_checkpoint(weights, average, _metadata(options, classes, settings))
            scores = tuple(
                held_out_frame_map(average, truth, settings, options.hold_out)
                for truth in (datasets if options.hold_out else ())
            )
        return TrainingResult(weights, history, scores, start.fresh, plan, self.group.number)

    def _run_epochs(self, trainer: Trainer, *, resume: bool) -> tuple[list[Epoch], float | None]:
        """Trains the epochs that are left, and saves the state after each of them.

        Returns:
            The epochs, and the seconds that they were estimated to take.
        """
        settings, progress, state = self.settings, self.progress, self.out / STATE
        finished = trainer.resume(state) if resume else 0
        if self.group.first:  # an unwritable folder is reported before the first epoch
            begin(self.out, self._record(), finished // settings.steps)
        history = []
        progress.phase("Training", settings.epochs * settings.steps)
        for _ in range(finished):
            progress.advance()
        steps = _Steps(self, trainer, finished)
        for epoch in trainer.run(steps.advance):
            if self.group.first:
                add_to_history(self.out, epoch)
            trainer.save(state)
            steps.saved()
            history.append(epoch)
            progress.note(f"epoch {epoch.number}, loss {epoch.losses['total']:.3f}")
            _LOG.info("%s", ", ".join(f"{part} {loss:.4f}" for part, loss in epoch.losses.items()))
        return history, steps.seconds

    def _record(self) -> dict[str, object]:
        """Returns what the run was told, for people and programs that read its folder."""
        options = self.options
        return {
            "name": options.name,
            "arch": options.arch,
            "origin": options.origin,
            **asdict(self.settings),
        }


class _Steps:
    """Counts steps: shows them, estimates the rest of the run, and saves it now and then.

    Attributes:
        seconds: Estimated seconds of the rest of the run; None before there is an estimate.
    """

    def __init__(self, run: _Run, trainer: Trainer, finished: int) -> None:
        self._run = run
        self._trainer = trainer
        self._finished = finished
        self._taken = 0
        self.seconds: float | None = None
        self._began = self._saved = time.monotonic()

    def advance(self) -> None:
        """Completes a step."""
        self._taken += 1
        self._run.progress.advance()
        now = time.monotonic()
        if self._taken == 1:
            self._began = now
        if self._taken == 1 + _MEASURED_STEPS:
            epoch, step = divmod(self._finished + self._taken, self._run.settings.steps)
            if epoch < self._run.settings.epochs:
                each = (now - self._began) / _MEASURED_STEPS
                self.seconds = seconds_left(self._run.settings, epoch, step, each)
                self._run.say(f"About {_in_words(self.seconds)} for the rest of the run.")
        if now - self._saved > _SAVE_EVERY:
            self._trainer.save(self._run.out / STATE)
            self.saved()

    def saved(self) -> None:
        """Notes that the state was saved."""
        self._saved = time.monotonic()


def _in_words(seconds: float) -> str:
    if seconds < 120:
        return f"{max(1, round(seconds))} seconds"
    if seconds < 7200:
        return f"{round(seconds / 60)} minutes"
    return f"{seconds / 3600:.1f} hours"


def _metadata(options: FitOptions, classes: Sequence[str], settings: Settings) -> dict[str, str]:
    """Returns what an export needs to know of the model, as JSON strings."""
    values = {
        "name": options.name,
        "arch": options.arch,
        "classes": classes,
        "input_size": list(settings.size),
        "mean": list(settings.mean),
        "std": list(settings.std),
        "cascade": settings.kind,
        "frame_gap": settings.frame_gap,
        "first_frame": "zero",
    }
    return {key: json.dumps(value) for key, value in values.items()}


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
