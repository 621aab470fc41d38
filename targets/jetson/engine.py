"""DEVICE. Finds the engine of a bundle on this machine, or has ``builder`` build it; stores it.

An engine belongs to one model, one TensorRT version and one kind of GPU. A key of all of them is
its file name, and its checksum is stored beside it. An engine with a wrong checksum is built again
and never loaded.
"""

from __future__ import annotations

import hashlib
import logging
import shlex
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgekit._parameters import parameter
from edgekit.bundle import Bundle
from edgekit.errors import EdgeKitError, OutputError, UsageError
from edgekit.files.checksums import keep_file, proven_file
from edgekit.files.output_paths import refuse_unwritable, writing
from edgekit.targets.jetson.builder import Report, serialized_engine
from edgekit.targets.jetson.cuda import Cuda, Gpu
from edgekit.targets.jetson.library import created, make_log, said, tensorrt

__all__ = ["Engine", "build_engine", "load_engine", "trtexec_command"]

_log = logging.getLogger(__name__)

_OPTIONS = "strongly typed, no TF32"
_MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Engine:
    """An engine on disk.

    Attributes:
        path: Path of the engine file.
        key: SHA-256 of model, TensorRT version, GPU, precision and build options.
        seconds: Build time in seconds; 0 if the engine already existed.
        built: Whether this call built it.
    """

    path: Path
    key: str
    seconds: float
    built: bool


def build_engine(
    bundle: Bundle,
    *,
    workspace: int | None = None,
    force: bool = False,
    cache: Path | None = None,
    report: Report | None = None,
    log: Any = None,
) -> Engine:
    """Builds the engine of a bundle for this machine, unless it exists.

    Args:
        bundle: Bundle of the target jetson.
        workspace: Largest amount of GPU memory that a layer may use as workspace, in MiB; by
            default half of the free memory. It limits the build and does not change results.
        force: Whether to build it even if it exists.
        cache: Folder to keep the engine in; by default ``engines`` in the bundle.
        report: Function that is called with the progress.
        log: Logger made by ``library.make_log``; by default a new one.

    Raises:
        UsageError: The bundle is for another target.
        MissingDependencyError: TensorRT or cuda-bindings is not installed.
        BundleError: TensorRT refuses the model.
        OutputError: The folder cannot be written.
        EdgeKitError: There is no GPU, or not enough memory; the message quotes TensorRT.
    """
    if bundle.manifest.target != "jetson":
        raise UsageError(
            f"Expected a bundle for the target jetson; {bundle.path} is for "
            f"{bundle.manifest.target}.",
            hint="This bundle needs no engine. Run it as it is: edgekit run --bundle "
            f"{bundle.path}",
        )
    trt, cuda = tensorrt(), Cuda()
    gpu = cuda.gpu()
    key = _key(bundle, trt.__version__, gpu)
    path = (cache or bundle.path / "engines") / f"{key}.engine"
    if not force and proven_file(path, key) is not None:
        return Engine(path, key, 0.0, built=False)
    _log.warning(
        "Building the TensorRT engine of %s for %s. This happens once and takes some minutes.",
        bundle.manifest.name,
        gpu.name,
    )
    started = time.monotonic()
    limit = cuda.memory_free() // 2 if workspace is None else workspace * _MIB
    log = make_log(trt) if log is None else log
    trt.init_libnvinfer_plugins(log, "")
    timings = path.with_name(f"{'-'.join(gpu.name.split())}-{trt.__version__}.timings")
    try:
        with writing(path.parent):
            path.parent.mkdir(0o700, exist_ok=True)
        # An unwritable folder is reported before a build of several minutes.
        refuse_unwritable(path)
        content = serialized_engine(
            trt, log, bundle, workspace=limit, timings=timings, report=report
        )
        with writing(path):
            keep_file(path, content, key)
    except OutputError as error:
        raise OutputError(
            error.message,
            hint=f"Name a folder where engines can be written: {parameter('cache', 'DIR')}",
        ) from error
    return Engine(path, key, time.monotonic() - started, built=True)


def load_engine(bundle: Bundle, log: Any, cache: Path | None = None) -> Any:
    """Returns a bundle's TensorRT engine; builds it if it is missing or TensorRT refuses it.

    Args:
        bundle: Bundle of the target jetson.
        log: Logger made by ``library.make_log``, which must outlive the engine.
        cache: Folder to keep the engine in; ``build_engine`` documents its default and the errors.

    Returns:
        An ``ICudaEngine``.
    """
    trt = tensorrt()
    trt.init_libnvinfer_plugins(log, "")
    runtime = created(log, trt.Runtime, log)
    for force in (False, True):
        found = build_engine(bundle, cache=cache, force=force, log=log)
        content = proven_file(found.path, found.key)
        engine = runtime.deserialize_cuda_engine(content) if content is not None else None
        if engine is not None or found.built:
            break
        _log.warning("TensorRT does not load the engine %s. EdgeKit builds it again.", found.path)
    if engine is None:
        raise EdgeKitError(
            f"TensorRT cannot load the engine that it built, {found.path}:\n{said(log)}",
            hint="Free some memory and try again.",
        )
    return engine


def trtexec_command(bundle: Bundle) -> str:
    """Returns NVIDIA's command for the same build; EdgeKit does not load its engine."""
    model = shlex.quote(str(bundle.model_path))
    return f"trtexec --onnx={model} --saveEngine=model.engine --stronglyTyped --noTF32"


def _key(bundle: Bundle, version: str, gpu: Gpu) -> str:
    entries = {entry.path: entry.sha256 for entry in bundle.manifest.files}
    model, precision = entries[bundle.manifest.model], bundle.manifest.precision
    parts = (model, version, gpu.name, gpu.capability, precision, _OPTIONS)
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()
