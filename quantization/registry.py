"""Finds the quantizer of a target; imports it only when it is used."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from edgekit.errors import UsageError
from edgekit.targets.registry import TARGETS, exporter

if TYPE_CHECKING:
    from edgekit.bundle import Bundle
    from edgekit.quantization.base import Quantizer

__all__ = ["evaluation_runtime", "quantizer"]


def quantizer(target: str) -> Quantizer:
    """Returns the quantizer of a target.

    Raises:
        UsageError: The target is unknown, or has no quantizer.
        PluginError: The target comes from a package and cannot be used.
    """
    from edgekit.quantization import base

    value = TARGETS[target].quantizer if target in TARGETS else None
    if value is None:
        names = [name for name, one in TARGETS.usable() if one.quantizer is not None]
        raise UsageError(
            f"EdgeKit can quantize bundles for {', '.join(names)}; found a bundle for {target!r}."
        )
    return cast("type[Quantizer]", TARGETS.import_class(target, value, base.Quantizer))()


def evaluation_runtime(bundle: Bundle) -> str | None:
    """Returns the runtime that measures the loss of a bundle's INT8 model on this machine.

    Returns:
        None for the target's default runtime.

    Raises:
        UsageError: The bundle's target is unknown, or has no quantizer.
        PluginError: The target comes from a package and cannot be used.
    """
    target = bundle.manifest.target
    return quantizer(target).evaluated_on or exporter(target).verify_on
