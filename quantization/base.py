"""What a quantizer is: something that makes a model of integers from a target's float model."""

from __future__ import annotations

import abc
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TypeAlias

from edgekit.bundle import Bundle
from edgekit.errors import MissingDependencyError
from edgekit.runtime.types import Array

__all__ = ["METHODS", "Inputs", "Layer", "Quantizer", "Recipe", "Written"]

METHODS = ("minmax", "percentile", "entropy", "mse")
"""How the range of an activation is chosen from what calibration saw of it."""

Inputs: TypeAlias = Sequence[Mapping[str, Array]]
"""What a model was given, one mapping of names to arrays a sample; read again and again."""


@dataclass(frozen=True, slots=True)
class Layer:
    """A layer that can be quantized.

    Attributes:
        name: As the target's model file has it.
        kind: Its operator.
        macs: Multiplications with addition that it takes for one picture.
    """

    name: str
    kind: str
    macs: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How to quantize.

    Attributes:
        method: One of the quantizer's ``methods``.
        keep_float: Names of the layers that stay float.
    """

    method: str = "minmax"
    keep_float: frozenset[str] = frozenset()


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
    """Of ``METHODS``, those that it has; the default first."""

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
