"""Tests sessions with a fake TensorRT: results, copies, kept and freed memory."""

from __future__ import annotations

import sys
from typing import Any

import msgspec
import numpy as np
import pytest

from edgekit.bundle import Bundle
from edgekit.detector import Detector
from edgekit.errors import BundleError, EdgeKitError, MissingDependencyError, UsageError
from edgekit.files import reading
from edgekit.quantization.report.latency import compare_latency
from edgekit.system.installation import install_line
from edgekit.targets.base import SessionOptions
from edgekit.targets.jetson.profiler import operator_type
from edgekit.targets.jetson.session import TensorRtSession

CPU = SessionOptions(runtime="onnxruntime", threads=1)
FRAME = 64 * 96 * 3


@pytest.fixture(scope="module")
def clip() -> Any:
    values = np.random.default_rng(1).integers(0, 256, (8, 48, 72, 3), dtype=np.uint8)
    return list(values)


@pytest.mark.parametrize("first_frame", ["zero", "repeat"])
@pytest.mark.parametrize("gap", [1, 2, 3])
def test_detects_what_onnx_runtime_detects_and_copies_each_frame_once(
    machine: Any, jetson: Any, clip: Any, gap: int, first_frame: str
) -> None:
    cascade = msgspec.structs.replace(
        jetson().manifest.cascade, frame_gap=gap, first_frame=first_frame
    )
    bundle = jetson(cascade=cascade)
    black = gap if first_frame == "zero" else 0
    with Detector(bundle) as device, Detector(bundle, options=CPU) as host:
        assert device.session.runtime == "tensorrt"
        for _ in range(2):
            machine.uploads.clear()
            for frame in clip:
                found, expected = device.detect(frame), host.detect(frame)
                assert len(expected) > 3
                np.testing.assert_array_equal(found.boxes, expected.boxes)
                np.testing.assert_array_equal(found.scores, expected.scores)
            assert machine.uploads == [FRAME] * (len(clip) + black)
            device.reset()
            host.reset()
        assert len(machine.downloads) == 2 * len(clip)
        assert sum(len(memory) for memory in machine.memory.values()) == (
            (gap + 1) * FRAME + 50 * 6 * 4
        )
    assert machine.leftovers() == 0


def test_frames_that_share_memory_are_distinguished(machine: Any, jetson: Any) -> None:
    bundle = jetson()
    frames = np.random.default_rng(2).integers(0, 256, (3, 1, 64, 96, 3), dtype=np.uint8)
    pairs = [(frames[0], frames[1]), (frames[1], frames[2]), (frames[1], frames[2][:, ::-1])]
    with TensorRtSession(bundle) as session, Detector(bundle, options=CPU) as host:
        for previous, frame in pairs:
            inputs = {"previous": previous, "frame": frame}
            found, expected = session.infer(inputs), host.infer(inputs)
            np.testing.assert_array_equal(found["detections"], expected["detections"])
    assert len(machine.uploads) == 4


def test_results_stay_as_they_are(machine: Any, jetson: Any) -> None:
    frames = np.random.default_rng(3).integers(0, 256, (2, 1, 64, 96, 3), dtype=np.uint8)
    with TensorRtSession(jetson()) as session:
        first = session.infer({"previous": frames[0], "frame": frames[1]})["detections"]
        kept = first.copy()
        session.infer({"previous": frames[1], "frame": frames[0]})
    np.testing.assert_array_equal(first, kept)


def test_heads_of_a_tensor_made_on_the_host(machine: Any, jetson: Any, bundle: Bundle) -> None:
    manifest = bundle.manifest
    changed = jetson(
        bundle.model_path,
        cascade=manifest.cascade,
        decode=manifest.decode,
        outputs=manifest.outputs,
    )
    tensor = np.random.default_rng(0).standard_normal((1, 6, 64, 96)).astype(np.float32)
    with TensorRtSession(changed) as session, Detector(bundle) as host:
        for _ in range(2):
            found, expected = session.infer({"input": tensor}), host.infer({"input": tensor})
            assert found.keys() == expected.keys() == {"hm", "wh", "reg"}
            for name, value in found.items():
                np.testing.assert_allclose(value, expected[name], rtol=1e-4, atol=1e-5)
            tensor *= -1  # a tensor may be written to and passed again
    assert len(machine.uploads) == 2


def test_says_what_runs_even_when_closed(machine: Any, jetson: Any) -> None:
    session = TensorRtSession(jetson())
    expected = {
        "runtime": "tensorrt",
        "version": "10.3.0",
        "device": "Orin",
        "arithmetic": "fp32",
        "threads": "-",
    }
    assert session.describe() == expected
    session.close()
    session.close()
    assert machine.leftovers() == 0
    assert session.describe() == expected
    frame = np.zeros((1, 64, 96, 3), np.uint8)
    with pytest.raises(EdgeKitError, match="is closed"):
        session.infer({"previous": frame, "frame": frame})


@pytest.mark.parametrize("call", ["cudaMalloc", "cudaHostAlloc", "cudaStreamCreate"])
def test_no_memory_for_the_session(machine: Any, jetson: Any, call: str) -> None:
    machine.failing[call] = "cudaErrorMemoryAllocation"
    with pytest.raises(EdgeKitError, match=rf"{call} failed: words for 2 \(cudaErrorMem") as caught:
        TensorRtSession(jetson())
    assert "Free some memory" in caught.value.hint
    assert machine.leftovers() == 0


def test_the_layers_that_tensorrt_reports(machine: Any, jetson: Any) -> None:
    frame = np.zeros((1, 64, 96, 3), np.uint8)
    inputs = {"previous": frame, "frame": frame}
    machine.layers = {"stem.0/Conv + stem/Clip": 0.01, "Reformatting CopyNode to hm/Conv": 0.002}
    with TensorRtSession(jetson()) as session:
        before = session.infer(inputs)["detections"]
        times = session.profile(inputs, rounds=2)
        np.testing.assert_array_equal(session.infer(inputs)["detections"], before)
    assert [(o.name, o.type, o.ms, o.macs) for o in times.operators] == [
        ("stem.0/Conv + stem/Clip", "Conv", 0.01, None),
        ("Reformatting CopyNode to hm/Conv", "Reformatting", 0.002, None),
    ]
    assert machine.leftovers() == 0


@pytest.mark.parametrize(
    ("layer", "kind"),
    [
        ("blocks.3.expand.0/Conv_2", "Conv"),
        ("PWN(blocks.1/Clip)", "PWN"),
        ("{ForeignNode[a/Gather...b/MatMul_3]}", "ForeignNode"),
        ("(Unnamed Layer* 5) [Shuffle]", "Shuffle"),
        ("", "unknown"),
    ],
)
def test_the_type_of_a_layer_is_in_its_name(layer: str, kind: str) -> None:
    assert operator_type(layer) == kind


def test_a_profile_without_layers(machine: Any, jetson: Any) -> None:
    frame = np.zeros((1, 64, 96, 3), np.uint8)
    machine.layers = {}
    with TensorRtSession(jetson()) as session:
        with pytest.raises(EdgeKitError, match="found 0 with operators"):
            session.profile({"previous": frame, "frame": frame}, rounds=1)
        machine.contexts = False
        with pytest.raises(EdgeKitError, match="TensorRT could not create"):
            session.profile({"previous": frame, "frame": frame}, rounds=1)
    assert machine.leftovers() == 0


def test_no_memory_for_the_context(machine: Any, jetson: Any) -> None:
    machine.contexts = False
    with pytest.raises(EdgeKitError, match="TensorRT could not create "):
        TensorRtSession(jetson())
    assert machine.leftovers() == 0


@pytest.mark.parametrize("call", ["cudaMemcpyAsync", "cudaStreamSynchronize"])
def test_failure_while_running(machine: Any, jetson: Any, call: str) -> None:
    frame = np.zeros((1, 64, 96, 3), np.uint8)
    with TensorRtSession(jetson()) as session:
        machine.failing[call] = "cudaErrorIllegalAddress"
        with pytest.raises(EdgeKitError, match=f"{call} failed.*IllegalAddress"):
            session.infer({"previous": frame, "frame": frame})
    assert machine.leftovers() == 0


def test_engine_that_does_not_run(machine: Any, jetson: Any) -> None:
    frame = np.zeros((1, 64, 96, 3), np.uint8)
    machine.runs = False
    with TensorRtSession(jetson()) as session, pytest.raises(EdgeKitError, match="could not run"):
        session.infer({"previous": frame, "frame": frame})


def test_model_of_another_size(machine: Any, jetson: Any) -> None:
    size = msgspec.structs.replace(jetson().manifest.input, height=128)
    with pytest.raises(BundleError, match="does not match the manifest: it has inputs"):
        TensorRtSession(jetson(input=size))
    assert machine.leftovers() == 0


def test_options_of_other_runtimes(machine: Any, jetson: Any) -> None:
    with pytest.raises(UsageError, match="tensorrt does not support device; found"):
        TensorRtSession(jetson(), SessionOptions(device="NPU"))


def test_without_tensorrt(jetson: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorrt", None)
    with pytest.raises(MissingDependencyError, match="needs the package 'tensorrt'") as caught:
        TensorRtSession(jetson())
    for words in ("sudo apt install python3-libnvinfer", "runtime='onnxruntime'"):
        assert words in caught.value.hint


def test_without_cuda_bindings(machine: Any, jetson: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cuda.bindings.runtime", None)
    with pytest.raises(MissingDependencyError, match=r"cuda\.bindings") as caught:
        TensorRtSession(jetson())
    assert install_line("jetson") in caught.value.hint


def test_old_tensorrt(machine: Any, jetson: Any, restart: Any) -> None:
    machine.version = "8.6.2"
    restart()
    with pytest.raises(EdgeKitError, match=r"10\.3 or later; found 8\.6\.2") as caught:
        TensorRtSession(jetson())
    assert "JetPack 6.1" in caught.value.hint


def test_an_engine_on_a_file_system_that_gives_files_another_owner_runs(
    machine: Any, jetson: Any, clip: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = jetson()
    with Detector(bundle, options=CPU) as host:
        expected = host.detect(clip[0])
    # As on NFS that squashes root, or on an SD card with FAT that another user mounted.
    monkeypatch.setattr(reading, "is_own", lambda status: False)
    for _ in range(2):
        with Detector(bundle) as device:
            assert np.array_equal(device.detect(clip[0]).scores, expected.scores)
    assert len(machine.builds) == 2


def test_after_a_quantization_a_gpu_without_memory_costs_only_its_row(
    machine: Any, jetson: Any, caplog: pytest.LogCaptureFixture
) -> None:
    bundle = jetson()
    machine.build_error = "Error Code 2: OutOfMemory"
    rows = compare_latency(bundle, bundle, repeats=1)
    assert [row.runtime for row in rows] == ["onnxruntime"]
    assert "latency on tensorrt was not measured: TensorRT could not build" in caplog.text
