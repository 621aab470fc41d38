"""DEVICE. Derives inputs and outputs of a model for Rockchip's chips from the manifest."""

from __future__ import annotations

from edgekit.bundle import Bundle
from edgekit.errors import BundleError
from edgekit.runtime.kinds import input_channels
from edgekit.targets.base import Signature
from edgekit.targets.rknn.chips import CHIPS

__all__ = ["chip_of", "expected_signature"]


def chip_of(bundle: Bundle) -> str:
    """Returns the chip that a bundle was compiled for.

    Raises:
        BundleError: The manifest names no chip, or one that is unknown.
    """
    chip = bundle.manifest.chip
    if not isinstance(chip, str) or chip not in CHIPS:
        raise BundleError(
            f"{bundle.path} is for the chip {chip or 'of no name'!r}; this version of EdgeKit "
            f"knows {', '.join(CHIPS)}.",
            hint="Export it again: edgekit export CHECKPOINT --target rknn --precision fp16 "
            "--chip NAME",
        )
    return chip


def expected_signature(bundle: Bundle) -> tuple[Signature, tuple[str, ...]]:
    """Returns the inputs and the names of the outputs; the runtime's interface does not tell them.

    Shapes of the outputs are checked in each frame.
    """
    made = bundle.manifest.input
    channels = input_channels(bundle.manifest.cascade.kind)
    inputs: Signature = {"input": ((1, channels, made.height, made.width), "float32")}
    return inputs, tuple(output.name for output in bundle.manifest.outputs)
