"""Roundings in a network: where they are, and what passes them."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from edgekit.errors import CalibrationError, ConversionError
from edgekit.models.centernet import CenterNet, convolution
from edgekit.models.folding import fold_batch_norms
from edgekit.models.registry import build
from edgekit.quantization.finetuning.fake_quantization import settle, with_roundings


class Residual(CenterNet):
    """One sum, one convolution that no activation follows."""

    def __init__(self) -> None:
        super().__init__(4, 2, 4)
        self.stem = convolution(3, 4, 3, 4)
        self.body = nn.Conv2d(4, 4, 1)

    def features(self, x):
        x = self.stem(x)
        return x + self.body(x)


def settled(network, x, method="minmax"):
    made = with_roundings(network)
    with torch.no_grad():
        expected = made(x)
    settle(made, method)
    return made, expected


def watched(made):
    """What each rounding gave, in order of computation, filled when ``made`` runs."""
    seen = []
    for name, module in made.named_modules():
        if name.startswith("rounding_"):
            module.register_forward_hook(lambda module, given, result: seen.append(result))
    return seen


def test_it_rounds_where_an_integer_model_does_and_nothing_else():
    torch.manual_seed(0)
    x = torch.randn(2, 3, 32, 32)
    network = fold_batch_norms(Residual().eval(), x)
    made, looking = settled(network, x)
    for head, value in network(x).items():
        assert torch.equal(looking[head], value)
    seen = watched(made)
    found = made(x)
    # The input, the stem's activation, the body, the sum, and the activation in each head.
    assert len(seen) == 7
    assert all(len(values.unique()) <= 256 for values in seen)
    for head, value in found.items():
        assert 0 < (value - looking[head]).abs().max() < 0.1 * looking[head].abs().max() + 1e-3
        assert len(value.unique()) > 64
    assert dict(made.named_parameters()).keys() == dict(network.named_parameters()).keys()


def test_gradients_pass_what_is_inside_the_range_alone():
    made = with_roundings(nn.Identity())
    made(torch.tensor([-1.0, 0.0, 3.0]))
    settle(made, "minmax")
    x = torch.tensor([-9.0, -0.51, 1.2345, 2.9, 9.0], requires_grad=True)
    result = made(x)
    result.sum().backward()
    assert x.grad.tolist() == [0, 1, 1, 1, 0]
    result, x = result.detach(), x.detach()
    assert (result[1:4] - x[1:4]).abs().max() <= 4 / 255 / 2 + 1e-6
    assert result[0] == pytest.approx(-1, abs=0.02)
    assert result[4] == pytest.approx(3, abs=0.02)


@pytest.mark.parametrize("arch", ["dla34", "dlav0_34", "res18", "resdcn18", "lite0"])
def test_the_networks_can_be_followed(arch):
    with torch.device("meta"):
        network = build(arch, classes=2, channels=6, head_conv=8)
    made = with_roundings(network)
    roundings = [name for name, _ in made.named_modules() if name.startswith("rounding_")]
    convolutions = [m for m in network.modules() if isinstance(m, nn.Conv2d)]
    assert len(roundings) > 0.5 * len(convolutions)
    assert not any("deconv" in name or "offset" in name for name in roundings)


def test_values_that_are_no_numbers_are_told_with_their_layer():
    network = nn.Sequential(nn.Conv2d(1, 1, 1), nn.ReLU())
    nn.init.constant_(network[0].bias, float("nan"))
    with pytest.raises(CalibrationError, match="_1 of the network gives NaN"):
        with_roundings(network)(torch.zeros(1, 1, 2, 2))


def test_a_network_that_looks_at_its_input_is_refused():
    class Choosy(nn.Module):
        def forward(self, x):
            return x if x.sum() > 0 else -x

    with pytest.raises(ConversionError, match="cannot be followed") as error:
        with_roundings(Choosy())
    assert "--finetune" in error.value.hint
