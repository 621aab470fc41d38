"""Times the whole pipeline against a plain PyTorch pipeline that follows the paper.

Run it as ``python -m edgekit.benchmarks.suites.speed.plain_pytorch --cache FOLDER [VIDEO]``; VIDEO
defaults to the clip of ``edgekit bench``. Both sides run DLA-34 with DCNv2 from one checkpoint,
with random weights unless one is named, at 256x256. EdgeKit's bundles of it are made in FOLDER the
first time. Rows of the shipped model are added. Both sides must find the same boxes before anything
is timed.

Every row has its own process, with one core and then with two; a round is one pass of each. On one
core EdgeKit uses one thread, on two the three threads of ``edgekit run``.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.metadata
import multiprocessing
import statistics
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgekit.assets import default_bundle, default_weights
from edgekit.benchmarks.footage import write_demo_clip
from edgekit.benchmarks.protocol import Job, Lap
from edgekit.benchmarks.suites.support.networks import exported, quantized, random_weights
from edgekit.benchmarks.suites.support.pinning import pinned
from edgekit.benchmarks.workers import Worker
from edgekit.bundle import load_bundle
from edgekit.calibration.store import Store
from edgekit.detector import Detector
from edgekit.errors import EdgeKitError
from edgekit.measuring.timing import machine
from edgekit.media import open_source
from edgekit.pipeline.stage_timer import STAGES
from edgekit.runtime.types import Detections
from edgekit.targets.registry import TARGETS

__all__ = ["main"]

_SIDE = 256
_CHECKED = 4
_LIKE = 10


@dataclass(frozen=True, slots=True)
class _Setting:
    """A bundle in a setting, and its required speed-up over PyTorch on 1 and 2 cores."""

    name: str
    bundle: Path
    arithmetic: str | None = None
    bounds: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class _PlayedRow:
    """A row while it is measured."""

    name: str
    arithmetic: str
    play: Callable[[], Lap]
    laps: list[Lap]
    bound: float | None = None


def _ways(store: Store, checkpoint: Path, video: Path) -> list[_Setting]:
    network = checkpoint.stem
    floats = {name: exported(store, checkpoint, name, _SIDE) for name in ("openvino", "onnx")}
    whole = {name: quantized(store, path, video) for name, path in floats.items()}
    vino, int8 = floats["openvino"], (4.5, 6.5)
    return [
        _Setting(f"{network}, OpenVINO", vino, "f32", (2.2, 3.3)),
        _Setting(f"{network}, OpenVINO, bf16", vino, "bf16", (2.8, 4.0)),
        _Setting(f"{network} INT8, OpenVINO", whole["openvino"], None, int8),
        _Setting(f"{network} INT8, OpenVINO, bf16", whole["openvino"], "bf16", int8),
        _Setting(f"{network} INT8, ONNX Runtime", whole["onnx"], None, int8),
        _Setting("shipped, ONNX Runtime", default_bundle(precision="fp32")),
        _Setting("shipped INT8, ONNX Runtime", default_bundle(), None, (30.0, 45.0)),
    ]


def _check(checkpoint: Path, bundle: Path, video: Path) -> None:
    """Raises unless both find the same boxes, from the second frame on: the first has no pair."""
    from edgekit.benchmarks.suites.speed._plain_pipeline import PlainPipeline

    plain = PlainPipeline(checkpoint, _SIDE)
    with open_source(str(video)) as source, Detector(bundle) as detector:
        for frame, number in zip(source, range(_CHECKED), strict=False):
            theirs, ours = plain.frame(frame.image, {}), detector.detect(frame.image)
            if number and not _alike(theirs, ours):
                raise SystemExit("PyTorch and EdgeKit found different boxes: nothing was timed.")


def _alike(theirs: Detections, ours: Detections) -> bool:
    boxes, classes, scores = (values[:_LIKE] for values in theirs.flat())
    others, other_classes, other_scores = ours.flat()
    for box, label, score in zip(boxes, classes, scores, strict=True):
        near = (np.abs(others - box).max(1) < 0.1) & (other_classes == label)
        if not (np.abs(other_scores[near] - score) < 1e-3).any():
            return False
    return True


@contextlib.contextmanager
def _plain(
    checkpoint: Path, video: Path, cores: int, frames: int
) -> Iterator[tuple[_PlayedRow, float]]:
    """Runs the plain pipeline in its own process; yields it and its matrix product rate."""
    from edgekit.benchmarks.suites.speed import _plain_pipeline

    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=spawn) as process:
        lowering = process.submit(_plain_pipeline.open_plain, checkpoint, _SIDE, cores).result()
        rate = process.submit(_plain_pipeline.product_rate).result()

        def play() -> Lap:
            return process.submit(_plain_pipeline.play_plain, video, frames).result()

        yield _PlayedRow(f"{checkpoint.stem}, plain PyTorch ({lowering})", "f32", play, []), rate


def _lane(
    way: _Setting, video: Path, cores: int, frames: int, stack: contextlib.ExitStack
) -> _PlayedRow:
    job = Job(
        bundle=str(way.bundle),
        source=str(video),
        frames=frames,
        runtime=TARGETS[load_bundle(way.bundle).manifest.target].runtimes[0],
        threads=cores,
        arithmetic=way.arithmetic,
        overlap=cores > 1,
    )
    worker = stack.enter_context(Worker(job))
    bound = way.bounds[cores - 1] if way.bounds else None
    return _PlayedRow(way.name, worker.ready.arithmetic, worker.play, [], bound)


def _measure(
    checkpoint: Path, ways: Sequence[_Setting], video: Path, cores: int, rounds: int, frames: int
) -> None:
    with contextlib.ExitStack() as stack:
        with pinned(cores):
            plain, rate = stack.enter_context(_plain(checkpoint, video, cores, frames))
            plain.play()  # warm-up
            lanes = [plain, *(_lane(way, video, cores, frames, stack) for way in ways)]
        for turn in range(rounds):
            first = turn % len(lanes)
            for lane in (*lanes[first:], *lanes[:first]):
                lane.laps.append(lane.play())
    threads = f"{cores} core{'s' * (cores > 1)}, {cores} thread{'s' * (cores > 1)} of the network"
    print(f"\n**{threads}**, {rounds} rounds of {frames} frames\n")
    print(f"| pipeline | arithmetic | ms a frame | faster | bound | {' | '.join(STAGES)} |")
    print(f"| --- | --- {'| ---: ' * (3 + len(STAGES))}|")
    for lane in lanes:
        print(_line(lane, plain))
    print(
        f"\nA product of two 1024x1024 matrices of float32 in PyTorch reaches {rate / 1e9:.0f} "
        f"GFLOP/s on {cores} of these cores. At that rate {_floors(checkpoint, rate)}."
    )


def _line(lane: _PlayedRow, plain: _PlayedRow) -> str:
    times = [1e3 * lap.seconds / len(lap.stages) for lap in lane.laps]
    base = [1e3 * lap.seconds / len(lap.stages) for lap in plain.laps]
    faster = statistics.median(b / t for b, t in zip(base, times, strict=True))
    stages = np.median([np.median(lap.stages, axis=0) for lap in lane.laps], axis=0)
    cells = [lane.name, lane.arithmetic, f"{statistics.median(times):.1f}", f"{faster:.2f}x"]
    cells.append(f"{lane.bound:g}x" if lane.bound else "")
    return f"| {' | '.join((*cells, *(f'{ms:.2f}' for ms in stages)))} |"


def _floors(checkpoint: Path, rate: float) -> str:
    """Describes the minimum time of the networks' operations at a rate."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    from edgekit.models.checkpoints import load_checkpoint
    from edgekit.models.dcn import set_lowering

    said = []
    for name, path in ((checkpoint.stem, checkpoint), ("the shipped network", default_weights())):
        network = load_checkpoint(path).network
        set_lowering(network, "gather")  # its operators can be counted
        with FlopCounterMode(display=False) as counter, torch.inference_mode():
            network(torch.zeros(1, 6, _SIDE, _SIDE))
        flops = counter.get_total_flops()
        said.append(f"the {flops / 1e9:.1f} GFLOP of {name} would take {1e3 * flops / rate:.0f} ms")
    return " and ".join(said)


def main() -> None:
    """Prints a table for each number of cores."""
    parser = argparse.ArgumentParser(description="Compares the pipeline with plain PyTorch.")
    parser.add_argument("video", nargs="?", type=Path)
    parser.add_argument("--cache", type=Path, required=True, help="folder for networks")
    parser.add_argument("--checkpoint", type=Path, help="24 classes [default: random DLA-34]")
    parser.add_argument("--cores", type=int, action="append", choices=(1, 2), help="repeatable")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--frames", type=int, default=40)
    arguments = parser.parse_args()
    store = Store(arguments.cache)
    versions = (f"{n} {importlib.metadata.version(n)}" for n in ("torch", "scikit-image"))
    with tempfile.TemporaryDirectory() as folder:
        try:
            video = arguments.video or write_demo_clip(Path(folder))
            checkpoint = arguments.checkpoint or random_weights(store, "dla34")
            ways = _ways(store, checkpoint, video)
            _check(checkpoint, ways[0].bundle, video)
            print(f"{machine()}, {', '.join(versions)}")
            for cores in arguments.cores or (1, 2):
                _measure(checkpoint, ways, video, cores, arguments.rounds, arguments.frames)
        except EdgeKitError as error:
            raise SystemExit(str(error)) from error


if __name__ == "__main__":
    main()
