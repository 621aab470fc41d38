"""Adds the cascade, box decoding and float16 to a network, for export."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn
from torch.nn import functional

from edgekit.models.cascade_graph import CascadeGraph
from edgekit.models.dcn import DeformConv2d

__all__ = ["DecodeGraph", "Deployed", "HalfPrecision"]

_NEVER = -1e4
"""Logit whose score is zero in float32."""


class DecodeGraph(nn.Module):
    """Decodes the heads to boxes, as ``edgekit.runtime.decode.peaks`` does.

    Args:
        top_k: Number of rows in the result; if there are fewer peaks, the last rows have score 0.
        stride: Input pixels per cell.
    """

    def __init__(self, top_k: int, stride: int) -> None:
        super().__init__()
        self.top_k = top_k
        self.stride = stride

    def forward(self, hm: Tensor, wh: Tensor, reg: Tensor) -> Tensor:
        """Returns the boxes of one picture.

        Args:
            hm: Heatmap logits, (1, C, h, w).
            wh: Width and height in cells, (1, 2, h, w).
            reg: Centre offsets in cells, (1, 2, h, w).

        Returns:
            (K, 6): x1, y1, x2, y2 in input pixels, score, class. The best comes first; equal scores
            are in the order of class, row, column.
        """
        _, classes, height, width = hm.shape
        cells = height * width
        # The border must be below every logit; the padding of MaxPool is.
        highest = functional.max_pool2d(hm, 3, 1, 1)
        logits = torch.where(hm == highest, hm, torch.full_like(hm, _NEVER)).reshape(-1)
        values, found = logits.topk(min(self.top_k, classes * cells))
        label = _quotient(found, cells, classes)
        cell = found - label * cells
        row = _quotient(cell, width, height)
        column = cell - row * width
        size = wh.reshape(2, cells).index_select(1, cell)
        offset = reg.reshape(2, cells).index_select(1, cell)
        centre = torch.stack([column, row]).float() + offset
        corners = torch.cat([centre - size / 2, centre + size / 2]) * self.stride
        rows = torch.cat([corners, values.sigmoid()[None], label.float()[None]])
        return rows.transpose(0, 1)


def _quotient(number: Tensor, divisor: int, limit: int) -> Tensor:
    """Returns the integer part of ``number`` / ``divisor`` (n,), which is below ``limit``.

    It counts instead of dividing: exporters turn ``//`` into an operator that TensorRT lacks, and
    other integer divisions into float divisions, which are not always exact.
    """
    if limit == 1:  # OpenVINO gives 1 for the sum of no values
        return torch.zeros_like(number)
    steps = torch.arange(1, limit, device=number.device) * divisor
    return (number[:, None] >= steps).sum(1)


class Deployed(nn.Module):
    """A network together with the steps that run inside the exported model.

    Args:
        network: Network that returns ``hm``, ``wh`` and ``reg``.
        cascade: Module that makes the network input from two frames; by default the model takes the
            input itself.
        decode: Module that makes boxes from the heads; by default the model returns the heads.
    """

    def __init__(
        self,
        network: nn.Module,
        cascade: CascadeGraph | None = None,
        decode: DecodeGraph | None = None,
    ) -> None:
        super().__init__()
        self.cascade = cascade
        self.network = network
        self.decode = decode

    def forward(self, *inputs: Tensor) -> dict[str, Tensor]:
        """Returns the heads, or ``detections``, for ``input`` or for two frames."""
        x = inputs[0] if self.cascade is None else self.cascade(*inputs)
        heads: dict[str, Tensor] = self.network(x)
        if self.decode is None:
            return heads
        return {"detections": self.decode(heads["hm"], heads["wh"], heads["reg"])}


class HalfPrecision(nn.Module):
    """A float16 copy of a network that takes and returns float32.

    Args:
        network: Network to copy; it is not changed.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = copy.deepcopy(network).half()
        for name, layer in list(self.network.named_modules()):
            # DeformConv takes offsets, which are small. The other lowerings compute absolute pixel
            # coordinates, for which float16 has too little precision.
            if isinstance(layer, DeformConv2d) and layer.lowering != "deform_conv":
                self.network.set_submodule(name, _SinglePrecision(layer))

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        """Returns the heads of ``network``, in float32."""
        return {name: head.float() for name, head in self.network(x.half()).items()}


class _SinglePrecision(nn.Module):
    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer.float()

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.layer(x.float())
        return result.half()
