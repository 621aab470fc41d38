"""Tests the listing of cameras with a fake ``ioctl``."""

from __future__ import annotations

import errno
import os
import struct
from pathlib import Path

import pytest

from edgekit.media.sources.cameras import v4l2
from edgekit.media.sources.cameras.messages import NOT_PERMITTED
from edgekit.media.sources.cameras.v4l2 import Format, cameras, describe


class Kernel:
    """Answers like the driver of a USB camera, by the layout of linux/videodev2.h."""

    def __init__(self, caps=0x85200001, own=0x04200001, kind=1, stepwise=False):
        self.caps, self.own, self.kind, self.stepwise = caps, own, kind, stepwise
        self.formats = [b"MJPG", b"YUYV"]
        self.sizes = {b"MJPG": [(640, 480), (1920, 1080)], b"YUYV": [(320, 240)]}
        self.intervals = {(640, 480): [(1, 30), (1, 60)], (1920, 1080): [(1001, 30000)]}

    def __call__(self, descriptor, request, answer):
        os.fstat(descriptor)
        assert len(answer) == request >> 16 & 0x3FFF
        assert request >> 8 & 0xFF == ord("V")
        number = request & 0xFF
        if number == 0:
            struct.pack_into(
                "=16s32s32sIII",
                answer,
                0,
                b"uvcvideo",
                b"HD Webcam",
                b"usb",
                1,
                self.caps,
                self.own,
            )
            return 0
        index, second = struct.unpack_from("=II", answer)
        if number == 2:
            assert second == self.kind
            if index >= len(self.formats):
                raise OSError(errno.EINVAL, "no more")
            struct.pack_into("=I32s4s", answer, 8, 0, b"a format", self.formats[index])
        elif number == 75:
            width, height = struct.unpack_from("=II", answer, 8)
            if self.stepwise and index == 0:
                struct.pack_into("=7I", answer, 16, 3, 1, 120, 1, 1, 0, 0)
                return 0
            intervals = self.intervals.get((width, height), [])
            if index >= len(intervals):
                raise OSError(errno.EINVAL, "no more")
            struct.pack_into("=3I", answer, 16, 1, *intervals[index])
        else:
            assert number == 74
            sizes = self.sizes[second.to_bytes(4, "little")]
            if index >= (1 if self.stepwise else len(sizes)):
                raise OSError(errno.EINVAL, "no more")
            if self.stepwise:
                struct.pack_into("=7I", answer, 8, 3, 16, 4096, 8, 16, 2160, 8)
            else:
                struct.pack_into("=3I", answer, 8, 1, *sizes[index])
        return 0


@pytest.fixture
def device(tmp_path):
    path = tmp_path / "video0"
    path.touch()
    return path


def test_a_camera_has_a_name_formats_and_sizes(device):
    camera = describe(device, Kernel())
    assert camera[:3] == (str(device), "HD Webcam", "uvcvideo")
    assert camera.formats == (
        Format("MJPG", ((1920, 1080), (640, 480)), ((29.97,), (60.0, 30.0))),
        Format("YUYV", ((320, 240),), ((),)),
    )


def test_a_big_endian_format_has_a_printable_name(device):
    kernel = Kernel()
    kernel.formats = [b"Y16 ", b"Y16\xa0"]
    kernel.sizes = {name: [(640, 480)] for name in kernel.formats}
    assert [form.name for form in describe(device, kernel).formats] == ["Y16", "Y16-BE"]


def test_a_camera_of_planes_and_steps(device):
    camera = describe(device, Kernel(own=0x1000, kind=9, stepwise=True))
    assert camera.formats[0] == Format("MJPG", ((4096, 2160),), ((120.0, 1.0),))
    assert camera.planes


def test_a_driver_without_capabilities_of_its_own(device):
    assert describe(device, Kernel(caps=1, own=0)).name == "HD Webcam"
    assert describe(device, Kernel(caps=2, own=1)) is None


def test_the_second_device_of_a_camera_gives_no_pictures(device):
    assert describe(device, Kernel(own=0x04A00000)) is None


@pytest.mark.parametrize(
    ("number", "problem"),
    [(errno.EACCES, NOT_PERMITTED), (errno.EPERM, NOT_PERMITTED), (errno.EBUSY, "is in use")],
)
def test_a_camera_that_cannot_be_opened_is_known_by_its_name(
    device, tmp_path, monkeypatch, number, problem
):
    entry = tmp_path / "system" / "video0"
    entry.mkdir(parents=True)
    (entry / "name").write_text("HD Webcam: HD Webcam\n")
    (entry / "index").write_text("0\n")

    def refuse(*arguments):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "open", refuse)
    camera = describe(device, system=entry.parent)
    assert camera.name == "HD Webcam: HD Webcam"
    assert problem in camera.problem
    assert camera.formats == ()
    (entry / "index").write_text("1\n")  # the metadata of the same camera
    assert describe(device, system=entry.parent) is None


def test_a_device_of_a_container_that_may_not_be_opened_is_a_camera(tmp_path, monkeypatch):
    """There the kernel's folder of devices can be missing; /dev/null stands for the device."""

    def refuse(*arguments):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(os, "open", refuse)
    node = Path(os.devnull)
    assert describe(node, system=tmp_path) is None
    monkeypatch.setattr(v4l2, "_MAJOR", os.major(node.stat().st_rdev))
    camera = describe(node, system=tmp_path)
    assert (camera.device, camera.problem) == (os.devnull, NOT_PERMITTED)
    assert describe(tmp_path / "regular", system=tmp_path) is None


def test_what_is_no_camera(device, tmp_path):
    assert describe(device) is None  # the real kernel says so
    assert describe(Path("/dev/null")) is None
    assert describe(tmp_path / "video1") is None


def test_links_beside_the_devices_are_no_cameras(tmp_path):
    for name in ("video0-front", "video1", "video1.left", "video10"):
        (tmp_path / name).touch()
    assert cameras(tmp_path) == []


def test_the_cameras_of_this_machine_can_be_listed():
    assert all(Path(camera.device).exists() for camera in cameras())
