from __future__ import annotations

import re
import shutil
from functools import partial

import pytest

from edgekit import quantize
from edgekit.bundle import load_bundle
from edgekit.errors import UsageError
from tests.executors.processes_of_cluster import Cluster


def test_a_bundle_is_quantized_from_python(spotter, spots, tmp_path):
    out = tmp_path / "int8"
    made = quantize(
        spotter, calib=spots, samples=6, max_drop=100, out=out, cache=tmp_path / "cache"
    )
    assert made.bundle.path == out
    assert load_bundle(out).manifest.precision == "int8"
    assert made.report.max_drop == 1.0
    assert made.report.check == made.bundle.manifest.quantization.check


def test_layers_are_measured_on_a_cluster(spotter, spots, tmp_path, monkeypatch):
    pytest.importorskip("distributed", reason="the package distributed is not installed")
    monkeypatch.chdir(tmp_path)
    # Workers take long to start on a machine with other work.
    monkeypatch.setattr("edgekit.executors.cluster._TIMEOUT", 600)
    shutil.copytree(spotter.path, "float")
    here, there = (
        partial(
            quantize, "float", calib=spots, samples=6, max_drop=100, sensitivity=True, out=out,
            cache=cache,
        )
        for out, cache in (("here", "one"), ("there", "two"))
    )  # fmt: skip
    with Cluster(tmp_path) as cluster:
        cluster.add_worker()
        made = there(cluster=cluster.address)
    assert made.report.layers == here().report.layers
    assert all(layer.alone is not None for layer in made.report.layers)
    with pytest.raises(UsageError, match="cluster and workers cannot be used together"):
        there(cluster=cluster.address, workers=2)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (
            {"calib": 3},
            "calib to be a path, as a string or a path object; found 3",
        ),
        ({"samples": 1}, "Expected samples to be at least 2; found 1."),
        ({"samples": 6.0}, "Expected samples to be int; found 6.0, of type float."),
        ({"method": "magic"}, "entropy, mse, dynamic; found 'magic'."),
        ({"io": "int16"}, "Expected io to be one of float, int8; found 'int16'."),
        ({"max_drop": float("nan")}, "Expected max_drop to be at least 0; found nan."),
        ({"keep_float": [1]}, "Expected keep_float to be Sequence[str]; found [1], of type list."),
        ({"target": "toaster"}, "Expected target to be one of onnx, "),
        ({"bundle": "x", "target": "onnx"}, "named bundle and target cannot be used together"),
        ({"sheet": "x", "html": "./x"}, "html=x is already the file of another option."),
        (
            {"calib": "x.png", "sheet": "x.png"},
            "sheet=x.png is already the file of another option.",
        ),
        (
            {"bundle": 3},
            "bundle to be a path, as a string or a path object; found 3",
        ),
        (
            {"cache": b"x"},
            "cache to be a path, as a string or a path object; found b'x'",
        ),
    ],
)
def test_wrong_values_are_refused_before_the_work(wrong, words):
    with pytest.raises(UsageError, match=re.escape(words)):
        quantize(**{"calib": "clips", **wrong})
