"""The training loop: seeded and resumable, on one or several processors."""

from __future__ import annotations

import contextlib
import copy
import json
import math
from collections.abc import Callable, Generator, Mapping
from dataclasses import asdict
from itertools import islice
from pathlib import Path

import torch
from torch import Tensor, nn

from edgekit._parameters import parameter
from edgekit.errors import BadInputError, CheckpointError
from edgekit.system.shortage import shortage_of
from edgekit.training.data.drawing import Draws
from edgekit.training.data.loading import TrainingSamples, batches
from edgekit.training.optimization.losses import Batch, centernet_loss
from edgekit.training.optimization.memory_shortage import naming_a_smaller_batch
from edgekit.training.optimization.process_group import ALONE, ProcessGroup
from edgekit.training.optimization.run_state import RunState, load_state, save_state
from edgekit.training.optimization.schedule import rate_factor
from edgekit.training.optimization.teacher import Teacher, distillation_loss
from edgekit.training.result import Best, Epoch

__all__ = ["Trainer"]

_EMA_DECAY = 0.998
_GRADIENT_NORM = 10.0

_FIRST_SCALE = 256.0
"""Scale of the gradients in fp16 to begin with. The first losses are large: torch's 65,536 would
overflow for several steps, which would be lost."""

_PRECISIONS = {"bf16": torch.bfloat16, "fp16": torch.float16}


# Many attributes: the network, its average, optimizer and schedule are saved and resumed together.
class Trainer:
    """Trains a network on clips.

    Args:
        network: Network with its initial weights.
        trained: Names of its pretrained parameters, which use the lower learning rate.
        samples: Samples to learn from, with the settings of the run.
        facts: Values besides the settings that a run which goes on must have, such as the names of
            its classes; JSON can hold them.
        workers: Number of processes that prepare samples; 0 prepares them in this process.
        group: Processes that train together.
        device: ``cpu`` or ``cuda``. By default a GPU is used if one is available.
        teacher: Network whose outputs are further targets; None for none.

    Attributes:
        average: Exponential moving average of the network, which is the result of the training.
        best: Best validation so far, which is saved with the state.
    """

    def __init__(
        self,
        network: nn.Module,
        trained: frozenset[str],
        samples: TrainingSamples,
        *,
        facts: Mapping[str, object] | None = None,
        workers: int = 0,
        group: ProcessGroup = ALONE,
        device: str | None = None,
        teacher: Teacher | None = None,
    ) -> None:
        gpu = f"cuda:{group.local}"
        self._device = torch.device(device or (gpu if torch.cuda.is_available() else "cpu"))
        # On two cores, lite0 takes half as long in this layout as in the default one.
        self._network = network.to(self._device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.average = copy.deepcopy(self._network).eval().requires_grad_(False)
        self._wrapped = group.wrapped(self._network)
        self._teacher = teacher and teacher.to(self._device)
        self._samples = samples
        self._settings = settings = samples.settings
        self._facts = dict(facts or {})
        self._workers = workers
        self._group = group
        self.best: Best | None = None
        self._epoch, self._step = 0, 0
        self._sums: dict[str, float] = {}
        slow = [p for n, p in network.named_parameters() if n in trained]
        fast = [p for n, p in network.named_parameters() if n not in trained]
        groups = [{"params": fast, "lr": settings.rate}, {"params": slow, "lr": settings.slow_rate}]
        self._optimizer = torch.optim.AdamW(
            [g for g in groups if g["params"]], weight_decay=settings.weight_decay
        )
        self._rates = [group["lr"] for group in self._optimizer.param_groups]
        self._taken = 0
        self._scaler = torch.amp.GradScaler(
            self._device.type, _FIRST_SCALE, enabled=settings.precision == "fp16"
        )

    def run(self, on_step: Callable[[], None] = lambda: None) -> Generator[Epoch, None, None]:
        """Runs the remaining epochs; yields each one when it is finished.

        Args:
            on_step: Function called after every step. It may call ``save``.

        Raises:
            BadInputError: The loss is no longer a finite number, or a sample cannot be made.
            ResourceError: There is too little memory, or a worker process ended.
        """
        settings = self._settings
        keys = Draws(
            self._samples.clips,
            settings,
            (self._epoch, self._step),
            (self._group.number, self._group.count),
        )
        with batches(self._samples, keys, self._workers) as source:
            while self._epoch < settings.epochs:
                while self._step < settings.steps:
                    with naming_a_smaller_batch(settings, self._group.count):
                        losses = self._train(list(islice(source, settings.accumulate)))
                    for name, value in losses.items():
                        self._sums[name] = self._sums.get(name, 0.0) + value
                    self._step += 1
                    on_step()
                means = {name: value / settings.steps for name, value in self._sums.items()}
                self._epoch, self._step, self._sums = self._epoch + 1, 0, {}
                yield Epoch(self._epoch, means, self._optimizer.param_groups[0]["lr"])

    def save(self, path: Path) -> None:
        """Writes everything that ``resume`` needs; only the first of several processes does.

        Raises:
            OutputError: The file cannot be written.
        """
        if not self._group.first:
            return
        state: RunState = {
            "epoch": self._epoch,
            "step": self._step,
            "sums": self._sums,
            "settings": json.dumps(self._expected()),
            "network": self._network.state_dict(),
            "average": self.average.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "schedule": self._taken,
            "scaler": self._scaler.state_dict(),
            "best": self.best and (self.best.epoch, self.best.held_out),
        }
        save_state(path, state)

    def resume(self, path: Path) -> int:
        """Restores a run from the state that ``save`` wrote; returns the number of finished steps.

        Of several processes, the first reads the file for all.

        Raises:
            CheckpointError: The file was not written by ``save``, or the run had other settings.
        """
        read = load_state(path, self._expected()) if self._group.first else None
        state = self._group.from_first(read)
        assert state is not None
        try:
            self._restore(state)
        except (LookupError, TypeError, ValueError, AttributeError, RuntimeError) as error:
            if shortage_of(error):
                raise
            reason = (str(error).splitlines() or [""])[0]
            raise CheckpointError(
                f"{path} is not the state of this training run: {reason:.300}.",
                hint=f"Begin with the {parameter('origin')} of the run, which its settings.json "
                f"has. To replace the run, use {parameter('force', True)} instead of "
                f"{parameter('resume')}.",
            ) from error
        return self._epoch * self._settings.steps + self._step

    def _expected(self) -> dict[str, object]:
        """Returns what a run must have to go on."""
        return {**asdict(self._settings), **self._facts}

    def _restore(self, state: RunState) -> None:
        """Takes a state over; raises one of Python's errors if a value does not fit."""
        counts = state["epoch"], state["step"], state["schedule"]
        if not all(type(count) is int and count >= 0 for count in counts):
            raise ValueError(f"expected the numbers of epochs and steps, found {counts!r:.80}")
        if (
            counts[0] * self._settings.steps + counts[1]
            > self._settings.steps * self._settings.epochs
        ):
            raise ValueError(f"{counts[0]} epochs and {counts[1]} steps are more than the run has")
        self._network.load_state_dict(state["network"])
        self.average.load_state_dict(state["average"])
        self._optimizer.load_state_dict(state["optimizer"])
        self._check_optimizer()
        self._taken = state["schedule"]
        self._scaler.load_state_dict(state["scaler"])
        if state["best"]:
            epoch, scores = state["best"]
            self.best = Best(int(epoch), tuple(float(score) for score in scores))
        self._epoch, self._step = state["epoch"], state["step"]
        self._sums = {str(name): float(value) for name, value in state["sums"].items()}

    def _check_optimizer(self) -> None:
        """Raises one of Python's errors if the state of the optimizer does not fit its weights."""
        known = {k: v for k, v in self._optimizer.defaults.items() if isinstance(v, float | tuple)}
        for group in self._optimizer.param_groups:
            if any(type(group[key]) is not type(value) for key, value in known.items()):
                raise ValueError("the optimizer has settings of other types")
        for weights, values in self._optimizer.state.items():
            shapes = [values[name].shape for name in ("exp_avg", "exp_avg_sq")]
            if values["step"].numel() != 1 or any(shape != weights.shape for shape in shapes):
                raise ValueError("the optimizer has moments of other shapes than the weights")

    def _train(self, step: list[Batch]) -> dict[str, float]:
        """Takes one step of the optimizer; returns the losses of all its samples."""
        settings = self._settings
        self._network.train()
        self._optimizer.zero_grad(set_to_none=True)
        actors = torch.stack([batch.mask.sum() for batch in step]).sum().to(self._device)
        actors = self._group.sum(actors)
        totals: dict[str, Tensor] = {}
        for number, batch in enumerate(step):
            with self._unsynced(wanted=number + 1 < len(step)):
                for name, loss in self._backward(batch.to(self._device), actors).items():
                    totals[name] = totals.get(name, torch.zeros_like(loss)) + loss
        values = self._group.sum(torch.stack(list(totals.values()))).tolist()
        losses = dict(zip(totals, values, strict=True))
        if not math.isfinite(losses["total"]):
            raise BadInputError(
                f"The loss became {losses['total']} in epoch {self._epoch + 1}.",
                hint=f"Lower {parameter('rate')}, or look for broken boxes in the annotations.",
            )
        self._scaler.unscale_(self._optimizer)
        nn.utils.clip_grad_norm_(self._network.parameters(), _GRADIENT_NORM)
        for group, rate in zip(self._optimizer.param_groups, self._rates, strict=True):
            group["lr"] = rate * rate_factor(
                settings.schedule, self._taken, settings.steps * settings.epochs
            )
        self._scaler.step(self._optimizer)
        self._scaler.update()
        self._taken += 1
        self._update_average()
        return losses

    def _backward(self, batch: Batch, actors: Tensor) -> dict[str, Tensor]:
        """Adds the gradients of a batch; returns its share of the losses, without gradients."""
        kind = _PRECISIONS.get(self._settings.precision)
        with torch.autocast(self._device.type, kind, enabled=kind is not None):
            outputs = self._wrapped(batch.input)
            taught = self._teacher(batch.input) if self._teacher is not None else None
        losses = centernet_loss(outputs, batch, actors)
        if taught is not None:
            soft = distillation_loss(outputs, taught, batch, actors)
            losses = {**losses, **soft, "total": losses["total"] + sum(soft.values())}
        # DistributedDataParallel averages gradients, and their sum is wanted.
        self._scaler.scale(losses["total"] * self._group.count).backward()  # type: ignore[no-untyped-call]
        return {name: value.detach() for name, value in losses.items()}

    def _unsynced(self, *, wanted: bool) -> contextlib.AbstractContextManager[None]:
        """Returns a context without exchange of gradients: the last batch does it for all."""
        if wanted and self._wrapped is not self._network:
            found: contextlib.AbstractContextManager[None] = self._wrapped.no_sync()  # type: ignore[operator]
            return found
        return contextlib.nullcontext()

    @torch.no_grad()
    def _update_average(self) -> None:
        # A plain mean over the first steps: a decay of 0.998 would keep too much of the initial
        # weights.
        decay = min(_EMA_DECAY, self._taken / (self._taken + 10))
        now = self._network.state_dict()
        for name, value in self.average.state_dict().items():
            if value.is_floating_point():
                value.lerp_(now[name], 1 - decay)
            else:
                value.copy_(now[name])
