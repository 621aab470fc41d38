"""A real bundle that finds one bright spot, and videos of one."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from edgekit.bundle import (
    CascadeSpec,
    DecodeSpec,
    InputSpec,
    Manifest,
    OutputSpec,
    Provenance,
    save_bundle,
)

SIDE, CLASSES = 64, ("spot", "nothing")


def _spot_finder() -> bytes:
    """Brightness of blue as the logits of class 0; boxes of 4 by 4 cells."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    cells = SIDE // 4
    weights = {
        "w_hm": np.zeros((2, 6, 4, 4), np.float32),
        "b_hm": np.array([-3, -30], np.float32),
        "w_wh": np.zeros((2, 6, 4, 4), np.float32),
        "b_wh": np.full(2, 4, np.float32),
        "b_reg": np.full(2, 0.5, np.float32),
    }
    weights["w_hm"][0, 0] = 6 / 16
    nodes = [
        helper.make_node("Conv", ["input", w, b], [name], strides=[4, 4], kernel_shape=[4, 4])
        for name, w, b in (
            ("hm", "w_hm", "b_hm"),
            ("wh", "w_wh", "b_wh"),
            ("reg", "w_wh", "b_reg"),
        )
    ]
    shape = [1, 2, cells, cells]
    graph = helper.make_graph(
        nodes,
        "spot",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, [1, 6, SIDE, SIDE])],
        [helper.make_tensor_value_info(n, TensorProto.FLOAT, shape) for n in ("hm", "wh", "reg")],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    return model.SerializeToString()


@pytest.fixture(scope="session")
def spot_bundle(tmp_path_factory) -> Path:
    """Detects the brightest spot of a dark picture as class 0."""
    pytest.importorskip("onnx")
    folder = tmp_path_factory.mktemp("bundle")
    file = folder / "made.onnx"
    file.write_bytes(_spot_finder())
    meanings = {"hm": "logits", "wh": "size", "reg": "offset"}
    manifest = Manifest(
        name="spot",
        arch="lite0",
        classes=CLASSES,
        target="onnx",
        precision="fp32",
        model="model.onnx",
        input=InputSpec(height=SIDE, width=SIDE, mean=(0, 0, 0), std=(1, 1, 1)),
        cascade=CascadeSpec(kind="ssim"),
        outputs=tuple(
            OutputSpec(name=name, meaning=meaning, layout="NCHW", channels=2)
            for name, meaning in meanings.items()
        ),
        decode=DecodeSpec(top_k=5),
        provenance=Provenance(checkpoint="", checkpoint_sha256="", edgekit="0", date="2026-01-01"),
    )
    return save_bundle(folder / "spot", manifest, {"model.onnx": file}).path


def _draw_spot(number: int, size: tuple[int, int] = (128, 96)) -> np.ndarray:
    """A picture (height, width, 3) with a spot that moves 1 pixel a frame to the right."""
    image = np.zeros((size[1], size[0], 3), np.uint8)
    cv2.circle(image, (30 + number % 64, 48), 10, (255, 255, 255), cv2.FILLED)
    return cv2.GaussianBlur(image, (0, 0), 5)


@pytest.fixture
def spot_video(tmp_path):
    def make(frames: int = 30, name: str = "spot.mp4") -> Path:
        path = tmp_path / name
        writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), 25, (128, 96))
        for number in range(frames):
            writer.write(_draw_spot(number))
        writer.release()
        return path

    return make


@pytest.fixture
def spot_folder(tmp_path):
    """Makes a folder with one picture for each size (width, height)."""

    def make(sizes) -> Path:
        folder = tmp_path / "frames"
        folder.mkdir()
        for number, size in enumerate(sizes):
            cv2.imwrite(str(folder / f"{number}.png"), _draw_spot(number, size))
        return folder

    return make
