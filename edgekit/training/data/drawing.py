"""Chooses the frames of each epoch at random, evenly over datasets and their classes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from edgekit.training.data.clip_index import ClipIndex
from edgekit.training.settings import Settings

__all__ = ["BatchKey", "Draws"]


class BatchKey(NamedTuple):
    """Key of a batch: with settings and clips, it determines the samples.

    Attributes:
        epoch: Index of the epoch.
        size: (height, width) of the input.
        first: Number of the first sample in its epoch; the others follow.
        places: Clip and frame of each sample, (k, 2).
    """

    epoch: int
    size: tuple[int, int]
    first: int
    places: npt.NDArray[np.int64]


class Draws:
    """Batches of a run in order, as keys; an iterable for ``DataLoader``.

    A sample is a frame of a clip that has the drawn class, whether or not the frame shows it. So
    the moments before and after an action are drawn too.

    Args:
        clips: Index of all clips.
        settings: Settings of the run.
        begin: Epoch and step of the optimizer, each from 0, to begin with.
        part: Number of this process and count of all processes; each draws its slice of the same
            batches.
    """

    def __init__(
        self,
        clips: ClipIndex,
        settings: Settings,
        begin: tuple[int, int] = (0, 0),
        part: tuple[int, int] = (0, 1),
    ) -> None:
        self._settings = settings
        self._begin = begin
        self._part = part
        frames = np.diff(clips.start)
        clip, label_of = clips.labels.T
        dataset_of = clips.datasets[clip]
        pairs = sorted({*zip(dataset_of.tolist(), label_of.tolist(), strict=True)})
        self._clips = [
            clip[(dataset_of == dataset) & (label_of == label)] for dataset, label in pairs
        ]
        self._ends = [np.cumsum(frames[of_class]) for of_class in self._clips]
        classes = Counter(dataset for dataset, _ in pairs)
        self._shares = (
            [1 / (len(classes) * classes[dataset]) for dataset, _ in pairs]
            if len(classes) > 1
            else None
        )

    def __iter__(self) -> Iterator[BatchKey]:
        settings, (number, count) = self._settings, self._part
        own = settings.batch // count
        epoch, step = self._begin
        while epoch < settings.epochs:
            places = self._draw(epoch)
            batches = range(step * settings.accumulate, settings.steps * settings.accumulate)
            for batch in batches:
                first = batch * settings.batch + number * own
                chosen = places[first : first + own]
                yield BatchKey(epoch, settings.size_in(epoch), first, chosen)
            epoch, step = epoch + 1, 0

    def _draw(self, epoch: int) -> npt.NDArray[np.int64]:
        """Returns clip and frame of each sample of an epoch, (n, 2)."""
        settings = self._settings
        rng = np.random.default_rng([settings.seed, epoch])
        count = settings.steps * settings.accumulate * settings.batch
        drawn = rng.choice(len(self._clips), count, p=self._shares)
        places = np.zeros((count, 2), np.int64)
        for number, group in enumerate(drawn):
            ends = self._ends[group]
            at = int(rng.integers(ends[-1]))
            clip = int(np.searchsorted(ends, at, side="right"))
            places[number] = self._clips[group][clip], at - (ends[clip - 1] if clip else 0)
        return places
