"""DEVICE. Finds the engine of a bundle on this machine, or has ``builder`` build it; stores it.

An engine belongs to one model, one TensorRT version and one kind of GPU. A key of all of them is
its file name, and its checksum is stored beside it. An engine with a wrong checksum is built again
and never loaded.

An engine is code for the GPU. A bundle from somebody else may bring one with a checksum that fits.
In a bundle, EdgeKit therefore loads only engines that this user built: their checksums are signed
with a key that only this user has.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import shlex
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edgekit._parameters import parameter
from edgekit.bundle import Bundle
from edgekit.errors import BundleError, EdgeKitError, OutputError, UsageError
from edgekit.files.checksums import keep_file, proven_file
from edgekit.files.output_paths import refuse_unwritable, writing
from edgekit.files.reading import real_path
from edgekit.system.user_folders import secret_in
from edgekit.targets.jetson.builder import Report, serialized_engine
from edgekit.targets.jetson.cuda import Cuda, Gpu
from edgekit.targets.jetson.library import TensorRtLog, created, make_log, said, tensorrt

if TYPE_CHECKING:
    from tensorrt import ICudaEngine

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
) -> Engine:
    """Builds the engine of a bundle for this machine, unless it exists.

    Args:
        bundle: Bundle of the target jetson.
        workspace: Largest amount of GPU memory that a layer may use as workspace, in MiB; by
            default half of the free memory. It limits the build and does not change results.
        force: Whether to build it even if it exists.
        cache: Folder to keep the engine in; by default ``engines`` in the bundle.
        report: Function that is called with the progress.

    Raises:
        UsageError: The bundle is for another target.
        MissingDependencyError: TensorRT or cuda-bindings is not installed.
        BundleError: TensorRT refuses the model, or ``engines`` is a link that leads out of the
            bundle.
        OutputError: The folder, or the user's key, cannot be written.
        EdgeKitError: There is no GPU, or not enough memory; the message quotes TensorRT.
    """
    return _stored(bundle, cache, None, force=force, workspace=workspace, report=report)[0]


def _stored(
    bundle: Bundle,
    cache: Path | None,
    log: TensorRtLog | None,
    *,
    force: bool,
    workspace: int | None = None,
    report: Report | None = None,
) -> tuple[Engine, bytes]:
    """Does what ``build_engine`` does; returns the engine's content, too."""
    _refuse_other_targets(bundle)
    trt, cuda = tensorrt(), Cuda()
    gpu = cuda.gpu()
    key = _key(bundle, trt.__version__, gpu)
    folder, secret = _place(bundle, cache)
    path = folder / f"{key}.engine"
    content = None if force else _content(path, key, secret)
    if content is not None:
        return Engine(path, key, 0.0, built=False), content
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
    with _storing(path):
        content = serialized_engine(
            trt,
            log,
            bundle,
            workspace=limit,
            timings=timings,
            secret=secret,
            report=report,
        )
        keep_file(path, content, key, secret)
    return Engine(path, key, time.monotonic() - started, built=True), content


def load_engine(bundle: Bundle, log: TensorRtLog, cache: Path | None = None) -> ICudaEngine:
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
        # A built engine is not read again: another process may just be replacing the file, and
        # some file systems give each file another owner.
        found, content = _stored(bundle, cache, log, force=force)
        engine = runtime.deserialize_cuda_engine(content)
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


def _refuse_other_targets(bundle: Bundle) -> None:
    if bundle.manifest.target != "jetson":
        raise UsageError(
            f"Expected a bundle for the target jetson; {bundle.path} is for "
            f"{bundle.manifest.target}.",
            hint="This bundle needs no engine. Run it as it is: edgekit run --bundle "
            f"{bundle.path}",
        )


def _place(bundle: Bundle, cache: Path | None) -> tuple[Path, bytes]:
    """Returns the folder of a bundle's engines, and the key that signs them.

    The user chose a folder outside the bundle, where files of this user need no key.
    """
    folder = cache or bundle.path / "engines"
    secret = secret_in(folder, bundle.path, parameter("cache", "DIR"))
    if cache is None and not secret:
        place = parameter("cache", real_path(folder))
        raise BundleError(
            f"{folder} is a link that leads out of the bundle.",
            hint=f"Remove it, or name the folder for engines: {place}",
        )
    return folder, secret


def _content(path: Path, key: str, secret: bytes) -> bytes | None:
    content = proven_file(path, key, secret)
    if content is None and path.exists():
        _log.warning(
            "EdgeKit does not use the engine %s: it is damaged, or this user did not build it on "
            "this machine.",
            path,
        )
    return content


@contextlib.contextmanager
def _storing(path: Path) -> Iterator[None]:
    """Makes the folder of an engine, and reports one that cannot be written before the build."""
    try:
        with writing(path.parent):
            path.parent.mkdir(0o700, exist_ok=True)
        refuse_unwritable(path)
        with writing(path):
            yield
    except OutputError as error:
        raise OutputError(
            error.message,
            hint=f"Name a folder where engines can be written: {parameter('cache', 'DIR')}",
        ) from error


def _key(bundle: Bundle, version: str, gpu: Gpu) -> str:
    entries = {entry.path: entry.sha256 for entry in bundle.manifest.files}
    model, precision = entries[bundle.manifest.model], bundle.manifest.precision
    parts = (model, version, gpu.name, gpu.capability, precision, _OPTIONS)
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()
