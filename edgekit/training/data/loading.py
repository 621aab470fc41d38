"""Makes the batches of a run in worker processes, with torch's ``DataLoader``."""

from __future__ import annotations

import contextlib
import logging
import signal
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset, get_worker_info

from edgekit._parameters import parameter, write_flags, writes_flags
from edgekit._printable import size_text
from edgekit.errors import EdgeKitError, ResourceError
from edgekit.runtime.cascade import Cascade
from edgekit.system.own_process import claim_process
from edgekit.training.data.clip_index import ClipIndex
from edgekit.training.data.drawing import BatchKey
from edgekit.training.data.frame_reader import ClipReader, FramePlaces, Picture
from edgekit.training.data.targets import Sample
from edgekit.training.optimization.losses import Batch
from edgekit.training.samples import augmented_sample
from edgekit.training.settings import Settings

T = TypeVar("T")

__all__ = ["TrainingSamples", "batches", "naming_a_lost_worker"]

_FIELDS = ("input", "heatmap", "cells", "sizes", "offsets", "mask")


@dataclass(eq=False)
class TrainingSamples(Dataset[Batch | EdgeKitError]):
    """Batches by their keys. The same key gives the same batch in every process.

    Attributes:
        clips: Annotations of all clips.
        places: Where their frames are.
        classes: Number of heatmap channels.
        settings: Settings of the run.
    """

    clips: ClipIndex
    places: FramePlaces
    classes: int
    settings: Settings
    _reader: ClipReader | None = field(default=None, init=False, repr=False)
    _cascade: Cascade | None = field(default=None, init=False, repr=False)

    def __getstate__(self) -> dict[str, object]:
        """Returns the state for a worker process, without open files and buffers."""
        return {**self.__dict__, "_reader": None, "_cascade": None}

    def read(self, clip: int, frame: int) -> Picture:
        """Returns a frame of a clip; a subclass may make it instead of reading it."""
        if self._reader is None:
            self._reader = ClipReader(self.places)
        return self._reader.read(clip, frame)

    def __getitem__(self, key: BatchKey) -> Batch | EdgeKitError:
        """Returns a batch, or the error that prevents it: torch would wrap one that is raised."""
        cascade = self._cascade
        if cascade is None or cascade.size != key.size:
            settings = self.settings
            cascade = Cascade(key.size, settings.mean, settings.std, kind=settings.kind)
            self._cascade = cascade
        try:
            samples = [
                self._sample(cascade, key.epoch, number, int(clip), int(frame))
                for number, (clip, frame) in enumerate(key.places, key.first)
            ]
        except EdgeKitError as error:
            return error
        stacked = (np.stack([getattr(each, name) for each in samples]) for name in _FIELDS)
        batch = Batch(*map(torch.from_numpy, stacked))
        for each in samples:
            cascade.release(each.input)
        return batch if get_worker_info() is None else _shared(batch)

    def _sample(self, cascade: Cascade, epoch: int, number: int, clip: int, frame: int) -> Sample:
        settings = self.settings
        boxes, labels = self.clips.boxes_of(clip, frame)
        return augmented_sample(
            lambda index: self.read(clip, index),
            frame,
            boxes,
            labels,
            cascade,
            self.classes,
            settings.frame_gap,
            np.random.default_rng([settings.seed, epoch, number]),
            settings.augmentation,
        )


def _shared(batch: Batch) -> Batch | EdgeKitError:
    """Moves a batch to memory that the training process can read; returns the error if it is full.

    torch would move it in a thread, which drops a batch that does not fit, and the training would
    wait for it without end.
    """
    tensors = [getattr(batch, name) for name in _FIELDS]
    try:
        for tensor in tensors:
            tensor.share_memory_()
    except RuntimeError as error:
        size = size_text(sum(tensor.nbytes for tensor in tensors))
        return ResourceError(
            f"The shared memory (/dev/shm) has no space for another batch of {size}: {error}.",
            hint="Allow more (shm-size=2g for a container), use fewer processes: "
            f"{parameter('workers', 1)}, or none: {parameter('workers', 0)}.",
        )
    return batch


@contextlib.contextmanager
def batches(
    samples: Dataset[Batch | EdgeKitError], keys: Iterable[BatchKey], workers: int
) -> Iterator[Iterator[Batch]]:
    """Yields an iterator over the batches of some keys, in order.

    Args:
        samples: Batches by their keys.
        keys: Keys of the batches.
        workers: Number of processes that make batches ahead; 0 makes them in this process.

    Raises:
        EdgeKitError: A batch cannot be made, or a worker process ended.
    """
    loader: DataLoader[Batch | EdgeKitError] = DataLoader(
        samples,
        batch_size=None,
        sampler=keys,
        num_workers=workers,
        collate_fn=_unchanged,
        worker_init_fn=_Prepare(writes_flags()),
        # A fork would copy locks of the threads of torch, OpenCV and PyAV, but not the threads.
        multiprocessing_context="spawn" if workers else None,
        generator=torch.Generator(),
    )
    with _without_interrupts(wanted=workers > 0):
        source = iter(loader)
    try:
        with naming_a_lost_worker():
            yield _checked(source)
    finally:
        if workers:
            source._shutdown_workers()  # type: ignore[attr-defined]


@contextlib.contextmanager
def naming_a_lost_worker() -> Iterator[None]:
    """Converts torch's error for a worker process that ended.

    torch raises it in the main thread from a signal handler, whatever that thread is doing.

    Raises:
        ResourceError: A worker process ended.
    """
    try:
        yield
    except RuntimeError as error:
        if "DataLoader worker" not in str(error):
            raise
        reason = str(error).split("\n", 1)[0].strip()
        raise ResourceError(
            f"A process that prepares samples has ended: {reason}",
            hint="Usually the system had too little memory, or too little shared memory "
            f"(/dev/shm). Use fewer: {parameter('workers', 1)}, or none: "
            f"{parameter('workers', 0)}. To go on: {parameter('resume', True)}",
        ) from error


def _checked(source: Iterator[Batch | EdgeKitError]) -> Iterator[Batch]:
    for batch in source:
        if isinstance(batch, EdgeKitError):
            raise batch
        yield batch


def _unchanged(batch: T) -> T:
    return batch


@dataclass(frozen=True)
class _Prepare:
    """Prepares a worker process."""

    as_flags: bool

    def __call__(self, number: int) -> None:
        import cv2

        del number
        # Ctrl-C reaches all processes of a terminal; the training process ends its workers.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        claim_process()
        write_flags(self.as_flags)
        logging.getLogger("edgekit").setLevel(logging.ERROR)
        cv2.setNumThreads(1)


@contextlib.contextmanager
def _without_interrupts(*, wanted: bool) -> Iterator[None]:
    """Blocks SIGINT while processes start, which inherit that; else Ctrl-C prints tracebacks."""
    if not wanted or not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
