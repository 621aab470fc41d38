"""Trains on annotations that are read already: prepares clips, runs epochs, writes the run."""

from __future__ import annotations

import contextlib
import copy
import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from edgekit._parameters import parameter
from edgekit._progress import SILENT, Progress
from edgekit.datasets.annotations import Truth
from edgekit.datasets.relabelling import in_classes_of
from edgekit.datasets.video_facts import refuse_other_video
from edgekit.errors import AnnotationError
from edgekit.models.checkpoints import save_checkpoint
from edgekit.training.data.augmentation import LARGEST_SCALES
from edgekit.training.data.interval import pair_interval
from edgekit.training.data.loading import TrainingSamples, naming_a_lost_worker
from edgekit.training.data.preparing import ClipSource, PreparedClips, prepared_clips
from edgekit.training.estimate import estimate
from edgekit.training.optimization.process_group import ProcessGroup, process_group
from edgekit.training.optimization.teacher import Teacher, load_teacher
from edgekit.training.result import Best, Epoch, TrainingResult
from edgekit.training.run_folder import LAST, STATE, WEIGHTS, add_to_history, begin, may_resume
from edgekit.training.settings import FitOptions, Settings
from edgekit.training.start import Start, starting_network
from edgekit.training.steps import Steps
from edgekit.training.tensorboard import scalars
from edgekit.training.trainer import Trainer
from edgekit.training.validation import Validation

__all__ = ["FitOptions", "fit"]

_LOG = logging.getLogger(__name__)


def fit(
    datasets: Sequence[Truth],
    out: Path,
    settings: Settings,
    options: FitOptions,
    progress: Progress = SILENT,
    say: Callable[[str], None] = _LOG.info,
    validation: Sequence[Truth] = (),
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
        say: Function that shows the user what the run will need.
        validation: Annotated clips to score the network on; empty for what is held out of
            ``datasets``, if anything is.

    Raises:
        AnnotationError: There is nothing to learn from, or the datasets differ in their classes.
        MediaError: A video cannot be read.
        BadInputError: ``out`` has no state to resume from.
        OutputError: ``out`` holds a run, and neither ``resume`` nor ``force`` is set; or there is
            no space for the frames.
    """
    classes = _classes(datasets)
    datasets = [in_classes_of(classes, truth) for truth in datasets]
    validation = [in_classes_of(classes, truth, "network") for truth in validation]
    _check_videos(datasets, validation)
    scored = Validation(
        validation or (datasets if settings.hold_out else ()),
        1.0 if validation else settings.hold_out,
        settings,
    )
    scored.check()
    source = ClipSource(
        [(number, video) for number, truth in enumerate(datasets) for video in truth.videos],
        1.0 - settings.hold_out,
        settings.size,
        options.frame_store,
        options.most_stored,
        options.workers,
        LARGEST_SCALES[settings.augmentation],
    )
    with process_group(settings.batch) as group:
        if not group.first:
            progress, say = SILENT, _LOG.debug
        resume = group.first and may_resume(out, resume=options.resume, force=options.force)
        resume = group.from_first(resume)
        start, teacher = _networks(classes, settings, options)
        with prepared_clips(source, group, progress, say) as clips:
            interval = pair_interval(clips, settings.frame_gap)
            run = _Run(out, settings, options, classes, interval, scored, group, progress, say)
            return run.train(clips, start, teacher, resume=resume)


def _networks(
    classes: Sequence[str], settings: Settings, options: FitOptions
) -> tuple[Start, Teacher | None]:
    """Returns the network to train, and its teacher; hours of storing frames come after it."""
    start = starting_network(
        options.arch,
        options.origin,
        classes=classes,
        kind=settings.kind,
        mean=settings.mean,
        std=settings.std,
        seed=settings.seed,
        allow_partial=options.allow_partial,
    )
    given = settings.teacher
    return start, load_teacher(Path(given), classes, settings) if given else None


@dataclass(frozen=True, slots=True)
class _Run:
    """One run: where it writes, what was chosen, and who gets its messages."""

    out: Path
    settings: Settings
    options: FitOptions
    classes: Sequence[str]
    interval: float | None
    validation: Validation
    group: ProcessGroup
    progress: Progress
    say: Callable[[str], None]

    def train(
        self, clips: PreparedClips, start: Start, teacher: Teacher | None, *, resume: bool
    ) -> TrainingResult:
        """Trains, and writes the results if this process is the first."""
        settings, workers, group = self.settings, self.options.workers, self.group
        plan = estimate(
            clips.index, start.network, settings, workers=workers, processes=group.count
        )
        plan = replace(plan, disk=clips.disk)
        self.say(str(plan))
        trainer = Trainer(
            start.network,
            start.trained,
            TrainingSamples(clips.index, clips.places, len(self.classes), settings),
            # The weights of a class mean what its name says.
            facts={"arch": self.options.arch, "classes": list(self.classes)},
            workers=workers,
            group=group,
            teacher=teacher,
        )
        with naming_a_lost_worker():
            history, seconds = self._run_epochs(trainer, resume=resume)
        self._save(LAST if trainer.best and settings.validate_every else WEIGHTS, trainer)
        return TrainingResult(
            self.out / WEIGHTS,
            history,
            trainer.best.held_out if trainer.best else (),
            start.fresh,
            replace(plan, seconds=seconds),
            group.number,
        )

    def _run_epochs(self, trainer: Trainer, *, resume: bool) -> tuple[list[Epoch], float | None]:
        """Trains the epochs that are left, and saves the state after each of them.

        Returns:
            The epochs, and the seconds that they were estimated to take.
        """
        settings, progress, state = self.settings, self.progress, self.out / STATE
        finished = trainer.resume(state) if resume else 0
        if self.group.first:  # an unwritable folder is reported before the first epoch
            if not resume:  # another run may have begun here while the clips were prepared
                may_resume(self.out, resume=False, force=self.options.force)
            begin(self.out, self._record(), finished // settings.steps if resume else None)
        history: list[Epoch] = []
        progress.phase("Training", settings.epochs * settings.steps)
        for _ in range(finished):
            progress.advance()
        steps = Steps(settings, finished, progress, self.say, lambda: trainer.save(state))
        if finished % settings.steps == 0 and self._stops(finished // settings.steps, trainer):
            return history, None
        logdir = self.options.logdir if self.group.first else None
        with (
            scalars(logdir and logdir / self.options.name, finished // settings.steps) as write,
            contextlib.closing(trainer.run(steps.advance)) as epochs,
        ):
            for trained in epochs:
                epoch = self._validated(trained, trainer)
                if self.group.first:
                    add_to_history(self.out, epoch)
                write(epoch)
                steps.save()
                history.append(epoch)
                progress.note(str(epoch))
                _LOG.info("%s", ", ".join(f"{part} {v:.4f}" for part, v in epoch.losses.items()))
                if self._stops(epoch.number, trainer):
                    break
        return history, steps.seconds

    def _validated(self, epoch: Epoch, trainer: Trainer) -> Epoch:
        """Returns an epoch with its scores, if they are due; saves the best weights."""
        if not self.validation.due(epoch.number):
            return epoch
        scores = self.validation.scores(trainer.average) if self.group.first else ()
        scores = self.group.from_first(scores)
        if trainer.best is None or sum(scores) > sum(trainer.best.held_out):
            trainer.best = Best(epoch.number, scores)
            if self.settings.validate_every:
                self._save(WEIGHTS, trainer)
        return replace(epoch, held_out=scores)

    def _stops(self, epoch: int, trainer: Trainer) -> bool:
        """Returns whether the run ends early after an epoch, and says so."""
        best = trainer.best
        if best is None or not self.validation.stops(epoch, best):
            return False
        if epoch < self.settings.epochs:
            self.say(
                f"Stopped after epoch {epoch}: frame-mAP has not improved since epoch {best.epoch}."
            )
        return True

    def _save(self, name: str, trainer: Trainer) -> None:
        """Writes the average of the network as a checkpoint; the first process does so for all."""
        if self.group.first:
            average = copy.deepcopy(trainer.average).cpu()
            metadata = _metadata(self.options, self.classes, self.settings, self.interval)
            save_checkpoint(self.out / name, average, metadata)

    def _record(self) -> dict[str, object]:
        """Returns the settings of the run, for people and programs that read its folder."""
        options = self.options
        return {
            "name": options.name,
            "recipe": options.recipe,
            "arch": options.arch,
            "origin": options.origin,
            **asdict(self.settings),
        }


def _metadata(
    options: FitOptions, classes: Sequence[str], settings: Settings, interval: float | None
) -> dict[str, str]:
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
        **({} if interval is None else {"interval": interval}),
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
        if set(truth.classes) != set(datasets[0].classes):
            raise AnnotationError(
                "Expected the same classes in every dataset; found "
                f"{', '.join(datasets[0].classes)} and {', '.join(truth.classes)}.",
                hint="Give all of them one list of classes; not every dataset has to use them all.",
            )
    return list(datasets[0].classes)


def _check_videos(datasets: Sequence[Truth], validation: Sequence[Truth]) -> None:
    """Raises if a video for validation cannot be used; warns of those that are trained on too."""
    trained = {video.path for truth in datasets for video in truth.videos}
    videos = [video for truth in validation for video in truth.videos]
    for video in videos:
        refuse_other_video(video, longer=True)
    shared = [video.name for video in videos if video.path in trained]
    if shared:
        _LOG.warning(
            "%d of the %d videos for validation are trained on too, such as %s: the scores will be "
            "higher than on other videos.",
            len(shared),
            len(videos),
            shared[0],
        )
