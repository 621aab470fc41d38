"""Tests what a board does with a bundle, with the package of Rockchip's stood in for."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pytest

from edgekit.errors import BundleError, EdgeKitError, MissingDependencyError
from edgekit.quantization.report.latency import compare_latency
from edgekit.targets.base import SessionOptions
from edgekit.targets.registry import check_runtime, open_session
from edgekit.targets.rknn.chips import chip_of_board

ROCK = "radxa,rock-5b rockchip,rk3588"


def test_the_outputs_have_their_names(
    lite: Any, board: Any, compiled: Any, bundle: Any, tensor: Any, monkeypatch: Any
) -> None:
    board(ROCK)
    monkeypatch.setattr("edgekit.targets.rknn.session.metadata.version", lambda name: "2.5.0")
    made = compiled()
    check_runtime(made)
    with open_session(made) as session, open_session(bundle) as other:
        found, expected = (one.infer({"input": tensor}) for one in (session, other))
        told = session.describe()
    for name, values in expected.items():
        np.testing.assert_array_equal(found[name], values)
    assert told["device"] == "rk3588 NPU"
    assert told["version"] == "2.5.0, API: 2.5.0 DRV: 0.9.8"
    assert lite.released == 1


@pytest.mark.parametrize(
    ("compatible", "chip"),
    [
        (ROCK, "rk3588"),
        ("khadas,edge2 rockchip,rk3588s", "rk3588"),
        ("rockchip,rk3566-box rockchip,rk3566", "rk3566"),
        ("raspberrypi,5-model-b brcm,bcm2712", ""),
        ("rockchip,rk3399", ""),
    ],
)
def test_the_chip_of_a_board(board: Any, compatible: str, chip: str) -> None:
    board(compatible)
    assert chip_of_board() == chip


def test_a_model_for_another_chip_is_refused(lite: Any, board: Any, compiled: Any) -> None:
    board("armsom,sige5 rockchip,rk3576")
    with pytest.raises(BundleError, match="compiled for rk3588; this board has rk3576") as caught:
        open_session(compiled())
    assert "rk3576" in caught.value.hint
    assert lite.released == 0


def test_a_model_for_a_chip_with_the_same_processor_runs(
    lite: Any, board: Any, compiled: Any
) -> None:
    board("pine64,quartz64 rockchip,rk3566")
    open_session(compiled("rk3568")).close()
    assert lite.released == 1


def test_a_machine_without_the_processor(lite: Any, board: Any, compiled: Any) -> None:
    board("raspberrypi,5-model-b brcm,bcm2712")
    made = compiled()
    for act in (check_runtime, open_session):
        with pytest.raises(EdgeKitError, match="no neural processor of Rockchip's") as caught:
            act(made)
        assert "rknn-simulator" in caught.value.hint


def test_a_machine_without_both_is_told_of_the_simulator_not_of_the_package(
    board: Any, compiled: Any, monkeypatch: Any
) -> None:
    board("raspberrypi,5-model-b brcm,bcm2712")
    monkeypatch.setitem(sys.modules, "rknnlite.api", None)
    made = compiled()
    for act in (check_runtime, open_session):
        with pytest.raises(EdgeKitError, match="no neural processor of Rockchip's"):
            act(made)


def test_without_the_processor_nothing_is_timed_after_a_quantization(
    board: Any, compiled: Any
) -> None:
    board("raspberrypi,5-model-b brcm,bcm2712")
    bundle = compiled()
    assert compare_latency(bundle, bundle) == []


def test_the_package_is_not_installed(board: Any, compiled: Any, monkeypatch: Any) -> None:
    board(ROCK)
    monkeypatch.setitem(sys.modules, "rknnlite.api", None)
    with pytest.raises(MissingDependencyError, match="rknnlite"):
        open_session(compiled())


@pytest.mark.parametrize("step", ["read", "start"])
def test_the_library_is_not_there_or_refuses_the_model(
    lite: Any, board: Any, compiled: Any, step: str
) -> None:
    board(ROCK)
    lite.broken = step
    with pytest.raises(BundleError, match=f"could not {step} .*model.rknn on rk3588") as caught:
        open_session(compiled())
    assert "/usr/lib/librknnrt.so" in caught.value.hint
    assert lite.released == 1


def test_the_library_fails_in_a_frame(lite: Any, board: Any, compiled: Any, tensor: Any) -> None:
    board(ROCK)
    with open_session(compiled()) as session:
        lite.broken = "run"
        with pytest.raises(EdgeKitError, match="gave no outputs"):
            session.infer({"input": tensor})
        lite.broken = ""
        assert set(session.infer({"input": tensor})) == {"hm", "wh", "reg"}


@pytest.mark.parametrize("runtime", ["rknn", "rknn-simulator"])
def test_a_chip_that_nobody_knows(lite: Any, board: Any, compiled: Any, runtime: str) -> None:
    board(ROCK)
    with pytest.raises(BundleError, match="for the chip 'rk9999'"):
        open_session(compiled("rk9999"), SessionOptions(runtime=runtime))
