"""Tests the upsampling layers that are rewritten for litert-torch."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from edgekit.targets.tflite.network import Upsampling, prepared


def depthwise(factor: int, **changes: object) -> nn.ConvTranspose2d:
    torch.manual_seed(factor)
    options = {"stride": factor, "padding": factor // 2, "groups": 4, "bias": False} | changes
    return nn.ConvTranspose2d(4, 4, 2 * factor, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("factor", [2, 4, 8])
@pytest.mark.parametrize("bias", [False, True])
def test_upsampling_is_the_layer(factor: int, bias: bool) -> None:
    layer = depthwise(factor, bias=bias)
    x = torch.randn(2, 4, 3, 5)
    with torch.no_grad():
        torch.testing.assert_close(Upsampling(layer)(x), layer(x))


@pytest.mark.parametrize(
    "layer",
    [
        depthwise(2, groups=1),
        depthwise(2, padding=0),
        depthwise(2, output_padding=1),
        depthwise(2, dilation=2),
        depthwise(3),
        nn.ConvTranspose2d(4, 8, 4, stride=2, padding=1, groups=4),
        nn.ConvTranspose2d(4, 4, 3, stride=2, padding=1, groups=4),
        nn.Conv2d(4, 4, 4, stride=2, padding=1, groups=4),
    ],
)
def test_other_layers_do_not_fit(layer: nn.Module) -> None:
    assert not Upsampling.fits(layer)


def test_network_stays_as_it_was() -> None:
    network = nn.Sequential(depthwise(2), nn.ReLU(), nn.ConvTranspose2d(4, 4, 4, stride=2))
    copied = prepared(network)
    assert [type(layer) for layer in copied] == [Upsampling, nn.ReLU, nn.ConvTranspose2d]
    assert isinstance(network[0], nn.ConvTranspose2d)
    x = torch.randn(1, 4, 5, 6)
    torch.testing.assert_close(copied(x), network(x))
