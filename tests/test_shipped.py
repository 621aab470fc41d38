"""Tests what ships in the package: the model, its bundle, and their export."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from edgekit import RunOptions, run
from edgekit.assets import default_bundle, default_weights
from edgekit.assets.pictures import verification_frames
from edgekit.bundle import load_bundle
from edgekit.classes import CLASS_LISTS
from edgekit.detector import Detector
from edgekit.files.checksums import sha256_of
from edgekit.synthetic.dataset import write_dataset
from edgekit.targets.build import export_bundle
from edgekit.targets.settings import ExportSettings


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_the_bundles_are_of_the_weights(precision):
    manifest = load_bundle(default_bundle(precision=precision)).manifest
    assert manifest.provenance.checkpoint_sha256 == sha256_of(default_weights())
    assert manifest.classes == CLASS_LISTS["ucf24"]
    assert {entry.path for entry in manifest.files} == {"model.onnx", "NOTICE"}


def test_the_integers_are_of_the_float_bundle_and_lose_next_to_nothing():
    float_bundle, bundle = (load_bundle(default_bundle(precision=p)) for p in ("fp32", "int8"))
    made = bundle.manifest.quantization
    assert made.float_bundle == float_bundle.sha256
    assert made.check.annotated
    assert made.check.drop <= 0.003
    assert made.check.agreement >= 0.97
    assert bundle.size < 0.3 * float_bundle.size
    with Detector(float_bundle) as before, Detector(bundle) as after:
        for clip in verification_frames():
            for frame in clip:
                found, expected = (d.detect(frame).scores.max(1)[:5] for d in (after, before))
                np.testing.assert_allclose(found, expected, atol=0.05)


def test_the_tubes_are_those_of_the_tutorial(tmp_path):
    write_dataset(tmp_path / "puppets", [9])
    video = str(tmp_path / "puppets" / "puppets-9.avi")
    (source,) = run(RunOptions(sources=(video,), bundle="shipped")).sources
    found = source.tally.best()
    assert sorted(tube["name"] for tube in found) == ["Basketball", "SoccerJuggling"]


def test_export_makes_the_shipped_bundle_again(tmp_path):
    made = export_bundle(default_weights(), out=tmp_path / "again")
    shipped = load_bundle(default_bundle(precision="fp32"))
    graphs = [onnx.load(bundle.model_path).graph for bundle in (made, shipped)]
    assert [n.op_type for n in graphs[0].node] == [n.op_type for n in graphs[1].node]
    for one, other in zip(*(graph.initializer for graph in graphs), strict=True):
        np.testing.assert_allclose(
            numpy_helper.to_array(one), numpy_helper.to_array(other), rtol=1e-5, atol=1e-6
        )


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_all_in_the_graph_finds_what_the_host_finds(tmp_path, precision):
    """First frames included, whose shifts tie against the black picture before them."""
    settings = ExportSettings(cascade_in="graph", decode_in="graph", precision=precision)
    made = export_bundle(default_weights(), settings=settings, out=tmp_path / "graph")
    shipped = default_bundle(precision="fp32")
    tolerance = 1e-4 if precision == "fp32" else 2e-2
    with Detector(made) as inside, Detector(shipped) as beside:
        for clip in verification_frames():
            inside.reset()
            beside.reset()
            for frame in clip:
                found, expected = (d.detect(frame).scores.max(1)[:5] for d in (inside, beside))
                np.testing.assert_allclose(found, expected, atol=tolerance)
