"""Tests that three lowerings of deformable convolution compute the same."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx.reference import ReferenceEvaluator

from edgekit.errors import UsageError
from edgekit.models.dcn import LOWERINGS, DeformConv2d, onnx_translations, set_lowering


def layer(inputs: int, outputs: int, seed: int, reach: float) -> DeformConv2d:
    """A layer whose offsets are of the size of ``reach`` pixels."""
    torch.manual_seed(seed)
    made = DeformConv2d(inputs, outputs).eval()
    with torch.no_grad():
        made.bias.normal_()
        made.conv_offset_mask.weight.normal_(std=0.3 * reach)
        assert made.conv_offset_mask.bias is not None
        made.conv_offset_mask.bias.normal_(std=reach)
    return made


def by_definition(made: DeformConv2d, x: torch.Tensor) -> torch.Tensor:
    """The sum as the paper writes it, one sample at a time, in float64."""
    with torch.no_grad():
        fields = made.conv_offset_mask(x).double()
    offset, mask = fields[:, :18].numpy(), fields[:, 18:].sigmoid().numpy()
    weight, image = made.weight.detach().double().numpy(), x.double().numpy()
    batch, _, height, width = image.shape
    result = np.zeros((batch, weight.shape[0], height, width))
    result += made.bias.detach().double().numpy()[:, None, None]
    for n, i, j, k in np.ndindex(batch, height, width, 9):
        y = i + k // 3 - 1 + offset[n, 2 * k, i, j]
        z = j + k % 3 - 1 + offset[n, 2 * k + 1, i, j]
        for row in (int(np.floor(y)), int(np.floor(y)) + 1):
            for column in (int(np.floor(z)), int(np.floor(z)) + 1):
                if 0 <= row < height and 0 <= column < width:
                    share = (1 - abs(y - row)) * (1 - abs(z - column)) * mask[n, k, i, j]
                    result[n, :, i, j] += weight[:, :, k // 3, k % 3] @ (
                        share * image[n, :, row, column]
                    )
    return torch.from_numpy(result)


@settings(max_examples=20, deadline=None)
@given(
    batch=st.integers(1, 2),
    inputs=st.integers(1, 3),
    height=st.integers(1, 6),
    width=st.integers(1, 6),
    reach=st.sampled_from([0.0, 0.3, 2.0, 30.0, 1e6]),
    seed=st.integers(0, 2**16),
)
def test_every_lowering_follows_the_definition(
    batch: int, inputs: int, height: int, width: int, reach: float, seed: int
) -> None:
    made = layer(inputs, 2, seed, reach)
    x = torch.randn(batch, inputs, height, width)
    expected = by_definition(made, x)
    for lowering in LOWERINGS:
        set_lowering(made, lowering)
        with torch.no_grad():
            found = made(x).double()
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


def test_fresh_layer_is_half_a_convolution() -> None:
    made = DeformConv2d(3, 4)
    x = torch.randn(1, 3, 5, 6)
    plain = torch.nn.functional.conv2d(x, made.weight / 2, padding=1)
    torch.testing.assert_close(made(x), plain, rtol=1e-5, atol=1e-5)


def test_gradients_of_all_lowerings_agree_with_finite_differences() -> None:
    made = layer(2, 2, 0, 0.7).double()
    x = torch.randn(1, 2, 2, 3, dtype=torch.float64, requires_grad=True)
    parameters = list(made.parameters())
    gradients = []
    for lowering in LOWERINGS:
        set_lowering(made, lowering)
        assert torch.autograd.gradcheck(made, (x,))
        gradients.append(torch.autograd.grad(made(x).square().sum(), [x, *parameters]))
    for other in gradients[1:]:
        for one, two in zip(gradients[0], other, strict=True):
            torch.testing.assert_close(one, two)


def test_gradients_reach_parts_that_are_trained_alone() -> None:
    made = layer(2, 2, 0, 0.7)
    made.weight.requires_grad_(False)
    made(torch.randn(1, 2, 3, 4)).sum().backward()
    assert made.weight.grad is None
    assert made.conv_offset_mask.weight.grad is not None
    assert made.conv_offset_mask.weight.grad.abs().sum() > 0


def test_training_in_mixed_precision() -> None:
    made = layer(2, 3, 0, 0.7)
    x = torch.randn(1, 2, 5, 6)
    with torch.autocast("cpu", torch.bfloat16):
        found = made(x)
    found.sum().backward()
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, made(x), rtol=0.1, atol=0.1)
    assert all(p.grad is not None for p in made.parameters())


def test_custom_operator_keeps_the_rules_of_torch() -> None:
    x, offset = torch.randn(1, 2, 3, 4), torch.randn(1, 18, 3, 4)
    arguments = (x, torch.randn(5, 2, 3, 3), torch.randn(5), offset, torch.rand(1, 9, 3, 4))
    arguments = tuple(tensor.requires_grad_() for tensor in arguments)
    torch.library.opcheck(torch.ops.edgekit.deform_conv2d.default, arguments)


def test_values_that_are_not_numbers_show_in_the_result() -> None:
    made = layer(1, 1, 0, 1.0)
    assert made(torch.full((1, 1, 3, 3), float("nan"))).isnan().all()


def test_set_lowering_counts_layers_and_knows_its_names() -> None:
    network = torch.nn.Sequential(DeformConv2d(1, 1), torch.nn.ReLU(), DeformConv2d(1, 1))
    assert set_lowering(network, "gather") == 2
    assert "lowering='gather'" in repr(network)
    with pytest.raises(UsageError, match="grid_sample"):
        set_lowering(network, "im2col")


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")
@pytest.mark.parametrize("lowering", LOWERINGS)
def test_exported_layer_agrees_in_both_evaluators(lowering: str, tmp_path: Path) -> None:
    made = layer(3, 4, 1, 2.0)
    set_lowering(made, lowering)
    x = torch.randn(1, 3, 5, 7)
    program = torch.onnx.export(
        made,
        (x,),
        dynamo=True,
        opset_version=20,
        custom_translation_table=onnx_translations(),
        input_names=["input"],
        output_names=["output"],
        verbose=False,
    )
    assert program is not None
    program.save(tmp_path / "layer.onnx")
    model = onnx.load(tmp_path / "layer.onnx")
    onnx.checker.check_model(model)
    operators = {node.op_type for node in model.graph.node}
    mark = {"deform_conv": "DeformConv", "grid_sample": "GridSample", "gather": "MatMul"}
    assert mark[lowering] in operators
    assert {node.domain for node in model.graph.node} == {""}
    expected = by_definition(made, x).numpy()
    feed = {"input": x.numpy()}
    session = onnxruntime.InferenceSession(tmp_path / "layer.onnx")
    for found in (session.run(None, feed), ReferenceEvaluator(model).run(None, feed)):
        np.testing.assert_allclose(np.asarray(found[0]), expected, rtol=1e-4, atol=1e-4)
