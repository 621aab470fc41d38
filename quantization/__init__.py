"""HOST. From float bundles to bundles of integers whose loss is known and bounded."""

from edgekit._telemetry import silence_onnxruntime

silence_onnxruntime()
