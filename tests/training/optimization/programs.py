"""Programs that torchrun starts, as ``programs.py NAME FOLDER``; each asserts or writes results.

``norms_of_four`` starts its processes by itself.
"""

from __future__ import annotations

import contextlib
import copy
import os
import runpy
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional

from edgekit._progress import SILENT, Progress
from edgekit.benchmarks.suites.support.every_command import ARCHITECTURE
from edgekit.datasets.annotations import read_annotations
from edgekit.errors import ResourceError
from edgekit.models.registry import ARCHITECTURES
from edgekit.training.data.loading import TrainingSamples
from edgekit.training.data.preparing import ClipSource, prepared_clips
from edgekit.training.fit import FitOptions, fit
from edgekit.training.optimization.gathering import gather
from edgekit.training.optimization.process_group import ProcessGroup, process_group
from edgekit.training.optimization.synced_batch_norm import synchronize
from edgekit.training.settings import Settings
from edgekit.training.trainer import Trainer


class Tiny(nn.Module):
    """A network of a few thousand weights, with batch norms and with heads at stride 4."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(6, 8, 3, 2, 1, bias=False), nn.BatchNorm2d(8))
        self.second = nn.Sequential(nn.Conv2d(8, 16, 3, 2, 1, bias=False), nn.BatchNorm2d(16))
        self.heads = nn.ModuleDict({name: nn.Conv2d(16, 2, 1) for name in ("hm", "wh", "reg")})

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        x = functional.relu(self.second(functional.relu(self.first(x))))
        return {name: head(x) for name, head in self.heads.items()}


def settings(**changes: object) -> Settings:
    values = {
        "epochs": 2, "images": 12, "batch": 4, "rate": 1e-2, "slow_rate": 3e-3, "size": (64, 64),
        "seed": 3, "kind": "ssim", "frame_gap": 1, "mean": (0.4,) * 3, "std": (0.3,) * 3,
    }  # fmt: skip
    return Settings(**(values | changes))  # type: ignore[arg-type]


def trainer_of(folder: Path, group: ProcessGroup, values: Settings) -> Trainer:
    truth = read_annotations(folder / "annotations.json")
    source = ClipSource([(0, v) for v in truth.videos], 1.0, (64, 64), folder / "store", 10**9, 1)
    with prepared_clips(source, group, SILENT, lambda text: None) as clips:
        samples = TrainingSamples(clips.index, clips.places, 2, values)
    torch.manual_seed(0)
    return Trainer(Tiny(), frozenset(), samples, group=group, device="cpu")


def train(folder: Path) -> None:
    """Trains, and writes losses and weights as ``COUNT-ACCUMULATE.pt``."""
    for accumulate in (1, 3):
        values = settings(accumulate=accumulate)
        with process_group(values.batch) as group:
            trainer = trainer_of(folder, group, values)
            losses = [epoch.losses for epoch in trainer.run()]
            if group.first:
                found = {"losses": losses, "weights": trainer.average.state_dict()}
                torch.save(found, folder / f"{group.count}-{accumulate}.pt")


def close(found: torch.Tensor, expected: torch.Tensor, rtol: float, atol: float) -> None:
    """Like ``torch.testing.assert_close``, whose imports would take each process seconds."""
    assert found.shape == expected.shape
    assert torch.allclose(found, expected, rtol, atol), (found - expected).abs().max()


def norm(folder: Path) -> None:
    """A synchronised norm gives what a norm over the whole batch gives, gradients included."""
    del folder
    with process_group(4) as group:
        torch.manual_seed(1)
        whole = nn.BatchNorm2d(5)
        nn.init.normal_(whole.weight)
        part = nn.Sequential(copy.deepcopy(whole))
        synchronize(part)
        data = torch.randn(4, 5, 6, 7) * 3 + 40
        slope = torch.randn(4, 5, 6, 7)
        inputs = data.clone().requires_grad_()
        outputs = whole(inputs)
        (outputs * slope).sum().backward()
        own = slice(group.number * 4 // group.count, (group.number + 1) * 4 // group.count)
        mine = data[own].clone().requires_grad_()
        found = part(mine)
        (found * slope[own]).sum().backward()
        close(found, outputs[own], rtol=1e-4, atol=1e-4)
        close(mine.grad, inputs.grad[own], rtol=1e-3, atol=1e-4)
        for mean, expected in zip(part[0].buffers(), whole.buffers(), strict=True):
            close(mean, expected, rtol=1e-5, atol=1e-5)
        for value, expected in zip(part.parameters(), whole.parameters(), strict=True):
            close(group.sum(value.grad), expected.grad, rtol=1e-3, atol=1e-3)
        close(part.eval()(data), whole.eval()(data), rtol=1e-6, atol=1e-5)


def lost(folder: Path) -> None:
    """Of four processes, three go on after the fourth has ended, and say that one is lost."""
    del folder
    with contextlib.suppress(ResourceError):
        with process_group(4) as group:
            gather(torch.ones(2, 3))
            if group.number == 3:
                os._exit(0)
            gather(torch.ones(2, 3))
        raise AssertionError("nobody noticed")


def norms_of_four(folder: Path) -> None:
    """Runs ``norm`` as on several machines and as on one, and ``lost``."""
    _in_four_processes(norm, folder, {"TORCHELASTIC_RESTART_COUNT": "0", "LOCAL_WORLD_SIZE": "1"})
    _in_four_processes(norm, folder, {"TORCHELASTIC_RESTART_COUNT": "1", "LOCAL_WORLD_SIZE": "4"})
    _in_four_processes(lost, folder, {"TORCHELASTIC_RESTART_COUNT": "2", "LOCAL_WORLD_SIZE": "4"})


def _in_four_processes(
    program: Callable[[Path], None], folder: Path, environment: dict[str, str]
) -> None:
    """Runs a program in four forks of this process, in an environment like that of torchrun.

    They share the import of torch, which takes longer than all that they do.
    """
    children = []
    for number in range(4):
        child = os.fork()
        if child == 0:
            place = {"RANK": str(number), "LOCAL_RANK": str(number), "WORLD_SIZE": "4"}
            os.environ |= environment | place
            program(folder)
            sys.exit()
        children.append(child)
    assert [os.waitpid(child, 0)[1] for child in children] == [0] * 4


class _Dying(Progress):
    """Kills its process in the second epoch, unless torchrun has started it again."""

    def __init__(self) -> None:
        self._steps = 0

    def advance(self) -> None:
        self._steps += 1
        first = os.environ["TORCHELASTIC_RESTART_COUNT"] == "0"
        if first and self._steps == 3:
            os.kill(os.getpid(), signal.SIGKILL)


def fitted(folder: Path, progress: Progress = SILENT) -> None:
    """Trains for two epochs of two steps, as ``whole`` or, with other progress, ``dying``."""
    truth = read_annotations(folder / "annotations.json")
    ARCHITECTURES.own["tiny"] = ARCHITECTURE
    options = FitOptions(arch="tiny", origin="scratch", frame_store=folder / "store")
    out = folder / ("whole" if progress is SILENT else "dying")
    values = settings(images=4, batch=2, hold_out=0.25, validate_every=1)
    fit([truth], out, values, options, progress)


def command(folder: Path) -> None:
    """Becomes ``python -m edgekit train``."""
    words = ["train", "--root", str(folder), "--epochs", "1", "--images", "2", "--batch", "2"]
    words += ["--input-size", "64", "--from", "scratch", "--workers", "1"]
    sys.argv = ["edgekit", *words, "-o", str(folder / "command"), "--json"]
    runpy.run_module("edgekit", run_name="__main__", alter_sys=True)


def trainings(folder: Path) -> None:
    """Trains four times, the last time by the command.

    In the first training, process 0 is killed once, in the second epoch.
    """
    fitted(folder, _Dying())
    fitted(folder)
    train(folder)
    command(folder)


if __name__ == "__main__":
    torch.set_num_threads(1)
    globals()[sys.argv[1]](Path(sys.argv[2]))
