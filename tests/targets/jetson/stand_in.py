"""Fakes of TensorRT and CUDA with the real names and signatures.

Engines compute with ONNX Runtime in host memory, which only copies in stream order may access. The
fakes have no name that the real packages lack: ``test_real_packages`` compares them.
"""

from __future__ import annotations

import ctypes
import json
from dataclasses import dataclass, field
from enum import IntEnum
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnxruntime

_TYPES = {"tensor(float)": "FLOAT", "tensor(uint8)": "UINT8", "tensor(int64)": "INT64"}
_NUMPY = {"FLOAT": np.float32, "UINT8": np.uint8}


@dataclass
class Machine:
    """What the stand-ins run on, what goes wrong on it, and what was done to it."""

    version: str = "10.3.0"
    gpu: str = "Orin"
    capability: tuple[int, int] = (8, 7)
    shared: bool = True
    free: int = 2 << 30
    failing: dict[str, str] = field(default_factory=dict)
    """Name of a CUDA call to the error that it gives."""
    refuses: tuple[str, ...] = ()
    """What the parser says of any model."""
    build_error: str | None = None
    """What the builder logs before it gives up."""
    raises: Exception | None = None
    """What the builder raises."""
    starts: bool = True
    contexts: bool = True
    runs: bool = True
    during_build: Any = None
    """Called in the middle of a build."""

    layers: dict[str, float] = field(default_factory=lambda: {"stem.0/Conv + stem/Clip": 0.01})
    """Milliseconds that a profiler is told of each layer."""

    memory: dict[int, Any] = field(default_factory=dict)
    pinned: dict[int, Any] = field(default_factory=dict)
    streams: dict[int, list[Any]] = field(default_factory=dict)
    uploads: list[int] = field(default_factory=list)
    downloads: list[int] = field(default_factory=list)
    builds: list[dict[str, Any]] = field(default_factory=list)
    timings: list[bytes] = field(default_factory=list)

    def leftovers(self) -> int:
        """What was taken and never given back."""
        return len(self.memory) + len(self.pinned) + len(self.streams)


def cuda_of(machine: Machine) -> Any:
    """A stand-in for ``cuda.bindings.runtime``."""

    class cudaError_t(IntEnum):
        cudaSuccess = 0
        cudaErrorInvalidValue = 1
        cudaErrorMemoryAllocation = 2
        cudaErrorIllegalAddress = 700

    class cudaMemcpyKind(IntEnum):
        cudaMemcpyHostToDevice = 1
        cudaMemcpyDeviceToHost = 2

    def answer(name: str, *values: Any) -> tuple[Any, ...]:
        if name in machine.failing:
            return cudaError_t[machine.failing[name]], *(None for _ in values)
        return cudaError_t.cudaSuccess, *values

    def take(table: dict[int, Any], name: str, size: int) -> tuple[Any, ...]:
        if name in machine.failing:
            return answer(name, None)
        memory = ctypes.create_string_buffer(size)
        table[ctypes.addressof(memory)] = memory
        return answer(name, ctypes.addressof(memory))

    def cudaMalloc(size: int) -> Any:
        return take(machine.memory, "cudaMalloc", size)

    def cudaFree(devPtr: int) -> Any:
        del machine.memory[devPtr]
        return answer("cudaFree")

    def cudaHostAlloc(size: int, flags: int) -> Any:
        assert flags == 0
        return take(machine.pinned, "cudaHostAlloc", size)

    def cudaFreeHost(ptr: int) -> Any:
        del machine.pinned[ptr]
        return answer("cudaFreeHost")

    def cudaMemcpyAsync(dst: int, src: int, count: int, kind: Any, stream: int) -> Any:
        goes_up = kind == cudaMemcpyKind.cudaMemcpyHostToDevice
        device, host = (dst, src) if goes_up else (src, dst)
        assert ctypes.sizeof(machine.memory[device]) == count
        assert ctypes.sizeof(machine.pinned[host]) == count
        (machine.uploads if goes_up else machine.downloads).append(count)
        machine.streams[stream].append(lambda: ctypes.memmove(dst, src, count))
        return answer("cudaMemcpyAsync")

    def cudaStreamCreate() -> Any:
        handle = 1 + max(machine.streams, default=0)
        if "cudaStreamCreate" not in machine.failing:
            machine.streams[handle] = []
        return answer("cudaStreamCreate", handle)

    def cudaStreamSynchronize(stream: int) -> Any:
        work, machine.streams[stream] = machine.streams[stream], []
        for step in work:
            step()
        return answer("cudaStreamSynchronize")

    def cudaStreamDestroy(stream: int) -> Any:
        del machine.streams[stream]
        return answer("cudaStreamDestroy")

    def cudaMemGetInfo() -> Any:
        return answer("cudaMemGetInfo", machine.free, 8 << 30)

    def cudaGetDevice() -> Any:
        return answer("cudaGetDevice", 0)

    def cudaGetDeviceProperties(device: int) -> Any:
        major, minor = machine.capability
        found = SimpleNamespace(
            name=machine.gpu.encode(), major=major, minor=minor, integrated=int(machine.shared)
        )
        return answer("cudaGetDeviceProperties", found)

    def cudaGetErrorName(error: Any) -> Any:
        return cudaError_t.cudaSuccess, cudaError_t(error).name.encode()

    def cudaGetErrorString(error: Any) -> Any:
        return cudaError_t.cudaSuccess, f"words for {int(error)}".encode()

    names = {name: value for name, value in locals().items() if name.startswith("cuda")}
    return SimpleNamespace(**names, cudaHostAllocDefault=0)


def tensorrt_of(machine: Machine) -> Any:
    """A stand-in for the module ``tensorrt``."""

    class ILogger:
        class Severity(IntEnum):
            INTERNAL_ERROR = 0
            ERROR = 1
            WARNING = 2

        def __init__(self) -> None:
            pass

        def log(self, severity: Any, msg: str) -> None:
            raise NotImplementedError

    class IProgressMonitor:
        def __init__(self) -> None:
            self._is_made = True

        def phase_start(self, phase_name: str, parent_phase: str | None, num_steps: int) -> None:
            raise NotImplementedError

        def step_complete(self, phase_name: str, step: int) -> bool:
            raise NotImplementedError

        def phase_finish(self, phase_name: str) -> None:
            raise NotImplementedError

    class IProfiler:
        def __init__(self) -> None:
            self._is_made = True

        def report_layer_time(self, layer_name: str, ms: float) -> None:
            raise NotImplementedError

    class NetworkDefinitionCreationFlag(IntEnum):
        STRONGLY_TYPED = 1

    class MemoryPoolType(IntEnum):
        WORKSPACE = 0

    class BuilderFlag(IntEnum):
        TF32 = 7

    class TensorIOMode(IntEnum):
        NONE = 0
        INPUT = 1
        OUTPUT = 2

    class DataType(IntEnum):
        FLOAT = 0
        UINT8 = 5
        INT64 = 8

    class INetworkDefinition:
        def __init__(self, *_: Any) -> None:
            self._model = b""

    class ITimingCache:
        def __init__(self, stored: bytes) -> None:
            self._stored = stored

        def serialize(self) -> Any:
            return self._stored + b"t"

    class IBuilderConfig:
        progress_monitor: Any = None

        def __init__(self) -> None:
            self._flags = {BuilderFlag.TF32}
            self._limits: dict[Any, int] = {}
            self._timings: Any = None

        def set_memory_pool_limit(self, pool: Any, pool_size: int) -> None:
            self._limits[pool] = pool_size

        def clear_flag(self, flag: Any) -> None:
            self._flags.remove(flag)

        def create_timing_cache(self, serialized_timing_cache: bytes) -> Any:
            machine.timings.append(serialized_timing_cache)
            whole = not serialized_timing_cache.startswith(b"broken")
            return ITimingCache(serialized_timing_cache) if whole else None

        def set_timing_cache(self, cache: Any, ignore_mismatch: bool) -> bool:
            assert not ignore_mismatch
            foreign = cache._stored.startswith(b"foreign")
            self._timings = None if foreign else cache
            return not foreign

        def get_timing_cache(self) -> Any:
            return self._timings

    class ParserError:
        def __init__(self, words: str) -> None:
            self._words = words

        def desc(self) -> str:
            return self._words

        def node_name(self) -> str:
            return "layer/Odd" if "node" in self._words else ""

        def node_operator(self) -> str:
            return "Odd"

    class OnnxParser:
        def __init__(self, network: Any, logger: Any) -> None:
            assert isinstance(logger, ILogger)
            self._network = network

        @property
        def num_errors(self) -> int:
            return len(machine.refuses)

        def get_error(self, index: int) -> Any:
            return ParserError(machine.refuses[index])

        def parse(self, model: bytes) -> bool:
            self._network._model = model
            return not machine.refuses

    class Builder:
        def __init__(self, logger: Any) -> None:
            if not machine.starts:
                raise TypeError("pybind11::init(): factory function returned nullptr")
            self._logger = logger

        def create_network(self, flags: int = 0) -> Any:
            assert flags == 1 << NetworkDefinitionCreationFlag.STRONGLY_TYPED
            return INetworkDefinition()

        def create_builder_config(self) -> Any:
            return IBuilderConfig()

        def build_serialized_network(self, network: Any, config: Any) -> Any:
            monitor = config.progress_monitor
            assert monitor._is_made
            monitor.phase_start("Building", None, 2)
            monitor.phase_start("Timing", "Building", 9)
            goes_on = monitor.step_complete("Timing", 0)
            monitor.phase_finish("Timing")
            if machine.during_build is not None:
                machine.during_build()
            for step in range(2):
                goes_on = monitor.step_complete("Building", step) and goes_on
            monitor.phase_finish("Building")
            machine.builds.append({"flags": config._flags, "limits": config._limits})
            if machine.raises is not None:
                raise machine.raises
            if machine.build_error is not None:
                self._logger.log(ILogger.Severity.WARNING, "a warning")
                self._logger.log(ILogger.Severity.ERROR, machine.build_error)
            if machine.build_error is not None or not goes_on:
                return None
            head = {"version": machine.version, "gpu": machine.gpu}
            return json.dumps(head).encode() + b"\n" + network._model

    class IExecutionContext:
        profiler: Any = None

        def __init__(self, engine: Any) -> None:
            self._engine = engine
            self._addresses: dict[str, int] = {}

        def set_tensor_address(self, name: str, memory: int) -> bool:
            self._addresses[name] = memory
            return memory in machine.memory

        @property
        def engine(self) -> Any:
            return self._engine

        def execute_async_v3(self, stream_handle: int) -> bool:
            if self.profiler is not None:
                assert self.profiler._is_made
                for name, ms in machine.layers.items():
                    self.profiler.report_layer_time(name, ms)
            addresses = dict(self._addresses)
            machine.streams[stream_handle].append(lambda: self._compute(addresses))
            return machine.runs

        def _compute(self, addresses: dict[str, int]) -> None:
            session = self._engine._session
            values = {
                value.name: self._view(addresses[value.name], value)
                for value in session.get_inputs()
            }
            outputs = session.get_outputs()
            results = session.run([value.name for value in outputs], values)
            for value, result in zip(outputs, results, strict=True):
                np.copyto(self._view(addresses[value.name], value), result)

        @staticmethod
        def _view(address: int, value: Any) -> Any:
            kind = np.dtype(_NUMPY[_TYPES[value.type]])
            memory = np.frombuffer(machine.memory[address], np.uint8)
            return memory.view(kind).reshape(value.shape)

    class ICudaEngine:
        def __init__(self, model: bytes) -> None:
            options = onnxruntime.SessionOptions()
            options.intra_op_num_threads = 1
            self._session = onnxruntime.InferenceSession(
                model, options, providers=["CPUExecutionProvider"]
            )
            ends = (self._session.get_inputs(), self._session.get_outputs())
            self._tensors = {
                value.name: (mode, value)
                for mode, values in zip(
                    (TensorIOMode.INPUT, TensorIOMode.OUTPUT), ends, strict=True
                )
                for value in values
            }

        @property
        def num_io_tensors(self) -> int:
            return len(self._tensors)

        def get_tensor_name(self, index: int) -> str:
            return list(self._tensors)[index]

        def get_tensor_mode(self, name: str) -> Any:
            return self._tensors[name][0]

        def get_tensor_dtype(self, name: str) -> Any:
            return DataType[_TYPES[self._tensors[name][1].type]]

        def get_tensor_shape(self, name: str) -> Any:
            return tuple(self._tensors[name][1].shape)

        def create_execution_context(self) -> Any:
            return IExecutionContext(self) if machine.contexts else None

    class Runtime:
        def __init__(self, logger: Any) -> None:
            if not machine.starts:
                raise TypeError("pybind11::init(): factory function returned nullptr")
            self._logger = logger

        def deserialize_cuda_engine(self, serialized_engine: bytes) -> Any:
            head, _, model = serialized_engine.partition(b"\n")
            if json.loads(head) != {"version": machine.version, "gpu": machine.gpu}:
                self._logger.log(ILogger.Severity.ERROR, "engine of another platform")
                return None
            return ICudaEngine(model)

    def init_libnvinfer_plugins(logger: Any, namespace: str) -> bool:
        assert isinstance(logger, ILogger)
        return namespace == ""

    names = {name: value for name, value in locals().items() if name != "machine"}
    return SimpleNamespace(**names, __version__=machine.version)
