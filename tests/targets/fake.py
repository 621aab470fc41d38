"""A minimal target that needs only torch."""

from __future__ import annotations

from typing import Any

import torch

from edgekit.targets import base
from edgekit.targets.exporter import Exported, Exporter


class FakeExporter(Exporter):
    """Writes the network as torch traces it; refuses what a test tells it to."""

    lowerings = ("gather",)

    def export(
        self, network: torch.nn.Module, example: tuple[Any, ...], folder: Any, precision: str
    ) -> Exported:
        inputs = tuple(torch.from_numpy(array) for array in example)
        torch.export.save(torch.export.export(network, inputs), folder / "model.pt2")
        return Exported("model.pt2", ("model.pt2",), None, {"torch": str(torch.__version__)})


class ChippedExporter(FakeExporter):
    """Compiles for one of two chips, and is verified on a simulator."""

    chips = ("one", "two")


class FakeSession(base.Session):
    """Runs it, and counts how often it was freed."""

    runtime = "fake"
    takes = frozenset({"device"})
    freed = 0

    def _open(self) -> tuple[base.Signature, tuple[str, ...]]:
        self._network = torch.export.load(self.bundle.model_path).module()
        size = self.bundle.manifest.input
        return {"input": ((1, 6, size.height, size.width), "float32")}, ("hm", "wh", "reg")

    def _run(self, inputs: Any) -> Any:
        if self.options.device == "broken":
            raise ValueError("the device\n is broken")
        with torch.no_grad():
            outputs = self._network(torch.from_numpy(inputs["input"]))
        return {name: value.numpy() for name, value in outputs.items()}

    def _release(self) -> None:
        self.freed += 1

    def describe(self) -> dict[str, str]:
        return {"runtime": self.runtime, "device": self.options.device or "any"}


class SimulatedSession(FakeSession):
    """Computes on a simulator."""

    simulator = "the maker's simulator"
