"""DEVICE. Runs bundles on OpenVINO."""

from __future__ import annotations

import contextlib
import hashlib
import io
import logging
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from edgekit._parameters import parameter
from edgekit.errors import BundleError, UsageError
from edgekit.files.checksums import keep_file, proven_file
from edgekit.files.output_paths import writing
from edgekit.runtime.types import Array
from edgekit.system.distributions import version_of
from edgekit.system.runtime_pool import RuntimePool
from edgekit.system.user_folders import secret_in
from edgekit.targets import base
from edgekit.targets.openvino.importing import import_openvino, openvino_core, openvino_reason

if TYPE_CHECKING:
    from edgekit.measuring.operator_times import OperatorProfiler

__all__ = ["OpenVinoSession"]

_log = logging.getLogger(__name__)

_NAME = "FULL_DEVICE_NAME"
_HINT = "PERFORMANCE_HINT"
_REQUESTS = "OPTIMAL_NUMBER_OF_INFER_REQUESTS"
_THREADS = "INFERENCE_NUM_THREADS"
_PRECISION = "INFERENCE_PRECISION_HINT"
_TYPES = {"f32": "float32", "u8": "uint8"}
_PURPOSE = "Running a bundle for the target openvino"
_COMPUTING = ("convolution", "fullyconnected", "fully_connected", "matmul", "gemm")
"""Parts of layer names in the execution graph that mark the layers with most of the work."""


class _First:
    """Lets a process's first inference be over before any other begins.

    OpenVINO's binding makes tables at their first use: the thread that makes one waits for Python's
    lock, and another that holds that lock waits for the table, for ever.
    """

    def __init__(self) -> None:
        self._over = threading.Event()
        self._lock = threading.Lock()

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        if self._over.is_set():
            yield
            return
        with self._lock:
            yield
            self._over.set()


_FIRST = _First()


class OpenVinoSession(base.Session):
    """Runs a bundle's model on OpenVINO; see ``edgekit.targets.base.Session``.

    It runs on the CPU unless a device is named. By default, a bundle of any precision
    except ``fp16`` is computed in float32; OpenVINO itself might choose bfloat16. A model that
    contains the cascade is always computed in float32. Compiled models are cached separately for
    each bundle and setting, and used only if their checksum is correct and this user or root wrote
    them. An unwritable cache is ignored.
    """

    runtime = "openvino"
    takes = frozenset({"device", "arithmetic", "cache"})

    @classmethod
    def check_machine(cls) -> None:
        """Raises ``MissingDependencyError`` unless OpenVINO is installed."""
        import_openvino(_PURPOSE)

    def describe(self) -> dict[str, str]:
        """Returns the runtime, its version, and the device, arithmetic and threads really used.

        The arithmetic is that of the compiled layers, the most frequent first. If the device lacks
        a requested arithmetic, the one used instead is shown.
        """
        found = {"runtime": self.runtime, "version": version_of("openvino")}
        if self._model is None:
            return {**found, "device": "", "arithmetic": "", "threads": ""}
        # While a better device gets ready, AUTO gives the device it uses in brackets.
        devices = [name.strip("()") for name in self._model.get_property("EXECUTION_DEVICES")]
        return {
            **found,
            "device": ", ".join(f"{d} ({self._core.get_property(d, _NAME)})" for d in devices),
            "arithmetic": self._arithmetic(),
            "threads": str(self._property(_THREADS) or self.options.threads or "unknown"),
        }

    def _open(self) -> tuple[base.Signature, tuple[str, ...]]:
        self._core: Any = openvino_core(_PURPOSE)
        device = self._device()
        config = self._config(device)
        path = self.bundle.model_path
        try:
            self._model: Any = self._compiled(device, config)
            if self.many:
                self.lanes = int(self._model.get_property(_REQUESTS))
            requests = [self._model.create_infer_request() for _ in range(self.lanes)]
        except BundleError:
            raise
        except Exception as error:  # its exceptions have no common base class
            raise BundleError(
                f"OpenVINO {version_of('openvino')} refuses {path} on {device}: "
                f"{openvino_reason(error)}",
                hint="Export it again (edgekit export CHECKPOINT --target openvino), or upgrade: "
                "pip install -U openvino",
            ) from error
        self._idle: RuntimePool[Any] | None = RuntimePool(requests)
        inputs = {self._name(port): (_shape(port), _type(port)) for port in self._model.inputs}
        return inputs, tuple(self._name(port) for port in self._model.outputs)

    def _compiled(self, device: str, config: dict[str, Any]) -> Any:
        """Returns the model, from the cache if its entry exists and has the right checksum.

        OpenVINO's own cache does not check files: a damaged one silently gives a model with other
        results.
        """
        cache = self.options.cache
        # AUTO cannot store compiled models.
        if cache is None or device.partition(":")[0] == "AUTO":
            return self._core.compile_model(self._read(), device, config)
        settings = sorted((name, str(value)) for name, value in config.items())
        hardware = str(self._core.get_property(device, _NAME))
        identity = repr((self.bundle.sha256, version_of("openvino"), device, hardware, settings))
        place = cache / f"{hashlib.sha256(identity.encode()).hexdigest()}.blob"
        secret = secret_in(cache, self.bundle.path, parameter("cache", "DIR"))
        content = proven_file(place, identity, secret)
        if content is not None:
            try:
                return self._core.import_model(io.BytesIO(content), device, config)
            except RuntimeError as error:  # written on a machine that differs in some other way
                _log.info("OpenVINO refuses %s: %s", place, openvino_reason(error))
        elif place.exists():
            _log.warning(
                "The compiled model %s is damaged, or another user wrote it. EdgeKit compiles it "
                "again.",
                place,
            )
        model = self._core.compile_model(self._read(), device, config)
        try:
            keep_file(place, model.export_model().getvalue(), identity, secret)
        except (OSError, RuntimeError) as error:
            # RuntimeError: the device cannot store compiled models.
            _log.warning(
                "EdgeKit cannot store the compiled model, and compiles it at every start: %s",
                base.reason_of(error),
            )
        return model

    def _read(self) -> Any:
        """Returns the model from the bytes whose checksums are right."""
        weights = str(PurePosixPath(self.bundle.manifest.model).with_suffix(".bin"))
        listed = any(entry.path == weights for entry in self.bundle.manifest.files)
        content = self.bundle.read_file(weights) if listed else b""
        return self._core.read_model(self.bundle.read_model(), content)

    def _run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        assert self._idle is not None
        with _FIRST.alone(), self._idle.lent() as request:
            # Inputs are shared without a copy. Outputs are copied, because the next run overwrites
            # them.
            values = request.infer(dict(inputs), share_inputs=True, share_outputs=False)
            return dict(zip(self._outputs, values.values(), strict=True))

    def _profiler(self) -> AbstractContextManager[OperatorProfiler]:
        from edgekit.targets.openvino.profiler import openvino_profiler

        device = self._device()
        config = {**self._config(device), "PERF_COUNT": True}
        return openvino_profiler(self._core.compile_model(self._read(), device, config))

    def _release(self) -> None:
        self._model = self._idle = self._core = None

    def _name(self, port: Any) -> str:
        """Returns the tensor name that the manifest has: after a removed step there are two."""
        known = {"input", "previous", "frame"}
        known |= {spec.name for spec in self.bundle.manifest.outputs}
        return str(next(iter(port.names & known), port.any_name))

    def _device(self) -> str:
        device = "CPU" if self.options.device is None else self.options.device
        there = self._core.available_devices
        kind, _, listed = device.partition(":")
        asked = [name for name in listed.split(",") if name] if kind == "AUTO" else [device]
        for name in asked:
            # If there are several devices of a kind, the first is meant: GPU is then GPU.0.
            if name not in there and f"{name}.0" not in there:
                raise UsageError(
                    f"OpenVINO finds no device {name!r} here; it finds {', '.join(there)}.",
                    hint="Use one of them or AUTO, or leave out "
                    f"{parameter('device')} to use the CPU.",
                )
        return device

    def _config(self, device: str) -> dict[str, Any]:
        options = self.options
        arithmetic = self._asked_arithmetic()
        config: dict[str, Any] = {_HINT: "THROUGHPUT" if self.many else "LATENCY"}
        if options.cache is not None:
            with writing(options.cache):
                options.cache.mkdir(0o700, parents=True, exist_ok=True)
        choices = (
            ("threads", _THREADS, options.threads or None),
            ("arithmetic", _PRECISION, arithmetic),
        )
        for option, name, choice in choices:
            if choice is None:
                continue
            if self._has(device, name):
                config[name] = choice
            elif getattr(options, option):
                raise UsageError(
                    f"OpenVINO does not support {parameter(option)} on the device {device}; found "
                    f"{choice}.",
                    hint=f"Leave out {parameter(option)}, or use {parameter('device', 'CPU')}.",
                )
        return config

    def _asked_arithmetic(self) -> str | None:
        """Returns the arithmetic to ask for; None leaves it to the device.

        Variances of pixels need float32: in bfloat16, the map of a cascade in the model is wrong.
        """
        manifest, asked = self.bundle.manifest, self.options.arithmetic
        inside = manifest.cascade.place == "graph" and manifest.cascade.kind != "rgb"
        if inside and asked not in (None, "f32"):
            raise UsageError(
                f"The model of {self.bundle.path} contains the cascade, which needs f32; found "
                f"{parameter('arithmetic', asked)}.",
                hint=f"Leave out {parameter('arithmetic')}, or export the model again with "
                f"{parameter('cascade_in', 'host')}.",
            )
        return "f32" if asked is None and (inside or manifest.precision != "fp16") else asked

    def _has(self, device: str, name: str) -> bool:
        """Returns whether a device has a writable property; AUTO forwards those of its devices."""
        if device.partition(":")[0] == "AUTO":
            return True
        return bool(self._core.get_property(device, "SUPPORTED_PROPERTIES").get(name) == "RW")

    def _arithmetic(self) -> str:
        counts: Counter[str] = Counter()
        for layer in self._layers():
            facts = {
                key: layer.get_rt_info()[key].value for key in ("layerType", "runtimePrecision")
            }
            if any(kind in facts["layerType"].lower() for kind in _COMPUTING):
                counts[facts["runtimePrecision"]] += 1
        if counts:
            return ", ".join(name for name, _ in counts.most_common())
        asked = self._property(_PRECISION)
        return str(asked.get_type_name()) if asked else "unknown"

    def _layers(self) -> list[Any]:
        try:
            return list(self._model.get_runtime_model().get_ops())
        except RuntimeError:  # not every device provides its compiled graph
            return []

    def _property(self, name: str) -> Any:
        try:
            return self._model.get_property(name)
        except RuntimeError:  # nor every property
            return None


def _shape(port: Any) -> tuple[int, ...]:
    return tuple(side.get_length() if side.is_static else -1 for side in port.partial_shape)


def _type(port: Any) -> str:
    name: str = port.element_type.get_type_name()
    return _TYPES.get(name, name)
