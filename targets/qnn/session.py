"""DEVICE. Runs bundles on Qualcomm's neural processor (HTP), through ONNX Runtime."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

import msgspec

from edgekit.errors import BundleError
from edgekit.system.telemetry import import_onnxruntime
from edgekit.targets import base
from edgekit.targets.onnx.session import OnnxSession
from edgekit.targets.qnn.chips import CHIPS
from edgekit.targets.qnn.provider import CONTEXT, EMULATOR, add_provider, is_emulated, provider

if TYPE_CHECKING:
    from edgekit.measuring.operator_times import OperatorProfiler

__all__ = ["QnnSession"]


class QnnSession(OnnxSession):
    """Runs what was compiled for the chip; see ``edgekit.targets.base.Session``.

    On x86-64, Qualcomm's library emulates the neural processor: the results are those of the chip,
    and the time says nothing.
    """

    runtime = "qnn"
    simulator = EMULATOR if is_emulated() else ""

    @classmethod
    def check_machine(cls) -> None:
        """Raises ``EdgeKitError`` unless Qualcomm's library can be loaded."""
        provider()

    def describe(self) -> dict[str, str]:
        """Returns runtime, version, device and arithmetic, by name; there are no threads."""
        chip = self.bundle.manifest.chip or "?"
        device = f"{self.simulator}, as {chip} (simulated)" if self.simulator else f"{chip} HTP"
        return {
            "runtime": self.runtime,
            "version": f"{import_onnxruntime().__version__}, QNN {provider().__version__}",
            "device": device,
            "arithmetic": self.bundle.manifest.precision,
            "threads": "-",
        }

    def _open(self) -> tuple[base.Signature, tuple[str, ...]]:
        bundle, manifest = self.bundle, self.bundle.manifest
        chip = "" if manifest.chip is msgspec.UNSET else manifest.chip
        if chip not in CHIPS:
            raise BundleError(
                f"{bundle.path} is for the chip {chip!r}; this version of EdgeKit knows "
                f"{', '.join(CHIPS)}.",
                hint="Export it again: edgekit export CHECKPOINT --target qnn --precision fp16 "
                "--chip NAME",
            )
        onnxruntime = import_onnxruntime()
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4
        add_provider(options, CHIPS[chip])
        try:
            self._session: Any = onnxruntime.InferenceSession(bundle.read_file(CONTEXT), options)
        except BundleError:
            raise
        except Exception as error:  # its exceptions have no common base class
            raise BundleError(
                f"Qualcomm's library refuses {bundle.path / CONTEXT}, which was compiled for "
                f"{chip}: {base.reason_of(error)}",
                hint="If this machine has another chip, export for it: edgekit export CHECKPOINT "
                "--target qnn --precision fp16 --chip NAME. Otherwise install onnxruntime-qnn "
                f"{manifest.converter.get('onnxruntime-qnn', 'of the exporting machine')}.",
            ) from error
        return self._signature()

    def _profiler(self) -> AbstractContextManager[OperatorProfiler]:
        """Raises as the base class does: ONNX Runtime would profile the float model on the CPU."""
        return base.Session._profiler(self)
