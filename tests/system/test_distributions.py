import importlib.metadata
import sys
from typing import Any, SupportsIndex

import pytest

from edgekit.doctor.packages import package_reports
from edgekit.quantization.registry import quantizer
from edgekit.system.distributions import version_of


@pytest.fixture
def other_distributions(monkeypatch: pytest.MonkeyPatch) -> None:
    """Modules that other distributions installed: onnxruntime-gpu, and OpenVINO's archive."""
    found = importlib.metadata.Distribution.from_name

    def from_name(name: str) -> importlib.metadata.Distribution:
        if name in ("onnxruntime", "openvino"):
            raise importlib.metadata.PackageNotFoundError(name)
        return found(name)

    monkeypatch.setattr(importlib.metadata.Distribution, "from_name", staticmethod(from_name))


def test_the_version_of_a_distribution_is_that_of_its_metadata() -> None:
    assert version_of("numpy") == importlib.metadata.version("numpy")
    with pytest.raises(importlib.metadata.PackageNotFoundError):
        version_of("no-such-distribution")


def test_a_missing_distribution_changes_no_finders(monkeypatch: pytest.MonkeyPatch) -> None:
    class Finders(list[Any]):
        changes = 0

        def insert(self, place: SupportsIndex, finder: object) -> None:
            self.changes += 1
            super().insert(place, finder)

    finders = Finders(sys.meta_path)
    monkeypatch.setattr(sys, "meta_path", finders)
    with pytest.raises(importlib.metadata.PackageNotFoundError):
        version_of("no-such-distribution")
    assert finders.changes == 0


@pytest.mark.usefixtures("other_distributions")
def test_a_quantizer_takes_the_onnx_runtime_of_another_distribution() -> None:
    import onnxruntime

    assert quantizer("onnx").version()["onnxruntime"] == onnxruntime.__version__


@pytest.mark.usefixtures("other_distributions")
def test_doctor_counts_runtimes_of_other_distributions_as_installed() -> None:
    found = {part.name: part.version for part in package_reports(None)}
    assert found["onnxruntime"]
    assert found["openvino"]
