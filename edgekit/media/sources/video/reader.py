"""Reads video files and network streams through PyAV (the extra ``video``)."""

from __future__ import annotations

import logging
import time
from pathlib import Path

from edgekit.errors import MediaError
from edgekit.media._held import Held, within
from edgekit.media._leaving import Ending, inside
from edgekit.media.sources._frame_clock import FrameClock
from edgekit.media.sources._messages import no_key_frame, no_picture, say_damage, say_ended
from edgekit.media.sources.address import without_secrets
from edgekit.media.sources.headers.completeness import lacks_end
from edgekit.media.sources.headers.diagnosis import check_alone, check_file, unplayable, unreadable
from edgekit.media.sources.headers.pixel_aspect import believable_aspect
from edgekit.media.sources.source import Source, SourceOptions, name_of
from edgekit.media.sources.video._connection import Connection
from edgekit.media.sources.video._decoder import DecodedPicture
from edgekit.media.sources.video._lag import Lag
from edgekit.media.sources.video._unreadable import Unreadable
from edgekit.runtime.types import Array, Frame

__all__ = ["VideoSource"]

_LOG = logging.getLogger(__name__)
_KEY_FRAME = 25.0
"""Seconds to wait for the first key frame while other pictures arrive: cameras that save bandwidth
send one every 10 to 15 seconds. It is shorter than the limit for reopening a live source."""

_BACKLOG = 2.5
"""Largest backlog, in seconds, that can gather while a stream is opened."""

_PRESENT = 0.005
"""Largest wait in seconds for a packet that had already arrived."""

_LATE = 0.2
_TOO_LATE = 2.0
_NEXT_TRY = 2.0
"""Lag in seconds at which catching up stops, lag above which it starts, and seconds until the next
attempt."""


# Many attributes: those that every source has, and the state of one connection.
class VideoSource(Source):
    """A video file, local or on a web server, or a live network stream.

    A source without an end of its own is live. Undecodable pictures of a stream are left out, and
    the index of the next one shows how many. A file gives every picture that FFmpeg shows.

    Args:
        place: Path of a file; or an address with a scheme of ``SCHEMES`` in
            ``edgekit.media.sources.address``, such as ``rtsp://`` or ``http://``.
        options: RTSP transport, and the longest wait: for the connection, for the first video
            packet, and between pictures, whatever else the server sends. The wait for the first
            key frame is at least 25 seconds.

    Raises:
        MediaError: The source cannot be reached, is no video, or gives no picture in time.
        MissingDependencyError: PyAV is not installed.
    """

    def __init__(self, place: Path | str, options: SourceOptions | None = None) -> None:
        self._place = place
        self._options = options or SourceOptions()
        self._lost = 0
        self._said = False
        if isinstance(place, Path):
            self.name = name_of(place)
            self._connection, first = self._open_file(place)
        else:
            self.name = without_secrets(place)
            self._connection, first = self._open_stream()
        connection = self._connection
        self._lost = 0  # pictures before the first key frame do not count
        self._held = Held(connection.close)
        self._first: DecodedPicture | None = first
        self.height, self.width = _image(first).shape[:2]
        self.fps = connection.fps
        self.live = self.reopens = connection.endless
        self.frames = None if self.live else connection.frames or None
        self._aspect = believable_aspect(connection.sample_aspect, self.name)
        self.sample_aspect = self._seen_aspect(first)
        self._clock = FrameClock(self.fps)
        self._begin = time.monotonic()
        self._lag, self._jumped, self._warned = Lag(), False, False
        self._caught_up = self._begin

    def read(self) -> Frame | None:
        """Waits for the next picture; returns None when the source has ended or was closed.

        Raises:
            MediaError: No picture came in time, or the connection broke.
        """
        picture, self._first = self._first, None
        try:
            if picture is None:
                picture = self._held.call(self._next)
        except Unreadable as error:
            if not self._held.closed:
                raise self._failure(error.reason) from None
        if picture is None:
            if not (self._held.closed or self._said):
                self._said = True
                self._tell_end()
            return None
        lost, self._lost = self._lost, 0
        index = self.position + lost
        self.position = index + 1
        gap, taken = "dropped" if lost else "", None
        if self._jumped:
            gap, self._jumped = "seek", False
        if self.live:
            now = time.monotonic()
            seconds = now - self._begin
            if self._connection.timed:
                taken = now - self._lag.of(picture.seconds, now)
        else:
            seconds = self._clock.seconds(picture.seconds)
        aspect = self._seen_aspect(picture)
        return Frame(index, seconds, _image(picture), gap, aspect, taken=taken)

    def reopened(self) -> VideoSource:
        """Opens the stream again, over a new connection."""
        return VideoSource(self._place, self._options)

    def close(self) -> None:
        """Ends the connection, now or when a hanging read returns."""
        self._held.close()

    def _seen_aspect(self, picture: DecodedPicture) -> float:
        return 1 / self._aspect if picture.transposed else self._aspect

    def _tell_end(self) -> None:
        connection = self._connection
        if not connection.whole:
            say_ended(self)
            return
        missing = max(0, connection.counted - connection.packets)
        cut = connection.cut or missing > 1
        if isinstance(self._place, Path):
            cut = connection.cut or lacks_end(self._place)
        say_damage(self, cut=cut, broken=connection.broken)
        self.frames = self.position

    def _open_file(self, path: Path) -> tuple[Connection, DecodedPicture]:
        check_file(path)
        check_alone(path)
        try:
            with inside():
                return self._begun(self._connected())
        except Unreadable as error:
            raise unplayable(path, error.kind) from None
        except Ending:
            raise unreadable(self.name, "the program ends") from None

    def _open_stream(self) -> tuple[Connection, DecodedPicture]:
        patience = self._options.patience
        longest = patience + max(patience, _KEY_FRAME)
        try:
            connection = within(patience, self._connected, lambda made: made.close())
            # The connection itself gives up if nothing arrives.
            return within(longest, lambda: self._begun(connection), lambda made: made[0].close())
        except (TimeoutError, Unreadable) as error:
            late = f"none came within {patience:g} seconds"
            if getattr(error, "kind", "") == "key":
                raise no_key_frame(self.name, max(patience, _KEY_FRAME)) from None
            raise no_picture(self.name, getattr(error, "reason", late)) from None

    def _connected(self) -> Connection:
        return Connection(self._place, self._options, self.name)

    def _begun(self, connection: Connection) -> tuple[Connection, DecodedPicture]:
        """Returns a connection with its first picture; closes it if none comes."""
        try:
            first = self._picture(connection, first=True)
            if first is None:
                raise Unreadable("it ended before the first one")
            if connection.endless:
                first = self._present(connection, first)
        except BaseException:
            connection.close()
            raise
        return connection, first

    @staticmethod
    def _present(connection: Connection, newest: DecodedPicture) -> DecodedPicture:
        """Returns the newest picture, because those from FFmpeg's probing are old by now."""
        for _ in range(round(_BACKLOG * connection.fps)):
            picture = connection.next()
            if picture is None:
                break
            if picture.image is not None and not picture.broken:
                newest = picture
            if picture.waited > _PRESENT:
                break
        return newest

    def _next(self) -> DecodedPicture | None:
        """Returns the next picture, after catching up if the stream lags too far behind."""
        now, options = time.monotonic(), self._options
        behind = self._lag.seconds
        if behind > _TOO_LATE and options.catches_up and now > self._caught_up + _NEXT_TRY:
            self._caught_up = now
            left_out, emptied = self._connection.catch_up(self._is_late)
            if emptied:
                self._lag.clear()
            if left_out:
                self._lost += left_out
                self._jumped = True
                level = logging.INFO if self._warned else logging.WARNING
                self._warned = True
                _LOG.log(
                    level,
                    "%s was %.1f seconds behind, so EdgeKit skipped %d pictures to catch up. "
                    "The source paused, or it sends more pictures than this machine can decode.",
                    self.name,
                    behind,
                    left_out,
                )
        return self._picture(self._connection)

    def _is_late(self, seconds: float) -> bool:
        return self._lag.behind(seconds, time.monotonic()) > _LATE

    def _picture(self, connection: Connection, *, first: bool = False) -> DecodedPicture | None:
        """Returns the next picture to show; None at the end."""
        patience, begin = self._options.patience, time.monotonic()
        while (picture := connection.next()) is not None:
            waited = time.monotonic() - begin
            if connection.whole:
                pass
            elif first and connection.packets:
                if waited > max(patience, _KEY_FRAME):
                    raise Unreadable("no key frame came", "key")
            elif waited > patience:
                # FFmpeg holds back the last picture before a silence until it gives up waiting.
                raise Unreadable(f"none came for {patience:g} seconds")
            if picture.image is not None and (connection.whole or not picture.broken):
                return picture
            self._lost += picture.broken and not connection.whole
        return None

    def _failure(self, reason: str) -> MediaError:
        if isinstance(self._place, Path):
            return unreadable(self.name, reason)
        return no_picture(self.name, reason)


def _image(picture: DecodedPicture) -> Array:
    assert picture.image is not None
    return picture.image
