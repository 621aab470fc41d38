"""DEVICE. Runs bundles on TensorRT."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

from edgekit.errors import EdgeKitError
from edgekit.runtime.types import Array
from edgekit.targets import base
from edgekit.targets.jetson.cuda import Buffer, Cuda
from edgekit.targets.jetson.engine import load_engine
from edgekit.targets.jetson.library import GPU_HINT, created, make_log, said, tensorrt

if TYPE_CHECKING:
    from edgekit.measuring.operator_times import OperatorProfiler

__all__ = ["TensorRtSession"]


class TensorRtSession(base.Session):
    """Runs a bundle's engine on TensorRT; see ``edgekit.targets.base.Session``.

    The first session on a machine builds the engine, which takes minutes. ``options.cache`` names
    the folder that keeps engines, by default the bundle's own.

    A frame stays on the device as long as it can be the earlier frame. Each frame is copied to the
    device once, and only the model's results are copied back.
    """

    runtime = "tensorrt"
    takes = frozenset({"cache"})

    @classmethod
    def check_machine(cls) -> None:
        """Raises ``EdgeKitError`` unless TensorRT, CUDA and a GPU are available."""
        tensorrt()
        Cuda().gpu()

    def describe(self) -> dict[str, str]:
        """Returns TensorRT's version, the GPU and the arithmetic; there are no threads."""
        return dict(self._facts)

    def _open(self) -> tuple[base.Signature, tuple[str, ...]]:
        trt, self._cuda = tensorrt(), Cuda()
        self._log = make_log(trt)
        self._facts = {
            "runtime": self.runtime,
            "version": trt.__version__,
            "device": self._cuda.gpu().name,
            "arithmetic": self.bundle.manifest.precision,
            "threads": "-",
        }
        engine = load_engine(self.bundle, self._log, self.options.cache)
        types = {trt.DataType.FLOAT: "float32", trt.DataType.UINT8: "uint8"}
        inputs: base.Signature = {}
        outputs: base.Signature = {}
        for name in map(engine.get_tensor_name, range(engine.num_io_tensors)):
            goes_in = engine.get_tensor_mode(name) == trt.TensorIOMode.INPUT
            dtype = types.get(engine.get_tensor_dtype(name))
            if dtype is None:
                raise self._not_as_said(f"{name!r} of type {engine.get_tensor_dtype(name)}")
            shape = tuple(engine.get_tensor_shape(name))
            (inputs if goes_in else outputs)[name] = (shape, dtype)
        self._inputs, self._outputs = inputs, tuple(outputs)
        self._check_manifest()  # before memory is allocated for a model that does not fit
        with ExitStack() as stack:
            self._context: Any = created(self._log, engine.create_execution_context)
            stack.callback(setattr, self, "_context", None)
            self._stream = int(self._cuda.call("StreamCreate"))
            stack.callback(self._cuda.call, "StreamDestroy", self._stream)
            self._results = {name: self._buffer(stack, outputs[name]) for name in outputs}
            self._slots = [
                self._buffer(stack, next(iter(inputs.values()))) for _ in range(self._frames_kept())
            ]
            for name, buffer in self._results.items():
                self._bind(name, buffer)
            self._stack = stack.pop_all()
        return self._inputs, self._outputs

    def _frames_kept(self) -> int:
        """Returns the number of frames on the device: the current one and possible earlier ones."""
        cascade = self.bundle.manifest.cascade
        return cascade.frame_gap + 1 if cascade.place == "graph" else 1

    def _buffer(self, stack: ExitStack, kind: tuple[tuple[int, ...], str]) -> Buffer:
        buffer = Buffer(self._cuda, *kind)
        stack.callback(buffer.free)
        return buffer

    def _run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        if "input" in inputs:
            self._slots[0].put(inputs["input"], self._stream)
            self._bind("input", self._slots[0])
        else:
            self._place(inputs["previous"], inputs["frame"])
        if not self._context.execute_async_v3(self._stream):
            raise EdgeKitError(
                f"TensorRT could not run {self.bundle.path}:\n{said(self._log)}", hint=GPU_HINT
            )
        for buffer in self._results.values():
            self._cuda.download(buffer, self._stream)
        self._cuda.call("StreamSynchronize", self._stream)
        return {name: buffer.host.copy() for name, buffer in self._results.items()}

    def _place(self, previous: Array, frame: Array) -> None:
        """Binds two frames, and copies those that are not on the device.

        ``_slots`` is in the order of reuse. The slot of the earlier frame, which is no longer
        needed, comes first; that of the newest frame comes last.
        """
        earlier = self._slot_of(previous, None)
        current = self._slot_of(frame, earlier)
        self._slots.remove(earlier)
        self._slots.insert(0, earlier)
        self._slots.remove(current)
        self._slots.append(current)
        self._bind("previous", earlier)
        self._bind("frame", current)

    @contextmanager
    def _profiler(self) -> Iterator[OperatorProfiler]:
        """Runs on an execution context of its own, because a profiler makes one slower."""
        from edgekit.targets.jetson.profiler import TensorRtProfiler

        plain = self._context
        context = created(self._log, plain.engine.create_execution_context)

        def run(inputs: Mapping[str, Array]) -> None:
            self._context = context
            try:
                for name, buffer in self._results.items():
                    self._bind(name, buffer)
                self._run(inputs)
            finally:
                self._context = plain

        yield TensorRtProfiler(tensorrt(), context, run)

    def _slot_of(self, array: Array, taken: Buffer | None) -> Buffer:
        for slot in self._slots:
            if slot.holds(array):
                return slot
        slot = next(slot for slot in self._slots if slot is not taken)
        slot.put(array, self._stream)
        return slot

    def _bind(self, name: str, buffer: Buffer) -> None:
        if not self._context.set_tensor_address(name, buffer.device):
            raise EdgeKitError(
                f"TensorRT rejects the memory of the tensor {name}:\n{said(self._log)}",
                hint=GPU_HINT,
            )

    def _release(self) -> None:
        self._stack.close()
