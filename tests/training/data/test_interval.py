from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

from edgekit._progress import SILENT
from edgekit.datasets.annotations import Truth
from edgekit.files.checksums import keep_file, proven_file
from edgekit.models.checkpoints import load_checkpoint
from edgekit.targets.onnx.export import OnnxExporter
from edgekit.targets.settings import ExportSettings, resolve
from edgekit.training.data.interval import pair_interval
from edgekit.training.data.preparing import ClipSource, prepared_clips
from edgekit.training.fit import FitOptions, fit
from edgekit.training.optimization.process_group import ALONE
from tests.training.data.clips import of, pictures, truth, video


def interval_of(root: Path, rates: list[float | None], gap: int = 1) -> float | None:
    """Returns the interval of clips with these rates; None is a folder of pictures."""
    videos = []
    for number, rate in enumerate(rates):
        path = root / f"{number}{'.mp4' if rate else ''}"
        made = video(path, 4, fps=rate) if rate else pictures(path, 4)
        videos.append((0, truth(made, 4)))
    source = ClipSource(videos, 1.0, (128, 128), root / "store", 1 << 30, 0)
    with prepared_clips(source, ALONE, SILENT, lambda line: None) as clips:
        assert clips.rates.tolist() == pytest.approx([rate or 25 for rate in rates])
        return pair_interval(clips, gap)


@pytest.mark.parametrize(
    ("rates", "gap", "expected"),
    [
        ([None], 1, 0.04),
        ([None], 3, 0.12),
        ([50], 1, 0.02),
        ([30, 30, None], 2, 2 / 30),
        ([25, 50, 50], 1, 0.02),
    ],
)
def test_the_interval_is_that_of_most_frames(
    tmp_path: Path, rates: list[float | None], gap: int, expected: float
) -> None:
    assert interval_of(tmp_path, rates, gap) == pytest.approx(expected)


def test_different_rates_are_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "near").mkdir()
    interval_of(tmp_path / "near", [25, 30])
    assert not caplog.text
    interval_of(tmp_path, [15, 60, 60])
    assert "between 15 and 60 frames per second" in caplog.text
    assert "0.0167 to 0.0667 s apart" in caplog.text


def test_an_interval_that_no_bundle_can_have_is_left_to_the_user(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert interval_of(tmp_path, [2], gap=21) is None
    assert "10.5 s apart" in caplog.text
    assert "Choose one for the export: interval." in caplog.text


def test_a_video_that_an_older_edgekit_stored_is_asked_for_its_rate(
    tmp_path: Path,
) -> None:
    found = video(tmp_path / "a.mp4", 4, fps=50)
    source = ClipSource([(0, truth(found, 4))], 1.0, (128, 128), tmp_path / "store", 1 << 30, 0)
    with prepared_clips(source, ALONE, SILENT, lambda line: None):
        (path,) = (tmp_path / "store").glob("frames-*/index")
    identity = path.parent.name.removeprefix("frames-")
    index = msgspec.msgpack.decode(proven_file(path, identity) or b"")
    assert index.pop("fps") == 50
    keep_file(path, msgspec.msgpack.encode(index), identity)
    with prepared_clips(source, ALONE, SILENT, lambda line: None) as clips:
        assert clips.rates.tolist() == [50]


@pytest.mark.usefixtures("own_networks")
def test_an_export_of_a_trained_network_has_its_interval(tmp_path: Path) -> None:
    found = video(tmp_path / "a.mp4", 6, fps=50)
    result = fit(
        [Truth(["one"], [truth(found, 6)])],
        tmp_path / "run",
        of(epochs=1, images=4, batch=2, size=(64, 64)),
        FitOptions(arch="tiny", origin="scratch", frame_store=tmp_path / "store"),
    )
    checkpoint = load_checkpoint(result.weights)
    assert json.loads(checkpoint.metadata["interval"]) == pytest.approx(0.02)
    resolved = resolve(ExportSettings(), checkpoint, result.weights, OnnxExporter())
    assert resolved.cascade.interval == pytest.approx(0.02)
    assert resolved.cascade.frame_gap == 1
