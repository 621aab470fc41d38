"""HOST. Base class of the exporters of all targets: each writes a network as a model."""

from __future__ import annotations

import abc
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from edgekit.runtime.types import Array
from edgekit.targets.choices import Arithmetic

if TYPE_CHECKING:
    from torch import nn

__all__ = ["Exported", "Exporter"]


@dataclass(frozen=True, slots=True)
class Exported:
    """Result of an exporter.

    Attributes:
        model: Name of the model file in the folder.
        files: Names of all files for the bundle.
        opset: Opset or IR version, if the format has one.
        converter: Version of each package that took part, by name.
    """

    model: str
    files: tuple[str, ...]
    opset: int | None
    converter: dict[str, str]


class Exporter(abc.ABC):
    """HOST. Writes a network in the format of one target."""

    precisions: tuple[str, ...] = ("fp32",)
    """Precisions that it can write."""

    lowerings: tuple[str, ...] = ("deform_conv", "grid_sample", "gather")
    """Possible lowerings of deformable convolutions on this target, the default first."""

    chips: tuple[str, ...] = ()
    """Chips that it can compile for, the default first; empty if a model fits all chips."""

    chip: str = ""
    """Chip to compile for, one of ``chips``; it is set before ``export`` is called."""

    cascade: Literal["host", "graph"] = "host"
    """Default place of the cascade."""

    decode: Literal["host", "graph"] = "host"
    """Default place of the decoding, which makes boxes from the heads."""

    own_half: bool = False
    """Whether it converts a float32 network to float16 by itself."""

    verify_on: str | None = None
    """Runtime in ``edgekit.targets.registry.RUNTIMES`` for verification; None: the target's own."""

    verify_in: Arithmetic | None = None
    """Arithmetic for verification; None: the session's own choice."""

    @abc.abstractmethod
    def export(
        self, network: nn.Module, example: tuple[Array, ...], folder: Path, precision: str
    ) -> Exported:
        """Writes ``network`` into ``folder``; equal networks give equal bytes.

        Args:
            network: Network in evaluation mode, which takes the arrays of ``example`` and returns
                named tensors. At ``fp16`` its weights are float16 already, but its inputs and
                outputs are not. With ``own_half`` all of it is float32.
            example: Example inputs, which fix shapes and types.
            folder: Existing, empty folder.
            precision: Precision of the model, one of ``precisions``.

        Raises:
            MissingDependencyError: A package of the converter is not installed.
            ConversionError: The converter failed, or the target does not support an operator.
            OutputError: A file cannot be written.
        """

    def operators(self, model: Path) -> dict[str, int]:
        """Returns the number of operators of each type in a model file, the most frequent first.

        Returns:
            An empty dict for a format whose operators cannot be listed.
        """
        del model
        return {}
