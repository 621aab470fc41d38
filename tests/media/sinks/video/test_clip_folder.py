"""Tests that old clips are removed, and nothing else."""

from __future__ import annotations

import os
import subprocess
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekit.media.sinks.video._clip_folder import ClipFolder

SIZE = 100


def write(folder, ages):
    """Clips of 100 bytes, each of an age in seconds."""
    now = time.time()
    for number, age in enumerate(ages):
        for ending, size in ((".mp4", 80), (".json", 20)):
            path = folder / f"20260101T00000{number % 10}-{number}{ending}"
            path.write_bytes(bytes(size))
            os.utime(path, (now - age, now - age))


def left(folder):
    return sorted(int(path.stem.split("-")[1]) for path in folder.glob("*.mp4"))


@given(
    hours=st.lists(st.integers(0, 30), max_size=9, unique=True),
    count=st.integers(0, 9),
    oldest=st.none() | st.integers(0, 30),
)
def test_the_newest_stay(tmp_path_factory, hours, count, oldest):
    folder = tmp_path_factory.mktemp("clips")
    write(folder, [3600 * age for age in hours])
    seconds = None if oldest is None else 3600 * (oldest + 0.5)
    ClipFolder(folder, most_bytes=SIZE * count + 50, most_seconds=seconds).tidy()
    by_age = sorted(range(len(hours)), key=lambda number: hours[number])
    young = [n for n in by_age[:count] if oldest is None or hours[n] <= oldest]
    # The newest stays in any case.
    assert left(folder) == sorted(young or by_age[:1])
    assert len(list(folder.iterdir())) == 2 * len(left(folder))


@pytest.mark.parametrize("limits", [{"most_bytes": 3 * SIZE}, {"most_seconds": 7200}])
def test_clips_of_a_run_are_the_newest_though_the_clock_begins_in_1970(tmp_path, limits):
    write(tmp_path, [3600, 60, -60])
    folder = ClipFolder(tmp_path, **limits)
    for number in range(3, 5):
        for ending in (".mp4", ".json"):
            path = tmp_path / f"19700101T000100-{number}{ending}"
            path.write_bytes(bytes(SIZE // 2))
            os.utime(path, (60, 60))
        folder.add(f"19700101T000100-{number}")
    assert left(tmp_path) == ([2, 3, 4] if "most_bytes" in limits else [0, 1, 2, 3, 4])


def test_without_a_limit_and_of_other_names_all_stay(tmp_path):
    write(tmp_path, [1e6, 2e6])
    others = ["holiday.mp4", "20260101T000000-1.mkv", "x20260101T000000-1.mp4", "notes.json"]
    for name in others:
        (tmp_path / name).write_bytes(bytes(1000))
    folder = ClipFolder(tmp_path)
    folder.add("20260101T000000-0")
    assert len(list(tmp_path.iterdir())) == 4 + len(others)
    assert not folder._completed  # the memory of a run without an end
    ClipFolder(tmp_path, most_bytes=1, most_seconds=1).tidy()
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {*others, "20260101T000000-0.mp4", "20260101T000000-0.json"}


def test_a_folder_that_cannot_be_read_is_said_once(tmp_path, caplog):
    folder = ClipFolder(tmp_path / "gone", most_bytes=1)
    folder.tidy()
    folder.tidy()
    assert caplog.text.count("cannot be removed: No such file or directory") == 1


def test_links_and_folders_with_the_names_of_clips_stay_and_stop_nothing(tmp_path):
    folder, other = tmp_path / "clips", tmp_path / "other"
    folder.mkdir()
    write(folder, [3600, 7200])
    other.write_bytes(bytes(10_000))
    (folder / "20250101T000000-7.mp4").symlink_to(other)
    (folder / "20250101T000000-8.mp4").symlink_to("nowhere")
    (folder / "20250101T000000-9.mp4").mkdir()
    for name in ("20250101T000000-7", "20250101T000000-8", "20250101T000000-9"):
        assert ClipFolder(folder).free_name(name) == f"{name}-2"
    ClipFolder(folder, most_bytes=SIZE).tidy()
    assert left(folder) == [0, 7, 8, 9]
    assert other.stat().st_size == 10_000


def test_a_clip_that_cannot_be_removed_keeps_no_other(tmp_path, caplog):
    write(tmp_path, [3600, 7200, 10800])
    stuck = tmp_path / "20260101T000002-2.mp4"
    try:
        subprocess.run(["chattr", "+i", stuck], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("needs chattr, root and a file system with attributes")
    try:
        ClipFolder(tmp_path, most_bytes=SIZE).tidy()
    finally:
        subprocess.run(["chattr", "-i", stuck], check=True)
    assert left(tmp_path) == [0, 2]
    assert caplog.text.count("cannot be removed: Operation not permitted") == 1
