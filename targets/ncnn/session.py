"""DEVICE. Runs bundles on ncnn."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

from edgekit.errors import BundleError
from edgekit.runtime.types import Array
from edgekit.system.cores import physical_cores
from edgekit.targets import base
from edgekit.targets.ncnn.model import read_model
from edgekit.targets.ncnn.network import NcnnNetwork, import_ncnn

if TYPE_CHECKING:
    from edgekit.measuring.operator_times import OperatorProfiler

__all__ = ["NcnnSession"]

_PURPOSE = "Running a bundle for the target ncnn"
_EXTRA = "ncnn"
_COMPUTED = {"f32": "fp32", "f16": "fp16", "bf16": "bf16"}


class NcnnSession(base.Session):
    """Runs a bundle's model on ncnn; see ``edgekit.targets.base.Session``.

    It computes in float32 unless another arithmetic is requested. With ``threads`` 0 it uses one
    thread per physical core. For throughput, each thread computes its own frame.
    """

    runtime = "ncnn"
    takes = frozenset({"arithmetic"})

    @classmethod
    def check_machine(cls) -> None:
        """Raises ``MissingDependencyError`` unless ncnn is installed."""
        import_ncnn(_EXTRA, _PURPOSE)

    def describe(self) -> dict[str, str]:
        """Returns runtime, version, device, arithmetic and number of threads, by name."""
        computed, precision = _COMPUTED[self._arithmetic], self.bundle.manifest.precision
        if precision == "int8":
            computed = precision if computed == "fp32" else f"{precision}, the rest {computed}"
        elif precision != computed:
            computed += f", weights {precision}"
        return {
            "runtime": self.runtime,
            "version": str(import_ncnn(_EXTRA, _PURPOSE).__version__),
            "device": "CPU",
            "arithmetic": computed,
            "threads": f"{self.lanes}, a frame each" if self.many else str(self._threads),
        }

    def _open(self) -> tuple[base.Signature, tuple[str, ...]]:
        ncnn = import_ncnn(_EXTRA, _PURPOSE)
        self._threads = self.options.threads or physical_cores()
        if self.many:
            self.lanes, self._threads = self._threads, 1
        self._arithmetic = self.options.arithmetic or "f32"
        model = read_model(self.bundle)
        try:
            self._network: NcnnNetwork | None = NcnnNetwork(
                ncnn, model, threads=self._threads, arithmetic=self._arithmetic
            )
        except ValueError as error:
            raise BundleError(
                f"ncnn {ncnn.__version__} refuses {self.bundle.model_path}: {error}.",
                hint=f"Export it again (edgekit export CHECKPOINT --target "
                f"{self.bundle.manifest.target}), or upgrade: pip install -U ncnn",
            ) from error
        self._structure = structure = model.structure
        inputs: base.Signature = {
            name: ((1, *structure.blobs[name][:3]), "float32") for name in structure.inputs
        }
        return inputs, structure.outputs

    def _run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        network = self._network
        assert network is not None
        return network.run(inputs, self._outputs)

    @contextmanager
    def _profiler(self) -> Iterator[OperatorProfiler]:
        """Times the layers of the loaded model: ncnn needs no second one for it."""
        from edgekit.targets.ncnn.profiler import NcnnProfiler

        assert self._network is not None
        yield NcnnProfiler(self._network, self._structure, self._outputs)

    def _release(self) -> None:
        self._network = None
