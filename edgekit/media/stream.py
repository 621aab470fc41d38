"""Network streams, through PyAV (the extra ``stream``)."""

from __future__ import annotations

import time

from edgekit.errors import MediaError
from edgekit.media._held import Held, within
from edgekit.media._pyav import Connection, Unreadable
from edgekit.media._stream_words import no_picture, say_ended
from edgekit.media.address import without_secrets
from edgekit.media.source import Source, SourceOptions
from edgekit.runtime.types import Array, Frame

__all__ = ["StreamSource"]

_BACKLOG = 2.5
"""Seconds that can have gathered while a stream was opened."""

_PRESENT = 0.005
"""A packet for which one waits so many seconds has only just come."""


class StreamSource(Source):
    """A network stream: live where it has no end of its own, else as a file over the network.

    Pictures that cannot be decoded are left out; the index of the next one tells how many.

    Args:
        address: ``rtsp://``, ``http://`` and what else ``edgekit.media.address.SCHEMES`` names.
        options: How RTSP is carried, and how long to wait: for the first picture from the
            beginning, then for each from the one before it, whatever else the server sends.

    Raises:
        MediaError: It cannot be reached, or gives no picture in time.
        MissingDependencyError: PyAV is not installed.
    """

    def __init__(self, address: str, options: SourceOptions | None = None) -> None:
        self.name = without_secrets(address)
        self._address = address
        self._options = options or SourceOptions()
        self._lost = 0
        patience = self._options.patience
        try:
            self._connection, first = within(patience, self._open, lambda made: made[0].close())
        except (TimeoutError, Unreadable) as error:
            late = f"none came within {patience:g} seconds"
            raise no_picture(self.name, getattr(error, "reason", late)) from None
        self._lost = 0  # what came before the first key frame was never to be seen
        self._held = Held(self._connection.close)
        self._first: Array | None = first
        self.height, self.width = first.shape[:2]
        self.fps = self._connection.fps
        self.live = self.reopens = self._connection.endless
        self.frames = None if self.live else self._connection.frames or None
        self._begin = time.monotonic()

    def read(self) -> Frame | None:
        """The next picture, waiting for it; None when the stream has ended or was closed.

        Raises:
            MediaError: None came in time, or the connection broke.
        """
        image, self._first = self._first, None
        try:
            if image is None:
                image = self._held.call(lambda: self._picture(self._connection))
        except MediaError:
            if not self._held.closed:
                raise
        if image is None:
            if not self._held.closed:
                say_ended(self)
            return None
        lost, self._lost = self._lost, 0
        index = self.position + lost
        self.position = index + 1
        seconds = time.monotonic() - self._begin if self.live else index / self.fps
        return Frame(index, seconds, image, "dropped" if lost else "")

    def reopened(self) -> StreamSource:
        """The same stream over a new connection."""
        return StreamSource(self._address, self._options)

    def close(self) -> None:
        """Ends the connection, at once or when the read that hangs in it returns."""
        self._held.close()

    def _open(self) -> tuple[Connection, Array]:
        connection = Connection(self._address, self._options)
        try:
            first = self._picture(connection)
            if first is None:
                raise Unreadable("it ended before the first one")
            if connection.endless:
                first = self._present(connection, first)
        except BaseException:
            connection.close()
            raise
        return connection, first

    @staticmethod
    def _present(connection: Connection, image: Array) -> Array:
        """The newest picture: what came while FFmpeg looked at the stream is old by now."""
        for _ in range(round(_BACKLOG * connection.fps)):
            picture = connection.next()
            if picture is None:
                break
            if picture.image is not None:
                image = picture.image
            if picture.waited > _PRESENT:
                break
        return image

    def _picture(self, connection: Connection) -> Array | None:
        """The next whole one; None at the end."""
        deadline = time.monotonic() + self._options.patience
        try:
            while (picture := connection.next()) is not None:
                # FFmpeg keeps the last picture before a silence back until it gives up waiting.
                if time.monotonic() > deadline:
                    raise Unreadable(f"none came for {self._options.patience:g} seconds")
                if picture.image is not None:
                    image: Array = picture.image
                    return image
                self._lost += picture.broken
        except Unreadable as error:
            raise no_picture(self.name, error.reason) from None
        return None
