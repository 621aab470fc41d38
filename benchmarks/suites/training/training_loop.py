"""Measures the training loop on a dataset of the size of UCF101-24, which is made on the fly.

Run it on an idle machine as ``python -m edgekit.benchmarks.suites.training.training_loop``. The
dataset has 3,194 clips with 395,868 frames of 320x240; each frame is decoded from a JPEG, as from a
frame store, and nothing is written. It prints one JSON object:

- ``network``: samples a second of the network alone, with one batch over and over;
- ``loaded``: samples a second with batches from worker processes, and its ``share`` of ``network``;
- ``memory``: proportional resident memory in bytes of the process with its workers (``whole``),
  of the process with one batch and no workers (``alone``), and the network's own share of both:
  weights with their copies, and activations (``network``);
- ``processes``: samples a second of one and of two processes of ``torchrun``, each with one thread.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch

from edgekit.datasets.annotations import TruthTube, VideoTruth
from edgekit.models.registry import build
from edgekit.targets.published import MEAN, STD
from edgekit.training.data.clip_index import index_clips
from edgekit.training.data.drawing import BatchKey
from edgekit.training.data.frame_reader import FramePlaces, Picture
from edgekit.training.data.loading import TrainingSamples
from edgekit.training.data.stored_video import QUALITY
from edgekit.training.estimate import activation_bytes
from edgekit.training.optimization.losses import Batch
from edgekit.training.optimization.process_group import process_group
from edgekit.training.settings import Settings
from edgekit.training.trainer import Trainer

__all__ = ["RenderedSamples", "main"]

CLIPS, FRAMES, CLASSES = 3194, 395_868, 24
_SIZE = (240, 320)


class RenderedSamples(TrainingSamples):
    """Samples whose pictures are decoded from one of a few JPEGs instead of a file."""

    def read(self, clip: int, frame: int) -> Picture:
        """Returns the picture of a frame: a textured scene that moves with the frame."""
        content = _scenes()[(clip + frame) % len(_scenes())]
        image = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
        assert image is not None
        return Picture(image.astype(np.uint8, copy=False), _SIZE)


@dataclass(eq=False)
class _OneBatch(RenderedSamples):
    """The same batch for every key."""

    _batch: Batch | None = None

    def __getitem__(self, key: BatchKey) -> Batch:
        if self._batch is None:
            found = super().__getitem__(key)
            assert isinstance(found, Batch)
            self._batch = found
        return self._batch


_RENDERED: list[bytes] = []


def _scenes() -> list[bytes]:
    if not _RENDERED:
        rng = np.random.default_rng(0)
        coarse = rng.integers(0, 255, (30, 48, 3), np.uint8)
        scene = cv2.resize(coarse, (480, 300), interpolation=cv2.INTER_CUBIC)
        for shift in range(8):
            part = scene[shift : shift + _SIZE[0], 4 * shift : 4 * shift + _SIZE[1]]
            content = cv2.imencode(".jpg", part, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])[1]
            _RENDERED.append(content.tobytes())
    return _RENDERED


def _samples(kind: type[TrainingSamples], settings: Settings) -> TrainingSamples:
    """Returns the dataset, with annotations and places of the full size."""
    counts = np.full(CLIPS, FRAMES // CLIPS)
    counts[: FRAMES % CLIPS] += 1
    videos = []
    for number, count in enumerate(counts.tolist()):
        boxes = np.tile([60.0, 40.0, 180.0, 200.0], (count, 1))
        tube = TruthTube(number % CLASSES, 0, boxes)
        videos.append(
            (0, VideoTruth(f"{number}", count, _SIZE[1], _SIZE[0], [tube], number % CLASSES))
        )
    clips = index_clips(videos)
    places = FramePlaces(
        tuple(f"/data/frames-{number:032x}/frames.jpegs" for number in range(CLIPS)),
        np.ones(CLIPS, np.bool_),
        np.full((CLIPS, 2), _SIZE, np.int32),
        np.ones((CLIPS, 2)),
        np.ones(CLIPS),
        clips.start,
        np.arange(FRAMES, dtype=np.int64) * 25_000,
        np.full(FRAMES, 25_000, np.uint32),
        np.arange(FRAMES, dtype=np.uint32),
        b"",
    )
    return kind(clips, places, CLASSES, settings)


def _settings(arch_size: int, batch: int, steps: int) -> Settings:
    return Settings(
        epochs=1,
        images=batch * steps,
        batch=batch,
        rate=1e-4,
        slow_rate=3e-5,
        size=(arch_size, arch_size),
        seed=1,
        kind="ssim",
        frame_gap=1,
        mean=MEAN,
        std=STD,
    )


def _resident() -> int:
    """Returns the memory of this process and its children, shared pages divided among them."""
    own = os.getpid()
    children = Path(f"/proc/{own}/task/{own}/children").read_text().split()
    total = 0
    for process in (str(own), *children):
        for line in Path(f"/proc/{process}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                total += 1024 * int(line.split()[1])
    return total


def _measure(
    arguments: argparse.Namespace, kind: type[TrainingSamples], workers: int
) -> tuple[float, int]:
    """Returns samples a second after the first step, and the largest memory between steps."""
    settings = _settings(arguments.size, arguments.batch, arguments.steps)
    torch.manual_seed(0)
    network = build(arguments.arch, classes=CLASSES)
    times: list[float] = []
    memory: list[int] = []

    def on_step() -> None:
        times.append(time.perf_counter())
        memory.append(_resident())

    with process_group(arguments.batch) as group:
        trainer = Trainer(
            network,
            frozenset(),
            _samples(kind, settings),
            workers=workers,
            group=group,
            device="cpu",
        )
        for _ in trainer.run(on_step):
            pass
    return arguments.batch * (len(times) - 1) / (times[-1] - times[0]), max(memory)


def _of_network(arguments: argparse.Namespace) -> int:
    """Returns the bytes of weights, their copies in training, and activations."""
    network = build(arguments.arch, classes=CLASSES)
    kept = activation_bytes(network, (arguments.batch, 6, arguments.size, arguments.size)) or 0
    return kept + 5 * sum(value.numel() * value.element_size() for value in network.parameters())


def _torchrun(arguments: argparse.Namespace, count: int) -> float:
    """Returns samples a second of some processes with one thread each."""
    words = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    words += [f"--nproc-per-node={count}", "-m", __spec__.name, "--worker"]
    for name in ("arch", "size", "batch", "steps"):
        words += [f"--{name}", str(getattr(arguments, name))]
    done = subprocess.run(
        words, capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"}
    )
    if done.returncode:
        raise SystemExit(done.stderr)
    return float(done.stdout.splitlines()[-1])


def main() -> None:
    """Measures, and prints the figures as JSON."""
    parser = argparse.ArgumentParser(description="Measures the training loop.")
    parser.add_argument("--arch", default="lite0")
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker:
        torch.set_num_threads(1)
        rate, _ = _measure(arguments, _OneBatch, 0)
        if os.environ["RANK"] == "0":
            print(rate)
        return
    alone, own = _measure(arguments, _OneBatch, 0)
    loaded, whole = _measure(arguments, RenderedSamples, arguments.workers)
    one, two = (_torchrun(arguments, count) for count in (1, 2))
    figures = {
        "network": alone,
        "loaded": loaded,
        "share": loaded / alone,
        "memory": {"whole": whole, "alone": own, "network": _of_network(arguments)},
        "processes": {"one": one, "two": two, "ratio": two / one},
    }
    print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
