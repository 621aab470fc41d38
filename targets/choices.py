"""Lists the choices of export and runtime options; imports nothing, so that help loads fast."""

from __future__ import annotations

from typing import Literal, TypeAlias, get_args

__all__ = ["ARITHMETICS", "HINTS", "PLACES", "PRECISIONS", "Arithmetic", "Hint"]

PRECISIONS = ("fp32", "fp16")
"""Types of the weights and activations in an exported model."""

PLACES = ("host", "graph", "auto")
"""Places of the cascade and of the decoding: beside the model, in its graph, or the target's."""

Arithmetic: TypeAlias = Literal["f32", "f16", "bf16"]
"""Type that a runtime computes in."""

ARITHMETICS = get_args(Arithmetic)

Hint: TypeAlias = Literal["latency", "throughput"]
"""Aim of a session: one frame with little delay, or many frames per second."""

HINTS = get_args(Hint)
