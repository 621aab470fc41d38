"""Bundles for ncnn, shared by tests because a conversion takes seconds."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from edgekit.bundle import Bundle, save_bundle
from edgekit.targets.ncnn.model import MODEL, WEIGHTS


@pytest.fixture(scope="session")
def moved(deformable: Path, export: Callable[..., Bundle]) -> Bundle:
    """The network with deformable and transposed convolutions."""
    return export(deformable, "ncnn", input_size=(64, 64))


@pytest.fixture
def changed(tmp_path: Path) -> Callable[..., Bundle]:
    """Copies a bundle with another model, other weights or another manifest, checksums right."""

    def make(
        bundle: Bundle, model: bytes | None = None, weights: bytes | None = None, **changes: Any
    ) -> Bundle:
        files = {}
        for name, content in ((MODEL, model), (WEIGHTS, weights)):
            files[name] = tmp_path / name
            kept = (bundle.path / name).read_bytes()
            files[name].write_bytes(kept if content is None else content)
        manifest = msgspec.structs.replace(bundle.manifest, **changes)
        return save_bundle(tmp_path / "changed", manifest, files, force=True)

    return make
