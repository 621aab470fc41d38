"""One folder a target: ``session.py`` runs a bundle on the device, ``export.py`` writes one.

Importing it keeps ONNX Runtime from reporting: every module that loads a runtime imports it first.
"""

from edgekit._telemetry import silence_onnxruntime

silence_onnxruntime()
