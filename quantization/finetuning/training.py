"""HOST. Fine-tunes a network so that rounded activations do not change its heads.

The float network teaches the rounding network (Hinton et al., "Distilling the knowledge in a neural
network", 2015). For annotated frames, CenterNet's own loss is added.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from edgekit.bundle import FineTuning
from edgekit.calibration.samples import Samples
from edgekit.errors import BadInputError
from edgekit.models.centernet import HEADS
from edgekit.models.folding import fold_batch_norms, unfold_batch_norms
from edgekit.quantization.finetuning.bundle import FineTuningPlan
from edgekit.quantization.finetuning.fake_quantization import settle, with_roundings
from edgekit.quantization.heads_loss import Truth
from edgekit.runtime.types import Array
from edgekit.training.losses import Batch, centernet_loss
from edgekit.training.samples import Sample, targets

__all__ = ["distillation_loss", "fine_tuned", "learning_sample"]

_BATCH = 8
_HELD_OUT = 8
"""Interval of held-out samples: every eighth sample is held out."""

_LOOKS = 5
"""Number of evaluations on the held-out samples, evenly spaced over the run."""

_GRADIENT_NORM = 1.0
_FLOOR = 0.02
"""Weight of a cell where the float network detects nothing; a certain detection weighs 1."""


def fine_tuned(
    network: nn.Module,
    samples: Samples,
    plan: FineTuningPlan,
    *,
    truth: Truth | None = None,
    progress: Callable[[int], None] = lambda step: None,
) -> tuple[nn.Module, FineTuning]:
    """Fine-tunes a network, and returns the best state.

    Weights and biases are trained, in the network with its norms folded; ranges are fixed. The
    result is the evaluated state that does best on the held-out samples.

    Args:
        network: Network in evaluation mode, on the CPU; it is not changed.
        samples: Samples to learn from; a part of them is held out.
        plan: Settings of the fine-tuning.
        truth: Ground truth of the samples, for the additional loss.
        progress: Function called with the number of each finished step.

    Returns:
        The network with its new weights, or with its own if none were better, and the record.

    Raises:
        BadInputError: The loss is no longer a finite number.
        CalibrationError: An activation is not a finite number.
        ConversionError: The network cannot be traced.
    """
    run = _Run(network, samples, plan, truth)
    before = best = run.held_out()
    state = copy.deepcopy(run.student.state_dict())
    looks = {round(plan.steps * (look + 1) / _LOOKS) for look in range(_LOOKS)}
    for step in range(1, plan.steps + 1):
        run.step(step)
        if step in looks and (found := run.held_out()) < best:
            best, state = found, copy.deepcopy(run.student.state_dict())
        progress(step)
    run.student.load_state_dict(state)
    made = FineTuning(
        steps=plan.steps,
        seed=plan.seed,
        annotated=truth is not None,
        before=before,
        after=best,
        used=best < before,
    )
    return unfold_batch_norms(network, run.student, run.example) if made.used else network, made


def distillation_loss(found: dict[str, Tensor], wanted: dict[str, Tensor]) -> Tensor:
    """Returns the error of heads: squared error as a share of the signal, summed over the heads.

    Args:
        found: Heads to compare: ``hm`` logits (N, C, h, w), ``wh`` and ``reg`` (N, 2, h, w).
        wanted: Reference heads; each cell is weighted by its score, with a small minimum.
    """
    score = wanted["hm"].sigmoid()
    weights = {"hm": score, "wh": score.amax(1, keepdim=True), "reg": score.amax(1, keepdim=True)}
    total = score.new_zeros(())
    for head in HEADS:
        weight = weights[head] + _FLOOR
        noise = (weight * (found[head] - wanted[head]).square()).sum()
        total = total + noise / (weight * wanted[head].square()).sum().clamp(min=1e-12)
    return total


def learning_sample(
    samples: Samples,
    index: int,
    actions: Sequence[tuple[int, Array]],
    classes: int,
    *,
    flip: bool = False,
) -> Sample:
    """Returns a frame as a training sample of CenterNet.

    Args:
        samples: Samples that contain the frame.
        index: Index of the frame in ``samples``.
        actions: Class and box (4,), in source pixels, of each action in the frame.
        classes: Number of heatmap channels.
        flip: Whether to mirror the frame horizontally.
    """
    tensor = samples.tensor(index)
    boxes = np.array([box for _, box in actions], np.float64).reshape(-1, 4)
    boxes = samples.letterbox(index).to_input(boxes)
    if flip:
        tensor = tensor[:, :, ::-1]
        boxes[:, [0, 2]] = tensor.shape[2] - boxes[:, [2, 0]]
    return targets(tensor, boxes, [label for label, _ in actions], classes)


class _Run:
    """The network that learns, the network that teaches, and their samples."""

    def __init__(
        self, network: nn.Module, samples: Samples, plan: FineTuningPlan, truth: Truth | None
    ) -> None:
        self._samples, self._plan, self._truth = samples, plan, truth
        self.example = torch.from_numpy(samples.tensor(0)[None].copy())
        self._teacher = fold_batch_norms(network, self.example).requires_grad_(False)
        self.student = with_roundings(self._teacher)
        self._classes = self._teacher(self.example)["hm"].shape[1]
        self._held = list(range(0, len(samples), _HELD_OUT))
        self._rest = [index for index in range(len(samples)) if index % _HELD_OUT] or self._held
        self._order: list[int] = []
        self._random = np.random.default_rng(plan.seed)
        with torch.no_grad():
            for batch in self._batches(self._rest):
                self.student(batch.input)
        settle(self.student, plan.method)
        self._parameters = list(self.student.requires_grad_(True).parameters())
        self._optimizer = torch.optim.Adam(self._parameters, lr=plan.rate)
        self._truth_weight = 0.0
        if truth is not None:
            # Both losses are scaled by their initial values, so that they have equal weight.
            first = self._means()
            self._truth_weight = float(first[0] / first[1].clamp(min=1e-12))

    def step(self, number: int) -> None:
        """Takes one step of gradient descent; steps are counted from 1."""
        plan = self._plan
        share = (1 + math.cos(math.pi * (number - 1) / plan.steps)) / 2
        self._optimizer.param_groups[0]["lr"] = plan.rate * share
        batch = self._batch(self._drawn(), flip=bool(self._random.random() < 0.5))
        loss = self._weighed(self._losses(batch))
        if not torch.isfinite(loss):
            raise BadInputError(
                f"The loss of fine-tuning became {loss.item()} in step {number}.",
                hint="Leave --finetune away; the network overflows near its weights.",
            )
        self._optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self._parameters, _GRADIENT_NORM)
        self._optimizer.step()

    def held_out(self) -> float:
        """Returns the loss on the held-out samples."""
        return float(self._weighed(self._means()))

    @torch.no_grad()
    def _means(self) -> Tensor:
        total = torch.zeros(2)
        for batch in self._batches(self._held):
            total += self._losses(batch) * len(batch.input)
        return total / len(self._held)

    def _weighed(self, losses: Tensor) -> Tensor:
        return losses[0] + self._truth_weight * losses[1]

    def _losses(self, batch: Batch) -> Tensor:
        """Returns (2,): the loss of distillation, and of annotations if there are any."""
        found = self.student(batch.input)
        with torch.no_grad():
            wanted = self._teacher(batch.input)
        taught = distillation_loss(found, wanted)
        if self._truth is None:
            return torch.stack([taught, torch.zeros_like(taught)])
        return torch.stack([taught, centernet_loss(found, batch)["total"]])

    def _drawn(self) -> list[int]:
        """Returns the next samples; each is drawn once before any is drawn again."""
        while len(self._order) < _BATCH:
            self._order += self._random.permutation(self._rest).tolist()
        drawn, self._order = self._order[:_BATCH], self._order[_BATCH:]
        return drawn

    def _batches(self, indices: list[int]) -> Iterator[Batch]:
        for start in range(0, len(indices), _BATCH):
            yield self._batch(indices[start : start + _BATCH])

    def _batch(self, indices: list[int], *, flip: bool = False) -> Batch:
        truth = self._truth or [()] * len(self._samples)
        made = [
            learning_sample(self._samples, index, truth[index], self._classes, flip=flip)
            for index in indices
        ]
        fields = ("input", "heatmap", "cells", "sizes", "offsets", "mask")
        return Batch(
            *(torch.from_numpy(np.stack([getattr(s, field) for s in made])) for field in fields)
        )
