"""Finds the files that ship inside the package: the default model and its bundles."""

from __future__ import annotations

from pathlib import Path

from edgekit.errors import BundleError, CheckpointError

__all__ = ["DEFAULT_MODEL", "default_bundle", "default_weights", "under_load_file"]

DEFAULT_MODEL = "korsal-lite0-ucf24"

_HERE = Path(__file__).parent


def default_weights() -> Path:
    """The shipped checkpoint.

    Raises:
        CheckpointError: The installation lacks it.
    """
    path = _HERE / "weights" / f"{DEFAULT_MODEL}.safetensors"
    if not path.is_file():
        raise CheckpointError(
            f"EdgeKit's built-in weights are missing from this installation: there is no {path}.",
            hint="Reinstall EdgeKit, or give the path of a checkpoint of your own.",
        )
    return path


def under_load_file() -> Path:
    """Figures of what drops cost the default bundle.

    ``python -m edgekit.benchmarks.suites.accuracy.under_load --write`` measures them.
    """
    return _HERE / "under_load.json"


def default_bundle(precision: str = "int8") -> Path:
    """Returns the folder of a shipped bundle, by default the one that runs if none is named.

    Raises:
        BundleError: There is none of this precision.
    """
    path = _HERE / "bundles" / f"{DEFAULT_MODEL}-onnx-{precision}"
    if not path.is_dir():
        raise BundleError(
            f"EdgeKit ships no {precision} bundle.",
            hint=f"Export one: edgekit export --precision {precision}",
        )
    return path
