"""DEVICE. Builds a TensorRT engine from the ONNX model of a bundle."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from edgekit._parameters import parameter
from edgekit.bundle import Bundle
from edgekit.errors import BundleError, EdgeKitError
from edgekit.files.checksums import keep_file, proven_file
from edgekit.files.output_paths import writing
from edgekit.system.own_process import is_own_process
from edgekit.targets.jetson.library import TensorRtLog, created, said

__all__ = ["Report", "serialized_engine"]

Report = Callable[[str, int, int], None]
"""Function for progress: takes a phase's name, its finished steps and its number of steps."""

_MIB = 1 << 20


def serialized_engine(
    trt: ModuleType,
    log: TensorRtLog,
    bundle: Bundle,
    *,
    workspace: int,
    timings: Path,
    secret: bytes,
    report: Report | None = None,
) -> bytes:
    """Returns the bytes of an engine that is built for this machine.

    Args:
        trt: Module ``tensorrt``.
        log: Logger made by ``library.make_log``.
        bundle: Bundle whose ONNX model has fixed shapes and explicit types.
        workspace: Largest amount of GPU memory that a layer may use as workspace, in bytes.
        timings: File that keeps the builder's measurements for the next build.
        secret: Key that signs ``timings``, as in ``edgekit.files.checksums``.
        report: Function that is called with the progress.

    Raises:
        BundleError: TensorRT refuses the model, or it was changed since the bundle was checked.
        OutputError: ``timings`` cannot be written.
        EdgeKitError: There is no GPU, or not enough memory; the message quotes TensorRT.
        KeyboardInterrupt: Ctrl-C was pressed; it is raised once the builder has stopped.
    """
    builder = created(log, trt.Builder, log)
    network, _parser = _parsed(trt, log, builder, bundle)
    config = created(log, builder.create_builder_config)
    config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, workspace)
    # TF32 has 11 bits of precision: sums in the cascade that must be exact would be rounded.
    config.clear_flag(trt.BuilderFlag.TF32)
    _use(config, timings, secret)
    monitor = _monitor(trt, report)
    config.progress_monitor = monitor
    words = ""
    with _interruptible(monitor):
        try:
            made = builder.build_serialized_network(network, config)
        except (RuntimeError, MemoryError) as error:
            made, words = None, f" ({error})"
    if monitor.cancelled:
        raise KeyboardInterrupt
    if made is None:
        raise EdgeKitError(
            f"TensorRT could not build {bundle.model_path} with a workspace of "
            f"{workspace // _MIB} MiB{words}:\n{said(log)}",
            hint="If memory ran out, close other programs and use a smaller "
            f"{parameter('workspace')}. If TensorRT found no implementation, use a larger one.",
        )
    _keep(config, timings, secret)
    return bytes(made)


def _parsed(trt: ModuleType, log: TensorRtLog, builder: Any, bundle: Bundle) -> tuple[Any, Any]:
    """Returns TensorRT's network of a bundle, and the parser, which owns the weights."""
    # Since TensorRT 11 all networks are strongly typed, and the flag has no effect.
    typed = 1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED)
    network = created(log, builder.create_network, typed)
    parser = created(log, trt.OnnxParser, network, log)
    if not parser.parse(bundle.read_model()):
        reasons = [_described(parser.get_error(index)) for index in range(parser.num_errors)]
        raise BundleError(
            f"TensorRT {trt.__version__} does not take {bundle.model_path}:\n"
            f"{chr(10).join(reasons) or said(log)}",
            hint="See what edgekit inspect says of the bundle, and export it again.",
        )
    return network, parser


def _described(error: Any) -> str:
    where = f"{error.node_name()} ({error.node_operator()}): " if error.node_name() else ""
    return f"  {where}{' '.join(error.desc().split())}"


def _use(config: Any, path: Path, secret: bytes) -> None:
    """Loads earlier measurements into the builder; if they do not fit, it starts without them."""
    for stored in (proven_file(path, path.name, secret) or b"", b""):
        timings = config.create_timing_cache(stored)
        if timings is not None and config.set_timing_cache(timings, False):
            return


def _keep(config: Any, path: Path, secret: bytes) -> None:
    timings = config.get_timing_cache()
    if timings is not None:
        with writing(path):
            keep_file(path, bytes(timings.serialize()), path.name, secret)


def _monitor(trt: ModuleType, report: Report | None) -> Any:
    class Monitor(trt.IProgressMonitor):  # type: ignore[misc, name-defined]  # known at run time
        def __init__(self) -> None:
            trt.IProgressMonitor.__init__(self)
            self.cancelled = False
            self._steps: dict[str, int] = {}

        def phase_start(self, phase_name: str, parent_phase: str | None, num_steps: int) -> None:
            if parent_phase is None:
                self._steps[phase_name] = num_steps
                self._show(phase_name, 0)

        def step_complete(self, phase_name: str, step: int) -> bool:
            self._show(phase_name, step + 1)
            return not self.cancelled

        def phase_finish(self, phase_name: str) -> None:
            self._show(phase_name, self._steps.get(phase_name, 0))

        def _show(self, phase: str, done: int) -> None:
            if report is not None and phase in self._steps:
                # No exception may pass through TensorRT, and no display error may stop a build.
                with contextlib.suppress(Exception):
                    report(phase, done, self._steps[phase])

    return Monitor()


@contextlib.contextmanager
def _interruptible(monitor: Any) -> Iterator[None]:
    """Lets Ctrl-C cancel the build through the monitor, never by an exception in TensorRT."""
    in_main = threading.current_thread() is threading.main_thread()
    if not (in_main and is_own_process()):  # a signal handler belongs to the whole program
        yield
        return

    def cancel(*_: Any) -> None:
        monitor.cancelled = True

    before = signal.signal(signal.SIGINT, cancel)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
