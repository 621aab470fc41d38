from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edgekit.datasets.published import read_truth
from edgekit.errors import AnnotationError


def key(frame: int, x: float = 25.0, enabled: bool = True) -> dict[str, Any]:
    return {
        "frame": frame, "enabled": enabled, "rotation": 0, "x": x, "y": 50, "width": 25,
        "height": 50, "time": frame / 25,
    }  # fmt: skip


def region(*keys: dict[str, Any], labels: tuple[str, ...] = ("walk",)) -> dict[str, Any]:
    value = {"framesCount": 30, "duration": 1.2, "sequence": list(keys), "labels": list(labels)}
    return {
        "value": value, "id": "c-1", "from_name": "box", "to_name": "video",
        "type": "videorectangle", "origin": "manual",
    }  # fmt: skip


def task(
    *regions: dict[str, Any], video: str = "/data/upload/2/0f3c9a1b-gym.mp4"
) -> dict[str, Any]:
    """A task as Label Studio exports it."""
    annotation = {"id": 7, "was_cancelled": False, "result": list(regions), "lead_time": 41.3}
    return {"id": 5, "annotations": [annotation], "predictions": [], "data": {"video": video}}


def write(root: Path, *tasks: Any) -> Path:
    (root / "project-2-at-2026-11-03.json").write_text(json.dumps(tasks))
    return root


@pytest.mark.parametrize(
    "video",
    ["/data/upload/2/0f3c9a1b-gym.mp4", "/data/local-files/?d=clips/gym.mp4", "gym.mp4"],
)
def test_regions_become_tubes(tmp_path: Path, clip: Callable[..., Path], video: str) -> None:
    path = clip(tmp_path / "videos/gym.mp4")
    regions = region(key(5), key(9, 50, enabled=False), key(21)), region(key(1), labels=("jump",))
    choice = {"type": "choices", "value": {"choices": ["good"]}}
    truth = read_truth("label-studio", write(tmp_path, task(*regions, choice, video=video)))
    (found,) = truth.videos
    assert truth.classes == ["walk", "jump"]
    assert (found.name, found.frames, found.width, found.height) == ("gym.mp4", 30, 64, 48)
    assert found.path == path
    first, second, jump = found.tubes
    assert (first.label, first.start, first.end) == (0, 4, 8)
    assert first.boxes.tolist()[:2] == [[16, 24, 32, 48], [20, 24, 36, 48]]
    assert (second.start, second.end) == (20, 29)  # to the end of the video
    assert (jump.label, jump.start, jump.end) == (1, 0, 29)


@pytest.mark.parametrize(
    ("rate", "last", "spans"),
    [
        (25, 30, [(0, 9), (19, 29)]),
        (24, 29, [(0, 9), (20, 29)]),
        (50, 60, [(0, 4), (10, 29)]),
        (12.5, 15, [(0, 19), (28, 29)]),
    ],
)
def test_frames_are_those_of_the_video_whatever_the_rate_of_the_annotation(
    tmp_path: Path, clip: Callable[..., Path], rate: float, last: int, spans: list[tuple[int, int]]
) -> None:
    clip(tmp_path / "gym.mp4")
    keys = [key(1), key(10, enabled=False), *([key(20)] if last > 20 else ()), key(last)]
    given = [{**one, "time": one["frame"] / rate} for one in keys]
    (video,) = read_truth("label-studio", write(tmp_path, task(region(*given)))).videos
    assert [(tube.start, tube.end) for tube in video.tubes] == spans


def test_a_turned_box_becomes_the_box_around_it(tmp_path: Path, clip: Callable[..., Path]) -> None:
    clip(tmp_path / "gym.mp4")
    turned = {**key(1), "rotation": 90}  # about its upper left corner, (16, 24)
    (video,) = read_truth("label-studio", write(tmp_path, task(region(turned)))).videos
    assert video.tubes[0].boxes[0] == pytest.approx([-8, 24, 16, 40])


def test_a_cancelled_annotation_does_not_count(tmp_path: Path, clip: Callable[..., Path]) -> None:
    clip(tmp_path / "gym.mp4")
    found = task(region(key(1)))
    found["annotations"].append({"was_cancelled": True, "result": []})
    assert read_truth("label-studio", write(tmp_path, found)).videos[0].tubes


@pytest.mark.parametrize(
    ("found", "message"),
    [
        (3, "expected a list of tasks"),
        (task(region(key(1)), video="gone.mp4"), "needs the video 'gone.mp4'"),
        (task(region(key(1), labels=())), "task 5, region 0: it has no label"),
        (task({"type": "videorectangle", "value": {"sequence": 3}}), "task 5: Expected `array`"),
        (task(region(key(0))), "frame -1, expected"),
        (task(region(key(1)), video="v" * (1 << 16)), "its 'data' has over 65536 bytes"),
        (task(region(key(31))), "the video has 30 frames"),
        (task(region({**key(1), "frame": 10**300})), "9999, expected 0 to"),
        (
            task(region({**key(9), "time": 1e-9}, {**key(31), "time": 1e9})),
            "the video has 30 frames",
        ),
        (task(region(key(1)), video="/data/.."), "not a path inside"),
        (task(region(key(1)), video="http://[::1"), "Invalid IPv6 URL"),
    ],
)
def test_what_is_wrong_is_named(
    tmp_path: Path, clip: Callable[..., Path], found: Any, message: str
) -> None:
    clip(tmp_path / "gym.mp4")
    with pytest.raises(AnnotationError) as caught:
        read_truth("label-studio", write(tmp_path, found))
    assert message in caught.value.message


def test_tasks_that_nobody_has_annotated_are_left_out_and_counted(
    tmp_path: Path, clip: Callable[..., Path], caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("gym", "empty"):
        clip(tmp_path / f"{name}.mp4")
    skipped = task(video="skipped.mp4")
    skipped["annotations"][0]["was_cancelled"] = True
    fresh = {**task(video="fresh.mp4"), "annotations": []}
    write(tmp_path, task(region(key(1))), task(video="empty.mp4"), skipped, fresh)
    videos = read_truth("label-studio", tmp_path).videos
    assert [(video.name, len(video.tubes)) for video in videos] == [
        ("gym.mp4", 1),
        ("empty.mp4", 0),
    ]
    assert "tasks that nobody has annotated, or that were skipped: 2." in caplog.text
