"""Measures the activations of an ONNX model over samples, and chooses their ranges.

A histogram of each tensor is kept, not the tensor, so memory does not grow with the samples.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from edgekit.errors import CalibrationError
from edgekit.quantization.base import Inputs
from edgekit.runtime.types import Array
from edgekit.system.telemetry import import_onnxruntime

if TYPE_CHECKING:
    from onnx import ModelProto

__all__ = [
    "Histogram",
    "activations",
    "choose_range",
    "load_histograms",
    "overflow_error",
    "rounding_noise",
    "save_histograms",
]

_FILE = "activations.npz"
_BINS = 4096
_MOST_VALUES = 1 << 16
_TAILS = 1e-4
"""Share of values that ``percentile`` leaves outside, half of it on each side."""

_LEVELS = 256
_LARGEST = 1e37
"""Magnitude above which a value counts as infinite, because arithmetic would overflow."""


class Histogram:
    """Histogram of one tensor's values: bins of equal width over [-reach, reach].

    The reach is a power of two. When the values exceed it, the reach doubles and neighbouring bins
    merge. For a large tensor only evenly spaced values are counted, but the extremes include all
    values.

    Attributes:
        low: Smallest value.
        high: Largest value.
        reach: Largest magnitude that the bins cover.
        counts: Number of values in each bin, (4096,) int.
    """

    def __init__(self) -> None:
        self.low, self.high = np.inf, -np.inf
        self.reach = 2.0**-20
        self.counts = np.zeros(_BINS, np.int64)

    def add(self, values: Array) -> None:
        """Counts the values of one sample.

        Raises:
            FloatingPointError: A value is NaN or infinite.
        """
        flat = values.ravel()
        low, high = float(flat.min()), float(flat.max())
        if not max(-low, high) <= _LARGEST:
            raise FloatingPointError("NaN" if np.isnan(low) else "an infinite value")
        self.low, self.high = min(self.low, low), max(self.high, high)
        counted = bool(self.counts.any())
        while max(-low, high) >= self.reach:
            if counted:
                merged = self.counts.reshape(-1, 2).sum(1)
                self.counts = np.pad(merged, _BINS // 4)
            self.reach *= 2
        flat = flat[:: 1 + flat.size // _MOST_VALUES]
        # A power of two, in double precision, keeps values next to a bin's edge from being rounded
        # across it.
        scaled = np.multiply(flat, _BINS / 2 / self.reach, dtype=np.float64)
        places = np.floor(scaled).astype(np.intp) + _BINS // 2
        self.counts += np.bincount(places, minlength=_BINS)

    @property
    def centres(self) -> npt.NDArray[np.float64]:
        """Returns the middle of each bin, (4096,)."""
        width = 2 * self.reach / _BINS
        return np.linspace(-self.reach + width / 2, self.reach - width / 2, _BINS)


def activations(
    model: ModelProto,
    names: Collection[str],
    inputs: Inputs,
    look: Callable[[int, Mapping[str, Array]], None] = lambda sample, seen: None,
) -> dict[str, Histogram]:
    """Returns histograms of tensors in an ONNX model, computed in float32, and of its inputs.

    Args:
        model: An ``onnx.ModelProto`` with all shapes; it is not changed.
        names: Names of the tensors; constants and tensors of other types are skipped.
        inputs: Samples to run it on.
        look: Function called with the number of each sample and all its tensors.

    Raises:
        CalibrationError: A value is NaN or infinite; the message names the first node that made
            one.
    """
    import onnx

    onnxruntime = import_onnxruntime()
    shown = onnx.ModelProto()
    shown.CopyFrom(model)
    makers = {name: node.name for node in shown.graph.node for name in node.output}
    floats = [
        value.name
        for value in (*shown.graph.value_info, *shown.graph.output)
        if value.type.tensor_type.elem_type == onnx.TensorProto.FLOAT
        and value.name in names
        and value.name in makers
    ]
    there = {value.name for value in shown.graph.output}
    shown.graph.output.extend(onnx.ValueInfoProto(name=n) for n in floats if n not in there)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(
        shown.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    found: dict[str, Histogram] = {}
    for number, given in enumerate(inputs):
        seen = dict(zip(floats, session.run(floats, dict(given)), strict=True))
        seen |= {name: array for name, array in given.items() if name in names}
        for name, values in seen.items():
            try:
                found.setdefault(name, Histogram()).add(values)
            except FloatingPointError as error:
                raise overflow_error(f"{makers.get(name, name)} gives {error}", number) from error
        look(number, seen)
    return found


def overflow_error(what: str, sample: int) -> CalibrationError:
    """Returns the error for an activation that is NaN or infinite.

    Args:
        what: Name of the layer, and what it is.
        sample: Number of the sample.
    """
    return CalibrationError(
        f"{what} on sample {sample} of the calibration data.",
        hint="Check the checkpoint: a network that overflows in float cannot be quantized.",
    )


def choose_range(seen: Histogram, method: str) -> tuple[float, float]:
    """Returns the range of values that the integers should span.

    Args:
        seen: Histogram of the tensor's values.
        method: ``minmax`` takes all values. ``percentile`` leaves out the outermost 0.01%. ``mse``
            takes the range with the least expected squared error. ``entropy`` takes the range with
            the least divergence between the rounded and the true distribution (Migacz, "8-bit
            inference with TensorRT", GTC 2017).

    Returns:
        The lowest and the highest value; 0 is between them.
    """
    low, high = min(seen.low, 0.0), max(seen.high, 0.0)
    if method == "percentile":
        total = seen.counts.cumsum() / seen.counts.sum()
        first, last = np.searchsorted(total, (_TAILS / 2, 1 - _TAILS / 2))
        return max(low, min(seen.centres[first], 0.0)), min(high, max(seen.centres[last], 0.0))
    if method == "minmax":
        return low, high
    loss = _SquaredError(seen) if method == "mse" else partial(_divergence, seen)
    shares = np.linspace(1, 0.3, 71)
    # One limit after the other; for equal losses the wider range wins.
    high *= float(min(shares, key=lambda share: loss(low, high * share)))
    low *= float(min(shares, key=lambda share: loss(low * share, high)))
    return low, high


def rounding_noise(seen: Histogram, low: float, high: float) -> float:
    """Returns the signal-to-noise ratio of rounding to 256 levels, in decibels.

    Args:
        seen: Histogram of the values.
        low: Lowest value that the integers represent.
        high: Highest value that the integers represent.

    Returns:
        The ratio according to the histogram, at most 99.
    """
    signal = float((seen.counts * np.square(seen.centres)).sum())
    noise = _SquaredError(seen)(low, high)
    return min(99.0, 10 * float(np.log10(max(signal, 1e-30) / max(noise, signal * 1e-12, 1e-30))))


def save_histograms(found: Mapping[str, Histogram], folder: Path) -> None:
    """Writes histograms into a folder of statistics."""
    names = sorted(found)
    np.savez(
        folder / _FILE,
        names=np.array(names),
        ranges=np.array([(found[n].low, found[n].high, found[n].reach) for n in names]),
        counts=np.array([found[n].counts for n in names]),
    )


def load_histograms(folder: Path) -> dict[str, Histogram]:
    """Reads what ``save_histograms`` wrote into a folder."""
    result = {}
    with np.load(folder / _FILE) as file:
        for name, (low, high, reach), counts in zip(
            file["names"].tolist(), file["ranges"].tolist(), file["counts"], strict=True
        ):
            histogram = result[name] = Histogram()
            histogram.low, histogram.high, histogram.reach = low, high, reach
            histogram.counts = counts
    return result


class _SquaredError:
    """Expected squared error of all values, as a function of the range that the integers span."""

    def __init__(self, seen: Histogram) -> None:
        self._values = seen.centres
        self._counts = seen.counts.astype(np.float64)
        # Zeros, which are frequent in activations, have no rounding error.
        self._counts[np.abs(self._values) < seen.reach / _BINS * 1.5] = 0

    def __call__(self, low: float, high: float) -> float:
        step = max(high - low, 1e-30) / (_LEVELS - 1)
        outside = self._values - self._values.clip(low, high)
        error = np.where(outside == 0, step**2 / 12, outside**2)
        return float((self._counts * error).sum())


def _divergence(seen: Histogram, low: float, high: float) -> float:
    values = seen.centres
    counts = seen.counts.astype(np.float64)
    # The peak at zero would dominate the divergence.
    counts[np.abs(values) < seen.reach / _BINS * 1.5] = 0
    inside = (values >= low) & (values <= high)
    if not counts[inside].sum():
        return float("inf")
    true = counts[inside].copy()
    true[0] += counts[values < low].sum()
    true[-1] += counts[values > high].sum()
    level = ((values[inside] - low) / max(high - low, 1e-30) * (_LEVELS - 1)).round().astype(int)
    filled = counts[inside] > 0
    mass = np.bincount(level, counts[inside], _LEVELS)
    bins = np.bincount(level, filled, _LEVELS)
    rounded = np.where(filled, mass[level] / np.maximum(bins[level], 1), 0)
    p, q = true / true.sum(), rounded / rounded.sum()
    there = p > 0
    return float((p[there] * np.log(p[there] / np.maximum(q[there], 1e-12))).sum())
