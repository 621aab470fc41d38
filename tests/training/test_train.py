"""``edgekit.train``: the command's work, called from Python."""

from __future__ import annotations

import json
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

import edgekit
from edgekit.errors import AnnotationError, OutputError, UsageError
from edgekit.models.registry import ARCHITECTURES
from edgekit.training.options import TrainOptions
from edgekit.training.settings import RECIPES
from tests.recorded_progress import RecordedProgress

SMALL: dict[str, Any] = {
    "arch": "tiny", "images": 4, "batch": 2, "input_size": 64, "origin": "scratch", "workers": 0,
}  # fmt: skip
FIELDS = {field.name for field in fields(TrainOptions)}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A short video with one bright actor that moves."""
    folder = tmp_path_factory.mktemp("clips")
    writer = cv2.VideoWriter(str(folder / "a.mp4"), cv2.VideoWriter.fourcc(*"mp4v"), 25, (128, 96))
    boxes = []
    for t in range(10):
        image = np.full((96, 128, 3), 50, np.uint8)
        x = 20 + 3 * t
        image[30:70, x : x + 30] = 220
        boxes.append([x, 30, x + 30, 70])
        writer.write(image)
    writer.release()
    tube = {"label": 0, "start": 0, "end": 10, "boxes": boxes}
    video = {"width": 128, "height": 96, "frames": 10, "tubes": [tube]}
    content = {"classes": ["right"], "videos": {"a.mp4": video}}
    (folder / "annotations.json").write_text(json.dumps(content))
    return folder


pytestmark = pytest.mark.usefixtures("own_networks")


@pytest.fixture(autouse=True)
def _no_cache_of_the_user(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))


def test_a_run_and_its_progress(root: Path, tmp_path: Path) -> None:
    progress = RecordedProgress()
    result = edgekit.train(root, epochs=1, out=tmp_path / "run", progress=progress, **SMALL)
    assert result.weights.parent == tmp_path / "run"
    assert [epoch.number for epoch in result.history] == [1]
    assert result.held_out == ()
    reading, storing = [("Reading clips", 1), "step"], [("Storing frames", 1), "step"]
    training = [("Training", 2), "step", "step"]
    assert progress.seen == [*reading, *storing, *training, "epoch 1"]
    with pytest.raises(OutputError, match="Add resume=True to go on with it, force=True to"):
        edgekit.train([root], out=tmp_path / "run", **SMALL)
    longer = edgekit.train(
        [str(root)], epochs=1, out=tmp_path / "run", resume=True, progress=progress, **SMALL
    )
    assert longer.history == []
    # The frames are stored already, and the finished batches of a resumed run count as done.
    assert progress.seen[8:] == [*reading, *training]


def test_classes_that_differ_in_case_only_are_said(
    root: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    content = json.loads((root / "annotations.json").read_text())
    content["classes"] = ["wave", "jump", "Wave"]
    (tmp_path / "annotations.json").write_text(json.dumps(content))
    (tmp_path / "a.mp4").symlink_to(root / "a.mp4")
    edgekit.train(tmp_path, epochs=1, out=tmp_path / "run", **SMALL)
    assert "The classes 'wave' and 'Wave'" in caplog.text


def test_options_replace_those_of_a_recipe(root: Path, tmp_path: Path) -> None:
    edgekit.train(
        root, recipe="korsal", arch="tiny", epochs=1, images=4, batch=2, input_size=64,
        out=tmp_path / "run", workers=0,
    )  # fmt: skip
    found = json.loads((tmp_path / "run" / "settings.json").read_text())
    assert (found["recipe"], found["arch"], found["origin"]) == ("korsal", "tiny", "scratch")
    assert (found["images"], found["size"]) == (4, [64, 64])
    assert (found["rate"], found["slow_rate"]) == (1.25e-4, 1.25e-4)
    assert (found["schedule"], found["augmentation"]) == ("steps", "centernet")
    assert (found["weight_decay"], found["small_first"]) == (0.0, False)


def test_options_that_are_not_given_come_from_the_recipe() -> None:
    options = TrainOptions(root=(Path("clips"),), recipe="korsal", batch=4)
    assert options.chosen == replace(RECIPES["korsal"], batch=4)


def test_an_unknown_network_is_refused_before_anything_is_read() -> None:
    with pytest.raises(UsageError, match=r"Expected arch to be one of dla34, .*; found 'vgg'"):
        edgekit.train("clips", arch="vgg")


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_is_valid(name: str) -> None:
    recipe = RECIPES[name]
    assert recipe.arch in ARCHITECTURES
    chosen = {key: value for key, value in asdict(recipe).items() if key in FIELDS}
    TrainOptions(root=(Path("clips"),), recipe=name, teacher=Path("teacher"), **chosen)


def test_validation_on_other_clips(
    root: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    result = edgekit.train(
        root, validate=root, validate_every=1, epochs=2, out=tmp_path / "run", **SMALL
    )
    lines = (tmp_path / "run" / "history.jsonl").read_text().splitlines()
    scores = [json.loads(line)["held_out_frame_map"] for line in lines]
    assert list(result.held_out) == max(scores)
    assert "1 of the 1 videos for validation are trained on too, such as a.mp4" in caplog.text


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"root": ()}, "Expected root to name at least one folder of clips; found none."),
        ({"root": None}, "root to be a path, as a string or a path object; found None"),
        ({"root": [3]}, "root to be a path, as a string or a path object; found 3"),
        ({"dataset": "csv"}, "Expected dataset to be one of json, "),
        ({"batch": 1}, "Expected batch to be at least 2; found 1."),
        ({"epochs": 2.5}, "Expected epochs to be int or None; found 2.5"),
        ({"rate": 0}, "Expected rate to be more than 0; found 0."),
        ({"hold_out": 1}, "Expected hold_out to be at least 0 and at most 0.9; found 1."),
        (
            {"validate": "clips", "hold_out": 0.2},
            "validate and hold_out cannot be used together: each chooses the frames that",
        ),
        ({"recipe": "yolo"}, "Expected recipe to be one of lite0, distill, korsal; found 'yolo'."),
        ({"recipe": ["lite0"]}, "Expected recipe to be str; found ['lite0']"),
        ({"recipe": "distill"}, "recipe='distill' needs a trained network to learn from."),
        ({"schedule": "flat"}, "Expected schedule to be one of cosine, steps; found 'flat'."),
        ({"augmentation": 1}, "Expected augmentation to be str or None; found 1"),
        ({"validate": 3}, "validate to be a path, as a string or a path object; found 3"),
        ({"validate_every": 2}, "validate_every needs frames to evaluate the network on."),
        ({"validate_every": 0}, "Expected validate_every to be at least 1; found 0."),
        (
            {"early_stop": 2, "hold_out": 0.2},
            "early_stop needs evaluations during the run.",
        ),
        ({"input_size": 100}, "Expected input_size in multiples of 32, at least 64; found 100x100"),
        (
            {"resume": True, "force": True},
            "resume and force cannot be used together: the first continues a run, and",
        ),
        ({"name": "../x"}, "Expected name to be a name without folders; found '../x'."),
        ({"name": ".."}, "Expected name to be a name without folders; found '..'."),
        ({"allow_partial": True}, "allow_partial works only with a checkpoint to start from."),
        ({"arch": "res18", "origin": "imagenet"}, "ImageNet weights for lite0, not for res18"),
    ],
)
def test_wrong_values(root: Path, tmp_path: Path, values: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError) as caught:
        edgekit.train(**{"root": root, "out": tmp_path / "run", **values})
    assert words in caught.value.message
    assert list(tmp_path.iterdir()) == []


def test_a_folder_without_annotations(tmp_path: Path) -> None:
    with pytest.raises(AnnotationError, match=r"annotations\.json"):
        edgekit.train(tmp_path)
