"""Cameras. No machine of ours has one: OpenCV opens a file in its place."""

from __future__ import annotations

import subprocess
import sys

import pytest

from edgekit.errors import MediaError
from edgekit.media import camera
from edgekit.media._opencv import file_backend
from edgekit.media.camera import CameraSource


@pytest.fixture
def device(make_video, monkeypatch):
    """What OpenCV takes for a camera of ten frames."""
    monkeypatch.setattr(camera, "_backend", file_backend)
    return str(make_video(frames=10))


def test_a_camera_gives_frames_until_it_stops(device):
    with CameraSource(device) as source:
        assert source.live
        assert source.reopens
        assert (source.width, source.height, source.frames) == (64, 48, None)
        frames = [source.read() for _ in range(10)]
        assert [frame.index for frame in frames] == list(range(10))
        assert sorted(frame.time for frame in frames) == [frame.time for frame in frames]
        with pytest.raises(MediaError, match="stopped after 10 frames"):
            source.read()
        with source.reopened() as again:
            assert again.read().index == 0


def test_a_closed_camera_has_ended(device):
    source = CameraSource(device)
    source.read()
    source.close()
    source.close()
    assert source.read() is None


def test_what_is_no_camera_says_so(tmp_path):
    path = tmp_path / "video7"
    with pytest.raises(MediaError, match=f"there is no {path}"):
        CameraSource(str(path))
    with pytest.raises(MediaError, match="is no camera"):
        CameraSource("/dev/null")


def test_who_has_a_busy_camera_is_named(tmp_path, monkeypatch):
    path = tmp_path / "video0"
    path.touch()
    monkeypatch.setattr(camera, "describe", lambda path: object())
    hold = f"import sys; file = open({str(path)!r}); print('open', flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", hold], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout.readline() == b"open\n"
        with pytest.raises(MediaError, match=rf"others have it open: .* \(process {holder.pid}\)"):
            CameraSource(str(path))
    with pytest.raises(MediaError, match="gives no picture"):
        CameraSource(str(path))
