"""DEVICE. Runs the bundles of the target ``zipped`` on ONNX Runtime."""

import gzip
from collections.abc import Mapping

from edgekit.runtime.types import Array
from edgekit.system.telemetry import import_onnxruntime
from edgekit.targets.base import Session, Signature

onnxruntime = import_onnxruntime()  # which would send telemetry to its vendor otherwise
TYPES = {"tensor(float)": "float32", "tensor(uint8)": "uint8"}


class ZippedSession(Session):
    """Loads the model in ``_open``, runs it in ``_run`` and frees it in ``_release``."""

    runtime = "zipped"

    def _open(self) -> tuple[Signature, tuple[str, ...]]:
        content = gzip.decompress(self.bundle.read_model())
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self.options.threads
        self._model = onnxruntime.InferenceSession(content, options)
        inputs = {i.name: (tuple(i.shape), TYPES[i.type]) for i in self._model.get_inputs()}
        self._names = tuple(output.name for output in self._model.get_outputs())
        return inputs, self._names

    def _run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        return dict(zip(self._names, self._model.run(None, dict(inputs)), strict=True))

    def _release(self) -> None:
        del self._model

    def describe(self) -> dict[str, str]:
        return {
            "runtime": self.runtime,
            "version": onnxruntime.__version__,
            "device": "CPU",
            "arithmetic": self.bundle.manifest.precision,
            "threads": str(self.options.threads or "one per physical core"),
        }
