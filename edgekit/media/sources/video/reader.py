"""Reads video files and network streams through PyAV (the extra ``video``)."""

from __future__ import annotations

import time
from pathlib import Path

from edgekit._locking import one_at_a_time
from edgekit.errors import MediaError
from edgekit.media._held import Held, within
from edgekit.media.sources._frame_clock import FrameClock
from edgekit.media.sources._messages import (
    broken_off,
    no_key_frame,
    no_picture,
    say_damage,
    say_ended,
)
from edgekit.media.sources._playout import wait_until
from edgekit.media.sources.address import without_secrets
from edgekit.media.sources.headers.completeness import lacks_end
from edgekit.media.sources.headers.diagnosis import check_alone, check_file, unplayable, unreadable
from edgekit.media.sources.source import Source, SourceOptions, name_of
from edgekit.media.sources.video._connection import Connection
from edgekit.media.sources.video._decoder import DecodedPicture
from edgekit.media.sources.video._live_timing import LiveTiming
from edgekit.media.sources.video._shown_pictures import KEY_FRAME, ShownPictures
from edgekit.media.sources.video._unreadable import Unreadable
from edgekit.runtime.types import Array, Frame
from edgekit.system.leaving import Ending, inside

__all__ = ["VideoSource"]


# Many attributes: half of them are those that every source has.
class VideoSource(Source):
    """A video file, local or on a web server, or a live network stream.

    A source without an end of its own is live. Undecodable pictures of a stream are left out, and
    the index of the next one shows how many. A file gives every picture that FFmpeg shows.

    Args:
        place: Path of a file; or an address with a scheme of
            ``edgekit.media.sources.registry.SCHEMES``, such as ``rtsp://`` or ``http://``.
        options: RTSP transport, and the longest wait: for the connection, for the first video
            packet, and between pictures, whatever else the server sends. The wait for the first
            key frame is at least 25 seconds.

    Attributes:
        still: Whether it is a single picture.

    Raises:
        MediaError: The source cannot be reached, is no video, or gives no picture in time.
        MissingDependencyError: PyAV is not installed.
    """

    def __init__(self, place: Path | str, options: SourceOptions | None = None) -> None:
        self._place = place
        self._options = options or SourceOptions()
        if isinstance(place, Path):
            self.name = name_of(place)
            self._pictures, first = self._open_file(place)
        else:
            self.name = without_secrets(place)
            self._pictures, first = self._open_stream()
        connection = self._pictures.connection
        self._held = Held(connection.close)
        self._first: DecodedPicture | None = first
        self.height, self.width = _image(first).shape[:2]
        self.fps = connection.fps
        self.live = self.reopens = connection.endless
        self.still = connection.still
        self.frames = None if self.live else connection.frames or None
        self.sample_aspect = first.sample_aspect
        self._clock = FrameClock(self.fps)
        self._timing = LiveTiming(connection, self.name) if self.live else None
        self._has_reported_end = False

    @one_at_a_time
    def read(self) -> Frame | None:
        """Waits for the next picture; returns None when the source has ended or was closed.

        Raises:
            MediaError: No picture came in time, or the connection broke.
        """
        picture, self._first = self._first, None
        asked = time.monotonic()
        try:
            if picture is None:
                picture = self._held.call(self._next)
        except Unreadable as error:
            if not self._held.closed:
                raise self._failure(error.reason) from None
        if picture is None:
            if not (self._held.closed or self._has_reported_end):
                self._has_reported_end = True
                self._report_end()
            return None
        lost, gap = self._pictures.take_gap()
        index = self.position + lost
        self.position = index + 1
        if self._timing is None:
            seconds, taken = self._clock.seconds(picture.seconds), None
        else:
            connection = self._pictures.connection
            seconds, taken = self._timing.times(picture.seconds, asked)
            if connection.segmented and taken is not None:
                wait_until(taken, lambda: self._held.closed)
        return Frame(index, seconds, _image(picture), gap, picture.sample_aspect, taken=taken)

    def reopened(self) -> VideoSource:
        """Opens the stream again, over a new connection."""
        return VideoSource(self._place, self._options)

    def close(self) -> None:
        """Ends the connection, now or when a hanging read returns."""
        self._first = None
        self._held.close()

    def _report_end(self) -> None:
        connection = self._pictures.connection
        if not connection.whole:
            say_ended(self)
            return
        missing = max(0, connection.counted - connection.passed)
        cut = connection.cut or missing > 1
        if isinstance(self._place, Path):
            cut = connection.cut or lacks_end(self._place)
        say_damage(self, cut=cut, broken=connection.broken)
        self.frames = self.position

    def _open_file(self, path: Path) -> tuple[ShownPictures, DecodedPicture]:
        check_file(path)
        check_alone(path)
        try:
            with inside():
                return self._begun(self._connected())
        except Unreadable as error:
            raise unplayable(path, error.kind) from None
        except Ending:
            raise unreadable(self.name, "the program ends") from None

    def _open_stream(self) -> tuple[ShownPictures, DecodedPicture]:
        patience = self._options.patience
        longest = patience + max(patience, KEY_FRAME)
        try:
            connection = within(patience, self._connected, lambda made: made.close())
            # The connection itself gives up if nothing arrives.
            return within(
                longest, lambda: self._begun(connection), lambda made: made[0].connection.close()
            )
        except (TimeoutError, Unreadable) as error:
            late = f"none came within {patience:g} seconds"
            if getattr(error, "kind", "") == "key":
                raise no_key_frame(self.name, max(patience, KEY_FRAME)) from None
            raise no_picture(self.name, getattr(error, "reason", late)) from None

    def _connected(self) -> Connection:
        return Connection(self._place, self._options, self.name)

    def _begun(self, connection: Connection) -> tuple[ShownPictures, DecodedPicture]:
        """Returns the pictures of a connection, and the first one; closes it if none comes."""
        pictures = ShownPictures(connection, self._options.patience)
        try:
            return pictures, pictures.first()
        except BaseException:
            connection.close()
            raise

    def _next(self) -> DecodedPicture | None:
        """Returns the next picture, after catching up if the stream lags too far behind."""
        if self._timing is not None and self._options.catches_up:
            self._pictures.skip(self._timing.catch_up())
        return self._pictures.next()

    def _failure(self, reason: str) -> MediaError:
        if isinstance(self._place, Path):
            return unreadable(self.name, reason)
        return broken_off(self, reason)


def _image(picture: DecodedPicture) -> Array:
    assert picture.image is not None
    return picture.image
