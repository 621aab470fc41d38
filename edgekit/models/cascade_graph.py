"""The SSIM cascade as a torch module, for exported models that include it.

It computes what ``edgekit.runtime.cascade`` computes, in operators that every converter knows. ONNX
has no symmetric padding, so borders are gathered by constant indices. Window sums are two
convolutions with kernels of ones.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from edgekit.runtime.ssim import K1, K2, SHIFTS, SMALLEST, TIE, WINDOW
from edgekit.runtime.types import Array

__all__ = ["CascadeGraph"]

_N = WINDOW * WINDOW
_CROP = WINDOW // 2
_CENTRE = 128


# Many attributes: the constants of the graph, which PyTorch exports as buffers of the module.
class CascadeGraph(nn.Module):
    """Makes the network input from two letterboxed frames, as ``edgekit.runtime.cascade`` does.

    Window sums of 8-bit values minus 128 stay below 2^20, so they are exact in float32; their
    products are formed in int32. Dark and flat frames are therefore as exact as others.

    Args:
        size: (height, width) of the input, in pixels.
        mean: Mean of the B, G and R channels, each in [0, 1].
        std: Standard deviation of the B, G and R channels, each in [0, 1].
        kind: One of ``edgekit.runtime.kinds.KINDS``.
    """

    gain: Tensor
    bias: Tensor
    zero_sum: Tensor
    mean_gain: Tensor
    mean_bias: Tensor
    unit: Tensor
    order: Tensor
    offsets: Tensor
    rows: Tensor
    columns: Tensor
    mirrored_rows: Tensor
    mirrored_columns: Tensor

    def __init__(
        self, size: tuple[int, int], mean: Sequence[float], std: Sequence[float], kind: str
    ) -> None:
        super().__init__()
        self._size = size
        self._kind = kind
        gain = 1 / (255 * np.asarray(std, np.float64))
        bias = -np.asarray(mean, np.float64) / np.asarray(std, np.float64)
        # The integer sum at which the mean is about zero; subtracting it first avoids cancellation.
        zero = np.rint(-bias / gain * _N)
        self._constant("gain", gain.reshape(1, -1, 1, 1))
        self._constant("bias", (bias + gain * _CENTRE).reshape(1, -1, 1, 1))
        self._constant("zero_sum", (zero - _N * _CENTRE).reshape(1, -1, 1, 1))
        self._constant("mean_gain", (gain / _N).reshape(1, -1, 1, 1))
        self._constant("mean_bias", (bias + gain * zero / _N).reshape(1, -1, 1, 1))
        self._constant("unit", (_N * (_N - 1) / gain**2).reshape(1, -1, 1, 1))
        shifts = SHIFTS[:-1] if kind == "ssim-shifted" else SHIFTS
        self._shifts = shifts
        height, width = size
        self._constant("order", np.arange(1.0, len(shifts) + 1))
        self.register_buffer("offsets", torch.tensor(shifts) + 1, persistent=False)
        self.register_buffer("rows", torch.arange(height), persistent=False)
        self.register_buffer("columns", torch.arange(width), persistent=False)
        self.register_buffer("mirrored_rows", _mirrored(height), persistent=False)
        self.register_buffer("mirrored_columns", _mirrored(width), persistent=False)

    def forward(self, previous: Tensor, frame: Tensor) -> Tensor:
        """Returns the network input for two frames.

        Args:
            previous: Earlier frame, letterboxed, (1, H, W, 3) uint8, BGR.
            frame: Current frame, letterboxed, (1, H, W, 3) uint8, BGR.

        Returns:
            (1, 6, H, W) float32, or (1, 3, H, W) for the kind ``rgb``.
        """
        # Cast to float first: TensorRT accepts 8-bit pixels only as a network's input.
        current = frame.float().permute(0, 3, 1, 2) - _CENTRE
        picture = current * self.gain + self.bias
        if self._kind == "rgb":
            # The earlier frame must stay an input: exporters drop inputs that nothing reads.
            return picture + previous.float()[:, :1, :1].permute(0, 3, 1, 2) * 0
        earlier = previous.float().permute(0, 3, 1, 2) - _CENTRE
        padded = functional.pad(current, (1, 1, 1, 1), mode="reflect")
        index, span = self._best_shift(earlier, padded)
        offset = self.offsets.index_select(0, index)
        shifted = padded.index_select(2, self.rows + offset[:, 0])
        shifted = shifted.index_select(3, self.columns + offset[:, 1])
        similarity = _ssim(
            *self._statistics(self._mirror(shifted), self._mirror(earlier)),
            *self._constants(span),
        )
        if self._kind == "dssim":
            similarity = (1 - similarity) * 0.5
        return torch.cat([picture, similarity], 1)

    def _constant(self, name: str, values: Array) -> None:
        tensor = torch.from_numpy(values.astype(np.float32))
        self.register_buffer(name, tensor, persistent=False)

    def _best_shift(self, earlier: Tensor, padded: Tensor) -> tuple[Tensor, Tensor]:
        """Returns index (1,) of the best shift, the last of equal ones, and its data range (1,)."""
        height, width = self._size
        candidates = torch.cat(
            [
                padded[:, :, 1 + dy : 1 + dy + height, 1 + dx : 1 + dx + width]
                for dy, dx in self._shifts
            ]
        )
        high = candidates.amax((2, 3), keepdim=True) * self.gain + self.bias
        low = candidates.amin((2, 3), keepdim=True) * self.gain + self.bias
        span = high.amax(1, keepdim=True) - low.amin(1, keepdim=True)
        maps = _ssim(*self._statistics(candidates, earlier), *self._constants(span))
        # Differences from the last candidate's map lose far less precision in a long float32 sum
        # than the maps themselves.
        scores = (maps - maps[-1:]).mean(3).mean((1, 2))
        best = (scores >= scores.amax(0, keepdim=True) - TIE).float()
        # Ascending numbers select the last of equal candidates: not every runtime takes the first.
        index = (best * self.order).argmax(0, keepdim=True)
        return index, span.reshape(-1).index_select(0, index)

    def _statistics(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Returns means of x and y, twice the covariance, and the variance sum, in N² levels²."""
        sum_x, sum_y = _box(x), _box(y)
        squares, products = _box(x * x), _box(x * y)
        mean_x = (sum_x - self.zero_sum) * self.mean_gain + self.mean_bias
        mean_y = (sum_y - self.zero_sum) * self.mean_gain + self.mean_bias
        whole_x, whole_y = sum_x.int(), sum_y.int()
        covariance = products.int() * (2 * _N) - whole_x * whole_y * 2
        variance_x = squares.int() * _N - whole_x * whole_x
        variance_y = _box(y * y).int() * _N - whole_y * whole_y
        return mean_x, mean_y, covariance.float(), variance_x.float() + variance_y.float()

    def _constants(self, span: Tensor) -> tuple[Tensor, Tensor]:
        span = span.reshape(-1, 1, 1, 1)
        c1 = (K1 * span).square().clamp(min=SMALLEST)
        c2 = (K2 * span).square().clamp(min=SMALLEST) * self.unit
        return c1, c2

    def _mirror(self, x: Tensor) -> Tensor:
        return x.index_select(2, self.mirrored_rows).index_select(3, self.mirrored_columns)


def _box(x: Tensor) -> Tensor:
    """Returns the sums over the 7x7 windows that fit into each plane of (N, C, H, W)."""
    channels = x.shape[1]
    column = torch.ones(channels, 1, WINDOW, 1)
    row = torch.ones(channels, 1, 1, WINDOW)
    return functional.conv2d(functional.conv2d(x, column, groups=channels), row, groups=channels)


def _ssim(
    mean_x: Tensor, mean_y: Tensor, covariance: Tensor, variances: Tensor, c1: Tensor, c2: Tensor
) -> Tensor:
    top = (mean_x * mean_y * 2 + c1) * (covariance + c2)
    return top / (variances + c2) / (mean_x * mean_x + mean_y * mean_y + c1)


def _mirrored(length: int) -> Tensor:
    """Returns indices that mirror a side at its edge, with the edge pixel repeated."""
    inside = torch.arange(length)
    return torch.cat([inside[:_CROP].flip(0), inside, inside[-_CROP:].flip(0)])
