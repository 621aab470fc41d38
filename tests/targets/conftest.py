"""Published networks, and the small network as exported by default."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from edgekit.bundle import Bundle
from edgekit.models.checkpoints import load_checkpoint
from edgekit.models.dcn import set_lowering
from edgekit.models.folding import fold_batch_norms
from edgekit.models.graph import Deployed, HalfPrecision
from edgekit.targets.base import SessionOptions
from edgekit.targets.onnx.export import OnnxExporter
from edgekit.targets.registry import open_session


@pytest.fixture
def published(
    golden: Any, once: Callable[..., Path]
) -> Callable[..., tuple[nn.Module, Any, dict[str, Any]]]:
    """Makes a published network ready for export; returns it, an input and the golden heads."""

    def make(arch: str, lowering: str, precision: str = "fp32") -> Any:
        _, weights, given, heads = golden(arch)

        def fill(folder: Path) -> None:
            state = {f"module.{name}": torch.from_numpy(value) for name, value in weights().items()}
            torch.save({"epoch": 1, "state_dict": state}, folder / "golden.pth")

        network = load_checkpoint(once(f"golden-{arch}", fill) / "golden.pth").network
        folded = fold_batch_norms(network, torch.from_numpy(given))
        set_lowering(folded, lowering)
        if precision == "fp16":
            folded = HalfPrecision(folded)
        return Deployed(folded).eval(), given, heads

    return make


@pytest.fixture
def published_onnx(
    golden: Any, published: Any, once: Callable[..., Path]
) -> Callable[..., tuple[Path, Any, dict[str, Any]]]:
    """Exports a published network to ONNX, once for all targets that begin there.

    Returns the file, an input and the golden heads.
    """

    def make(arch: str, lowering: str, precision: str = "fp32") -> Any:
        _, _, given, heads = golden(arch)

        def fill(folder: Path) -> None:
            network = published(arch, lowering, precision)[0]
            OnnxExporter().export(network, (given,), folder, precision)

        folder = once(f"published-{arch}-{lowering}-{precision}", fill)
        return folder / "model.onnx", given, heads

    return make


@pytest.fixture
def tensor() -> Any:
    """An input of the small network."""
    return np.random.default_rng(0).standard_normal((1, 6, 64, 96)).astype(np.float32)


@pytest.fixture
def in_lanes() -> Callable[[Bundle, dict[str, Any]], int]:
    """Lets a session compute as many frames at once as it can; returns how many these are."""

    def check(bundle: Bundle, inputs: dict[str, Any]) -> int:
        frames = [
            {name: value * factor for name, value in inputs.items()} for factor in range(1, 9)
        ]
        with open_session(bundle, SessionOptions(threads=1)) as one:
            expected = [one.infer(frame) for frame in frames]
        options = SessionOptions(threads=3, hint="throughput")
        with open_session(bundle, options) as session, ThreadPoolExecutor(session.lanes) as pool:
            found = list(pool.map(session.infer, frames * 4))
            lanes = session.lanes
        for heads, others in zip(found, expected * 4, strict=True):
            for name, value in heads.items():
                np.testing.assert_allclose(value, others[name], rtol=1e-3, atol=1e-4)
        return lanes

    return check


@pytest.fixture(scope="session")
def bundle(checkpoint: Path, export: Callable[..., Bundle]) -> Bundle:
    """That checkpoint, exported as it is."""
    return export(checkpoint)
