"""What a target is: something that runs a bundle, and something that writes one."""

from __future__ import annotations

import abc
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edgekit._closing import Closing
from edgekit.bundle import Bundle
from edgekit.runtime.types import Array

if TYPE_CHECKING:
    from torch import nn

__all__ = ["Exported", "Exporter", "Session"]


class Session(Closing):
    """DEVICE. A loaded model; a context manager.

    Args:
        bundle: What to run.
        threads: How many to compute with; 0 lets the runtime choose.
    """

    def __init__(self, bundle: Bundle, *, threads: int = 0) -> None:
        self.bundle = bundle
        self.threads = threads

    @abc.abstractmethod
    def infer(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Runs the model once.

        Args:
            inputs: ``input`` (1, C, H, W) float32; or, where the model holds the cascade,
                ``previous`` and ``frame`` (1, H, W, 3) uint8.

        Returns:
            ``hm`` (1, classes, H/4, W/4) logits, ``wh`` and ``reg`` (1, 2, H/4, W/4); or, where the
            model holds the decoding, ``detections`` (K, 6). float32.
        """

    def describe(self) -> dict[str, str]:
        """What really runs: the runtime, its version, device and arithmetic."""
        return {}


@dataclass(frozen=True, slots=True)
class Exported:
    """What an exporter wrote.

    Attributes:
        model: Name of the model file in the folder.
        files: Names of all files to go into the bundle.
        opset: Or IR version, where the format has one.
        converter: Name and version of each package that took part.
    """

    model: str
    files: tuple[str, ...]
    opset: int | None
    converter: dict[str, str]


class Exporter(abc.ABC):
    """HOST. Writes a network in the format of a target."""

    precisions: tuple[str, ...] = ("fp32",)

    @abc.abstractmethod
    def export(self, network: nn.Module, example: tuple[Array, ...], folder: Path) -> Exported:
        """Writes ``network`` into ``folder``.

        Args:
            network: In evaluation mode; takes the arrays of ``example``, returns named tensors.
            example: Inputs, by which shapes and types are fixed.
            folder: Exists and is empty.
        """

    def operators(self, model: Path) -> dict[str, int]:
        """How many operators of each type are in a model file, the most frequent first.

        Returns:
            Nothing for a format whose operators cannot be told.
        """
        del model
        return {}
