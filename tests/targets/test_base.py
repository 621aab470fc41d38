"""Tests what all targets have in common, with a minimal target."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from edgekit.bundle import Bundle, DecodeSpec, OutputSpec, load_bundle, save_bundle
from edgekit.errors import BundleError, EdgeKitError, UsageError
from edgekit.targets.base import SessionOptions
from edgekit.targets.build import export_bundle
from edgekit.targets.registry import TARGETS, Target, open_session
from edgekit.targets.settings import ExportSettings

FAKE = Target(
    "fake:FakeExporter",
    {"fake": "fake:FakeSession", "onnxruntime": "edgekit.targets.onnx.session:OnnxSession"},
)


@pytest.fixture(autouse=True)
def known(monkeypatch: pytest.MonkeyPatch) -> None:
    """One entry in the registry is all that a target needs."""
    monkeypatch.syspath_prepend(Path(__file__).parent)
    monkeypatch.setitem(TARGETS.own, "fake", FAKE)


@pytest.fixture(scope="module")
def made(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(Path(__file__).parent)
        patch.setitem(TARGETS.own, "fake", FAKE)
        return export_bundle(checkpoint, "fake", out=tmp_path_factory.mktemp("fake") / "b")


def changed(bundle: Bundle, tmp_path: Path, **changes: Any) -> Bundle:
    manifest = msgspec.structs.replace(bundle.manifest, **changes)
    files = {manifest.model: bundle.model_path}
    return save_bundle(tmp_path / "changed", manifest, files)


def test_a_new_target_is_verified_as_any_other(made: Bundle) -> None:
    assert made.manifest.target == "fake"
    assert made.manifest.verification is not None
    assert made.manifest.verification.top_detections_agreeing > 0.99


def test_a_lowering_that_the_target_cannot_take(deformable: Path, tmp_path: Path) -> None:
    settings = ExportSettings(dcn="deform_conv", input_size=(64, 64))
    with pytest.raises(UsageError, match="deform_conv") as caught:
        export_bundle(deformable, "fake", settings=settings, out=tmp_path / "b")
    assert caught.value.hint == "Leave out dcn to use gather."


@pytest.mark.parametrize(
    "inputs",
    [
        {},
        {"image": np.zeros((1, 6, 64, 96), np.float32)},
        {"input": np.zeros((1, 6, 64, 64), np.float32)},
        {"input": np.zeros((2, 6, 64, 96), np.float32)},
        {"input": np.zeros((1, 6, 64, 96), np.float64)},
        {"input": np.zeros((1, 6, 64, 96), np.uint8)},
        {"input": np.zeros((1, 6, 64, 96), np.float32), "frame": np.zeros(1)},
    ],
)
def test_wrong_inputs(made: Bundle, inputs: dict[str, Any]) -> None:
    with open_session(made) as session, pytest.raises(UsageError, match="Expected"):
        session.infer(inputs)


def test_a_session_is_freed_once(made: Bundle, tensor: Any) -> None:
    with open_session(made) as session:
        assert session.infer({"input": tensor})["hm"].shape == (1, 3, 16, 24)
        session.close()
    session.close()
    assert session.freed == 1  # type: ignore[attr-defined]
    with pytest.raises(EdgeKitError, match="is closed"):
        session.infer({"input": tensor})


def test_what_the_runtime_says_is_kept(made: Bundle, tensor: Any) -> None:
    with (
        open_session(made, SessionOptions(device="broken")) as session,
        pytest.raises(BundleError, match=r"fake failed on .*: the device is broken"),
    ):
        session.infer({"input": tensor})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (SessionOptions(threads=-1), r"threads to be at least 0 and at most \d+; found -1"),
        (SessionOptions(threads=9999), r"threads to be at least 0 and at most \d+; found 9999"),
        (SessionOptions(arithmetic="f16"), "fake does not support arithmetic; found f16"),
        (SessionOptions(cache=Path("c")), "fake does not support cache"),
        (
            SessionOptions(runtime="openvino"),
            "runtime to be one of fake, onnxruntime .*'openvino'",
        ),
        (SessionOptions(runtime="abacus"), "found 'abacus'"),
    ],
)
def test_options_that_cannot_be(made: Bundle, options: SessionOptions, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        open_session(made, options)


def test_manifest_of_another_input(made: Bundle, tmp_path: Path) -> None:
    cascade = msgspec.structs.replace(made.manifest.cascade, kind="rgb")
    with pytest.raises(BundleError, match="does not match the manifest: it has inputs"):
        open_session(changed(made, tmp_path, cascade=cascade))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"classes": ("walk",)}, r"hm of shape \(1, 3, 16, 24\), not \(1, 1, 16, 24\)"),
        ({"decode": DecodeSpec(stride=8)}, r"hm of shape \(1, 3, 16, 24\), not \(1, 3, 8, 12\)"),
    ],
)
def test_manifest_of_other_shapes(
    made: Bundle, tensor: Any, tmp_path: Path, changes: Any, message: str
) -> None:
    if "classes" in changes:
        heatmap, *others = made.manifest.outputs
        changes = {**changes, "outputs": (msgspec.structs.replace(heatmap, channels=1), *others)}
    with open_session(changed(made, tmp_path, **changes)) as session:
        for _ in range(2):
            with pytest.raises(BundleError, match=message):
                session.infer({"input": tensor})


def test_manifest_of_other_outputs(made: Bundle, tmp_path: Path) -> None:
    outputs = (OutputSpec(name="boxes", meaning="", layout="", channels=6),)
    with pytest.raises(BundleError, match="it has outputs hm, wh, reg, not boxes") as caught:
        open_session(changed(made, tmp_path, outputs=outputs))
    assert "--target fake" in caught.value.hint


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda hm: hm[..., None], r"hm of shape \(1, 3, 16, 24, 1\), not \(1, 3, 16, 24\)"),
        (lambda hm: hm[:, :, :, 1:], r"hm of shape \(1, 3, 16, 23\)"),
        (lambda hm: hm[:0], r"hm of shape \(0, 3, 16, 24\)"),
        (lambda hm: hm.astype(np.float64), "hm of type float64, not float32"),
        (lambda hm: hm.astype(object), "hm of type object, not float32"),
        (lambda hm: hm.tolist(), "hm of type list, not float32"),
    ],
)
def test_what_comes_out_is_checked_in_every_frame(
    made: Bundle, tensor: Any, monkeypatch: pytest.MonkeyPatch, change: Any, message: str
) -> None:
    with open_session(made) as session:
        run = session._run
        assert session.infer({"input": tensor})["hm"].shape == (1, 3, 16, 24)
        monkeypatch.setattr(
            session, "_run", lambda inputs: {**run(inputs), "hm": change(run(inputs)["hm"])}
        )
        with pytest.raises(BundleError, match=message):
            session.infer({"input": tensor})


@pytest.fixture
def chipped(monkeypatch: pytest.MonkeyPatch) -> None:
    target = Target("fake:ChippedExporter", {"fake": "fake:SimulatedSession"})
    monkeypatch.setitem(TARGETS.own, "fake", target)


@pytest.mark.parametrize(("given", "chip"), [(None, "one"), ("two", "two")])
def test_a_bundle_names_its_chip_and_the_simulator_that_verified_it(
    chipped: None, checkpoint: Path, tmp_path: Path, given: str | None, chip: str
) -> None:
    made = export_bundle(
        checkpoint, "fake", settings=ExportSettings(chip=given), out=tmp_path / "b"
    )
    assert load_bundle(made.path).manifest.chip == chip
    assert made.manifest.verification is not None
    assert made.manifest.verification.simulator == "the maker's simulator"


def test_a_chip_that_the_target_does_not_know(
    chipped: None, checkpoint: Path, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match="one of one, two for the target fake; found 'ten'") as at:
        export_bundle(checkpoint, "fake", settings=ExportSettings(chip="ten"), out=tmp_path / "b")
    assert at.value.hint == "Leave out chip to use one."
    assert list(tmp_path.iterdir()) == []
