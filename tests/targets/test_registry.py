from __future__ import annotations

import json

import pytest

from edgekit.cli import main
from edgekit.errors import UsageError
from edgekit.targets.registry import (
    RUNTIMES,
    TARGETS,
    exporter,
    extras_of,
    runtime_named,
    session_class,
    target_named,
)


@pytest.mark.parametrize(
    ("word", "target", "runtime"),
    [
        ("tensorrt", "jetson", "tensorrt"),
        ("TensorRT", "jetson", "tensorrt"),
        ("trt", "jetson", "tensorrt"),
        ("onnxruntime", "onnx", "onnxruntime"),
        ("ov", "openvino", "openvino"),
        ("litert", "tflite", "tflite"),
        ("LiteRT", "tflite", "tflite"),
        ("tensorflow-lite", "tflite", "tflite"),
        ("tensorflow_lite", "tflite", "tflite"),
        ("NCNN", "ncnn", "ncnn"),
        ("pnnx", "ncnn", "ncnn"),
        ("Rockchip", "rknn", "rknn"),
        ("rknn-toolkit-lite2", "rknn", "rknn"),
        ("Snapdragon", "qnn", "qnn"),
        ("coreml", None, None),
        ("", None, None),
    ],
)
def test_what_others_call_a_target_and_a_runtime(word, target, runtime):
    assert target_named(word) == target
    assert runtime_named(word) == runtime


def test_every_name_stands_for_itself():
    assert {name: target_named(name) for name in TARGETS} == {name: name for name in TARGETS}
    assert {name: runtime_named(name) for name in RUNTIMES} == {name: name for name in RUNTIMES}
    runtimes = {name for target in TARGETS.own for name in TARGETS[target].runtimes}
    assert runtimes == set(RUNTIMES)


def test_every_target_has_an_exporter_and_every_runtime_a_session_of_its_own():
    assert len({type(exporter(target)) for target in TARGETS.own}) == len(TARGETS.own)
    sessions = {
        runtime: session_class(target, runtime)
        for target in TARGETS.own
        for runtime in TARGETS[target].runtimes
    }
    assert len(set(sessions.values())) == len(RUNTIMES)
    assert all(session.runtime for session in sessions.values())


def test_the_extras_of_targets():
    assert extras_of(["onnx"]) == extras_of(["target of a package"]) == set()
    assert extras_of(["jetson", "ncnn"]) == {"jetson", "ncnn"}
    assert extras_of(TARGETS.own) == {"jetson", "ncnn", "openvino", "qnn", "rknn", "tflite"}


def test_the_error_points_to_the_name():
    with pytest.raises(UsageError, match="found 'tensorrt'") as caught:
        exporter("tensorrt")
    assert caught.value.hint == "Did you mean jetson?"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["export", "--target", "jetsom"], "Did you mean jetson?"),
        (
            ["quantize", "--calib", "--target", "coreml"],
            "onnx, openvino, tflite, jetson, ncnn, rknn, qnn.",
        ),
        (["run", "--runtime", "tensort"], "Did you mean tensorrt?"),
        (["bench", "--runtime", "openvinno"], "Did you mean openvino?"),
        (["bench", "--sweep", "target=coreml"], "tflite, jetson, ncnn, rknn, qnn"),
    ],
)
def test_the_command_line_points_to_the_name(words, said, capsys):
    assert main([*words, "--json"]) == 2
    assert said in json.loads(capsys.readouterr().out)["error"]["message"]


def test_a_bundle_runs_on_a_runtime_by_the_name_of_its_target(capsys, spots, spotter):
    words = ["run", str(spots / "spot0.avi"), "--bundle", str(spotter.path), "--max-frames", "2"]
    assert main([*words, "--runtime", "onnx", "--json"]) == 0
