"""DEVICE. The CUDA calls that a session needs, each with an error check."""

from __future__ import annotations

import ctypes
import importlib
import math
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from edgekit._parameters import parameter
from edgekit.errors import EdgeKitError, MissingDependencyError
from edgekit.runtime.types import Array

__all__ = ["Buffer", "Cuda", "Gpu"]

_MEMINFO = Path("/proc/meminfo")


class Gpu(NamedTuple):
    """Properties of a GPU.

    Attributes:
        name: Name that CUDA reports.
        capability: Compute capability, such as ``8.7``.
        shared: Whether it shares its memory with the CPU, as on a Jetson.
    """

    name: str
    capability: str
    shared: bool


class Cuda:
    """The CUDA runtime on the current GPU.

    Raises:
        MissingDependencyError: The package cuda-bindings is not installed.
    """

    def __init__(self) -> None:
        try:
            self._runtime = importlib.import_module("cuda.bindings.runtime")
        except ImportError as error:
            raise MissingDependencyError.for_extra(
                "cuda.bindings", "jetson", "Running on TensorRT"
            ) from error

    def call(self, name: str, *arguments: object) -> Any:
        """Calls ``cuda<name>``; returns its result, if any.

        Raises:
            EdgeKitError: The call failed; the message names the call and CUDA's reason.
        """
        runtime = self._runtime
        error, *found = getattr(runtime, f"cuda{name}")(*arguments)
        if error != runtime.cudaError_t.cudaSuccess:
            code = runtime.cudaGetErrorName(error)[1].decode()
            words = runtime.cudaGetErrorString(error)[1].decode()
            raise EdgeKitError(f"cuda{name} failed: {words} ({code}).", hint=_hints().get(code, ""))
        return found if len(found) > 1 else found[0] if found else None

    def gpu(self) -> Gpu:
        """Returns the current GPU."""
        found = self.call("GetDeviceProperties", self.call("GetDevice"))
        name = found.name.decode() if isinstance(found.name, bytes) else found.name
        return Gpu(name, f"{found.major}.{found.minor}", bool(found.integrated))

    def memory_free(self) -> int:
        """Returns the number of bytes that can be allocated on the GPU."""
        free, _ = self.call("MemGetInfo")
        if self.gpu().shared and _MEMINFO.is_file():
            # CUDA counts the CPU's file caches as used, but the system frees them on demand.
            for line in _MEMINFO.read_text().splitlines():
                if line.startswith("MemAvailable:"):
                    return int(line.split()[1]) * 1024
        return int(free)

    def upload(self, buffer: Buffer, stream: int) -> None:
        """Queues a copy of a buffer's host memory to its device memory on ``stream``."""
        kind = self._runtime.cudaMemcpyKind.cudaMemcpyHostToDevice
        self.call(
            "MemcpyAsync", buffer.device, buffer.host.ctypes.data, buffer.host.nbytes, kind, stream
        )

    def download(self, buffer: Buffer, stream: int) -> None:
        """Queues a copy of a buffer's device memory to its host memory on ``stream``."""
        kind = self._runtime.cudaMemcpyKind.cudaMemcpyDeviceToHost
        self.call(
            "MemcpyAsync", buffer.host.ctypes.data, buffer.device, buffer.host.nbytes, kind, stream
        )

    def pinned(self, size: int) -> int:
        """Returns the address of new pinned host memory, which the GPU can access by itself."""
        return int(self.call("HostAlloc", size, self._runtime.cudaHostAllocDefault))


class Buffer:
    """Memory for one tensor, on the host and on the device.

    Args:
        cuda: CUDA runtime that allocates the memory.
        shape: Shape of the tensor.
        dtype: Name of its numpy type.

    Attributes:
        host: Tensor in pinned host memory.
        device: Address of the tensor on the device.
        held: Array whose values the device has; None if unknown.
    """

    def __init__(self, cuda: Cuda, shape: tuple[int, ...], dtype: str) -> None:
        self._cuda = cuda
        kind = np.dtype(dtype)
        size = math.prod(shape) * kind.itemsize
        self._pinned = cuda.pinned(size)
        try:
            self.device = int(cuda.call("Malloc", size))
        except EdgeKitError:
            cuda.call("FreeHost", self._pinned)
            raise
        memory = (ctypes.c_uint8 * size).from_address(self._pinned)
        self.host: Array = np.ctypeslib.as_array(memory).view(kind).reshape(shape)
        self.held: Array | None = None

    def holds(self, array: Array) -> bool:
        """Returns whether the device has the values of ``array``, unmodified since the copy.

        The copied array is kept alive, so no other array can reuse its address.
        """
        held = self.held
        return (
            held is not None
            and held.ctypes.data == array.ctypes.data
            and held.strides == array.strides
        )

    def put(self, array: Array, stream: int) -> None:
        """Queues a copy of the values of ``array`` to the device on ``stream``."""
        self.held = None
        np.copyto(self.host, array)
        self._cuda.upload(self, stream)
        self.held = array

    def free(self) -> None:
        """Frees the memory."""
        self.held = None
        del self.host
        self._cuda.call("Free", self.device)
        self._cuda.call("FreeHost", self._pinned)


def _hints() -> dict[str, str]:
    """Returns what helps against each of CUDA's errors, by the name of the error."""
    other = parameter("runtime", "onnxruntime")
    return {
        "cudaErrorMemoryAllocation": "Free some memory: close other programs, or restart the "
        "device.",
        "cudaErrorNoDevice": f"Use a machine with an NVIDIA GPU, or {other}.",
        "cudaErrorInsufficientDriver": "Check that an NVIDIA driver is installed, and install the "
        "cuda-bindings of its CUDA version (JetPack 6: pip install 'cuda-bindings==12.6.*'). Or "
        f"use {other}.",
    }
