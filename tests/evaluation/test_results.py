from __future__ import annotations

import os
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edgekit.assets import default_bundle
from edgekit.bundle import load_bundle
from edgekit.datasets.annotations import TruthTube, VideoTruth
from edgekit.errors import AnnotationError
from edgekit.evaluation.results import ResultsFolder, results_key
from edgekit.metrics.frame_detections import FrameDetections
from edgekit.runtime.types import Array
from edgekit.targets.base import SessionOptions

FOUND = FrameDetections(
    np.arange(12, dtype=np.float32).reshape(3, 4),
    np.linspace(0, 1, 6, dtype=np.float32).reshape(3, 2),
    np.array([2, -1, 0, 1]),
    12.5,
)


@pytest.fixture
def video(tmp_path: Path) -> VideoTruth:
    path = tmp_path / "clip.mp4"
    path.write_bytes(b"a video")
    return VideoTruth("Biking/clip one.mp4", 4, 32, 32, [TruthTube(0, 0, np.eye(4))], 0, path)


def test_what_is_kept_is_found(tmp_path: Path, video: VideoTruth) -> None:
    results = ResultsFolder(tmp_path / "made" / "results", "key")
    assert results.find(video) is None
    kept = results.keep(video, FOUND)
    found = ResultsFolder(results.path, "key").find(video)
    assert found == kept
    assert found.path.name.startswith("Biking_clip_one.mp4-")
    assert found.annotated
    loaded = found.load()
    assert loaded.truth is video
    assert FrameDetections.of(loaded.detections, 2).fps == 12.5
    for one, other in zip(loaded.detections, FOUND, strict=True):
        if one is None or other is None:
            assert one is other
        else:
            assert one.boxes.tobytes() == other.boxes.tobytes()
            assert one.scores.tobytes() == other.scores.tobytes()


def test_a_name_may_be_long_in_any_script(tmp_path: Path, video: VideoTruth) -> None:
    results = ResultsFolder(tmp_path / "results", "key")
    for letter in "aё动𐎀":
        named = replace(video, name=f"{40 * letter}/{45 * letter}.mp4")
        kept = results.keep(named, FOUND)
        assert results.find(named) == kept
        assert f"{letter}.mp4-" in kept.path.name
    assert len([*results.path.iterdir()]) == 4


def test_a_picture_of_a_video_need_not_have_a_name_in_utf_8(tmp_path: Path) -> None:
    folder = tmp_path / "pictures"
    folder.mkdir()
    (folder / os.fsdecode(b"\xff.png")).touch()
    video = VideoTruth("pictures", 4, 32, 32, [TruthTube(0, 0, np.eye(4))], 0, folder)
    results = ResultsFolder(tmp_path / "results", "key")
    assert results.find(video) is None
    kept = results.keep(video, FOUND)
    assert results.find(video) == kept
    (folder / os.fsdecode(b"\xff.png")).rename(folder / os.fsdecode(b"\xfe.png"))
    assert results.find(video) is None


def test_equal_detections_are_equal_bytes(tmp_path: Path, video: VideoTruth) -> None:
    written = [ResultsFolder(tmp_path / name, "key").keep(video, FOUND).path for name in "ab"]
    assert written[0].name == written[1].name
    assert written[0].read_bytes() == written[1].read_bytes()


def test_another_key_or_another_video_has_no_result(tmp_path: Path, video: VideoTruth) -> None:
    results = ResultsFolder(tmp_path / "results", "key")
    results.keep(video, FOUND)
    assert ResultsFolder(results.path, "other").find(video) is None
    assert video.path is not None
    status = video.path.stat()
    os.utime(video.path, ns=(status.st_atime_ns, status.st_mtime_ns + 1))
    assert results.find(video) is None


@pytest.mark.parametrize("said", [{"frames": 5}, {"width": 64}, {"height": 24}])
def test_another_annotation_of_the_video_itself_has_no_result(
    tmp_path: Path, video: VideoTruth, said: dict[str, int]
) -> None:
    results = ResultsFolder(tmp_path / "results", "key")
    results.keep(video, FOUND)
    assert results.find(replace(video, **said)) is None  # the video may have to be refused
    assert results.find(replace(video, tubes=[])) is not None


def test_the_pictures_of_a_folder_are_its_identity(tmp_path: Path) -> None:
    folder = tmp_path / "pictures"
    folder.mkdir()
    (folder / "1.jpg").write_bytes(b"one")
    video = VideoTruth("v", 4, 32, 32, [], None, folder)
    results = ResultsFolder(tmp_path / "results", "key")
    results.keep(video, FOUND)
    assert results.find(video) is not None
    (folder / "2.jpg").write_bytes(b"two")
    assert results.find(video) is None


def test_a_video_of_another_length_is_not_kept(tmp_path: Path, video: VideoTruth) -> None:
    results = ResultsFolder(tmp_path / "results", "key")
    short = FrameDetections(FOUND.boxes, FOUND.scores, FOUND.counts[:3])
    with pytest.raises(AnnotationError, match="detections for 3 frames"):
        results.keep(video, short)
    assert not results.path.exists()


@pytest.mark.parametrize("spoil", [b"", b"half", "cut", "zeros"])
def test_a_file_that_was_not_written_completely_is_no_result(
    tmp_path: Path, video: VideoTruth, spoil: bytes | str
) -> None:
    results = ResultsFolder(tmp_path / "results", "key")
    stored = results.keep(video, FOUND)
    whole = stored.path.read_bytes()
    damaged = {"cut": whole[:-100], "zeros": whole[:60] + bytes(40) + whole[100:]}
    stored.path.write_bytes(spoil if isinstance(spoil, bytes) else damaged[spoil])
    assert results.find(video) is None
    with pytest.raises(AnnotationError, match="gone or damaged"):
        stored.load()


def test_damage_anywhere_in_a_result_is_no_result_or_changes_nothing(
    tmp_path: Path, video: VideoTruth
) -> None:
    results = ResultsFolder(tmp_path / "results", "key")
    stored = results.keep(video, FOUND)
    whole = stored.path.read_bytes()
    for place in range(len(whole)):
        stored.path.write_bytes(whole[:place] + bytes([whole[place] ^ 0x49]) + whole[place + 1 :])
        found = results.find(video)
        if found is not None:
            loaded = found.load().detections
            assert isinstance(loaded, FrameDetections)
            for name in ("boxes", "scores", "counts"):
                assert np.array_equal(getattr(loaded, name), getattr(FOUND, name))


def test_only_what_changes_detections_changes_their_key() -> None:
    bundle = load_bundle(default_bundle())
    usual = results_key(bundle, SessionOptions(), None)
    assert results_key(bundle, SessionOptions(threads=1, hint="latency"), None) == usual
    others = {
        results_key(bundle, SessionOptions(), 10),
        results_key(bundle, SessionOptions(device="CPU"), None),
        results_key(bundle, SessionOptions(arithmetic="f32"), None),
        results_key(bundle, SessionOptions(runtime="onnxruntime"), None),
    }
    assert len(others | {usual}) == 5


def test_another_version_of_the_runtime_changes_the_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = load_bundle(default_bundle())
    usual = results_key(bundle, SessionOptions(), None)
    for name, is_runtime in (("numpy", False), ("onnxruntime", True)):
        place = tmp_path / name / f"{name}-99.0.dist-info"
        place.mkdir(parents=True)
        (place / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 99.0\n")
        monkeypatch.syspath_prepend(place.parent)
        assert (results_key(bundle, SessionOptions(), None) != usual) is is_runtime


@pytest.mark.parametrize(
    "change",
    [
        {"boxes": np.ones(3)},
        {"boxes": np.ones((3, 5))},
        {"scores": np.ones((3, 2, 1))},
        {"scores": np.full((3, 2), "a")},
        {"counts": np.array([1.0, np.nan])},
        {"counts": np.array(3)},
        {},
    ],
)
def test_a_file_of_other_arrays_is_no_result(
    tmp_path: Path, video: VideoTruth, change: dict[str, Array]
) -> None:
    results = ResultsFolder(tmp_path / "results", "key")
    place = results.keep(video, FOUND).path
    arrays = {"boxes": FOUND.boxes, "scores": FOUND.scores, "counts": FOUND.counts}
    np.savez(place, **{**arrays, **change})
    if not change:  # an array that claims more than any memory
        claim = b"{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000, 4), }"
        with zipfile.ZipFile(place, "w") as file:
            for name in arrays:
                file.writestr(f"{name}.npy", b"\x93NUMPY\x01\0v\0" + claim.ljust(117) + b"\n")
    assert results.find(video) is None


def test_a_pipe_in_the_place_of_a_result_is_none(tmp_path: Path, video: VideoTruth) -> None:
    results = ResultsFolder(tmp_path / "results", "key")
    place = results.keep(video, FOUND).path
    place.unlink()
    os.mkfifo(place)
    assert results.find(video) is None


def test_a_result_that_others_may_write_is_none(tmp_path: Path, video: VideoTruth) -> None:
    results = ResultsFolder(tmp_path / "results", "key")
    place = results.keep(video, FOUND).path
    place.chmod(0o666)
    assert results.find(video) is None
    place.chmod(0o664)
    assert results.find(video) is not None
    if not os.geteuid():  # only root can give a file to another user
        os.chown(place, 65534, 65534)
        assert results.find(video) is None
