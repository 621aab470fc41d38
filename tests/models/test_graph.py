"""Tests that cascade and decoding as torch modules equal those of the runtime."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from edgekit.assets.pictures import verification_frames
from edgekit.models.cascade_graph import CascadeGraph
from edgekit.models.dcn import DeformConv2d, set_lowering
from edgekit.models.folding import fold_batch_norms
from edgekit.models.graph import DecodeGraph, Deployed, HalfPrecision
from edgekit.models.registry import build
from edgekit.runtime.cascade import Cascade
from edgekit.runtime.decode import peaks
from edgekit.runtime.kinds import KINDS

MEAN = (0.40789654, 0.44719302, 0.47026115)
STD = (0.28863828, 0.27408164, 0.27809835)
SIZE = (64, 96)

Picture = npt.NDArray[np.uint8]


def flat(level: int) -> Picture:
    return np.full((*SIZE, 3), level, np.uint8)


def patched(level: int) -> Picture:
    made = flat(104)
    made[20:30, 31:37] = level
    return made


def photograph(move: int = 0) -> Picture:
    return np.ascontiguousarray(verification_frames()[0][0][50 : 50 + 64, 60 + move : 156 + move])


def small_steps(seed: int) -> Picture:
    rng = np.random.default_rng(seed)
    return np.asarray(104 + rng.integers(0, 2, (*SIZE, 3)), np.uint8)


PAIRS = {
    "moved": (photograph(), photograph(1)),
    "moved far": (photograph(), photograph(9)),
    "same": (photograph(), photograph()),
    "black before": (flat(0), photograph()),
    "black after": (photograph(), flat(0)),
    "black": (flat(0), flat(0)),
    "white": (flat(255), flat(255)),
    "grey": (flat(104), flat(105)),
    "white after black": (flat(0), flat(255)),
    "dark": (photograph() // 40, photograph(1) // 40),
    "nearly flat": (patched(105), patched(103)),
    "flat but for noise": (small_steps(0), small_steps(1)),
    "binary": ((photograph() > 99) * np.uint8(255), (photograph(1) > 99) * np.uint8(255)),
}


def in_graph(kind: str, previous: Picture, current: Picture) -> npt.NDArray[np.float32]:
    with torch.no_grad():
        made = CascadeGraph(SIZE, MEAN, STD, kind)(
            torch.from_numpy(previous)[None], torch.from_numpy(current)[None]
        )
    return np.asarray(made[0].numpy())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("pair", PAIRS)
def test_cascade_equals_the_runtime(kind: str, pair: str) -> None:
    expected = Cascade(SIZE, MEAN, STD, kind=kind).stack(*PAIRS[pair])
    found = in_graph(kind, *PAIRS[pair])
    assert found.shape == expected.shape
    np.testing.assert_allclose(found[:3], expected[:3], rtol=0, atol=1e-6)
    np.testing.assert_allclose(found[3:], expected[3:], rtol=0, atol=1e-4)


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 2**16),
    move=st.tuples(st.integers(-1, 1), st.integers(-1, 1)),
    blur=st.sampled_from([1, 3, 9]),
    low=st.integers(0, 200),
)
def test_cascade_equals_the_runtime_on_textures(
    seed: int, move: tuple[int, int], blur: int, low: int
) -> None:
    rng = np.random.default_rng(seed)
    texture = cv2.blur(rng.integers(low, 256, (68, 100, 3)).astype(np.uint8), (blur, blur))
    previous = np.ascontiguousarray(texture[2:66, 2:98]).astype(np.uint8)
    dy, dx = move
    current = np.ascontiguousarray(texture[2 + dy : 66 + dy, 2 + dx : 98 + dx]).astype(np.uint8)
    expected = Cascade(SIZE, MEAN, STD).stack(previous, current)
    np.testing.assert_allclose(in_graph("ssim", previous, current), expected, rtol=0, atol=1e-4)


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**16),
    classes=st.integers(1, 4),
    height=st.integers(1, 9),
    width=st.integers(1, 9),
    top_k=st.integers(1, 50),
)
def test_decoding_equals_the_runtime(
    seed: int, classes: int, height: int, width: int, top_k: int
) -> None:
    torch.manual_seed(seed)
    heads = {
        "hm": torch.randn(1, classes, height, width),
        "wh": torch.rand(1, 2, height, width) * 9,
        "reg": torch.rand(1, 2, height, width),
    }
    found = DecodeGraph(top_k, 4)(**heads).numpy()
    expected = peaks({name: head.numpy() for name, head in heads.items()}, top_k, 4)
    assert len(found) == min(top_k, classes * height * width)
    np.testing.assert_allclose(found[: len(expected)], expected, rtol=1e-5, atol=1e-4)
    assert (found[len(expected) :, 4] == 0).all()


class Odd(nn.Module):
    """Every way in which a norm can follow something."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(2, 4, 3, padding=1), nn.BatchNorm2d(4))
        self.norm_of_raised = nn.BatchNorm2d(6, affine=False)
        self.raised = nn.ConvTranspose2d(4, 6, 4, 2, 1, bias=False, groups=2)
        self.deformed = nn.Sequential(DeformConv2d(6, 4), nn.BatchNorm2d(4))
        self.shared = nn.BatchNorm2d(4)
        self.twice = nn.Conv2d(4, 4, 1)
        self.alone = nn.BatchNorm2d(4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.deformed(self.norm_of_raised(self.raised(self.first(x))).relu())
        x = self.shared(self.twice(x)) + self.shared(self.twice(x.relu()))
        result: torch.Tensor = self.alone(x.relu())
        return result


def settled(network: nn.Module) -> nn.Module:
    """With the statistics and offsets of a network that has been trained."""
    torch.manual_seed(0)
    with torch.no_grad():
        for layer in network.modules():
            if isinstance(layer, nn.BatchNorm2d):
                assert layer.running_mean is not None
                assert layer.running_var is not None
                layer.running_mean.normal_(std=0.3)
                layer.running_var.uniform_(0.5, 2)
                if layer.affine:
                    layer.weight.uniform_(0.5, 1.5)
                    layer.bias.normal_(std=0.3)
            if isinstance(layer, DeformConv2d):
                layer.conv_offset_mask.weight.normal_(std=0.1)
    return network.eval()


def test_folding_keeps_results_and_norms_that_cannot_go() -> None:
    network = settled(Odd())
    x = torch.randn(1, 2, 6, 7)
    folded = fold_batch_norms(network, x)
    left = [name for name, m in folded.named_modules() if isinstance(m, nn.BatchNorm2d)]
    assert left == ["shared", "alone"]
    with torch.no_grad():
        torch.testing.assert_close(folded(x), network(x), rtol=1e-4, atol=1e-5)
    assert sum(isinstance(m, nn.BatchNorm2d) for m in network.modules()) == 5


class Branching(nn.Module):
    """A convolution that feeds a norm and, by some ways, something else."""

    def __init__(self, way: str) -> None:
        super().__init__()
        self.way = way
        self.conv = nn.Conv2d(2, 4, 3)
        self.norm, self.other = nn.BatchNorm2d(4), nn.BatchNorm2d(4)

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        made = self.conv(x)
        before = {
            "part before": lambda: made[:, :1],
            "changed in place": made.relu_,
        }.get(self.way, lambda: 0)()
        found = self.norm(input=made) if self.way == "by name" else self.norm(made)
        after = {
            "sum": lambda: made,
            "two norms": lambda: self.other(made),
            "part": lambda: made[:, 1:2],
            "shape": lambda: made.shape[1] + made.dim(),
        }.get(self.way, lambda: 0)()
        result = {"found": found + before + after}
        return result | {"raw": made} if self.way == "output" else result


@pytest.mark.parametrize(
    ("way", "folds"),
    [("sum", False), ("two norms", False), ("part", False), ("part before", False),
     ("changed in place", False), ("output", False), ("by name", False),
     ("shape", True), ("nothing", True)],
)  # fmt: skip
def test_a_norm_stays_where_something_else_reads_its_convolution(way: str, folds: bool) -> None:
    network = settled(Branching(way))
    x = torch.randn(1, 2, 6, 7)
    folded = fold_batch_norms(network, x)
    assert isinstance(folded.norm, nn.Identity) is folds
    with torch.no_grad():
        expected, found = network(x), folded(x)
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("arch", ["dla34", "dlav0_34", "res18", "res50", "resdcn18", "lite0"])
def test_folding_leaves_no_norm_to_run_in_any_network(arch: str) -> None:
    network = settled(build(arch, classes=2, channels=6, head_conv=8))
    x = torch.randn(1, 6, 64, 64)
    folded = fold_batch_norms(network, x)
    run: list[nn.Module] = []
    for layer in folded.modules():
        if isinstance(layer, nn.BatchNorm2d):  # DLA holds projections that it never uses
            layer.register_forward_hook(lambda layer, *_: run.append(layer))
    with torch.no_grad():
        expected, found = network(x), folded(x)
    assert run == []
    for name, head in expected.items():
        assert (found[name] - head).abs().max() <= 1e-4 * head.abs().max()


def test_half_precision_keeps_places_in_full() -> None:
    network = settled(build("resdcn18", classes=2, channels=3, head_conv=8))
    x = torch.randn(1, 3, 64, 64)
    set_lowering(network, "gather")
    half = HalfPrecision(network)
    kinds = {p.dtype for m in half.modules() if isinstance(m, DeformConv2d) for p in m.parameters()}
    assert kinds == {torch.float32}
    with torch.no_grad():
        expected, found = network(x), half(x)
    assert next(network.parameters()).dtype == torch.float32
    for name, head in expected.items():
        assert found[name].dtype == torch.float32
        assert (found[name] - head).abs().max() <= 2e-2 * head.abs().max()


def test_deployed_joins_the_parts() -> None:
    class Heads(nn.Module):
        def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
            small = nn.functional.avg_pool2d(x, 4)
            return {"hm": small, "wh": small[:, :2].abs(), "reg": small[:, 4:]}

    previous, current = PAIRS["moved"]
    made = Deployed(Heads(), CascadeGraph(SIZE, MEAN, STD, "ssim"), DecodeGraph(9, 4))
    with torch.no_grad():
        found = made(torch.from_numpy(previous)[None], torch.from_numpy(current)[None])
        x = torch.from_numpy(Cascade(SIZE, MEAN, STD).stack(previous, current))[None]
        heads = {name: head.numpy() for name, head in Heads()(x).items()}
    assert list(found) == ["detections"]
    np.testing.assert_allclose(found["detections"].numpy(), peaks(heads, 9, 4), atol=1e-3)
