"""Lists the choices of quantization options; imports nothing, so that help loads fast."""

from __future__ import annotations

__all__ = ["DYNAMIC", "IOS", "METHODS"]

METHODS = ("minmax", "percentile", "entropy", "mse")
"""Methods for choosing the range of an activation from its calibration values."""

DYNAMIC = "dynamic"
"""An additional method, without calibrated ranges.

Activations stay float, and each layer rounds its input by the extremes of the current frame."""

IOS = ("float", "int8")
"""Types of a model's inputs and outputs."""
