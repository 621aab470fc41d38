"""What a quantizer is: something that makes a model of integers from a target's float model."""

from __future__ import annotations

import abc
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from edgekit.bundle import Bundle
from edgekit.errors import MissingDependencyError
from edgekit.runtime.types import Array

if TYPE_CHECKING:
    from edgekit.quantization.ranges import Histogram

__all__ = [
    "DYNAMIC",
    "LAST",
    "METHODS",
    "Inputs",
    "Layer",
    "Quantizer",
    "Reading",
    "Recipe",
    "Written",
]

METHODS = ("minmax", "percentile", "entropy", "mse")
"""How the range of an activation is chosen from what calibration saw of it."""

DYNAMIC = "dynamic"
"""A further method: activations are float, and each layer rounds what it reads by the extremes of
that one frame."""

LAST = "it gives an output, and 8 bits for the whole range of a heatmap would flatten its peaks"
"""Why the last layer of a head stays float."""

Inputs: TypeAlias = Sequence[Mapping[str, Array]]
"""What a model was given, one mapping of names to arrays a sample; read again and again."""


@dataclass(frozen=True, slots=True)
class Layer:
    """A layer that can be quantized.

    Attributes:
        name: As the target's model file has it.
        kind: Its operator.
        macs: Multiplications with addition that it takes for one picture.
        label: A shorter name for people, unlike that of any other layer; empty where ``name`` is
            short.
    """

    name: str
    kind: str
    macs: int
    label: str = ""

    @property
    def shown(self) -> str:
        """What people read, and may write in place of ``name``."""
        return self.label or self.name


@dataclass(frozen=True, slots=True)
class Reading:
    """What a layer reads.

    Attributes:
        tensor: Name of what it works on.
        seen: Its values in calibration.
        low: The lowest value that integers stand for; of all channels, where each has its range.
        high: The highest.
    """

    tensor: str
    seen: Histogram
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How to quantize.

    Attributes:
        method: One of the quantizer's ``methods``.
        keep_float: Names of the layers that stay float.
        io: What the model takes and gives: one of the quantizer's ``ios``.
    """

    method: str = "minmax"
    keep_float: frozenset[str] = frozenset()
    io: str = "float"


@dataclass(frozen=True, slots=True)
class Written:
    """What a quantizer wrote.

    Attributes:
        model: Name of the model file in the folder.
        files: Names of all files to go into the bundle.
    """

    model: str
    files: tuple[str, ...]


class Quantizer(abc.ABC):
    """HOST. Quantizes the bundles of a target."""

    methods: tuple[str, ...] = ("minmax",)
    """Of ``METHODS``, and perhaps ``DYNAMIC``, those that it has; the default first."""

    ios: tuple[str, ...] = ("float",)
    """What a model can be made to take and give: ``float``, and perhaps ``int8``."""

    extra: str = "host"
    """Of EdgeKit, the extra that installs ``packages``."""

    packages: tuple[str, ...] = ()
    """Names of the packages that decide what comes out."""

    def version(self) -> dict[str, str]:
        """Version of each of ``packages``.

        Raises:
            MissingDependencyError: One of them is not installed.
        """
        try:
            return {name: metadata.version(name) for name in self.packages}
        except metadata.PackageNotFoundError as error:
            raise MissingDependencyError.for_extra(
                str(error.name), self.extra, "Quantizing a model"
            ) from error

    @abc.abstractmethod
    def layers(self, bundle: Bundle) -> tuple[Layer, ...]:
        """The layers of a float bundle that it would quantize, in the order of computation.

        Raises:
            MissingDependencyError: A package of the quantizer is not installed.
            BundleError: The model cannot be read.
        """

    def left_float(self, bundle: Bundle, io: str = "float") -> dict[str, str]:
        """What stays float whatever the layers: a part or layer of the model, and why.

        Args:
            bundle: The float model.
            io: Of the recipe.

        Raises:
            MissingDependencyError: A package of the quantizer is not installed.
            BundleError: The model cannot be read.
        """
        parts = {
            "the cascade": (bundle.manifest.cascade.place, "it compares pictures exactly"),
            "the decoding": (bundle.manifest.decode.place, "it compares scores exactly"),
        }
        return {name: why for name, (place, why) in parts.items() if place == "graph"}

    def readings(self, bundle: Bundle, statistics: Path, method: str) -> dict[str, Reading]:
        """What each layer reads, by the layer's name; without those of which it is not known.

        Args:
            bundle: The float model.
            statistics: The folder that ``calibrate`` filled for it.
            method: By which ranges are chosen.
        """
        del bundle, statistics, method
        return {}

    def calibrate(self, bundle: Bundle, inputs: Inputs, folder: Path) -> None:
        """Measures what every call of ``quantize`` needs again, once.

        Args:
            bundle: The float model.
            inputs: What to calibrate with.
            folder: Exists and is empty; may stay so.

        Raises:
            MissingDependencyError: A package of the quantizer is not installed.
            CalibrationError: An activation is NaN or infinite; names its layer.
            OutputError: A file cannot be written.
        """
        del bundle, inputs, folder

    @abc.abstractmethod
    def quantize(self, bundle: Bundle, statistics: Path, recipe: Recipe, folder: Path) -> Written:
        """Writes a quantized model, byte for byte the same for the same arguments.

        Args:
            bundle: The float model.
            statistics: The folder that ``calibrate`` filled for it.
            recipe: How.
            folder: Exists and is empty.

        Raises:
            MissingDependencyError: A package of the quantizer is not installed.
            ConversionError: The quantizer failed.
            OutputError: A file cannot be written.
        """


def sampling(layers: Collection[str]) -> dict[str, str]:
    """What ``Quantizer.left_float`` says of deformable convolutions, by their names."""
    why = "its numbers are places in the picture, which rounding would move"
    return {f"the sampling of {layer}": why for layer in sorted(layers)}
