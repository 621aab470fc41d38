"""HOST. Runs bundles on Rockchip's simulator, in the toolkit's process."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping
from pathlib import Path

from edgekit.errors import EdgeKitError
from edgekit.runtime.types import Array
from edgekit.system.telemetry import OWN_PROCESS
from edgekit.targets import base
from edgekit.targets.converting.process import last_output
from edgekit.targets.rknn.arrays import read_array, write_array
from edgekit.targets.rknn.environment import TOOLKIT, environment, installed_version, variables
from edgekit.targets.rknn.model import chip_of, expected_signature

__all__ = ["RknnSimulatorSession"]


class RknnSimulatorSession(base.Session):
    """Computes what the chip would compute; see ``edgekit.targets.base.Session``.

    The simulator cannot read ``model.rknn``: it makes the same model again from ``model.onnx`` and
    the ranges in the bundle, which takes seconds.
    """

    runtime = "rknn-simulator"
    simulator = "Rockchip's simulator"

    @classmethod
    def check_machine(cls) -> None:
        """Raises ``MissingDependencyError`` unless the environment of the toolkit was made."""
        environment()

    def describe(self) -> dict[str, str]:
        """Returns runtime, version, device and arithmetic, by name; there are no threads."""
        return {
            "runtime": self.runtime,
            "version": f"{TOOLKIT} {installed_version()}",
            "device": f"{self.simulator}, as {self.bundle.manifest.chip} (simulated)",
            "arithmetic": self.bundle.manifest.precision,
            "threads": "-",
        }

    def _open(self) -> tuple[base.Signature, tuple[str, ...]]:
        self._using = threading.Lock()
        command = [sys.executable, "-m", "edgekit.targets.rknn.toolkit", "simulate"]
        chip, settings = chip_of(self.bundle), variables()
        self._scratch = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        folder = Path(self._scratch.name)
        names = {entry.path for entry in self.bundle.manifest.files}
        arguments = ["model.onnx", chip, *(["ranges.json"] if "ranges.json" in names else [])]
        try:
            for name in (arguments[0], *arguments[2:]):
                (folder / name).write_bytes(self.bundle.read_file(name))
            self._journal = folder / "journal.txt"
            with self._journal.open("wb") as journal:
                self._process = subprocess.Popen(
                    [*command, *arguments],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=journal,
                    cwd=folder,
                    env={**os.environ, **OWN_PROCESS, **settings},
                )
        except BaseException:
            self._scratch.cleanup()
            raise
        try:
            self._next()
        except BaseException:
            self._release()
            raise
        return expected_signature(self.bundle)

    def _run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        assert self._process.stdin is not None
        with self._using:
            try:
                write_array(self._process.stdin, inputs["input"])
            except OSError as error:
                raise self._ended() from error
            return {name: self._next() for name in self._outputs}

    def _next(self) -> Array:
        assert self._process.stdout is not None
        try:
            return read_array(self._process.stdout)
        except (EOFError, ValueError, OSError) as error:
            raise self._ended() from error

    def _ended(self) -> EdgeKitError:
        self._process.kill()
        self._process.wait()
        return EdgeKitError(
            f"Rockchip's simulator ended while it worked on {self.bundle.path}."
            f"{last_output(self._journal)}",
            hint="Free some memory and try again; -v shows more.",
        )

    def _release(self) -> None:
        self._process.kill()
        self._process.communicate()
        self._scratch.cleanup()
