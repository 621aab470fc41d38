"""HOST. Turns float bundles into INT8 bundles whose loss is measured and bounded."""

from edgekit.system.telemetry import silence_onnxruntime

silence_onnxruntime()
