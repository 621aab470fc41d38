"""Tests the common behaviour of the sessions of all runtimes."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from edgekit.bundle import Bundle, save_bundle
from edgekit.errors import BundleError, EdgeKitError
from edgekit.targets.base import SessionOptions
from edgekit.targets.registry import open_session

ONE = SessionOptions(threads=1)


@pytest.fixture(
    params=["bundle", "ir", "lite", "paired"], ids=["onnx", "openvino", "tflite", "ncnn"]
)
def made(request: pytest.FixtureRequest) -> Bundle:
    found: Bundle = request.getfixturevalue(request.param)
    return found


def test_the_heads_are_those_of_the_other_runtimes(
    made: Bundle, bundle: Bundle, tensor: Any
) -> None:
    with open_session(made, ONE) as session, open_session(bundle, ONE) as other:
        found, expected = (one.infer({"input": tensor}) for one in (session, other))
    for name, value in expected.items():
        assert np.abs(found[name] - value).max() <= 1e-3 * np.abs(value).max()


@pytest.mark.parametrize("hint", ["latency", "throughput"])
@pytest.mark.parametrize("threads", [0, 1, 2])
def test_options_change_nothing_of_the_result(
    made: Bundle, tensor: Any, hint: Any, threads: int
) -> None:
    with open_session(made, SessionOptions(hint=hint, threads=threads)) as session:
        found = session.infer({"input": tensor})
        told = session.describe()["threads"]
    assert {name: value.shape for name, value in found.items()} == {
        "hm": (1, 3, 16, 24),
        "wh": (1, 2, 16, 24),
        "reg": (1, 2, 16, 24),
    }
    assert all(value.dtype == np.float32 for value in found.values())
    if told != "one per physical core":
        assert 1 <= int(told.partition(",")[0]) <= (threads or len(os.sched_getaffinity(0)))
    with open_session(made, ONE) as session:
        again = session.infer({"input": tensor})
    for name, value in found.items():
        np.testing.assert_allclose(again[name], value, rtol=1e-3, atol=1e-4)


def test_what_comes_out_is_the_callers_to_keep(made: Bundle, tensor: Any) -> None:
    with open_session(made, ONE) as session:
        first = session.infer({"input": tensor})
        kept = {name: value.copy() for name, value in first.items()}
        session.infer({"input": -tensor})
    for name, value in first.items():
        np.testing.assert_array_equal(value, kept[name])
        value += 1


def test_what_goes_in_may_lie_in_any_order(made: Bundle, tensor: Any) -> None:
    wide = np.zeros((1, 6, 64, 97), np.float32)
    wide[..., 1:] = tensor
    frozen = tensor.copy()
    frozen.flags.writeable = False
    channels_last = tensor.transpose(0, 2, 3, 1).copy().transpose(0, 3, 1, 2)
    with open_session(made, ONE) as session:
        expected = session.infer({"input": tensor})["hm"]
        for other in (wide[..., 1:], np.asfortranarray(tensor), channels_last, frozen):
            np.testing.assert_array_equal(session.infer({"input": other})["hm"], expected)


def test_many_frames_at_once(made: Bundle, tensor: Any, in_lanes: Any) -> None:
    lanes = in_lanes(made, {"input": tensor})
    assert lanes == 3 or made.manifest.target == "openvino"  # it makes its own choice


def test_closed_session_says_what_is_left(made: Bundle, tensor: Any) -> None:
    session = open_session(made, ONE)
    before = session.describe()
    session.close()
    session.close()
    after = session.describe()
    assert (after["runtime"], after["version"]) == (before["runtime"], before["version"])
    with pytest.raises(EdgeKitError, match="is closed"):
        session.infer({"input": tensor})


def test_manifest_of_another_input(made: Bundle, tmp_path: Path) -> None:
    size = msgspec.structs.replace(made.manifest.input, height=128)
    manifest = msgspec.structs.replace(made.manifest, input=size)
    files = {path.name: path for path in made.path.glob("model.*")}
    with pytest.raises(BundleError, match="does not match the manifest: it has inputs"):
        open_session(save_bundle(tmp_path / "changed", manifest, files))
