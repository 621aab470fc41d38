"""Chooses which decoded pictures a source returns."""

from __future__ import annotations

import time

from edgekit.media.sources.video._connection import Connection
from edgekit.media.sources.video._decoder import DecodedPicture
from edgekit.media.sources.video._unreadable import Unreadable

__all__ = ["KEY_FRAME", "ShownPictures"]

KEY_FRAME = 25.0
"""Seconds to wait for the first key frame while other pictures arrive: cameras that save bandwidth
send one every 10 to 15 seconds. It is shorter than the time that a reconnect allows for it."""

_BACKLOG = 2.5
"""Largest backlog, in seconds, that can gather while a stream is opened."""

_PRESENT = 0.005
"""Largest wait in seconds for a packet that had already arrived."""


class ShownPictures:
    """Gives the pictures of a connection that are shown, and counts those that are left out.

    A file gives every picture that FFmpeg shows, a stream only those without decoding errors.

    Args:
        connection: Open connection, which stays open.
        patience: Longest wait for a picture of a stream, in seconds. The wait for the first one is
            at least ``KEY_FRAME`` while other pictures arrive.

    Attributes:
        connection: The connection.
    """

    def __init__(self, connection: Connection, patience: float) -> None:
        self.connection = connection
        self._patience = patience
        self._lost = 0
        self._skipped = False

    def first(self) -> DecodedPicture:
        """Returns the first picture; of a live stream, the newest that has already arrived.

        Raises:
            Unreadable: The connection broke, or gave no picture in time.
        """
        first = self.next(first=True)
        if first is None:
            raise Unreadable("it ended before the first one")
        self._lost = 0  # pictures before the first key frame do not count
        # A segment holds what a viewer is to see next, not what came too early.
        gathers = self.connection.endless and not self.connection.segmented
        return self._newest(first) if gathers else first

    def next(self, *, first: bool = False) -> DecodedPicture | None:
        """Returns the next picture to show; None at the end.

        Args:
            first: Whether no picture was shown before.

        Raises:
            Unreadable: The connection broke, or gave no picture in time.
        """
        connection, begin = self.connection, time.monotonic()
        while (picture := connection.next()) is not None:
            waited = time.monotonic() - begin
            if connection.whole:
                pass
            elif first and connection.packets:
                if waited > max(self._patience, KEY_FRAME):
                    raise Unreadable("no key frame came", "key")
            elif waited > self._patience:
                # FFmpeg holds back the last picture before a silence until it gives up waiting.
                raise Unreadable(f"none came for {self._patience:g} seconds")
            if picture.image is not None and (connection.whole or not picture.broken):
                return picture
            self._lost += picture.broken and not connection.whole
        return None

    def skip(self, pictures: int) -> None:
        """Records that so many pictures were skipped to catch up."""
        self._lost += pictures
        self._skipped = self._skipped or pictures > 0

    def take_gap(self) -> tuple[int, str]:
        """Returns how many pictures are missing before the last one, and why: ``Frame.gap``."""
        lost, skipped = self._lost, self._skipped
        self._lost, self._skipped = 0, False
        return lost, "seek" if skipped else "dropped" if lost else ""

    def _newest(self, newest: DecodedPicture) -> DecodedPicture:
        """Returns the newest picture, because those from FFmpeg's probing are old by now."""
        for _ in range(round(_BACKLOG * self.connection.fps)):
            picture = self.connection.next()
            if picture is None:
                break
            if picture.image is not None and not picture.broken:
                newest = picture
            if picture.waited > _PRESENT:
                break
        return newest
