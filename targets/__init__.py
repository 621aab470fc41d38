"""One folder per target: ``session.py`` runs a bundle on the device, ``export.py`` writes one.

Importing this package turns off ONNX Runtime's telemetry: every module that loads a runtime imports
it first.
"""

from edgekit.system.telemetry import silence_onnxruntime

silence_onnxruntime()
