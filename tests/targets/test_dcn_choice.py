"""Tests the choice of a form of deformable convolutions by measurement."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import onnxruntime
import pytest
from hypothesis import given
from hypothesis import strategies as st

import edgekit
from edgekit.bundle import Bundle, LoweringTimes, load_bundle
from edgekit.cli import main
from edgekit.errors import BoundError, BundleError, EdgeKitError, OutputError
from edgekit.models.checkpoints import load_checkpoint
from edgekit.models.lowerings import LOWERINGS
from edgekit.targets.build import bundle_path
from edgekit.targets.dcn_choice import fastest, fastest_form, forms_to_time
from edgekit.targets.onnx.session import OnnxSession
from edgekit.targets.settings import ExportSettings

AUTO = ExportSettings()


def model_of(path: Path) -> bytes:
    return load_bundle(path).read_model()


def test_auto_measures_every_form_and_records_all(deformable: Path, tmp_path: Path) -> None:
    found = edgekit.export(deformable, input_size=64, out=tmp_path / "auto")
    times = found.manifest.provenance.lowerings
    assert times
    assert set(times.ms) == set(LOWERINGS)
    assert times.runtime.startswith("onnxruntime ")
    assert not times.refused
    named = edgekit.export(deformable, input_size=64, dcn=times.chosen, out=tmp_path / "named")
    assert named.manifest.provenance.lowerings is msgspec.UNSET
    assert model_of(tmp_path / "auto") == model_of(tmp_path / "named")


def test_the_command_and_inspect_report_the_choice(
    deformable: Path, tmp_path: Path, capsys: Any
) -> None:
    out = tmp_path / "auto"
    arguments = ["export", str(deformable), "--input-size", "64", "--out", str(out)]
    assert main([*arguments, "--json"]) == 0
    (told,) = json.loads(capsys.readouterr().out)["bundles"]
    assert set(told["lowerings"]["ms"]) == set(LOWERINGS)
    assert main(["inspect", str(out)]) == 0
    assert f"{told['lowerings']['chosen']}, of deform_conv" in capsys.readouterr().out
    assert main(arguments) == 3
    assert "--force" in capsys.readouterr().err


def test_a_default_folder_that_exists_is_refused_before_the_measurement(
    deformable: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.chdir(tmp_path)
    bundle_path("model", "onnx", "fp32").mkdir(parents=True)
    caplog.set_level("INFO")
    with pytest.raises(OutputError, match="already exists"):
        edgekit.export(deformable, input_size=64, name="model")
    assert "Exporting" not in caplog.text


@pytest.mark.parametrize("target", ["tflite", "jetson"])
def test_nothing_is_measured_without_a_choice_or_a_runtime(
    deformable: Path, checkpoint: Path, target: str, caplog: pytest.LogCaptureFixture
) -> None:
    network, plain = (load_checkpoint(path).network for path in (deformable, checkpoint))
    assert forms_to_time(network, AUTO, target) == ()
    assert ("tensorrt does not run here" in caplog.text) == (target == "jetson")
    assert forms_to_time(plain, AUTO, "onnx") == ()
    assert forms_to_time(network, ExportSettings(dcn="gather"), "onnx") == ()
    assert forms_to_time(network, AUTO, "onnx")[0] == "deform_conv"


@pytest.mark.parametrize("refusal", [BoundError, BundleError])
def test_a_form_that_differs_or_that_the_runtime_refuses_is_left_out(
    deformable: Path, tmp_path: Path, refusal: type[EdgeKitError]
) -> None:
    def export(form: str) -> Bundle:
        if form == "deform_conv":
            raise refusal("it differs")
        return edgekit.export(deformable, input_size=64, dcn=form, out=tmp_path / form)

    found = fastest_form(("deform_conv", "gather"), export).manifest.provenance.lowerings
    assert isinstance(found, LoweringTimes)
    assert found.chosen == "gather"
    assert found.refused == {"deform_conv": "it differs"}


def test_a_refusal_names_no_temporary_folder(
    deformable: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def older(self: OnnxSession) -> Any:
        if b"DeformConv" in self.bundle.read_model():
            raise RuntimeError("no DeformConv")
        return settings(self)

    settings = OnnxSession._settings
    monkeypatch.setattr(OnnxSession, "_settings", older)
    found = edgekit.export(deformable, input_size=64, out=tmp_path / "auto").manifest.provenance
    assert isinstance(found.lowerings, LoweringTimes)
    refusal = found.lowerings.refused["deform_conv"]
    assert refusal == f"ONNX Runtime {onnxruntime.__version__} refuses model.onnx: no DeformConv"


def test_if_no_form_holds_the_first_error_is_reported(tmp_path: Path) -> None:
    def export(form: str) -> Bundle:
        raise BoundError(f"{form} differs")

    with pytest.raises(BoundError, match="gather differs"):
        fastest_form(("gather", "deform_conv"), export)


@given(st.lists(st.floats(0.001, 1), min_size=1, max_size=4))
def test_another_than_the_first_has_to_be_clearly_faster(seconds: list[float]) -> None:
    times = {str(place): value for place, value in enumerate(seconds)}
    chosen = fastest(times)
    assert times[chosen] <= times["0"]
    if chosen == "0":
        assert min(seconds) >= 0.95 * times["0"]
    else:
        assert times[chosen] == min(seconds)
