from __future__ import annotations

import multiprocessing
import os
import resource
import signal
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.data import Dataset

from edgekit._progress import SILENT
from edgekit.errors import EdgeKitError, MediaError, ResourceError
from edgekit.training.data.drawing import BatchKey, Draws
from edgekit.training.data.loading import TrainingSamples, batches
from edgekit.training.data.preparing import ClipSource, prepared_clips
from edgekit.training.optimization.losses import Batch
from edgekit.training.optimization.process_group import ALONE
from tests.training.data.clips import of, pictures, truth

FIELDS = ("input", "heatmap", "cells", "sizes", "offsets", "mask")


def samples_of(folder: Path) -> TrainingSamples:
    source = ClipSource([(0, truth(folder, 6))], 1.0, (64, 64), None, 1, 1)
    with prepared_clips(source, ALONE, SILENT, print) as clips:
        return TrainingSamples(clips.index, clips.places, 2, of(size=(64, 64), images=8, epochs=2))


def made(samples: TrainingSamples, workers: int) -> list[Batch]:
    with batches(samples, Draws(samples.clips, samples.settings), workers) as source:
        return list(source)


def test_samples_are_the_same_whoever_makes_them(tmp_path: Path) -> None:
    samples = samples_of(pictures(tmp_path / "a", 6))
    alone, together = made(samples, 0), made(samples, 2)
    assert len(alone) == len(together) == 4
    for expected, found in zip(alone, together, strict=True):
        for name in FIELDS:
            np.testing.assert_array_equal(getattr(expected, name), getattr(found, name))
    assert not torch.equal(alone[0].input, alone[1].input)


def test_an_error_is_the_same_in_a_worker(tmp_path: Path) -> None:
    folder = pictures(tmp_path / "a", 6)
    samples = samples_of(folder)
    for path in folder.iterdir():
        path.unlink()
    found = []
    for workers in (0, 1):
        with pytest.raises(MediaError, match="No such file") as caught:
            made(samples, workers)
        found.append(caught.value.hint)
    assert found[0] == found[1]


class _Killed(Dataset[Batch]):
    """Ends its process as the kernel does when memory runs out."""

    def __getitem__(self, key: object) -> Batch:
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError


def test_a_killed_worker_is_a_sentence(tmp_path: Path) -> None:
    samples = samples_of(pictures(tmp_path / "a", 6))
    with (
        pytest.raises(ResourceError, match="process that prepares samples has ended") as caught,
        batches(_Killed(), Draws(samples.clips, samples.settings), 1) as source,
    ):
        next(source)
    assert "workers=0" in caught.value.hint
    assert "resume=True" in caught.value.hint


def _learn_without_a_worker(samples: TrainingSamples, keys: Draws) -> None:
    with batches(samples, keys, 1) as source:
        next(source)
        (worker,) = multiprocessing.active_children()
        assert worker.pid is not None
        os.kill(worker.pid, signal.SIGKILL)
        for _ in range(600):
            time.sleep(0.1)


def test_a_worker_that_is_killed_while_the_network_learns_is_a_sentence(tmp_path: Path) -> None:
    """torch's signal handler then raises in the middle of other work."""
    samples = samples_of(pictures(tmp_path / "a", 6))
    keys = Draws(samples.clips, samples.settings)
    with pytest.raises(ResourceError, match="process that prepares samples has ended"):
        _learn_without_a_worker(samples, keys)


class _Limited(TrainingSamples):
    """Makes batches in a process that may not write files of more than 10 kB, shared memory too."""

    def __getitem__(self, key: BatchKey) -> Batch | EdgeKitError:
        resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, resource.RLIM_INFINITY))
        return super().__getitem__(key)


def test_shared_memory_that_is_full_is_a_sentence(tmp_path: Path) -> None:
    samples = samples_of(pictures(tmp_path / "a", 6))
    limited = _Limited(samples.clips, samples.places, samples.classes, samples.settings)
    with pytest.raises(
        ResourceError, match=r"no space for another batch of 4\d\d\.\d kB"
    ) as caught:
        made(limited, 1)
    assert "shm-size=2g" in caught.value.hint
    assert "workers=0" in caught.value.hint
    assert len(made(samples, 1)) == 4
