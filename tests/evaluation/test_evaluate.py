"""``edgekit.evaluate``: the command's work, called from Python."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

import edgekit
from edgekit.assets import default_bundle
from edgekit.calibration.cache import contents_of
from edgekit.errors import AnnotationError, BundleError, MediaError, OutputError, UsageError
from edgekit.synthetic.dataset import write_dataset
from edgekit.targets.base import SessionOptions
from tests.recorded_progress import RecordedProgress

ONE = SessionOptions(threads=1)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dataset") / "clips"
    write_dataset(folder, (1, 2), frames=12)
    return folder


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of each test's own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_a_bundle_and_what_it_detected(root: Path, tmp_path: Path) -> None:
    progress, saved = RecordedProgress(), tmp_path / "detections.json.gz"
    bundle = edgekit.load_bundle(default_bundle())
    result = edgekit.evaluate(
        bundle, root=str(root), session=ONE, save_detections=saved, progress=progress
    )
    assert progress.seen == [("Detecting", 2), "step", "step"]
    assert 0 < result.frame_map <= 1
    assert result.link == "edgekit"
    again = edgekit.evaluate(detections=saved)
    assert again.frame_map == result.frame_map
    assert again.video_map == result.video_map
    published = edgekit.evaluate(detections=saved, protocol="published", min_hits=1)
    assert (published.link, published.protocol) == ("road", "published")


def test_two_processes_give_the_same(root: Path, tmp_path: Path) -> None:
    bundle, files = default_bundle(), []
    found = []
    for workers in (1, 2):
        results = tmp_path / str(workers)
        found.append(
            edgekit.evaluate(bundle, root=root, session=ONE, workers=workers, results=results)
        )
        files.append({path.name: path.read_bytes() for path in results.iterdir()})
    assert found[0].frame_map == found[1].frame_map
    assert files[0] == files[1]
    assert len(files[0]) == 2


def test_a_video_that_fails_is_named_and_the_others_are_scored(root: Path, tmp_path: Path) -> None:
    clips = shutil.copytree(root, tmp_path / "clips")
    whole = edgekit.evaluate(default_bundle(), root=clips, session=ONE)
    assert whole.failures == {}
    broken = sorted(path for path in clips.iterdir() if path.suffix != ".json")[0]
    shutil.rmtree(broken) if broken.is_dir() else broken.write_bytes(b"no video")
    result = edgekit.evaluate(default_bundle(), root=clips, session=ONE)
    assert list(result.failures) == [broken.name]
    assert set(whole.tubes) - set(result.tubes) == {broken.name}
    assert result.to_dict()["failures"] == result.failures
    with pytest.raises(MediaError):
        edgekit.evaluate(default_bundle(), root=clips, session=ONE, strict=True)


def test_results_are_kept_in_the_cache_and_need_none(
    root: Path, cache: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    first = edgekit.evaluate(default_bundle(), root=root, session=ONE)
    assert contents_of(cache / "edgekit").pieces == {"videos": 1}
    assert "processed before" not in caplog.text
    again = edgekit.evaluate(default_bundle(), root=root, session=ONE)
    assert "2 of 2 videos were processed before" in caplog.text
    assert again.frame_map == first.frame_map
    monkeypatch.setenv("XDG_CACHE_HOME", "/proc/none")
    third = edgekit.evaluate(default_bundle(), root=root, session=ONE)
    assert third.frame_map == first.frame_map
    assert "will not be kept" in caplog.text


def test_a_video_that_fails_is_no_part_of_a_comparison(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    clips, saved = tmp_path / "clips", tmp_path / "saved.json"
    write_dataset(clips, (1, 2, 3), frames=12)
    first, *_ = sorted(path for path in clips.iterdir() if path.suffix != ".json")
    options: dict[str, Any] = {"root": clips, "session": ONE}
    (clips / first.name).rename(tmp_path / first.name)
    edgekit.evaluate(default_bundle(), save_detections=saved, **options)  # without the first
    (tmp_path / first.name).rename(clips / first.name)
    assert edgekit.evaluate(default_bundle(), compare=saved, **options).comparison is not None
    assert "of the 2 videos that have results here and in the file" in caplog.text
    assert "3 have one here, and 2 there." in caplog.text


def test_other_videos_are_refused_before_any_is_processed(root: Path, tmp_path: Path) -> None:
    saved, results = tmp_path / "saved.json", tmp_path / "results"
    edgekit.evaluate(default_bundle(), root=root, session=ONE, save_detections=saved)
    clips = shutil.copytree(root, tmp_path / "clips", symlinks=True)
    content = json.loads((root / "annotations.json").read_text())
    name, video = next(iter(content["videos"].items()))
    more = {**video, "tubes": [*video["tubes"], video["tubes"][0]]}
    for videos, words in (
        ({**content["videos"], name: more}, f"annotations of '{name}' differ"),
        ({name: video}, "their videos differ: here 1; in the file to compare with 2"),
    ):
        (clips / "annotations.json").write_text(json.dumps({**content, "videos": videos}))
        with pytest.raises(AnnotationError, match=words):
            edgekit.evaluate(
                default_bundle(), root=clips, session=ONE, compare=saved, results=results
            )
    assert not results.exists()


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({}, "neither root nor detections was given"),
        (
            {"root": "clips", "detections": "d.json"},
            "detections cannot be used together with a bundle or a dataset",
        ),
        (
            {"bundle": 3, "root": "clips"},
            "bundle to be a path, as a string or a path object; found 3",
        ),
        ({"root": 3}, "Expected root to be a path, as a string or a path object; found 3"),
        ({"root": "clips", "dataset": "csv"}, "Expected dataset to be one of json"),
        ({"root": "clips", "link": "mine"}, "Expected link to be one of edgekit, road"),
        ({"root": "clips", "cost": "low"}, "Expected cost to be one of score"),
        # Before the annotations are read, which are not there.
        ({"root": "clips", "cost": "similarity"}, "cost='similarity' works only with the linkers"),
        ({"root": "clips", "link": "road", "max_gap": 1.0}, "max_gap=1.0 works only with the link"),
        ({"root": "clips", "protocol": "published", "delay": 5}, "delay=5 works only with the li"),
        ({"root": "clips", "max_misses": 5, "max_gap": 1.0}, "max_misses=5 and max_gap=1.0 cannot"),
        ({"root": "clips", "protocol": "x"}, "Expected protocol to be one of edgekit, published"),
        ({"root": "clips", "frames": "x"}, "Expected frames to be one of all, annotated"),
        ({"root": "clips", "split": 4}, "Expected split to be at least 1 and at most 3; found 4."),
        ({"root": "clips", "top_k": 1.5}, "Expected top_k to be int or None; found 1.5"),
        ({"root": "clips", "workers": 0}, "Expected workers to be at least 1; found 0."),
        ({"root": "clips", "host": ("-x",)}, "Expected host to be a name for ssh; found '-x'."),
        ({"root": "clips", "host": ("a", "a")}, "Expected each host once; a was given twice."),
        ({"root": "clips", "host": (1,)}, "Expected host to be"),
        ({"detections": "d.json", "host": ("a",)}, "detections and host cannot be used together"),
        ({"detections": "d.json", "cluster": "tcp://a:1"}, "detections and cluster cannot be used"),
        ({"detections": "d.json", "top_k": 5}, "detections and top_k cannot be used together"),
        ({"detections": "d.json", "split": 2}, "detections and split cannot be used together"),
        (
            {"detections": "d.json", "report": "./d.json"},
            "report=d.json is already the file of another option.",
        ),
        (
            {"root": "clips", "save_detections": "d.json", "compare": "d.json"},
            "save_detections=d.json is already the file of another option.",
        ),
        (
            {"root": "clips", "save_detections": "d.json", "report": "d.json"},
            "save_detections=d.json is already the file of another option.",
        ),
        ({"root": "clips", "session": {"threads": 1}}, "Expected session to be SessionOptions"),
    ],
)
def test_wrong_values(values: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError) as caught:
        edgekit.evaluate(**values)
    assert words in caught.value.message


def test_annotations_are_not_replaced(root: Path) -> None:
    before = (root / "annotations.json").read_bytes()
    with pytest.raises(UsageError, match="already the file of another option"):
        edgekit.evaluate(root=root, save_detections=root / "annotations.json")
    assert (root / "annotations.json").read_bytes() == before


def test_inputs_that_are_not_there(root: Path, tmp_path: Path) -> None:
    with pytest.raises(BundleError):
        edgekit.evaluate(tmp_path / "none", root=root)
    with pytest.raises(AnnotationError):
        edgekit.evaluate(default_bundle(), root=tmp_path)
    with pytest.raises(AnnotationError):
        edgekit.evaluate(detections=tmp_path / "none.json")


@pytest.mark.parametrize("name", ["report", "save_detections", "clips", "results"])
def test_outputs_that_cannot_be_written_are_refused_before_the_work(
    root: Path, tmp_path: Path, cache: Path, name: str
) -> None:
    (tmp_path / "file").touch()
    progress = RecordedProgress()
    with pytest.raises(OutputError, match=r"x\.json"):
        edgekit.evaluate(root=root, progress=progress, **{name: tmp_path / "file" / "x.json"})
    assert progress.seen == []
    assert not cache.exists()
