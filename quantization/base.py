"""Base class of quantizers, which make an INT8 model from a target's float model."""

from __future__ import annotations

import abc
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from edgekit.bundle import Bundle
from edgekit.errors import MissingDependencyError, UsageError
from edgekit.runtime.types import Array
from edgekit.system.distributions import version_of

if TYPE_CHECKING:
    from edgekit.quantization.rounding.ranges import Histogram

__all__ = [
    "LAST",
    "Inputs",
    "Layer",
    "Quantizer",
    "Reading",
    "Recipe",
    "Written",
    "refuse_unknown",
    "sampling",
]

LAST = "it gives an output, and 8 bits for the whole range of a heatmap would flatten its peaks"
"""Reason why the last layer of a head stays float."""

Inputs: TypeAlias = Sequence[Mapping[str, Array]]
"""Inputs of a model: one mapping of names to arrays per sample; can be read repeatedly."""


@dataclass(frozen=True, slots=True)
class Layer:
    """A layer that can be quantized.

    Attributes:
        name: Name in the target's model file.
        kind: Type of its operator.
        macs: Number of multiply-accumulate operations for one picture.
        label: Shorter, unique name for display; empty if ``name`` is short.
    """

    name: str
    kind: str
    macs: int
    label: str = ""

    @property
    def shown(self) -> str:
        """Name for display, which a user may give in place of ``name``."""
        return self.label or self.name


@dataclass(frozen=True, slots=True)
class Reading:
    """The input of a layer and its range.

    Attributes:
        tensor: Name of the input tensor.
        seen: Histogram of its values during calibration.
        low: Lowest value that the integers represent; the lowest of all channels if each has a
            range.
        high: Highest value that the integers represent; the highest of all channels if each has a
            range.
    """

    tensor: str
    seen: Histogram
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """Settings for quantizing a model.

    Attributes:
        method: Method for choosing ranges, one of the quantizer's ``methods``.
        keep_float: Names of the layers that stay float.
        io: Type of the model's inputs and outputs, one of the quantizer's ``ios``.
    """

    method: str = "minmax"
    keep_float: frozenset[str] = frozenset()
    io: str = "float"


@dataclass(frozen=True, slots=True)
class Written:
    """Result of a quantizer.

    Attributes:
        model: Name of the model file in the folder.
        files: Names of all files for the bundle.
    """

    model: str
    files: tuple[str, ...]


class Quantizer(abc.ABC):
    """Quantizes the bundles of a target."""

    methods: tuple[str, ...] = ("minmax",)
    """Names in ``edgekit.quantization.choices.METHODS`` that it supports; the default comes first.

    ``DYNAMIC`` may be among them."""

    ios: tuple[str, ...] = ("float",)
    """Supported types of a model's inputs and outputs: ``float``, and possibly ``int8``."""

    source: str = "fp32"
    """Precision of the bundles that it quantizes."""

    evaluated_on: str | None = None
    """Runtime that measures the loss of its models; None: the runtime that verifies exports."""

    extra: str = "host"
    """EdgeKit extra that installs ``packages``."""

    packages: tuple[str, ...] = ()
    """Names of the packages whose versions affect the result."""

    def version(self) -> dict[str, str]:
        """Returns the version of each of ``packages``.

        Raises:
            MissingDependencyError: A package is not installed.
        """
        try:
            return {name: version_of(name) for name in self.packages}
        except metadata.PackageNotFoundError as error:
            raise MissingDependencyError.for_extra(
                str(error.name), self.extra, "Quantizing a model"
            ) from error

    def check_recipe(self, bundle: Bundle, recipe: Recipe) -> None:
        """Checks, before the calibration, that a bundle can be quantized by a recipe.

        Raises:
            UsageError: The settings contradict each other, or do not fit the bundle.
        """
        del bundle, recipe

    @abc.abstractmethod
    def layers(self, bundle: Bundle) -> tuple[Layer, ...]:
        """Returns the layers of a float bundle that it can quantize, in the order of computation.

        Raises:
            MissingDependencyError: A package of the quantizer is not installed.
            BundleError: The model cannot be read.
        """

    def left_float(self, bundle: Bundle, io: str = "float") -> dict[str, str]:
        """Returns the parts and layers of a model that always stay float, each with the reason.

        Args:
            bundle: Float model.
            io: Type of the inputs and outputs in the recipe.

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
        """Returns the input of each layer by the layer's name, without layers of unknown input.

        Args:
            bundle: Float model.
            statistics: Folder that ``calibrate`` filled for it.
            method: Method for choosing ranges.
        """
        del bundle, statistics, method
        return {}

    def calibrate(self, bundle: Bundle, inputs: Inputs, folder: Path) -> None:
        """Measures once what every call of ``quantize`` needs.

        Args:
            bundle: Float model.
            inputs: Calibration samples.
            folder: Existing, empty folder for the measurements; it may stay empty.

        Raises:
            MissingDependencyError: A package of the quantizer is not installed.
            CalibrationError: An activation is NaN or infinite; the message names its layer.
            OutputError: A file cannot be written.
        """
        del bundle, inputs, folder

    @abc.abstractmethod
    def quantize(self, bundle: Bundle, statistics: Path, recipe: Recipe, folder: Path) -> Written:
        """Writes a quantized model; equal arguments give equal bytes.

        Args:
            bundle: Float model.
            statistics: Folder that ``calibrate`` filled for it.
            recipe: Settings for quantizing.
            folder: Existing, empty folder for the model.

        Raises:
            MissingDependencyError: A package of the quantizer is not installed.
            ConversionError: The quantizer failed.
            OutputError: A file cannot be written.
        """


def refuse_unknown(keep_float: Collection[str], layers: Collection[str]) -> None:
    """Raises ``UsageError`` if a model lacks one of the layers that are to stay float.

    Args:
        keep_float: Names of the layers that are to stay float.
        layers: Names of the model's layers.
    """
    unknown = sorted(set(keep_float) - set(layers))
    if unknown:
        raise UsageError(f"The model has no layers {', '.join(unknown)} to keep in float.")


def sampling(layers: Collection[str]) -> dict[str, str]:
    """Returns the entries of ``Quantizer.left_float`` for deformable convolutions, by name."""
    why = "its numbers are places in the picture, which rounding would move"
    return {f"the sampling of {layer}": why for layer in sorted(layers)}
