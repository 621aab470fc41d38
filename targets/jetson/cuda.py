"""DEVICE. The little of CUDA that a session needs, every call checked."""

from __future__ import annotations

import ctypes
import importlib
import math
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from edgekit.errors import EdgeKitError, MissingDependencyError
from edgekit.runtime.types import Array

__all__ = ["Buffer", "Cuda", "Gpu"]

_MEMINFO = Path("/proc/meminfo")


class Gpu(NamedTuple):
    """A GPU.

    Attributes:
        name: As CUDA gives it.
        capability: Its compute capability, as ``8.7``.
        shared: Whether its memory is the CPU's as well, as on a Jetson.
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

    def call(self, name: str, *arguments: Any) -> Any:
        """Calls ``cuda<name>``; returns its result, if there is one.

        Raises:
            EdgeKitError: It failed; names the call and CUDA's reason.
        """
        runtime = self._runtime
        error, *found = getattr(runtime, f"cuda{name}")(*arguments)
        if error != runtime.cudaError_t.cudaSuccess:
            code = runtime.cudaGetErrorName(error)[1].decode()
            words = runtime.cudaGetErrorString(error)[1].decode()
            raise EdgeKitError(f"cuda{name} failed: {words} ({code}).", mend=_MENDS.get(code, ""))
        return found if len(found) > 1 else found[0] if found else None

    def gpu(self) -> Gpu:
        """The current GPU."""
        found = self.call("GetDeviceProperties", self.call("GetDevice"))
        name = found.name.decode() if isinstance(found.name, bytes) else found.name
        return Gpu(name, f"{found.major}.{found.minor}", bool(found.integrated))

    def memory_free(self) -> int:
        """Bytes that can be had on the GPU."""
        free, _ = self.call("MemGetInfo")
        if self.gpu().shared and _MEMINFO.is_file():
            # What the CPU's caches hold counts as taken for CUDA and is given back on demand.
            for line in _MEMINFO.read_text().splitlines():
                if line.startswith("MemAvailable:"):
                    return int(line.split()[1]) * 1024
        return int(free)

    def upload(self, buffer: Buffer, stream: int) -> None:
        """Has a buffer's host memory copied to its device memory, in the order of ``stream``."""
        kind = self._runtime.cudaMemcpyKind.cudaMemcpyHostToDevice
        self.call(
            "MemcpyAsync", buffer.device, buffer.host.ctypes.data, buffer.host.nbytes, kind, stream
        )

    def download(self, buffer: Buffer, stream: int) -> None:
        """Has a buffer's device memory copied to its host memory, in the order of ``stream``."""
        kind = self._runtime.cudaMemcpyKind.cudaMemcpyDeviceToHost
        self.call(
            "MemcpyAsync", buffer.host.ctypes.data, buffer.device, buffer.host.nbytes, kind, stream
        )

    def pinned(self, size: int) -> int:
        """Address of new host memory that the GPU can copy from and to by itself."""
        return int(self.call("HostAlloc", size, self._runtime.cudaHostAllocDefault))


class Buffer:
    """Memory for one tensor, on the host and on the device.

    Args:
        cuda: Where.
        shape: Of the tensor.
        dtype: numpy's name of its type.

    Attributes:
        host: The tensor in pinned host memory.
        device: Address on the device.
        held: The array whose values the device has, if they are known to be an array's.
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
        """Whether the device has the values of ``array``, which nobody wrote to since.

        The array that was copied is kept alive, so no other can lie where it lies.
        """
        held = self.held
        return (
            held is not None
            and held.ctypes.data == array.ctypes.data
            and held.strides == array.strides
        )

    def put(self, array: Array, stream: int) -> None:
        """Has the values of ``array`` copied to the device, in the order of ``stream``."""
        self.held = None
        np.copyto(self.host, array)
        self._cuda.upload(self, stream)
        self.held = array

    def free(self) -> None:
        """Gives the memory back."""
        self.held = None
        del self.host
        self._cuda.call("Free", self.device)
        self._cuda.call("FreeHost", self._pinned)


_MENDS = {
    "cudaErrorMemoryAllocation": "Free some memory: close other programs, or restart the device.",
    "cudaErrorNoDevice": "Use a machine with an NVIDIA GPU, or --runtime onnxruntime.",
    "cudaErrorInsufficientDriver": "Is there an NVIDIA driver? If so, install the cuda-bindings of "
    "its CUDA version (JetPack 6: pip install 'cuda-bindings==12.6.*'). Or use --runtime "
    "onnxruntime.",
}
