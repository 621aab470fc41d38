"""Inputs and checks that the tests of all quantizers share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from edgekit.assets import default_weights
from edgekit.assets.pictures import verification_frames
from edgekit.bundle import Bundle, save_bundle
from edgekit.detector import cascade_of
from edgekit.media import open_source
from edgekit.quantization.base import Quantizer, Recipe
from edgekit.quantization.registry import quantizer
from edgekit.runtime.decode import peaks
from edgekit.targets.registry import open_session
from edgekit.targets.verify import agreement

Inputs = list[dict[str, Any]]


@pytest.fixture(scope="session")
def inputs_of() -> Callable[[Bundle], Inputs]:
    """What a bundle's model is given for the frames by which exports are verified."""

    def make(bundle: Bundle) -> Inputs:
        found: Inputs = []
        for clip in verification_frames():
            cascade = cascade_of(bundle)
            for frame in clip:
                if bundle.manifest.cascade.place == "graph":
                    previous, current, _ = cascade.pair(frame)
                    found.append({"previous": previous[None].copy(), "frame": current[None].copy()})
                else:
                    found.append({"input": cascade(frame)[0].copy()})
        return found

    return make


@pytest.fixture(scope="session")
def calibrated(inputs_of: Callable[[Bundle], Inputs]) -> Callable[[Quantizer, Bundle, Path], Path]:
    """Fills a new folder with what a quantizer measures on those inputs."""

    def make(tool: Quantizer, bundle: Bundle, folder: Path) -> Path:
        folder.mkdir(parents=True)
        tool.calibrate(bundle, inputs_of(bundle), folder)
        return folder

    return make


@pytest.fixture
def shallow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Has weights rounded in small groups, which takes a deep network a second and not ten."""
    monkeypatch.setattr("edgekit.quantization.rounding.integer_weights._DEEPEST", 144)


@pytest.fixture(scope="session")
def quantized() -> Callable[..., Bundle]:
    """Makes a bundle of integers in a new folder ``out``."""

    def make(
        tool: Quantizer, bundle: Bundle, statistics: Path, out: Path, recipe: Recipe | None = None
    ) -> Bundle:
        folder = out / "files"
        folder.mkdir(parents=True)
        recipe = recipe or Recipe(method="percentile")
        written = tool.quantize(bundle, statistics, recipe, folder)
        assert sorted(written.files) == sorted(path.name for path in folder.iterdir())
        manifest = msgspec.structs.replace(bundle.manifest, precision="int8", model=written.model)
        files = {name: folder / name for name in written.files}
        return save_bundle(out / "bundle", manifest, files)

    return make


@pytest.fixture
def kept_by_int8(
    shared: Path, tmp_path: Path, export: Callable[..., Bundle], quantized: Callable[..., Bundle]
) -> Callable[[str], tuple[float, float]]:
    """Of the shipped model for a target: INT8's share of its size, and of its detections."""

    def measure(target: str) -> tuple[float, float]:
        tool = quantizer(target)
        bundle = export(default_weights(), target)
        statistics = tmp_path / "statistics"
        statistics.mkdir()
        tool.calibrate(bundle, _clip(bundle, shared, "v_HorseRiding_g01_c03"), statistics)
        small = quantized(
            tool, bundle, statistics, tmp_path / "int8", Recipe(method=tool.methods[0])
        )
        agreeing = []
        with open_session(bundle) as one, open_session(small) as other:
            for inputs in _clip(bundle, shared, "v_Biking_g01_c01"):
                rows = [peaks(session.infer(inputs), 50, 4) for session in (one, other)]
                certain = rows[0][rows[0][:, 4] > 0.3]
                if len(certain):
                    agreeing.append(agreement(certain, rows[1], 0.8))
        assert len(agreeing) > 5
        return small.size / bundle.size, float(np.mean(agreeing))

    return measure


def _clip(bundle: Bundle, shared: Path, name: str) -> Inputs:
    """The model's inputs for every tenth frame of a real video."""
    cascade, gap = cascade_of(bundle), bundle.manifest.cascade.frame_gap
    with open_source(str(shared / "ucf24" / f"{name}.mp4")) as source:
        images = [frame.image for frame in source]
    return [
        {"input": cascade(images[place], earlier=images[place - gap])[0].copy()}
        for place in range(5, len(images), 10)
    ]
