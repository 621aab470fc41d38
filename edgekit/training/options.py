"""Options of ``edgekit.train`` and ``edgekit train``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path

from edgekit._checks import check_choice, check_range
from edgekit._options import check_types
from edgekit._parameters import parameter
from edgekit.datasets.layouts import DATASETS
from edgekit.errors import UsageError
from edgekit.models.registry import ARCHITECTURES
from edgekit.runtime.kinds import KINDS
from edgekit.system.own_process import is_own_process
from edgekit.training.settings import (
    AUGMENTATIONS,
    MOST_STORED,
    PRECISIONS,
    RECIPES,
    SCHEDULES,
    TrainingRecipe,
)

__all__ = ["TrainOptions"]

_WORKERS = 2
_COUNTS = (
    "epochs",
    "images",
    "frame_gap",
    "accumulate",
    "frame_store_size",
    "validate_every",
    "early_stop",
)


# Many attributes: one for each argument of ``train``, as users know them.
@dataclass(frozen=True, slots=True, kw_only=True)
class TrainOptions:
    """Options of a training run, checked; ``train`` documents them.

    Options that the recipe gives are None unless the user gave them: ``chosen`` has their values.

    Raises:
        UsageError: An option has a value of the wrong type, or out of range.
    """

    root: Sequence[Path]
    dataset: str = "json"
    split: int = 1
    recipe: str = "lite0"
    arch: str | None = None
    origin: str | Path | None = None
    teacher: Path | None = None
    epochs: int | None = None
    images: int | None = None
    batch: int | None = None
    rate: float | None = None
    input_size: tuple[int, int] | None = None
    cascade: str = "ssim"
    frame_gap: int = 1
    seed: int = 1
    hold_out: float = 0.0
    validate: Sequence[Path] = ()
    validate_every: int | None = None
    early_stop: int | None = None
    accumulate: int = 1
    precision: str = "fp32"
    schedule: str | None = None
    augmentation: str | None = None
    frame_store: Path | None = None
    frame_store_size: int = MOST_STORED
    workers: int | None = None
    allow_partial: bool = False
    name: str | None = None
    out: Path | None = None
    logdir: Path | None = None
    resume: bool = False
    force: bool = False

    def __post_init__(self) -> None:
        check_types(self)
        if not self.root:
            raise UsageError(
                f"Expected {parameter('root')} to name at least one folder of clips; found none."
            )
        check_choice("dataset", self.dataset, DATASETS)
        check_choice("arch", self.arch, ARCHITECTURES)
        check_choice("cascade", self.cascade, KINDS)
        check_range("split", self.split, 1, 3)
        check_choice("recipe", self.recipe, RECIPES)
        check_choice("precision", self.precision, PRECISIONS)
        check_choice("schedule", self.schedule, SCHEDULES)
        check_choice("augmentation", self.augmentation, AUGMENTATIONS)
        for name in _COUNTS:
            check_range(name, getattr(self, name), 1)
        check_range("workers", self.workers, 0)
        check_range("batch", self.batch, 2)
        check_range("rate", self.rate, 0, above=True)
        check_range("seed", self.seed, 0)
        check_range("hold_out", self.hold_out, 0, 0.9)
        height, width = self.input_size or self.chosen.input_size
        if min(height, width) < 64 or height % 32 or width % 32:
            raise UsageError(
                f"Expected {parameter('input_size')} in multiples of 32, at least 64; found "
                f"{height}x{width}."
            )
        self._check_validation()
        if self.name is not None and (self.name == ".." or Path(self.name).name != self.name):
            raise UsageError(
                f"Expected {parameter('name')} to be a name without folders; found {self.name!r}.",
                hint=f"Name the folder of the run by {parameter('out', 'FOLDER')}.",
            )
        if self.recipe == "distill" and self.teacher is None:
            raise UsageError(
                f"{parameter('recipe', 'distill')} needs a trained network to learn from.",
                hint=f"Add {parameter('teacher', 'FILE')}.",
            )
        if self.allow_partial and self.origin in (None, "imagenet", "scratch"):
            raise UsageError(
                f"{parameter('allow_partial')} works only with a checkpoint to start from.",
                hint=f"Add {parameter('origin', 'FILE')}, or leave out "
                f"{parameter('allow_partial')}.",
            )
        if self.resume and self.force:
            raise UsageError(
                f"{parameter('resume')} and {parameter('force')} cannot be used together: "
                "the first continues a run, and the second replaces it.",
                hint="Leave out one of them.",
            )

    def _check_validation(self) -> None:
        if self.validate and self.hold_out:
            raise UsageError(
                f"{parameter('validate')} and {parameter('hold_out')} cannot be used together: "
                "each chooses the frames that the network is evaluated on.",
                hint="Leave out one of them.",
            )
        if self.validate_every and not (self.validate or self.hold_out):
            raise UsageError(
                f"{parameter('validate_every')} needs frames to evaluate the network on.",
                hint=f"Add {parameter('hold_out', 0.2)}, or {parameter('validate', 'FOLDER')}.",
            )
        if self.early_stop and not self.validate_every:
            raise UsageError(
                f"{parameter('early_stop')} needs evaluations during the run.",
                hint=f"Add {parameter('validate_every', 1)}.",
            )

    @property
    def chosen(self) -> TrainingRecipe:
        """The recipe, with the options that were given in place of its own."""
        recipe = RECIPES[self.recipe]
        given = {each.name: getattr(self, each.name, None) for each in fields(recipe)}
        return replace(
            recipe, **{name: value for name, value in given.items() if value is not None}
        )

    @property
    def processes(self) -> int:
        """Number of processes that prepare samples."""
        if self.workers is None:
            return _WORKERS if is_own_process() else 0
        return self.workers
