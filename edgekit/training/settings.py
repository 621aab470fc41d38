"""Settings of a training run, its recipes, and the names that some settings may have."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

__all__ = [
    "AUGMENTATIONS",
    "MOST_STORED",
    "PRECISIONS",
    "RECIPES",
    "SCHEDULES",
    "FitOptions",
    "Settings",
    "TrainingRecipe",
]

MOST_STORED = 50_000_000_000
"""Largest size of the frame store by default, in bytes."""

PRECISIONS = ("fp32", "bf16", "fp16")
"""Arithmetic of a network in training."""

SCHEDULES = ("cosine", "steps")
"""Schedules of the learning rate; ``rate_factor`` has them."""

AUGMENTATIONS = ("wide", "centernet")
"""Random changes of samples; ``edgekit.training.data.augmentation`` has them."""

_SMALL_SHARE = 0.5
_SMALL_SIZE = 0.75


# Many attributes: two runs with equal settings give equal weights, so it holds all that they depend
# on.
@dataclass(frozen=True, slots=True)
class Settings:
    """Settings of a training run; two runs with equal settings give equal weights.

    Attributes:
        epochs: Number of epochs.
        images: Number of samples per epoch, drawn evenly over the datasets and over their classes.
        batch: Number of samples that go through the network at once, over all processes.
        rate: Learning rate of fresh weights.
        slow_rate: Learning rate of pretrained weights.
        size: (height, width) of the input.
        seed: Seed for all random choices.
        kind: Kind of cascade, one of ``edgekit.runtime.kinds.KINDS``.
        frame_gap: Number of frames between the two pictures that the cascade compares.
        mean: Mean of the B, G and R channels, each in [0, 1].
        std: Standard deviation of the B, G and R channels, each in [0, 1].
        accumulate: Number of batches whose gradients are summed for one step of the optimizer.
        precision: Arithmetic of the network, one of ``PRECISIONS``.
        hold_out: Share of each video, in [0, 1), at its end, that is not trained on.
        validate_every: Number of epochs between validations; 0 for one after the last epoch.
        early_stop: Number of epochs without a better validation after which a run ends; 0 for none.
        schedule: Schedule of the learning rates, one of ``SCHEDULES``.
        augmentation: Random changes of the samples, one of ``AUGMENTATIONS``.
        weight_decay: Weight decay of the optimizer AdamW; it is Adam with 0.
        small_first: Whether the first half of the epochs uses inputs of three quarters the size.
        teacher: Path of the checkpoint whose outputs are further targets; empty for none.
    """

    epochs: int
    images: int
    batch: int
    rate: float
    slow_rate: float
    size: tuple[int, int]
    seed: int
    kind: str
    frame_gap: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    accumulate: int = 1
    precision: str = "fp32"
    hold_out: float = 0.0
    validate_every: int = 0
    early_stop: int = 0
    schedule: str = "cosine"
    augmentation: str = "wide"
    weight_decay: float = 1e-4
    small_first: bool = True
    teacher: str = ""

    @property
    def steps(self) -> int:
        """Number of steps of the optimizer in an epoch."""
        return math.ceil(self.images / (self.batch * self.accumulate))

    def size_in(self, epoch: int) -> tuple[int, int]:
        """Returns (height, width) of the input in an epoch, which is counted from 0."""
        if not self.small_first or epoch >= _SMALL_SHARE * self.epochs:
            return self.size
        height, width = (max(64, round(s * _SMALL_SIZE / 32) * 32) for s in self.size)
        return height, width


# Many attributes: one for each setting that a recipe chooses.
@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingRecipe:
    """Settings that belong together; a user may replace all but the last three.

    Attributes:
        arch: Name of the network in ``edgekit.models.registry.ARCHITECTURES``.
        epochs: Number of epochs.
        images: Number of samples per epoch.
        batch: Number of samples per batch.
        rate: Learning rate of fresh weights.
        input_size: (height, width) of the input.
        schedule: Schedule of the learning rates, one of ``SCHEDULES``.
        augmentation: Random changes of the samples, one of ``AUGMENTATIONS``.
        slow_share: Factor on the learning rate of pretrained weights.
        weight_decay: Weight decay of the optimizer.
        small_first: Whether the first half of the epochs uses smaller inputs.
    """

    arch: str
    epochs: int
    images: int
    batch: int
    rate: float
    input_size: tuple[int, int]
    schedule: str
    augmentation: str
    slow_share: float
    weight_decay: float
    small_first: bool


_LITE0 = TrainingRecipe(
    arch="lite0",
    epochs=60,
    images=288,
    batch=16,
    rate=1e-3,
    input_size=(256, 256),
    schedule="cosine",
    augmentation="wide",
    slow_share=0.3,
    weight_decay=1e-4,
    small_first=True,
)

RECIPES = {
    "lite0": _LITE0,
    # It is used with a teacher.
    "distill": _LITE0,
    # docs/training.md names the source of each value.
    "korsal": TrainingRecipe(
        arch="dla34",
        epochs=60,
        images=120_000,
        batch=16,
        rate=1.25e-4,
        input_size=(256, 256),
        schedule="steps",
        augmentation="centernet",
        slow_share=1.0,
        weight_decay=0.0,
        small_first=False,
    ),
}
"""Recipes by the name that ``--recipe`` takes."""


# Many attributes: one for each choice of a user.
@dataclass(frozen=True, slots=True, kw_only=True)
class FitOptions:
    """Choices for a run that do not change its samples.

    Attributes:
        recipe: Name of the recipe that gave the settings, one of ``RECIPES``.
        arch: Name of the network in ``edgekit.models.registry.ARCHITECTURES``.
        origin: Source of the initial weights; see ``starting_network``.
        allow_partial: Whether less than half of a checkpoint's parameters may be used.
        name: Name of the model, stored in its checkpoint.
        workers: Number of processes that prepare samples; 0 prepares them in this process.
        frame_store: Folder for the frames of videos; None for the user's cache folder.
        most_stored: Largest size of that folder, in bytes.
        logdir: Folder for TensorBoard, in which the run gets a folder of its name; None for none.
        resume: Whether to continue from the state in the output folder.
        force: Whether to replace the files in the output folder.
    """

    recipe: str = "lite0"
    arch: str = "lite0"
    origin: str = "imagenet"
    allow_partial: bool = False
    name: str = "model"
    workers: int = 0
    frame_store: Path | None = None
    most_stored: int = MOST_STORED
    logdir: Path | None = None
    resume: bool = False
    force: bool = False
