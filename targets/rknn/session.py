"""DEVICE. Runs bundles on Rockchip's neural processors, through rknn-toolkit-lite2."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from importlib import metadata
from typing import Any

import numpy as np

from edgekit._parameters import parameter
from edgekit.errors import BundleError, EdgeKitError, MissingDependencyError
from edgekit.runtime.types import Array
from edgekit.targets import base
from edgekit.targets.muted_output import muted
from edgekit.targets.rknn.chips import chip_of_board, runs_on
from edgekit.targets.rknn.model import chip_of, expected_signature

__all__ = ["RknnSession"]

_MODEL = "model.rknn"
_PACKAGE = "rknn-toolkit-lite2"
_LIBRARY_HINT = (
    "Check that Rockchip's library is on the board (ls /usr/lib/librknnrt.so) in the version of "
    f"{_PACKAGE}, and the driver of its neural processor (sudo cat "
    "/sys/kernel/debug/rknpu/version)."
)


class RknnSession(base.Session):
    """Runs a bundle's model on the board's neural processor; see ``edgekit.targets.base.Session``.

    Rockchip's library chooses a core for each frame.
    """

    runtime = "rknn"

    @classmethod
    def check_machine(cls) -> None:
        """Raises ``EdgeKitError`` unless the package is installed, on a board of Rockchip's."""
        _board()
        _interface()

    def describe(self) -> dict[str, str]:
        """Returns runtime, version, device and arithmetic, by name; there are no threads."""
        library = self._lite.get_sdk_version()
        versions = [metadata.version(_PACKAGE), *filter(None, [" ".join(str(library).split())])]
        return {
            "runtime": self.runtime,
            "version": ", ".join(versions),
            "device": f"{_board()} NPU",
            "arithmetic": self.bundle.manifest.precision,
            "threads": "-",
        }

    def _open(self) -> tuple[base.Signature, tuple[str, ...]]:
        bundle = self.bundle
        chip, board, create = chip_of(bundle), _board(), _interface()
        if not runs_on(chip, board):
            raise BundleError(
                f"{bundle.path} was compiled for {chip}; this board has {board}.",
                hint="Export it for this board: edgekit export CHECKPOINT --target rknn "
                f"--precision fp16 --chip {board}",
            )
        bundle.read_file(_MODEL)  # it is what the manifest says
        with muted():
            self._lite: Any = create(verbose=False)
            loaded = self._lite.load_rknn(str(bundle.path / _MODEL))
            # The number of a failure says nothing; the library writes its reason to the terminal.
            started = loaded if loaded else self._lite.init_runtime()
        if loaded or started:
            self._release()
            step = "start" if not loaded else "read"
            raise BundleError(
                f"Rockchip's library could not {step} {bundle.path / _MODEL} on {board}.",
                hint=_LIBRARY_HINT,
            )
        return expected_signature(bundle)

    def _run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        found = self._lite.inference(inputs=[inputs["input"]], data_format=["nchw"])
        if found is None or len(found) != len(self._outputs):
            count = "no" if found is None else str(len(found))
            raise EdgeKitError(
                f"Rockchip's library gave {count} outputs for {self.bundle.path}; expected "
                f"{len(self._outputs)}.",
                hint=_LIBRARY_HINT,
            )
        return {
            name: np.asarray(values, np.float32)
            for name, values in zip(self._outputs, found, strict=True)
        }

    def _release(self) -> None:
        self._lite.release()


def _interface() -> Any:
    """Returns the class ``RKNNLite``."""
    try:
        return importlib.import_module("rknnlite.api").RKNNLite
    except (ImportError, OSError) as error:  # OSError: a library that it needs is missing
        raise MissingDependencyError.for_extra(
            "rknnlite", "rknn", "Running a bundle for the target rknn"
        ) from error


def _board() -> str:
    board = chip_of_board()
    if not board:
        raise EdgeKitError(
            "This machine has no neural processor of Rockchip's that EdgeKit knows.",
            hint="Run the bundle on the board that it was made for, or on the simulator: "
            f"{parameter('runtime', 'rknn-simulator')}",
        )
    return board
