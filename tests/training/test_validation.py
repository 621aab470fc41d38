"""Validation during a run: the best weights are kept, and a run without progress ends early."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from edgekit._progress import SILENT, Progress
from edgekit.datasets.annotations import Truth, TruthTube, VideoTruth
from edgekit.errors import AnnotationError, MediaError
from edgekit.models.checkpoints import load_checkpoint
from edgekit.training.fit import FitOptions, fit
from edgekit.training.result import Best, TrainingResult
from edgekit.training.run_folder import HISTORY, LAST, WEIGHTS
from edgekit.training.settings import Settings
from edgekit.training.validation import Validation, held_out_frame_map
from tests.training.data.clips import of, pictures, truth, video

SMALL = of(size=(64, 64), images=4, batch=2, epochs=6, hold_out=0.5, validate_every=1, early_stop=2)


pytestmark = pytest.mark.usefixtures("own_networks")


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Truth:
    folder = pictures(tmp_path_factory.mktemp("clips") / "a", 8)
    return Truth(["one", "two"], [truth(folder, 8)])


def train(
    clips: Truth,
    out: Path,
    settings: Settings = SMALL,
    progress: Progress = SILENT,
    *,
    resume: bool = False,
) -> TrainingResult:
    options = FitOptions(arch="tiny", origin="scratch", resume=resume)
    return fit([clips], out, settings, options, progress)


def scores_in(out: Path) -> list[float]:
    lines = [json.loads(line) for line in (out / HISTORY).read_text().splitlines()]
    return [line["held_out_frame_map"][0] for line in lines]


def test_the_best_weights_are_kept(clips: Truth, tmp_path: Path) -> None:
    result = train(clips, tmp_path / "run")
    scores = scores_in(tmp_path / "run")
    best = int(np.argmax(scores))
    assert len(scores) == min(SMALL.epochs, best + 1 + 2)
    assert result.held_out == (scores[best],)
    for name, expected in ((WEIGHTS, scores[best]), (LAST, scores[-1])):
        network = load_checkpoint(tmp_path / "run" / name).network.eval()
        assert held_out_frame_map(network, clips, SMALL, 0.5) == pytest.approx(expected)


class _Stop(Exception):
    pass


class _StopAfter(Progress):
    def __init__(self, epochs: int) -> None:
        self._left = epochs

    def note(self, text: str) -> None:
        self._left -= 1
        if not self._left:
            raise _Stop


@pytest.mark.parametrize("epochs", [1, 3])
def test_a_resumed_run_ends_as_one_that_went_through(
    clips: Truth, tmp_path: Path, epochs: int
) -> None:
    """After three epochs, the run has just ended early, or goes on."""
    whole = train(clips, tmp_path / "whole")
    with pytest.raises(_Stop):
        train(clips, tmp_path / "parts", progress=_StopAfter(epochs))
    parts = train(clips, tmp_path / "parts", resume=True)
    assert parts.held_out == whole.held_out
    assert scores_in(tmp_path / "parts") == scores_in(tmp_path / "whole")
    for name in (WEIGHTS, LAST):
        expected, found = (
            load_checkpoint(tmp_path / run / name).network.state_dict()
            for run in ("whole", "parts")
        )
        for key, value in expected.items():
            torch.testing.assert_close(found[key], value, rtol=1e-4, atol=1e-6)


def test_the_last_epoch_is_scored_without_being_asked(clips: Truth, tmp_path: Path) -> None:
    values = replace(SMALL, epochs=2, validate_every=0, early_stop=0)
    result = train(clips, tmp_path / "run", values)
    first, second = (json.loads(x) for x in (tmp_path / "run" / HISTORY).read_text().splitlines())
    assert "held_out_frame_map" not in first
    assert second["held_out_frame_map"] == list(result.held_out)
    assert not (tmp_path / "run" / LAST).exists()


def test_a_missing_video_is_named_before_the_first_epoch(clips: Truth, tmp_path: Path) -> None:
    other = Truth(clips.classes, [truth(tmp_path / "nowhere.mp4", 8)])
    options = FitOptions(origin="scratch")
    with pytest.raises(MediaError, match=r"no file or folder .*nowhere\.mp4"):
        fit([clips], tmp_path / "run", SMALL, options, validation=[other])
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("kind", ["pictures", "video"])
@pytest.mark.parametrize("use", ["training", "validation"])
def test_a_clip_of_another_size_than_annotated_is_refused(
    clips: Truth, tmp_path: Path, kind: str, use: str
) -> None:
    path = pictures(tmp_path / "b", 8) if kind == "pictures" else video(tmp_path / "b.mp4", 8)
    other = Truth(clips.classes, [truth(path, 8, (128, 192))])
    options = FitOptions(arch="tiny", origin="scratch", frame_store=tmp_path / "store")
    values = replace(SMALL, hold_out=0.0)
    trained, scored = (other, clips) if use == "training" else (clips, other)
    with pytest.raises(MediaError, match="has 96x64 pixels, and its annotation says 192x128"):
        fit([trained], tmp_path / "run", values, options, validation=[scored])
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("kind", ["pictures", "video"])
def test_a_clip_that_is_shorter_than_annotated_is_refused_before_the_first_epoch(
    clips: Truth, tmp_path: Path, kind: str
) -> None:
    path = pictures(tmp_path / "b", 8) if kind == "pictures" else video(tmp_path / "b.mp4", 8)
    other = Truth(clips.classes, [truth(path, 9)])
    options = FitOptions(arch="tiny", origin="scratch", frame_store=tmp_path / "store")
    values = replace(SMALL, hold_out=0.0)
    with pytest.raises(AnnotationError, match="has 8 frames, and its annotation says 9"):
        fit([clips], tmp_path / "run", values, options, validation=[other])
    assert not (tmp_path / "run").exists()


def test_nothing_to_score_is_said_before_the_first_epoch(clips: Truth, tmp_path: Path) -> None:
    (video,) = clips.videos
    early = TruthTube(0, 0, np.asarray(video.tubes[0].boxes)[:2])
    short = Truth(clips.classes, [replace(video, tubes=[early])])
    with pytest.raises(AnnotationError, match="found none in the last 50% of each video"):
        train(short, tmp_path / "run")
    assert not (tmp_path / "run").exists()


class _Brightness(torch.nn.Module):
    """Finds one box in every picture, with a score that grows with its brightness."""

    def __init__(self) -> None:
        super().__init__()
        self.unused = torch.nn.Parameter(torch.zeros(1))

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        heatmap = torch.full((1, 1, 16, 16), -9.0)
        heatmap[0, 0, 8, 8] = x[:, :3].mean()
        sizes, offsets = (torch.full((1, 2, 16, 16), value) for value in (8.0, 0.0))
        return {"hm": heatmap, "wh": sizes, "reg": offsets}


def test_what_is_found_in_a_video_without_any_action_is_wrong(tmp_path: Path) -> None:
    dark, bright = tmp_path / "dark", tmp_path / "bright"
    for folder, level in ((dark, 0), (bright, 255)):
        folder.mkdir()
        for number in range(4):
            cv2.imwrite(str(folder / f"{number}.png"), np.full((64, 64, 3), level, np.uint8))
    tube = TruthTube(0, 0, np.array([[16.0, 16, 48, 48]] * 4))
    annotated = VideoTruth("dark", 4, 64, 64, [tube], None, dark)
    empty = VideoTruth("bright", 4, 64, 64, [], None, bright)
    for videos, expected in (([annotated], 1.0), ([annotated, empty], 0.5)):
        found = held_out_frame_map(_Brightness(), Truth(["a"], videos), SMALL, 1.0)
        assert found == pytest.approx(expected)
    single = replace(empty, frames=1)
    assert held_out_frame_map(_Brightness(), Truth(["a"], [annotated, single]), SMALL, 0.25) == 1.0


@given(
    epoch=st.integers(1, 30),
    best=st.integers(1, 30),
    every=st.integers(0, 7),
    patience=st.integers(0, 9),
)
def test_when_it_is_scored_and_ends(epoch: int, best: int, every: int, patience: int) -> None:
    values = of(epochs=20, validate_every=every, early_stop=patience)
    validation = Validation([Truth(["a"], [])], 1.0, values)
    due = epoch == 20 or (every > 0 and epoch % every == 0)
    assert validation.due(epoch) == due
    assert not Validation([], 1.0, values).due(epoch)
    stops = validation.stops(epoch, Best(best, (0.5,)))
    assert stops == (due and patience > 0 and epoch - best >= patience)
    assert not validation.stops(epoch, None)
