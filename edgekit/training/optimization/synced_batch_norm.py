"""Batch norm over the batch of all processes, on any device; torch's own is for GPUs only."""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor, nn

from edgekit.training.optimization.gathering import gather

__all__ = ["SyncedBatchNorm2d", "synchronize"]


def synchronize(network: nn.Module) -> None:
    """Makes every batch norm of a network take its statistics over all processes.

    The names and values of the network's state stay. Each process must have an equally large part
    of the batch.
    """
    for module in network.modules():
        if type(module) is nn.BatchNorm2d:
            module.__class__ = SyncedBatchNorm2d


class SyncedBatchNorm2d(nn.BatchNorm2d):
    """A batch norm whose statistics in training are those of all processes together."""

    def forward(self, input: Tensor) -> Tensor:
        """Returns the normalised input, (N, C, H, W)."""
        if not self.training:
            return super().forward(input)
        assert self.num_batches_tracked is not None
        assert self.momentum is not None
        self.num_batches_tracked.add_(1)
        normalized = _Normalize.apply(  # type: ignore[no-untyped-call]
            input.float(),
            self.weight,
            self.bias,
            self.running_mean,
            self.running_var,
            self.momentum,
            self.eps,
        )
        return cast("Tensor", normalized).to(input.dtype)


class _Normalize(torch.autograd.Function):
    """Normalises with what all processes gather twice: their statistics, and their gradients."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor,
        bias: Tensor,
        running_mean: Tensor,
        running_var: Tensor,
        momentum: float,
        eps: float,
    ) -> Tensor:
        own = torch.stack(torch.ops.aten.batch_norm_update_stats(x, None, None, momentum))
        means, variances = gather(own).unbind(1)
        mean = means.mean(0)
        # The variances add up without the cancellation of a mean of squares.
        variance = (variances + (means - mean).square()).mean(0)
        count = x.numel() // x.shape[1] * len(means)
        running_mean.lerp_(mean, momentum)
        running_var.lerp_(variance * (count / (count - 1)), momentum)
        ctx.save_for_backward(x, weight, mean, variance)
        ctx.count, ctx.eps = count, eps
        return torch.native_batch_norm(x, weight, bias, mean, variance, False, 0.0, eps)[0]

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, mean, variance = ctx.saved_tensors
        _, of_weight, of_bias = torch.ops.aten.native_batch_norm_backward(
            gradients[0],
            x, weight, mean, variance, None, None, False, ctx.eps, [False, True, True],
        )  # fmt: skip
        sums = gather(torch.stack([of_bias, of_weight])).sum(0)
        inverse = (variance + ctx.eps).rsqrt()
        scale = weight * inverse
        constant, slope = sums / ctx.count * scale
        slope = slope * inverse
        shape = (1, -1, 1, 1)
        of_x = torch.addcmul((slope * mean - constant).view(shape), x, -slope.view(shape))
        of_x.addcmul_(gradients[0], scale.view(shape))
        return of_x, of_weight, of_bias, None, None, None, None
