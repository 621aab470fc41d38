"""Tests the reading of ONNX files; ``tests/targets/test_build.py`` tests how they are written."""

from __future__ import annotations

import sys

import pytest

from edgekit.bundle import Bundle
from edgekit.errors import MissingDependencyError
from edgekit.targets.onnx.export import OnnxExporter


def test_operators_are_counted_without_the_package_that_writes(
    spotter: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "onnxscript", None)  # Its import takes half a second.
    assert OnnxExporter().operators(spotter.model_path) == {"Conv": 5, "Relu": 2}


def test_without_the_package_onnx_the_error_names_it(
    spotter: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(MissingDependencyError, match="'onnx', which is not installed"):
        OnnxExporter().operators(spotter.model_path)
