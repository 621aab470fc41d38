"""Published networks, and the small one as it is exported by default."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from edgekit.bundle import Bundle
from edgekit.models.checkpoints import load_checkpoint
from edgekit.models.dcn import set_lowering
from edgekit.models.folding import fold_batch_norms
from edgekit.models.graph import Deployed, HalfPrecision
from edgekit.targets.build import export_bundle


@pytest.fixture
def published(golden: Any, tmp_path: Path) -> Callable[..., tuple[nn.Module, Any, dict[str, Any]]]:
    """Makes a published network ready for export; returns it, an input and the golden heads."""

    def make(arch: str, lowering: str, precision: str = "fp32") -> Any:
        _, weights, given, heads = golden(arch)
        state = {f"module.{name}": torch.from_numpy(value) for name, value in weights.items()}
        torch.save({"epoch": 1, "state_dict": state}, tmp_path / "golden.pth")
        network = load_checkpoint(tmp_path / "golden.pth").network
        folded = fold_batch_norms(network, torch.from_numpy(given))
        set_lowering(folded, lowering)
        if precision == "fp16":
            folded = HalfPrecision(folded)
        return Deployed(folded).eval(), given, heads

    return make


@pytest.fixture(scope="session")
def bundle(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """That checkpoint, exported as it is, on 14 November 2023."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SOURCE_DATE_EPOCH", "1700000000")
        return export_bundle(checkpoint, out=tmp_path_factory.mktemp("exported") / "bundle")
