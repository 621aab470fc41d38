"""Makes networks with random weights for speed measurements, and bundles of networks.

The speed of a network does not depend on its weights, as long as its activations and detections
have a realistic magnitude. Therefore batch norms get the statistics of real pictures, deformable
convolutions read some pixels away, and a few peaks rise above the threshold.
"""

from __future__ import annotations

import json
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np

from edgekit.assets.pictures import verification_frames
from edgekit.bundle import load_bundle
from edgekit.calibration.chosen_frames import choose_frames
from edgekit.calibration.samples import extract
from edgekit.calibration.sequences import find_sequences
from edgekit.calibration.store import Store, key_of
from edgekit.quantization import frames
from edgekit.quantization.base import Recipe
from edgekit.quantization.registry import quantizer
from edgekit.quantization.trials import RecipeTrials
from edgekit.runtime.cascade import Cascade
from edgekit.runtime.types import Array
from edgekit.targets.published import MEAN, STD
from edgekit.targets.settings import ExportSettings

if TYPE_CHECKING:
    from torch import Tensor, nn

__all__ = ["exported", "quantized", "random_weights"]

_SAMPLES = 16
_PEAKS = 5
_THRESHOLD = -0.85
"""Logit of the score 0.3, from which a detection counts."""


def random_weights(store: Store, arch: str, *, classes: int = 24, side: int = 256) -> Path:
    """Returns a checkpoint with random weights.

    Args:
        store: Store that keeps it, so that it is made only once.
        arch: Name in ``edgekit.models.registry.ARCHITECTURES``.
        classes: Number of heatmap channels.
        side: Side in pixels of the pictures for the statistics; a multiple of 32.
    """
    from edgekit.models.checkpoints import save_checkpoint

    name = f"{arch}-{classes}"

    def make(folder: Path) -> None:
        network = _settled(arch, classes, side)
        save_checkpoint(folder / f"{name}.safetensors", network, {"name": json.dumps(name)})

    key = key_of(arch, classes, side, version("torch"))
    return store.folder("random", key, make) / f"{name}.safetensors"


def exported(store: Store, checkpoint: Path, target: str, side: int = 256) -> Path:
    """Returns the float bundle of a checkpoint for a target, with ``side`` by ``side`` inputs."""
    # Random weights amplify rounding errors more than trained ones.
    settings = ExportSettings(input_size=(side, side), tolerance=1e-2)
    name = f"{checkpoint.stem}-{side}-{target}-fp32"
    return frames.exported(checkpoint, target, store, settings, name)


def quantized(store: Store, bundle: Path, footage: Path) -> Path:
    """Returns the INT8 bundle of a float one, calibrated with a video; its loss is not checked."""
    source = load_bundle(bundle)
    tool = quantizer(source.manifest.target)
    wanted, _ = choose_frames(source, find_sequences(footage), store, samples=_SAMPLES, evaluated=0)
    samples = extract(source, find_sequences(footage), wanted, store)
    name = f"{bundle.name.removesuffix('fp32')}int8"

    def make(folder: Path) -> None:
        trials = RecipeTrials.prepare(source, samples, store)
        trials.make(Recipe(method=tool.methods[0]), folder / name)

    key = key_of(source.sha256, samples.key, tool.version())
    return store.folder("int8", key, make) / name


def _settled(arch: str, classes: int, side: int) -> nn.Module:
    import torch
    from torch import nn

    from edgekit.models.centernet import CenterNet
    from edgekit.models.dcn import DeformConv2d
    from edgekit.models.lite0 import Lite0
    from edgekit.models.registry import build

    pictures = torch.from_numpy(_inputs(side))
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(0)
        network = cast("CenterNet | Lite0", build(arch, classes=classes))
        for layer in network.modules():
            if isinstance(layer, nn.BatchNorm2d):
                layer.momentum = None  # the mean over all pictures, not a moving one
            if isinstance(layer, DeformConv2d):
                layer.conv_offset_mask.weight.normal_(std=0.003)
        network.train()(pictures)
        features = network.eval().features(pictures)
        final, logits = _spread(network.hm, features, 1.5)
        final.bias = nn.Parameter(_THRESHOLD - _peak(logits).expand(classes).clone())
        for head, spread, middle in ((network.wh, 2.0, 8.0), (network.reg, 0.1, 0.5)):
            final, values = _spread(head, features, spread)
            final.bias = nn.Parameter((middle - values.mean()).expand(2).clone())
    return network


def _inputs(side: int) -> Array:
    cascade = Cascade((side, side), MEAN, STD)
    inputs = []
    for clip in verification_frames(2):
        cascade.reset()
        inputs.append([cascade(frame)[0].copy() for frame in clip][-1])
    return np.concatenate(inputs)


def _spread(head: nn.Module, features: Tensor, deviation: float) -> tuple[nn.Conv2d, Tensor]:
    """Scales the last layer of a head to an output deviation; returns it and the output."""
    from torch import nn

    final = cast("nn.Conv2d", head[-1] if isinstance(head, nn.Sequential) else head)
    assert final.bias is not None
    final.bias.zero_()
    final.weight.mul_(deviation / head(features).std())
    return final, head(features)


def _peak(logits: Tensor) -> Tensor:
    """Returns the value that ``_PEAKS`` values per picture exceed."""
    return logits.flatten().topk(_PEAKS * len(logits)).values[-1]
