"""Fixtures that every folder of tests may use."""

from __future__ import annotations

import importlib.util
import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest


class Golden(NamedTuple):
    """A published network, and what it returns for one input.

    Attributes:
        spec: How it is made.
        state: Its weights by name, as numpy arrays.
        input: (1, C, H, W) float32.
        heads: ``hm``, ``wh`` and ``reg`` of the published code.
    """

    spec: dict[str, Any]
    state: dict[str, Any]
    input: Any
    heads: dict[str, Any]


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real clips and golden data beside the checkout; the test skips without it."""
    folder = Path(__file__).resolve().parents[2] / "shared"
    if not (folder / "golden").is_dir():
        pytest.skip("needs the real clips and golden data in ../shared")
    return folder


@pytest.fixture(scope="session")
def golden(shared: Path) -> Callable[[str], Golden]:
    """Reads the golden data of a network by the name of its architecture."""
    source = importlib.util.spec_from_file_location(
        "golden_checkpoint", shared / "tools" / "golden_checkpoint.py"
    )
    assert source is not None
    assert source.loader is not None
    tool = importlib.util.module_from_spec(source)
    source.loader.exec_module(tool)

    def read(arch: str) -> Golden:
        path = shared / "golden" / "networks" / f"{arch}_6ch_seed1"
        spec = json.loads(path.with_suffix(".json").read_text())
        state = {
            name: tool.golden_weight(name, shape, spec["seed"])
            for name, shape in spec["keys"].items()
        }
        with np.load(path.with_suffix(".npz")) as arrays:
            heads = {head: arrays[head] for head in ("hm", "wh", "reg")}
        return Golden(spec, state, tool.golden_input(spec), heads)

    return read


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 256 KiB."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(place)]
    try:
        done = subprocess.run(mount, capture_output=True)
    except OSError:
        pytest.skip("there is no mount")
    if done.returncode:
        pytest.skip("needs the right to mount a file system")
    yield place
    subprocess.run(["umount", str(place)], check=True)
