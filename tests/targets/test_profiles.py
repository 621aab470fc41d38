"""Tests the times of operators that the runtimes tell."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import pytest

from edgekit.bundle import Bundle
from edgekit.errors import EdgeKitError, OutputError, UsageError
from edgekit.targets.base import SessionOptions
from edgekit.targets.onnx.graph_file import read_weights
from edgekit.targets.registry import open_session

ONE = SessionOptions(threads=1)


@pytest.fixture(params=["bundle", "ir", "paired"], ids=["onnx", "openvino", "ncnn"])
def told(request: pytest.FixtureRequest) -> Bundle:
    """Bundles whose runtimes tell the times of their operators."""
    found: Bundle = request.getfixturevalue(request.param)
    return found


def test_every_operator_has_a_time_and_its_work(told: Bundle, tensor: Any) -> None:
    with open_session(told, ONE) as session:
        before = session.infer({"input": tensor})
        times = session.profile({"input": tensor}, rounds=4)
        after = session.infer({"input": tensor})
    assert all((before[name] == after[name]).all() for name in before)
    assert sum(o.ms for o in times.operators) == pytest.approx(times.profiled_ms - times.outside_ms)
    assert all(o.ms >= 0 and o.bytes for o in times.operators)
    assert times.outside_ms > -0.1 * times.profiled_ms


def test_all_runtimes_count_the_same_multiply_adds(
    bundle: Bundle, ir: Bundle, paired: Bundle, tensor: Any
) -> None:
    counted = []
    for made in (bundle, ir, paired):
        with open_session(made, ONE) as session:
            times = session.profile({"input": tensor}, rounds=1)
        counted.append(sum(o.macs or 0 for o in times.operators))
    # ONNX Runtime pads channels to full blocks of 8 or, with AVX-512, 16; OpenVINO's exporter pads
    # those of the offsets.
    assert counted[0] == pytest.approx(counted[1], rel=0.25)
    assert counted[2] == pytest.approx(counted[1], rel=0.25)


def test_what_tflite_does_not_report_is_named(lite: Bundle, tensor: Any) -> None:
    with open_session(lite, ONE) as session:
        with pytest.raises(EdgeKitError, match="ai_edge_litert has no profiler") as caught:
            session.profile({"input": tensor})
        assert "benchmark_model" in caught.value.hint
        session.infer({"input": tensor})


def test_wrong_rounds_and_inputs_are_named(bundle: Bundle, tensor: Any) -> None:
    with open_session(bundle, ONE) as session:
        with pytest.raises(UsageError, match="rounds to be at least 1; found 0"):
            session.profile({"input": tensor}, rounds=0)
        with pytest.raises(UsageError, match="Expected the inputs input; found none"):
            session.profile({})


def test_no_place_for_the_profile(
    bundle: Bundle, tensor: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "absent"))
    with open_session(bundle, ONE) as session:
        with pytest.raises(OutputError):
            session.profile({"input": tensor})
        session.infer({"input": tensor})


def test_the_sizes_of_weights_are_those_of_the_package_onnx(bundle: Bundle) -> None:
    onnx = pytest.importorskip("onnx")
    graph = onnx.load(bundle.model_path).graph
    shapes = {tensor.name: tuple(tensor.dims) for tensor in graph.initializer}
    found = read_weights(bundle.model_path.read_bytes())
    assert found.keys() == {node.name for node in graph.node}
    for node in graph.node:
        expected = [shapes[name] for name in node.input if name in shapes]
        assert [weight.shape for weight in found[node.name]] == expected


@pytest.mark.parametrize("length", [1, 10, 1000])
def test_a_file_that_ends_early_is_refused(bundle: Bundle, length: int) -> None:
    with pytest.raises(ValueError, match="it ends within"):
        read_weights(bundle.model_path.read_bytes()[:-length])
