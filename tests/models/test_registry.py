"""Tests the registry: which networks it builds, and their outputs."""

from __future__ import annotations

import pytest
import torch

from edgekit.errors import UsageError
from edgekit.models.registry import ARCHITECTURES, build


@pytest.mark.parametrize("arch", ARCHITECTURES.own)
@pytest.mark.parametrize("channels", [3, 6])
def test_heads_have_their_shapes_at_stride_four(arch: str, channels: int) -> None:
    with torch.device("meta"):
        network = build(arch, classes=5, channels=channels).eval()
        found = network(torch.zeros(2, channels, 64, 96))
    assert {head: tuple(tensor.shape) for head, tensor in found.items()} == {
        "hm": (2, 5, 16, 24),
        "wh": (2, 2, 16, 24),
        "reg": (2, 2, 16, 24),
    }


@pytest.mark.parametrize("arch", ["dla34", "dlav0_34", "res18", "resdcn18"])
def test_fresh_networks_train(arch: str) -> None:
    torch.manual_seed(0)
    network = build(arch, classes=2, head_conv=8)
    result = network(torch.randn(2, 6, 32, 32))
    assert result["hm"].sigmoid().mean().item() == pytest.approx(0.1, abs=0.05)
    sum(tensor.square().mean() for tensor in result.values()).backward()
    lost = [name for name, p in network.named_parameters() if p.grad is None]
    # Published with the deeper trees of DLA, though nothing there reads it.
    assert all(".project." in name for name in lost)
    assert all(p.grad.isfinite().all() for p in network.parameters() if p.grad is not None)


@pytest.mark.parametrize(
    ("arch", "options"),
    [
        ("dla35", {"classes": 1}),
        ("dla34", {"classes": 0}),
        ("dla34", {"classes": 1, "channels": 0}),
        ("dla34", {"classes": 1, "head_conv": -1}),
        ("lite0", {"classes": 1, "head_conv": 0}),
    ],
)
def test_networks_that_cannot_be(arch: str, options: dict[str, int]) -> None:
    with pytest.raises(UsageError, match="found"):
        build(arch, **options)
