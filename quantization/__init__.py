"""HOST. Turns float bundles into INT8 bundles whose loss is measured and bounded."""

from edgekit._telemetry import silence_onnxruntime

silence_onnxruntime()
