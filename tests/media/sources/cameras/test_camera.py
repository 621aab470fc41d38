"""Tests cameras with a fake driver whose buffers are really mapped and polled."""

from __future__ import annotations

import errno
import itertools
import os
import struct
import subprocess
import sys
import threading
import time

import cv2
import numpy as np
import pytest

from edgekit.errors import MediaError
from edgekit.media._opencv import file_backend
from edgekit.media.sources import open_source
from edgekit.media.sources.cameras import messages, opencv_camera
from edgekit.media.sources.cameras.camera import CameraSource
from edgekit.media.sources.cameras.opencv_camera import OpenCVCameraSource
from edgekit.media.sources.source import SourceOptions
from edgekit.pipeline.reading.live_reader import LiveReader
from tests.waiting import wait_until

BUFFER = struct.Struct("@5I2l2I8B2IL3I0L")
SLOT = 1 << 21
MONOTONIC, BROKEN = 0x2000, 0x40


def jpeg(size=(64, 48), level=90):
    return cv2.imencode(".jpg", np.full((size[1], size[0], 3), level, np.uint8))[1].tobytes()


class Driver:
    """Answers as the driver of a USB camera does, by the layout of linux/videodev2.h.

    Attributes:
        offers: Format, then size, then rates.
        rate: Frames a second that it gives, whatever it is asked for; None to do as asked.
        pictures: What its buffers hold: bytes, seconds of age, number, flags.
        coming: What comes after that, one at a time, each where somebody waits.
        error: Raised instead by the request of that number.
    """

    def __init__(self, path, offers=None):
        self.path = path
        self.offers = offers or {b"MJPG": {(640, 480): (30,), (64, 48): (30,)}}
        self.rate = None
        self.pictures = []
        self.coming = []
        self.count = 0
        self.error = {}
        self.mode = None
        self.queued = []
        self.streams = False
        self.asked = []
        path.write_bytes(bytes(4 * SLOT))

    def give(self, content, age=0.0, number=None, flags=MONOTONIC, *, old=False):
        if number is not None:
            self.count = number
        (self.pictures if old else self.coming).append((content, age, self.count, flags))
        self.count += 1

    def __call__(self, descriptor, request, answer):
        os.fstat(descriptor)
        assert len(answer) == request >> 16 & 0x3FFF
        assert request >> 8 & 0xFF == ord("V")
        number = request & 0xFF
        self.asked.append(number)
        if number in self.error:
            raise OSError(self.error[number], os.strerror(self.error[number]))
        getattr(self, f"_{number}")(answer)
        return 0

    def _0(self, answer):
        names = (b"uvcvideo", b"HD Webcam", b"usb")
        struct.pack_into("=16s32s32sIII", answer, 0, *names, 1, 0x85200001, 0x04200001)

    def _2(self, answer):
        (index,) = struct.unpack_from("=I", answer)
        formats = self._nth(list(self.offers), index)
        struct.pack_into("=I32s4s", answer, 8, 0, b"a format", formats)

    def _74(self, answer):
        index, code = struct.unpack_from("=II", answer)
        sizes = list(self.offers[code.to_bytes(4, "little")])
        struct.pack_into("=3I", answer, 8, 1, *self._nth(sizes, index))

    def _75(self, answer):
        index, code, width, height = struct.unpack_from("=4I", answer)
        rates = self.offers[code.to_bytes(4, "little")][width, height]
        struct.pack_into("=3I", answer, 16, 1, 1, self._nth(rates, index))

    def _5(self, answer):
        width, height, code = struct.unpack_from("=3I", answer, struct.calcsize("P"))
        sizes = self.offers[code.to_bytes(4, "little")]
        if (width, height) not in sizes:
            width, height = next(iter(sizes))
        self.mode = code.to_bytes(4, "little"), (width, height)
        stride = 0 if code.to_bytes(4, "little") == b"MJPG" else 2 * width
        struct.pack_into("=5I", answer, struct.calcsize("P"), width, height, code, 1, stride)

    def _21(self, answer):
        struct.pack_into("=I", answer, 4, 0x1000)

    def _22(self, answer):
        seconds, one = struct.unpack_from("=2I", answer, 12)
        rates = self.offers[self.mode[0]][self.mode[1]]
        rate = self.rate or min(rates, key=lambda rate: abs(rate - one / seconds))
        struct.pack_into("=2I", answer, 12, 1, rate)

    def _8(self, answer):
        assert struct.unpack_from("=3I", answer)[1:] == (1, 1)

    def _9(self, answer):
        fields = list(BUFFER.unpack(answer))
        fields[19], fields[20] = fields[0] * SLOT, SLOT
        BUFFER.pack_into(answer, 0, *fields)

    def _15(self, answer):
        index = BUFFER.unpack(answer)[0]
        assert index not in self.queued
        self.queued.append(index)

    def _17(self, answer):
        assert self.streams
        if not self.pictures or not self.queued:
            time.sleep(0.001)
            self.pictures += self.coming[:1]
            del self.coming[:1]
            raise BlockingIOError(errno.EAGAIN, "nothing yet")
        content, age, number, flags = self.pictures.pop(0)
        index = self.queued.pop(0)
        with self.path.open("r+b") as file:
            file.seek(index * SLOT)
            file.write(content)
        seconds = time.monotonic() - age
        fields = list(BUFFER.unpack(answer))
        fields[0], fields[2], fields[3] = index, len(content), flags
        fields[5], fields[6] = int(seconds), int(seconds % 1 * 1e6)
        fields[17] = number
        BUFFER.pack_into(answer, 0, *fields)

    def _18(self, answer):
        assert len(self.queued) == 4
        self.streams = True

    def _19(self, answer):
        self.streams = False

    @staticmethod
    def _nth(entries, index):
        if index >= len(entries):
            raise OSError(errno.EINVAL, "no more")
        return entries[index]


SMALL = SourceOptions(camera_size=(64, 48), patience=60)
HASTY = SourceOptions(camera_size=(64, 48), patience=0.2)


@pytest.fixture
def driver(tmp_path):
    path = tmp_path / "video0"
    path.touch()
    return Driver(path)


def opened(driver, options=SMALL):
    """A camera whose first picture, the proof that there are some, is taken."""
    driver.give(jpeg())
    return CameraSource(str(driver.path), options, ioctl=driver)


def refusal(driver, options=SMALL):
    with pytest.raises(MediaError) as caught:
        opened(driver, options)
    return str(caught.value)


def test_a_camera_gives_frames_until_it_stops(driver):
    with opened(driver) as source:
        assert source.live
        assert source.reopens
        assert (source.width, source.height, source.fps, source.frames) == (64, 48, 30.0, None)
        frames = []
        for number in range(1, 6):
            driver.give(jpeg(level=40 * number), number=number)
            frames.append(source.read())
        assert [frame.index for frame in frames] == [0, 1, 2, 3, 4]
        assert frames[0].time == 0
        assert all(a.time < b.time for a, b in itertools.pairwise(frames))
        means = [frame.image.mean() for frame in frames]
        assert means == pytest.approx([40, 80, 120, 160, 200], abs=2)
        assert not any(frame.gap for frame in frames)
        source._pictures._patience = 0.01
        with pytest.raises(MediaError, match=r"stopped after 5 frames: .* gave no whole picture"):
            source.read()
    driver.queued = []
    driver.give(jpeg(), number=0)
    with source.reopened() as again:
        driver.give(jpeg())
        assert again.read().index == 0
    assert not driver.streams


def test_what_was_filled_before_the_first_frame_is_asked_for_is_old(driver):
    with opened(driver) as source:
        for _ in range(4):
            driver.give(jpeg(level=0), age=9, old=True)
        driver.give(jpeg(level=200), age=0.02)
        frame = source.read()
    assert frame.image.mean() == pytest.approx(200, abs=2)
    assert (frame.index, frame.time, frame.gap) == (0, 0.0, "")


def test_times_are_those_of_the_driver(driver):
    with opened(driver) as source:
        driver.give(jpeg(), age=0.5, number=1)
        before = time.monotonic()
        driver_first = source.read()
        assert before - 0.5 <= driver_first.taken + 0.001
        assert driver_first.taken <= time.monotonic() - 0.5
        driver.give(jpeg(), age=0.1, number=2)
        second = source.read()
        assert second.taken <= time.monotonic() - 0.1
        assert second.time == second.taken - driver_first.taken


@pytest.mark.parametrize(("age", "flags"), [(5000.0, MONOTONIC), (-50.0, MONOTONIC), (0.3, 0)])
def test_a_clock_that_is_not_ours_is_not_believed(driver, age, flags):
    with opened(driver) as source:
        for number in (1, 2):
            driver.give(jpeg(), age=age, number=number, flags=flags)
            before = time.monotonic()
            frame = source.read()
            assert before <= frame.taken <= time.monotonic()


def test_pictures_that_the_driver_lost_are_counted(driver):
    with opened(driver) as source:
        driver.give(jpeg(), age=0.5, number=7)
        driver.give(jpeg(), age=0.3, number=10)
        driver.give(jpeg(), age=0.2, number=11)
        frames = [source.read() for _ in range(3)]
        assert [(frame.index, frame.gap) for frame in frames] == [(0, ""), (3, "dropped"), (4, "")]
        driver.give(jpeg(), age=0.1, number=2**31)  # counts something else
        assert source.read().index == 5


@pytest.mark.parametrize("kind", ["cut", "flag", "rubbish"])
def test_an_incomplete_picture_is_a_gap_and_no_frame(driver, kind):
    whole = jpeg()
    with opened(driver) as source:
        driver.give(whole, age=0.3, number=1)
        content = {"cut": whole[:-30], "flag": whole, "rubbish": b"\xff\xda\xff\xd9" * 9}[kind]
        flags = MONOTONIC | BROKEN if kind == "flag" else MONOTONIC
        driver.give(content, age=0.2, number=2, flags=flags)
        driver.give(whole + bytes(100), age=0.1, number=3)  # drivers pad
        frames = [source.read() for _ in range(2)]
    assert [(frame.index, frame.gap) for frame in frames] == [(0, ""), (2, "dropped")]


def test_a_raw_picture_that_is_cut_is_a_gap(tmp_path):
    driver = Driver(tmp_path / "video0", {b"YUYV": {(64, 48): (30,)}})
    raw = np.full((48, 64, 2), 128, np.uint8)
    raw[..., 0] = 126
    driver.give(raw.tobytes())
    with CameraSource(str(driver.path), SMALL, ioctl=driver) as source:
        for number in range(1, 4):
            driver.give(raw.tobytes()[: 100 if number == 2 else None], age=0.9 - number / 10)
        frames = [source.read() for _ in range(2)]
    assert [frame.index for frame in frames] == [0, 2]
    assert frames[0].image.shape == (48, 64, 3)
    assert frames[0].image.mean() == pytest.approx(128, abs=2)


def test_a_camera_that_never_ends_its_pictures_is_read_all_the_same(driver):
    endless = jpeg()[:-2]
    for number in range(5):
        driver.give(endless, number=number)
    with CameraSource(str(driver.path), SMALL, ioctl=driver) as source:
        driver.give(endless, number=5)
        assert source.read().image.mean() == pytest.approx(90, abs=2)


def test_a_frozen_camera_is_an_error_within_the_patience(driver):
    with pytest.raises(MediaError, match=r"gave no whole picture within 0\.2 seconds"):
        CameraSource(str(driver.path), HASTY, ioctl=driver)
    wait_until(lambda: not driver.streams)  # whoever still waits in the driver comes back


def test_a_closed_camera_has_ended_also_while_it_is_read(driver):
    source = opened(driver, SourceOptions(camera_size=(64, 48), patience=300))
    found = []
    thread = threading.Thread(target=lambda: found.append(source.read()))
    thread.start()
    wait_until(lambda: 17 in driver.asked[-1:])
    source.close()
    source.close()
    thread.join()
    assert found == [None]
    assert source.read() is None
    assert not driver.streams


@pytest.mark.parametrize(
    ("request_", "number", "words"),
    [
        (
            5,
            errno.EBUSY,
            "another program has it open (to see which one, run: sudo fuser -v {path})",
        ),
        (8, errno.EBUSY, "another program has it open"),
        (18, errno.ENOSPC, "its USB bus has no room"),
        (18, errno.ENODEV, "it was unplugged"),
        (18, errno.EPIPE, "media controller"),
        (18, errno.EIO, "its driver says 'Input/output error'"),
    ],
)
def test_what_the_driver_refuses_is_said(driver, request_, number, words):
    driver.error[request_] = number
    said = refusal(driver)
    assert said.startswith(f"Camera {driver.path} cannot be used: ")
    assert words.format(path=driver.path) in said


def test_a_camera_that_is_unplugged_says_so_with_its_name_as_it_is(tmp_path):
    folder = tmp_path / "USB-Camera_A"
    folder.mkdir()
    driver = Driver(folder / "Video0")
    with opened(driver) as source:
        driver.error[17] = errno.ENODEV
        with pytest.raises(MediaError) as caught:
            source.read()
    assert caught.value.message == (
        f"Camera {driver.path} stopped after 0 frames: it was unplugged."
    )


@pytest.mark.parametrize(
    ("number", "calls"), [(errno.ENODEV, ["sleep", "close"]), (errno.EIO, ["close"])]
)
def test_an_unplugged_camera_is_closed_after_a_pause(driver, monkeypatch, number, calls):
    found = []
    source = opened(driver)
    driver.error[19] = number
    with monkeypatch.context() as changed:
        changed.setattr(time, "sleep", lambda seconds: found.append("sleep"))
        close = os.close
        changed.setattr(os, "close", lambda descriptor: (found.append("close"), close(descriptor)))
        source.close()
    assert found == calls


@pytest.mark.parametrize(
    "path",
    ["/dev/video63", "/dev/v4l/by-id/usb-Nobody_Cam-video-index0", "/dev/front-door"],
)
def test_a_camera_that_is_not_plugged_in_is_named_as_one(path):
    with pytest.raises(MediaError) as caught:
        open_source(path)
    assert caught.value.message.startswith(f"Camera {path} cannot be used: there is no {path}")


def test_a_link_to_a_camera_that_is_gone(tmp_path):
    link = tmp_path / "by-id"
    link.symlink_to("/dev/video63")
    with pytest.raises(MediaError, match=f"there is no {link}"):
        CameraSource(str(link))


def test_what_is_no_camera_says_so():
    with pytest.raises(MediaError, match="is not a camera"):
        CameraSource("/dev/null")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may open everything")
def test_a_camera_that_is_not_permitted_names_the_group(driver):
    driver.path.chmod(0)
    assert "sudo usermod -aG video $USER" in refusal(driver)


def test_who_has_a_camera_open_is_named(tmp_path):
    path = tmp_path / "video0"
    path.touch()
    hold = f"import sys; file = open({str(path)!r}); print('open', flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", hold], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout.readline() == b"open\n"
        said = messages.reason_of(OSError(errno.EBUSY, "busy"), path)
        assert said.startswith("another program has it open: ")
        assert said.endswith(f"(process {holder.pid})")


MANY = {
    b"YUYV": {(1280, 720): (10,), (640, 480): (30, 15)},
    b"MJPG": {(1280, 720): (60, 30), (640, 480): (60, 30), (320, 240): (120,)},
    b"H264": {(1920, 1080): (30,)},
}


@pytest.mark.parametrize(
    ("options", "mode", "fps"),
    [
        ({}, (b"YUYV", (640, 480)), 30),
        ({"camera_size": (1280, 720)}, (b"MJPG", (1280, 720)), 30),
        ({"camera_size": (1280, 720), "camera_format": "YUYV"}, (b"YUYV", (1280, 720)), 10),
        ({"camera_format": "MJPG"}, (b"MJPG", (640, 480)), 30),
        ({"camera_fps": 60}, (b"MJPG", (640, 480)), 60),
        ({"camera_fps": 15}, (b"YUYV", (640, 480)), 15),
    ],
)
def test_the_mode_that_is_asked_for_is_taken(tmp_path, options, mode, fps):
    driver = Driver(tmp_path / "video0", MANY)
    driver.give(jpeg(mode[1]) + bytes(2 * 1280 * 720))  # whole in every format
    asked = SourceOptions(patience=60, **options)
    with CameraSource(str(driver.path), asked, ioctl=driver) as source:
        assert (source.width, source.height) == mode[1]
        assert source.fps == fps
    assert driver.mode == mode


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"camera_size": (1000, 1000)}, "does not offer 1000x1000."),
        ({"camera_format": "NV12"}, "does not offer NV12."),
        ({"camera_format": "H264"}, "does not offer H264."),
        ({"camera_fps": 50}, "does not offer 50 FPS."),
        (
            {"camera_size": (1280, 720), "camera_format": "YUYV", "camera_fps": 30},
            "does not offer YUYV, 1280x720, 30 FPS.",
        ),
    ],
)
def test_what_a_camera_does_not_offer_is_answered_by_what_it_does(tmp_path, options, words):
    driver = Driver(tmp_path / "video0", MANY)
    said = refusal(driver, SourceOptions(patience=0.2, **options))
    assert said.splitlines() == [
        f"The camera {driver.path} (HD Webcam) {words}",
        "Choose a format that EdgeKit reads:",
        "YUYV: 1280x720 (10 FPS), 640x480 (30, 15 FPS)",
        "MJPG: 1280x720 (60, 30 FPS), 640x480 (60, 30 FPS), 320x240 (120 FPS)",
    ]


def test_a_camera_whose_formats_edgekit_does_not_read_says_which_it_has(tmp_path):
    driver = Driver(tmp_path / "video0", {b"H264": MANY[b"H264"]})
    assert refusal(driver).splitlines() == [
        f"The camera {driver.path} (HD Webcam) does not offer 64x48.",
        "The camera offers:",
        "H264: 1920x1080 (30 FPS)",
    ]


def test_the_age_of_a_live_frame_begins_where_it_was_taken(driver):
    stop = threading.Event()
    with opened(driver) as source:
        driver.give(jpeg(), age=0.4)
        feed = LiveReader(source, stop, patience=60)
        fed = feed.next()
        feed.close()
    assert fed.read == fed.frame.taken
    assert fed.read <= time.monotonic() - 0.4


@pytest.fixture
def film(make_video, monkeypatch):
    """What OpenCV takes for a camera of ten frames."""
    monkeypatch.setattr(opencv_camera, "_backend", file_backend)
    monkeypatch.setattr(opencv_camera, "_QUEUED", 0)
    return str(make_video(frames=10))


def test_opencv_gives_frames_until_the_camera_stops(film):
    with OpenCVCameraSource(film) as source:
        assert source.live
        assert source.reopens
        assert (source.width, source.height, source.frames) == (64, 48, None)
        frames = [source.read() for _ in range(9)]  # the first proves that there are some
        assert [frame.index for frame in frames] == list(range(9))
        assert sorted(frame.time for frame in frames) == [frame.time for frame in frames]
        with pytest.raises(MediaError, match="stopped after 9 frames"):
            source.read()
        with source.reopened() as again:
            assert again.read().index == 0
    assert source.read() is None


def test_opencv_refuses_a_size_that_the_camera_has_not(film, tmp_path):
    with pytest.raises(MediaError, match="asks for 100x100 pixels, and it gives 64x48"):
        OpenCVCameraSource(film, SourceOptions(camera_size=(100, 100)))
    with pytest.raises(MediaError, match="not there, taken by another program"):
        OpenCVCameraSource(str(tmp_path / "none"))
