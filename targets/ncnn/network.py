"""DEVICE. Runs checked models on ncnn."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import Any

import numpy as np

from edgekit._parameters import parameter
from edgekit.errors import EdgeKitError, MissingDependencyError, UsageError
from edgekit.runtime.types import Array
from edgekit.targets.choices import Arithmetic
from edgekit.targets.ncnn.model import NcnnModel
from edgekit.targets.ncnn.param import NcnnLayer

__all__ = ["NcnnNetwork", "import_ncnn"]

_HALF = ("use_fp16_packed", "use_fp16_storage", "use_fp16_arithmetic")
_BRAIN = ("use_bf16_packed", "use_bf16_storage")
_READS_ONLY = ("Convolution", "ConvolutionDepthWise", "Quantize")
"""Layers that never write into their input."""

_STARTED_IN: list[int] = []
"""Process in which ncnn first computed with several threads."""

_AS_IT_IS = 1
"""Value of ncnn's ``type`` that gives a blob in the layout in which the layers keep it."""


def import_ncnn(extra: str, purpose: str) -> ModuleType:
    """Imports and returns the package ``ncnn``.

    Args:
        extra: EdgeKit extra that installs it.
        purpose: Feature that needs it, as the beginning of a sentence.

    Raises:
        MissingDependencyError: ncnn is not installed.
    """
    try:
        import ncnn
    except ImportError as error:
        raise MissingDependencyError.for_extra("ncnn", extra, purpose) from error
    found: ModuleType = ncnn
    return found


class NcnnNetwork:
    """A model that ncnn has loaded; threads can run it at once, and share its weights.

    Args:
        ncnn: The package.
        model: Model to load.
        threads: Number of threads for one run.
        arithmetic: Type for the computation: ncnn itself would choose float16 where it can.
        kept: Whether all blobs stay until the end of a run, so that each can be an output.

    Raises:
        UsageError: This processor does not compute in that arithmetic.
        ValueError: ncnn refuses the model.
        EdgeKitError: This process was forked from one in which ncnn has several threads.
    """

    def __init__(
        self,
        ncnn: ModuleType,
        model: NcnnModel,
        *,
        threads: int = 1,
        arithmetic: Arithmetic = "f32",
        kept: bool = False,
    ) -> None:
        if arithmetic == "f16" and not ncnn.cpu_support_arm_asimdhp():
            raise UsageError(
                "ncnn computes in float16 only on ARM processors that have it; found "
                f"{parameter('arithmetic', 'f16')} on another processor.",
                hint=f"Leave out {parameter('arithmetic')}.",
            )
        self._threads = threads
        _refuse_fork(threads)
        self._net = ncnn.Net()
        self._mat, self._kept = ncnn.Mat, kept
        # ncnn copies each blob that leaves a pool of its own, but not one that leaves a given pool.
        self._pool = ncnn.PoolAllocator()
        options = self._net.opt
        options.num_threads = threads
        options.use_vulkan_compute = False
        for names, chosen in ((_HALF, arithmetic == "f16"), (_BRAIN, arithmetic == "bf16")):
            for name in names:
                setattr(options, name, chosen)
        if self._net.load_param_mem(model.text) != 0:
            raise ValueError("it does not accept the layers")
        self._content = model.content  # ncnn reads weights where they are
        self._net.load_model_mem(self._content)
        readers = {name: layer.kind for layer in model.structure.layers for name in layer.inputs}
        self._lent = {name: readers.get(name) in _READS_ONLY for name in model.structure.inputs}

    def run(self, inputs: Mapping[str, Array], outputs: Sequence[str]) -> dict[str, Array]:
        """Returns the named blobs.

        Args:
            inputs: All inputs of the network by name, (1, C, H, W) float32.
            outputs: Names of the blobs to return.

        Returns:
            Arrays (1, C, H, W) by name, which are the caller's to keep.

        Raises:
            RuntimeError: ncnn failed.
        """
        extractor, *_alive = self._started(inputs)
        found = {}
        for name in outputs:
            found[name] = self._extracted(extractor, name)
        del extractor  # before its pool and its inputs, in whichever order variables end
        return found

    def time_layers(
        self, inputs: Mapping[str, Array], layers: Sequence[NcnnLayer], outputs: Sequence[str]
    ) -> list[float]:
        """Runs the network layer by layer; returns the milliseconds of each.

        Args:
            inputs: Inputs as for ``run``.
            layers: Layers in the order of computation. The time of a layer that is left out belongs
                to the next one that reads its result.
            outputs: Names of the blobs that ``run`` would return.

        Raises:
            RuntimeError: ncnn failed.
        """
        extractor, *_alive = self._started(inputs)
        found = []
        for layer in layers:
            name = layer.outputs[0]
            begin = time.perf_counter()
            # Blobs before this one are there, so ncnn computes one layer, and copies nothing.
            status = extractor.extract(name, _AS_IT_IS)[0]
            found.append(1e3 * (time.perf_counter() - begin))
            _check(status, name)
        for name in outputs:
            self._extracted(extractor, name)
        del extractor  # before its pool and its inputs, in whichever order variables end
        return found

    def _started(self, inputs: Mapping[str, Array]) -> tuple[Any, ...]:
        """Returns an extractor with its inputs, and then what has to live longer than it."""
        _refuse_fork(self._threads)
        extractor = self._net.create_extractor()
        extractor.set_blob_allocator(self._pool)
        extractor.set_light_mode(not self._kept)
        lent = {name: np.ascontiguousarray(values[0]) for name, values in inputs.items()}
        for name, values in lent.items():
            given = self._mat(values)
            if extractor.input(name, given if self._lent[name] else given.clone()) != 0:
                raise RuntimeError(f"it does not take the input {name}")
        return extractor, *lent.values(), self._pool

    def _extracted(self, extractor: Any, name: str) -> Array:
        status, blob = extractor.extract(name)
        _check(status, name)
        return np.array(blob)[None]


def _refuse_fork(threads: int) -> None:
    """Raises where ncnn would wait for ever for threads, which only the other process has."""
    if threads == 1:
        return
    if not _STARTED_IN:
        _STARTED_IN.append(os.getpid())
    if os.getpid() != _STARTED_IN[0]:
        raise EdgeKitError(
            "ncnn cannot compute with several threads in a process that was forked from one in "
            "which it has computed.",
            hint=f"Start processes by spawning, as multiprocessing.get_context('spawn') does, or "
            f"use {parameter('threads', 1)}.",
        )


def _check(status: int, name: str) -> None:
    if status != 0:
        raise RuntimeError(f"it ended with status {status} before the output {name}")
