"""The training loop: seeded and resumable, on a GPU if one is available."""

from __future__ import annotations

import copy
import math
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn

from edgekit._parameters import parameter
from edgekit.errors import BadInputError, CheckpointError
from edgekit.files.writing import atomic_file
from edgekit.runtime.cascade import Cascade
from edgekit.training.losses import Batch, centernet_loss
from edgekit.training.result import Epoch
from edgekit.training.samples import Sample, TrainingClip, augmented_sample

__all__ = ["Settings", "Trainer"]

_EMA_DECAY = 0.998
_WEIGHT_DECAY = 1e-4
_WARM_UP = 0.05
_SMALL_SHARE = 0.5
_SMALL_SIZE = 0.75
_GRADIENT_NORM = 10.0


# Many attributes: two runs with equal settings give equal weights, so it holds all that they depend
# on.
@dataclass(frozen=True, slots=True)
class Settings:
    """Settings of a training run; two runs with equal settings give equal weights.

    Attributes:
        epochs: Number of epochs.
        images: Number of samples per epoch, drawn evenly over the datasets and over their classes.
        batch: Number of samples per step.
        rate: Learning rate of fresh weights.
        slow_rate: Learning rate of pretrained weights.
        size: (height, width) of the input; the first half of the epochs uses three quarters of it.
        seed: Seed for all random choices.
        kind: Kind of cascade, one of ``edgekit.runtime.kinds.KINDS``.
        frame_gap: Number of frames between the two pictures that the cascade compares.
        mean: Mean of the B, G and R channels, each in [0, 1].
        std: Standard deviation of the B, G and R channels, each in [0, 1].
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


# Many attributes: the network, its average, optimizer and schedule are saved and resumed together.
class Trainer:
    """Trains a network on clips.

    Args:
        network: Network with its initial weights.
        trained: Names of its pretrained parameters, which use the lower learning rate.
        clips: Clips to learn from.
        classes: Number of heatmap channels.
        settings: Settings of the training run.
        workers: Number of threads that prepare samples.
        device: ``cpu`` or ``cuda``. By default a GPU is used if one is available.

    Attributes:
        average: Exponential moving average of the network, which is the result of the training.
    """

    def __init__(
        self,
        network: nn.Module,
        trained: frozenset[str],
        clips: list[TrainingClip],
        classes: int,
        settings: Settings,
        *,
        workers: int = 2,
        device: str | None = None,
    ) -> None:
        self._device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        self._network = network.to(self._device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.average = copy.deepcopy(self._network).eval().requires_grad_(False)
        self._clips = clips
        self._classes = classes
        self._settings = settings
        self._workers = workers
        self._epoch = 0
        slow = [p for n, p in network.named_parameters() if n in trained]
        fast = [p for n, p in network.named_parameters() if n not in trained]
        groups = [{"params": fast, "lr": settings.rate}, {"params": slow, "lr": settings.slow_rate}]
        self._optimizer = torch.optim.AdamW(
            [g for g in groups if g["params"]], weight_decay=_WEIGHT_DECAY
        )
        self._steps = math.ceil(settings.images / settings.batch)
        total, warm = self._steps * settings.epochs, max(1, round(self._total * _WARM_UP))
        self._schedule = torch.optim.lr_scheduler.LambdaLR(
            self._optimizer,
            lambda step: (
                min(1.0, (step + 1) / warm)
                * (0.01 + 0.99 * (1 + math.cos(math.pi * min(1.0, step / total))) / 2)
            ),
        )
        self._places: dict[tuple[int, int], list[tuple[int, int]]] = {}
        for number, clip in enumerate(clips):
            of_class = self._places.setdefault((clip.dataset, clip.label), [])
            of_class.extend((number, index) for index in range(len(clip.frames)))

    @property
    def _total(self) -> int:
        return self._steps * self._settings.epochs

    def run(self, on_step: Callable[[], None] = lambda: None) -> Iterator[Epoch]:
        """Runs the remaining epochs; yields each one when it is finished.

        Args:
            on_step: Function called after every step, for a progress bar.

        Raises:
            BadInputError: The loss is no longer a finite number.
        """
        with ThreadPoolExecutor(self._workers) as pool:
            while self._epoch < self._settings.epochs:
                sums: dict[str, float] = {}
                for batch in self._batches(pool):
                    for name, value in self._step(batch).items():
                        sums[name] = sums.get(name, 0.0) + value
                    on_step()
                self._epoch += 1
                yield Epoch(self._epoch, {n: v / self._steps for n, v in sums.items()})

    def save(self, path: Path) -> None:
        """Writes everything that ``resume`` needs."""
        state = {
            "epoch": self._epoch,
            "settings": repr(self._settings),
            "network": self._network.state_dict(),
            "average": self.average.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "schedule": {"last_epoch": self._schedule.last_epoch},
        }
        with atomic_file(path) as temporary:
            torch.save(state, temporary)

    def resume(self, path: Path) -> int:
        """Restores a run from the state that ``save`` wrote; returns the number of finished epochs.

        Raises:
            CheckpointError: The file was not written by ``save``, or the run had other settings.
        """
        try:
            state = torch.load(path, map_location=self._device, weights_only=True)
            settings = state["settings"]
        except Exception as error:
            raise CheckpointError(
                f"{path} is not the state of a training run: {error}.",
                hint=f"To replace the run, use {parameter('force', True)} instead of "
                f"{parameter('resume')}.",
            ) from error
        if settings != repr(self._settings):
            raise CheckpointError(
                f"{path} belongs to a training run with other settings:\n  that run {settings}\n"
                f"  this run {self._settings!r}",
                hint="Use the settings that it began with. To replace the run, use "
                f"{parameter('force', True)} instead of {parameter('resume')}.",
            )
        self._network.load_state_dict(state["network"])
        self.average.load_state_dict(state["average"])
        self._optimizer.load_state_dict(state["optimizer"])
        self._schedule.last_epoch = state["schedule"]["last_epoch"]
        self._epoch = state["epoch"]
        return self._epoch

    def _step(self, batch: Batch) -> dict[str, float]:
        self._network.train()
        batch = batch.to(self._device)
        losses = centernet_loss(self._network(batch.input), batch)
        if not torch.isfinite(losses["total"]):
            raise BadInputError(
                f"The loss became {losses['total'].item()} in epoch {self._epoch + 1}.",
                hint=f"Lower {parameter('rate')}, or look for broken boxes in the annotations.",
            )
        self._optimizer.zero_grad(set_to_none=True)
        losses["total"].backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self._network.parameters(), _GRADIENT_NORM)
        self._optimizer.step()
        self._schedule.step()
        self._update_average()
        return {name: float(value.detach()) for name, value in losses.items()}

    @torch.no_grad()
    def _update_average(self) -> None:
        # A plain mean over the first steps: a decay of 0.998 would keep too much of the initial
        # weights.
        step = self._schedule.last_epoch
        decay = min(_EMA_DECAY, step / (step + 10))
        now = self._network.state_dict()
        for name, value in self.average.state_dict().items():
            if value.is_floating_point():
                value.lerp_(now[name], 1 - decay)
            else:
                value.copy_(now[name])

    def _size(self) -> tuple[int, int]:
        if self._epoch >= _SMALL_SHARE * self._settings.epochs:
            return self._settings.size
        height, width = (max(64, round(s * _SMALL_SIZE / 32) * 32) for s in self._settings.size)
        return height, width

    def _batches(self, pool: ThreadPoolExecutor) -> Iterator[Batch]:
        """Yields the batches of an epoch; prepares the next one while the current one trains."""
        size = self._size()
        rng = np.random.default_rng([self._settings.seed, self._epoch])
        places = self._draw(rng, self._steps * self._settings.batch)
        jobs: list[list[Future[Sample]]] = []

        def submit(step: int) -> None:
            first = step * self._settings.batch
            chosen = range(first, first + self._settings.batch)
            jobs.append([pool.submit(self._sample, size, n, *places[n]) for n in chosen])

        submit(0)
        for step in range(self._steps):
            if step + 1 < self._steps:
                submit(step + 1)
            samples = [job.result() for job in jobs.pop(0)]
            yield Batch(
                *(
                    torch.from_numpy(np.stack([getattr(s, field) for s in samples]))
                    for field in ("input", "heatmap", "cells", "sizes", "offsets", "mask")
                )
            )

    def _draw(self, rng: np.random.Generator, count: int) -> list[tuple[int, int]]:
        """Returns clip and frame indices of each sample."""
        groups = sorted(self._places)
        classes = Counter(dataset for dataset, _ in groups)
        shares = [1 / (len(classes) * classes[dataset]) for dataset, _ in groups]
        drawn = rng.choice(len(groups), count, p=shares if len(classes) > 1 else None)
        frames = [self._places[groups[number]] for number in drawn]
        return [of_class[rng.integers(len(of_class))] for of_class in frames]

    def _sample(self, size: tuple[int, int], number: int, clip: int, index: int) -> Sample:
        settings = self._settings
        rng = np.random.default_rng([settings.seed, self._epoch, number])
        cascade = Cascade(size, settings.mean, settings.std, kind=settings.kind)
        return augmented_sample(
            self._clips[clip], index, cascade, self._classes, settings.frame_gap, rng
        )
