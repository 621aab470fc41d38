"""Reads network streams through OpenCV's FFmpeg, for use without PyAV."""

from __future__ import annotations

import time
from typing import Any

from edgekit._locking import one_at_a_time
from edgekit.media._held import within
from edgekit.media._opencv import cv2, file_backend
from edgekit.media.sources._frame_clock import FrameClock, checked_fps, rate_or_none
from edgekit.media.sources._messages import broken_off, no_picture, say_ended
from edgekit.media.sources._playout import Playout, wait_until
from edgekit.media.sources._protocols import in_opencv, stream_limits
from edgekit.media.sources.address import without_secrets
from edgekit.media.sources.opencv._limits import aspect_of, check_connection, declared_fps
from edgekit.media.sources.opencv.capture import CaptureSource, whole, with_first_picture
from edgekit.media.sources.source import SourceOptions
from edgekit.runtime.types import Frame
from edgekit.system.installation import install_line
from edgekit.system.leaving import connection_to

__all__ = ["OpenCVStreamSource"]

_SEGMENTED = (".m3u8", ".mpd")
"""Endings of the addresses of HLS and DASH."""


# Many attributes: those that every source has, and the state of one connection.
class OpenCVStreamSource(CaptureSource):
    """A network stream, without ``VideoSource``'s reasons for a missing picture.

    Args:
        address: Address of the stream, with a scheme of ``edgekit.media.sources.registry.SCHEMES``.
        options: RTSP transport, and the longest wait for a picture. If the environment variable
            ``OPENCV_FFMPEG_CAPTURE_OPTIONS`` is set, it determines the transport.

    Raises:
        MediaError: The stream cannot be reached, or gives no picture in time.
        MissingDependencyError: OpenCV would read the stream wrongly; it needs the extra ``video``.
    """

    def __init__(self, address: str, options: SourceOptions | None = None) -> None:
        self._address = address
        self._options = options or SourceOptions()
        self.name = without_secrets(address)
        patience = self._options.patience
        try:
            capture, self._first = within(
                patience, self._open, lambda made: made[0].release(), connection_to(address)
            )
        except TimeoutError:
            capture, self._first = None, None
        if self._first is None:
            raise no_picture(
                self.name,
                f"OpenCV got none within {patience:g} seconds and does not say why",
                hint=f"A reader that does: {install_line('video')}",
            )
        super().__init__(capture)
        try:
            check_connection(capture, self.name)
        except BaseException:
            self.close()
            raise
        self.height, self.width = self._first.shape[:2]
        frames = whole(capture.get(cv2.CAP_PROP_FRAME_COUNT))
        # This imports http, ssl and the email package, which only this reader needs.
        from edgekit.media.sources._web_server import has_length

        self.live = self.reopens = not (frames or has_length(address, patience))
        self.frames = frames or None
        tick = capture.get(cv2.CAP_PROP_POS_AVI_RATIO)
        declared, self._has_times = declared_fps(capture)
        self.fps = checked_fps(rate_or_none(declared, tick), ())
        self.sample_aspect = aspect_of(capture, self.name)
        self._clock = FrameClock(self.fps)
        self._begin = time.monotonic()
        segmented = self.live and address.partition("?")[0].lower().endswith(_SEGMENTED)
        self._playout = Playout(self.fps) if segmented else None

    @one_at_a_time
    def read(self) -> Frame | None:
        """Waits for the next picture; returns None when the stream has ended or was closed.

        Raises:
            MediaError: No picture came in time.
        """
        image, self._first = self._first, None
        begin = time.monotonic()
        if image is None:
            image = self._grab()
            patience = self._options.patience
            # FFmpeg holds back the last picture before a silence until it gives up waiting.
            if time.monotonic() - begin >= patience and not self._held.closed:
                raise broken_off(self, f"none came for {patience:g} seconds")
        if image is None:
            if not self._held.closed:
                say_ended(self)
            return None
        shown = self._capture.get(cv2.CAP_PROP_POS_MSEC) / 1e3 if self._has_times else None
        taken = None
        if self._playout is not None:
            taken = self._playout.due(shown, begin, time.monotonic())
            wait_until(taken, lambda: self._held.closed)
            seconds = taken - self._begin
        elif self.live:
            seconds = time.monotonic() - self._begin
        else:
            seconds = self._clock.seconds(shown)
        index, self.position = self.position, self.position + 1
        return Frame(index, seconds, image, "", self.sample_aspect, taken=taken)

    def reopened(self) -> OpenCVStreamSource:
        """Opens the stream again, over a new connection."""
        return OpenCVStreamSource(self._address, self._options)

    def _open(self) -> tuple[Any, Any]:
        patience = round(self._options.patience * 1000)
        limits = [
            cv2.CAP_PROP_OPEN_TIMEOUT_MSEC,
            patience,
            cv2.CAP_PROP_READ_TIMEOUT_MSEC,
            patience,
        ]
        settings = {"rtsp_transport": self._options.rtsp_transport}
        with in_opencv(settings | stream_limits(self._address)):
            capture = cv2.VideoCapture(self._address, file_backend(), limits)
        return with_first_picture(capture)
