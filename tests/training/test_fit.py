from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch

from edgekit._progress import SILENT, Progress
from edgekit.cli import main as run
from edgekit.datasets.annotations import Truth, read_annotations
from edgekit.datasets.relabelling import in_classes_of
from edgekit.errors import AnnotationError, BadInputError, CheckpointError, OutputError
from edgekit.models.checkpoints import load_checkpoint
from edgekit.training.fit import FitOptions, fit
from edgekit.training.run_folder import HISTORY, STATE, WEIGHTS
from edgekit.training.settings import Settings


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Two short videos with one bright moving actor each."""
    folder = tmp_path_factory.mktemp("clips")
    videos = {}
    for label, name in enumerate(("a.mp4", "b.mp4")):
        writer = cv2.VideoWriter(str(folder / name), cv2.VideoWriter.fourcc(*"mp4v"), 25, (128, 96))
        boxes = []
        for t in range(10):
            image = np.full((96, 128, 3), 50, np.uint8)
            x = 20 + 3 * t
            image[30:70, x : x + 30, label] = 220
            boxes.append([x, 30, x + 30, 70])
            writer.write(image)
        writer.release()
        tube = {"label": label, "start": 0, "end": 10, "boxes": boxes}
        videos[name] = {
            "width": 128, "height": 96, "frames": 10, "label": label, "tubes": [tube],
        }  # fmt: skip
    content = {"classes": ["left", "right"], "videos": videos}
    (folder / "annotations.json").write_text(json.dumps(content))
    return folder


def settings(**changes):
    values = {
        "epochs": 2, "images": 4, "batch": 2, "rate": 1e-3, "slow_rate": 3e-4, "size": (64, 64),
        "seed": 3, "kind": "ssim", "frame_gap": 1, "mean": (0.4,) * 3, "std": (0.3,) * 3,
    }  # fmt: skip
    return Settings(**(values | changes))


@pytest.fixture(scope="module")
def truth(root):
    return read_annotations(root / "annotations.json")


pytestmark = pytest.mark.usefixtures("own_networks")


@pytest.fixture(autouse=True)
def _no_cache_of_the_user(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.getbasetemp() / "cache"))


def train(datasets, out, values=None, progress=SILENT, **choices):
    options = FitOptions(**{"arch": "tiny", "origin": "scratch", **choices})
    return fit(datasets, out, values or settings(), options, progress)


def weights(path):
    return load_checkpoint(path).network.state_dict()


def test_a_run_is_repeatable_and_resumable(truth, tmp_path):
    whole = train([truth], tmp_path / "whole", settings())
    again = train([truth], tmp_path / "again", settings())
    assert whole.weights.read_bytes() == again.weights.read_bytes()

    class Stop(Exception):
        pass

    class StopAtNote(Progress):
        def note(self, text):
            raise Stop

    with pytest.raises(Stop):
        train([truth], tmp_path / "parts", settings(), progress=StopAtNote())
    assert not (tmp_path / "parts" / WEIGHTS).exists()
    parts = train([truth], tmp_path / "parts", settings(), resume=True)
    assert [epoch.number for epoch in parts.history] == [2]
    lines = [(tmp_path / name / HISTORY).read_text() for name in ("whole", "parts")]
    assert lines[0] == lines[1]
    assert [json.loads(line)["epoch"] for line in lines[0].splitlines()] == [1, 2]
    expected, found = weights(whole.weights), weights(parts.weights)
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, rtol=1e-4, atol=1e-6)


def test_the_checkpoint_says_how_it_was_made(truth, tmp_path):
    both = [truth, truth]
    result = train(both, tmp_path / "r", settings(epochs=1, hold_out=0.5))
    checkpoint = load_checkpoint(result.weights)
    assert checkpoint.spec.arch == "tiny"
    assert json.loads(checkpoint.metadata["classes"]) == ["left", "right"]
    assert json.loads(checkpoint.metadata["input_size"]) == [64, 64]
    first, second = result.held_out
    assert first == second
    assert 0 <= first <= 1


def test_a_run_in_the_way_is_kept(truth, tmp_path):
    train([truth], tmp_path, settings(epochs=1))
    before = (tmp_path / WEIGHTS).read_bytes()
    with pytest.raises(OutputError, match="earlier run"):
        train([truth], tmp_path, settings(epochs=1))
    with pytest.raises(CheckpointError, match="other settings: that run has epochs 1; this run"):
        train([truth], tmp_path, settings(epochs=2), resume=True)
    turned = replace(truth, classes=truth.classes[::-1])
    with pytest.raises(CheckpointError, match=r'that run has classes \["left", "right"\]; this'):
        train([turned], tmp_path, settings(epochs=1), resume=True)
    with pytest.raises(
        CheckpointError, match=r'that run has arch "tiny"; this run has arch "lite0'
    ):
        train([truth], tmp_path, settings(epochs=1), arch="lite0", resume=True)
    (tmp_path / STATE).write_bytes(b"rubbish")
    with pytest.raises(CheckpointError, match="not the state"):
        train([truth], tmp_path, settings(epochs=1), resume=True)
    assert (tmp_path / WEIGHTS).read_bytes() == before


def test_a_run_that_begins_in_the_folder_meanwhile_is_kept(truth, tmp_path):
    out = tmp_path / "run"

    def begins(_):
        out.mkdir(exist_ok=True)  # it also says if frames are stored
        (out / WEIGHTS).write_text("theirs")

    options = FitOptions(arch="tiny", origin="scratch")
    with pytest.raises(OutputError, match="earlier run"):
        fit([truth], out, settings(epochs=1), options, SILENT, begins)
    assert [path.name for path in out.iterdir()] == [WEIGHTS]
    assert (out / WEIGHTS).read_text() == "theirs"


def test_a_run_that_was_replaced_does_not_go_on(truth, tmp_path):
    train([truth], tmp_path, settings(epochs=1))

    class Stops(Progress):
        def phase(self, note, total=None):
            if note == "Training":
                raise KeyboardInterrupt

    options = FitOptions(arch="tiny", origin="scratch", force=True)
    with pytest.raises(KeyboardInterrupt):
        fit([truth], tmp_path, settings(epochs=1), options, Stops())
    with pytest.raises(BadInputError, match="nothing to resume"):
        train([truth], tmp_path, settings(epochs=1), resume=True)


def test_there_is_nothing_to_resume(truth, tmp_path):
    with pytest.raises(BadInputError, match=r"nothing to resume: no .*other/state\.pt") as caught:
        train([truth], tmp_path / "other", settings(), resume=True)
    assert caught.value.hint == "resume needs a saved run. To begin one, leave it out."
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / STATE).touch()
    with pytest.raises(BadInputError) as caught:
        train([truth], tmp_path / "other", settings(), resume=True)
    assert f"out='{tmp_path / 'mine'}'" in caught.value.hint
    assert not (tmp_path / "other").exists()


def test_nothing_to_learn_from(tmp_path):
    with pytest.raises(AnnotationError):
        train([Truth(["a"], [])], tmp_path, settings())


def test_datasets_are_drawn_from_alike(truth, tmp_path):
    few = Truth(truth.classes, truth.videos[:1])
    train([few, truth], tmp_path / "both", settings(epochs=1))
    with pytest.raises(AnnotationError, match="same classes"):
        train([truth, Truth(["other"], truth.videos)], tmp_path / "mixed", settings())
    assert not (tmp_path / "mixed").exists()


def test_classes_of_other_datasets_are_matched_by_name(truth, tmp_path):
    options = FitOptions(arch="tiny", origin="scratch")
    same = fit([truth, truth], tmp_path / "same", settings(), options, validation=[truth])
    # Readers of some layouts list the classes as they come in the file.
    turned = in_classes_of(["right", "left"], truth)
    few = in_classes_of(["right", "unused", "left"], truth)
    found = fit([truth, turned], tmp_path / "turned", settings(), options, validation=[few])
    assert found.weights.read_bytes() == same.weights.read_bytes()
    assert found.held_out == same.held_out
    other = Truth(["left", "fly"], truth.videos)
    with pytest.raises(AnnotationError, match="the network does not know: fly"):
        fit([truth], tmp_path / "other", settings(), options, validation=[other])


def test_the_command(root, tmp_path, capsys):
    arguments = ["train", "--root", str(root), "--epochs", "1", "--images", "4", "--batch", "2"]
    arguments += ["--input-size", "64", "-o", str(tmp_path / "my run"), "--from", "scratch"]
    # A worker process takes seconds to import torch; in test_process_group.py the command has one.
    arguments += ["--workers", "0"]
    assert run([*arguments, "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert load_checkpoint(shown["weights"]).spec.classes == 2
    assert run(arguments) == 3
    assert "--resume" in capsys.readouterr().err
    assert run([*arguments, "--resume"]) == 0
    shown, told = capsys.readouterr()
    assert "This run has trained all of its epochs (1); nothing is left to do." in told
    assert f"Next: edgekit export '{tmp_path}/my run/weights.safetensors' --target onnx" in shown
    assert run([*arguments, "--resume", "--force"]) == 2
    assert run(["train", "--root", str(tmp_path / "nowhere")]) == 3
    assert run(["train", "--root", str(root), "--input-size", "100"]) == 2


def test_a_missing_checkpoint_is_said_before_frames_are_stored(truth, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for values, choices in ((settings(teacher="no.pth"), {}), (settings(), {"origin": "no.pth"})):
        with pytest.raises(CheckpointError, match=r"Expected a checkpoint at no\.pth"):
            train([truth], tmp_path / "run", values, **choices)
    assert not (tmp_path / "cache/edgekit").exists()


LITTLE_MEMORY = """
import resource, sys
from pathlib import Path
from edgekit.cli import main
import edgekit.training.fit

pages = int(Path("/proc/self/statm").read_text().split()[0])
limit = pages * resource.getpagesize() + (1 << 30)
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="RLIMIT_AS holds on Linux only")
def test_the_command_names_the_batch_to_try_where_memory_ends(root, tmp_path):
    arguments = ["train", "--root", str(root), "--images", "64", "--batch", "64", "--epochs", "1"]
    arguments += ["--from", "scratch", "--workers", "0", "-o", str(tmp_path / "run")]
    command = [sys.executable, "-c", LITTLE_MEMORY, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 3
    assert "This machine has too little memory for --batch 64" in done.stderr
    assert "Try --batch 32 --accumulate 2" in done.stderr
