"""Tests of the worst videos of an evaluation as clips."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import edgekit
from edgekit.assets import default_bundle
from edgekit.datasets.annotations import read_annotations
from edgekit.errors import MediaError, OutputError, UsageError
from edgekit.media import open_source
from edgekit.synthetic.dataset import write_dataset
from edgekit.targets.base import SessionOptions

ONE = SessionOptions(threads=1)
FRAMES = 12


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cache of each test's own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dataset") / "clips"
    write_dataset(folder, range(1, 8), frames=FRAMES)
    return folder


def test_the_five_worst_videos_show_annotated_boxes(root: Path, tmp_path: Path) -> None:
    folder, page = tmp_path / "new" / "my clips", tmp_path / "report.html"
    folder.parent.mkdir()
    result = edgekit.evaluate(default_bundle(), root=root, session=ONE, clips=folder, report=page)
    assert result.analysis is not None
    worst = [video.name for video in result.analysis.videos[:5]]
    assert list(result.clips) == worst
    assert [path.name for path in result.clips.values()] == [f"worst-{n}.mp4" for n in range(1, 6)]
    assert sorted(folder.iterdir()) == sorted(result.clips.values())
    assert result.to_dict()["clips"] == {name: str(path) for name, path in result.clips.items()}
    assert page.read_text().count('src="new/my%20clips/worst-') == 5
    videos = {video.name: video for video in read_annotations(root / "annotations.json").videos}
    for name, path in result.clips.items():
        with open_source(path) as clip, open_source(videos[name].require_path()) as source:
            shown, plain = list(clip), list(source)
        assert len(shown) == len(plain) == FRAMES
        assert [frame.time for frame in shown] == pytest.approx([n / 25 for n in range(FRAMES)])
        for tube in videos[name].tubes:
            height, width = plain[tube.start].image.shape[:2]
            x1, y1, x2, y2 = tube.boxes[0].round().astype(int)
            edges = np.zeros((height, width), bool)
            inside = np.arange(width), np.arange(height)
            for y in {y1, y2} & set(range(height)):
                edges[y, (inside[0] > x1) & (inside[0] < x2)] = True
            for x in {x1, x2} & set(range(width)):
                edges[(inside[1] > y1) & (inside[1] < y2), x] = True
            before, now = (each[tube.start].image.astype(int) for each in (plain, shown))
            assert np.abs(now - before)[edges].mean() > 20  # lines are drawn there


def test_a_run_without_clips_has_none(tmp_path: Path) -> None:
    write_dataset(tmp_path / "one", (1,), frames=FRAMES)
    result = edgekit.evaluate(default_bundle(), root=tmp_path / "one", session=ONE)
    assert result.clips == {}
    assert "clips" not in result.to_dict()


def test_what_clips_cannot_be(root: Path, tmp_path: Path) -> None:
    for words in ({"root": root, "protocol": "published"}, {"detections": tmp_path / "x.json"}):
        with pytest.raises(UsageError, match=r"clips|detections"):
            edgekit.evaluate(clips=tmp_path / "clips", **words)
    (tmp_path / "file").touch()
    with pytest.raises(OutputError):
        edgekit.evaluate(default_bundle(), root=root, session=ONE, clips=tmp_path / "file")


def test_a_video_that_is_gone_when_its_clip_is_written(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import edgekit.metrics.analysis.summary as summary

    summarise = summary.summarise

    def remove_and_summarise(*arguments: object) -> object:
        for path in copies:
            path.unlink()
        return summarise(*arguments)  # type: ignore[arg-type]

    folder = tmp_path / "clips"
    write_dataset(folder, (1,), frames=FRAMES)
    copies = list(folder.glob("*.avi"))
    monkeypatch.setattr(summary, "summarise", remove_and_summarise)
    with pytest.raises(MediaError, match="There is no file"):
        edgekit.evaluate(default_bundle(), root=folder, session=ONE, clips=tmp_path / "worst")
    assert list((tmp_path / "worst").iterdir()) == []
