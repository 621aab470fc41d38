"""What an exported model may hold beside the network, and in which precision it computes."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn
from torch.nn import functional

from edgekit.models.cascade_graph import CascadeGraph
from edgekit.models.dcn import DeformConv2d

__all__ = ["DecodeGraph", "Deployed", "HalfPrecision"]

_NEVER = -1e4
"""A logit whose score is zero in float32."""


class DecodeGraph(nn.Module):
    """The heads to boxes, as ``edgekit.runtime.decode.peaks`` makes them.

    Args:
        top_k: Rows of the result; where there are fewer peaks, the last have a score of 0.
        stride: Input pixels per cell.
    """

    def __init__(self, top_k: int, stride: int) -> None:
        super().__init__()
        self.top_k = top_k
        self.stride = stride

    def forward(self, hm: Tensor, wh: Tensor, reg: Tensor) -> Tensor:
        """Boxes of one picture.

        Args:
            hm: (1, C, h, w) logits.
            wh: (1, 2, h, w), in cells.
            reg: (1, 2, h, w), in cells.

        Returns:
            (K, 6): x1, y1, x2, y2 in input pixels, score, class; best first, of equal ones in
            the order of class, row, column.
        """
        _, classes, height, width = hm.shape
        cells = height * width
        # The border must lose against every logit; MaxPool's own padding does.
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
    """The whole part of ``number`` / ``divisor`` (n,), which is below ``limit``.

    Counted, not divided: exporters make of ``//`` what TensorRT lacks, and of other divisions of
    integers those of floats, which are not exact everywhere.
    """
    steps = torch.arange(1, limit, device=number.device) * divisor
    return (number[:, None] >= steps).sum(1)


class Deployed(nn.Module):
    """A network with what runs inside the model around it.

    Args:
        network: Gives ``hm``, ``wh`` and ``reg``.
        cascade: Makes its input out of two frames; by default the input comes from outside.
        decode: Makes boxes of its heads; by default the heads go out.
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
        """``hm``, ``wh`` and ``reg``, or ``detections``, of ``input`` or of two frames."""
        x = inputs[0] if self.cascade is None else self.cascade(*inputs)
        heads: dict[str, Tensor] = self.network(x)
        if self.decode is None:
            return heads
        return {"detections": self.decode(heads["hm"], heads["wh"], heads["reg"])}


class HalfPrecision(nn.Module):
    """A float16 copy of a network that takes and gives float32.

    Args:
        network: Stays as it is.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = copy.deepcopy(network).half()
        for name, layer in list(self.network.named_modules()):
            # The operator takes offsets, which are small; the other lowerings compute places in
            # the picture, for which float16 has too few digits.
            if isinstance(layer, DeformConv2d) and layer.lowering != "deform_conv":
                self.network.set_submodule(name, _SinglePrecision(layer))

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        """The heads of ``network``, in float32."""
        return {name: head.float() for name, head in self.network(x.half()).items()}


class _SinglePrecision(nn.Module):
    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer.float()

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.layer(x.float())
        return result.half()
