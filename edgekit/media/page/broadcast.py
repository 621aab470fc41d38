"""Encodes each frame once for all viewers, and sends each viewer only as much as it can take.

Everything except ``Broadcast.poke`` runs in the server's thread.

A message is the length of a JSON text (4 bytes, little-endian), the text, and for a frame its JPEG
picture. The viewer answers each handled message with one byte. A viewer with three unanswered
messages gets nothing more, so that a slow network never queues old frames.
"""

from __future__ import annotations

import asyncio
import contextlib
import struct
from collections.abc import Callable
from typing import Any, Protocol

import msgspec

from edgekit.media._opencv import cv2
from edgekit.media.drawing.square_pixels import in_size
from edgekit.media.page.channel import Channel, Snapshot
from edgekit.pipeline.results import FrameResult

__all__ = ["Broadcast", "Link", "Viewer", "frame_message"]

STALLED = 10.0
"""Seconds after which a viewer with an unanswered message is disconnected."""

_UNANSWERED = 3
_MOST_A_SECOND = 30.0
_LONGEST_SIDE = 1280
_QUALITY = 80
_FRESHEN = 1.0


class Link(Protocol):
    """Connection to a viewer."""

    async def send_bytes(self, data: bytes) -> None:
        """Sends one message; waits while earlier messages are still in the send buffer."""


class Viewer:
    """Sends one viewer the newest message whenever it has room for one.

    Args:
        broadcast: Broadcast that the viewer watches.
        link: Connection to the viewer.
        drop: Function that closes the connection.
    """

    def __init__(self, broadcast: Broadcast, link: Link, drop: Callable[[], None]) -> None:
        self._broadcast = broadcast
        self._link = link
        self._drop = drop
        self._changed = asyncio.Event()
        self._unanswered = 0
        self._heard = asyncio.get_running_loop().time()
        self._seen = (0, 0)
        self._hellos = 0

    async def run(self) -> None:
        """Sends messages until it is cancelled, or until the end of the run has been sent."""
        while True:
            if self._hellos != self._broadcast.hellos:
                self._hellos = self._broadcast.hellos
                await self._link.send_bytes(self._broadcast.hello())
            message = self._next()
            if message is None:
                if self._broadcast.is_over and self._unanswered < _UNANSWERED:
                    return
                self._changed.clear()
                await self._changed.wait()
                continue
            if not self._unanswered:
                self._heard = asyncio.get_running_loop().time()
            self._unanswered += 1
            await self._link.send_bytes(message)

    def answered(self) -> None:
        """Records that the viewer has handled a message."""
        self._unanswered = max(0, self._unanswered - 1)
        self._heard = asyncio.get_running_loop().time()
        self._changed.set()

    def wake(self) -> None:
        """Reports that there is something new to send."""
        self._changed.set()

    def drop_if_stalled(self) -> None:
        """Disconnects a viewer that has not answered for too long."""
        if self._unanswered and asyncio.get_running_loop().time() - self._heard > STALLED:
            self._drop()

    def _next(self) -> bytes | None:
        if self._unanswered >= _UNANSWERED:
            return None
        state, picture = self._seen
        if self._broadcast.states > state:
            self._seen = (self._broadcast.states, picture)
            return self._broadcast.state_message
        number, message = self._broadcast.picture(after=picture)
        if message is not None:
            self._seen = (state, number)
        return message


# Many attributes: the newest messages of one channel, and when the next ones are due.
class Broadcast:
    """The viewers of one channel, and the messages for them.

    Args:
        channel: Channel to watch.
        loop: Event loop of the server's thread.
        sources: Function that returns the state of all channels, if there are several.

    Attributes:
        viewers: Current viewers.
        encoded: Number of pictures encoded so far.
        states: Number of state messages made so far.
        state_message: Latest state message.
    """

    def __init__(
        self,
        channel: Channel,
        loop: asyncio.AbstractEventLoop,
        sources: Callable[[], list[dict[str, object]]],
    ) -> None:
        self._channel = channel
        self._loop = loop
        self._sources = sources
        self.viewers: set[Viewer] = set()
        self.encoded = 0
        self.states = 0
        self.state_message = b""
        self.is_over = False
        self._poked = False
        self._due = 0.0
        self._sent: tuple[int, float] = (0, 0.0)
        self._offered: Snapshot | None = None
        self._message: tuple[int, bytes] = (0, b"")

    def poke(self) -> None:
        """Announces a new frame; safe from any thread, and nearly free without viewers."""
        if self.viewers and not self._poked:
            self._poked = True
            with contextlib.suppress(RuntimeError):  # the server has failed, and the run goes on
                self._loop.call_soon_threadsafe(self._offer)

    @property
    def has_begun(self) -> bool:
        """Whether the channel's run has begun."""
        return self._channel.has_begun

    @property
    def hellos(self) -> int:
        """Number of different first messages so far; the newest is sent again after a change."""
        return self._channel.hellos

    def hello(self) -> bytes:
        """Returns the first message to a viewer."""
        return _packed(self._channel.hello())

    def join(self, viewer: Viewer) -> None:
        """Adds a viewer."""
        self.viewers.add(viewer)
        self._offered = self._channel.newest
        self._send_news()

    def tick(self) -> None:
        """Drops stalled viewers and sends a due state; called a few times per second."""
        for viewer in tuple(self.viewers):
            viewer.drop_if_stalled()
        if self.viewers:
            self._send_news()

    def _send_news(self) -> None:
        """Sends the state if there is a new frame or the last state is a second old."""
        newest, now = self._channel.newest, self._loop.time()
        number = newest.number if newest else 0
        if number != self._sent[0] or now - self._sent[1] >= _FRESHEN or not self.states:
            self._send_state(number, now)

    def finish(self) -> None:
        """Announces the end of the run."""
        self.is_over = True
        if self.viewers:
            self._send_state(0, self._loop.time())

    def picture(self, *, after: int) -> tuple[int, bytes | None]:
        """Returns number and message of the offered frame; no message up to number ``after``."""
        offered = self._offered
        if offered is None or offered.number <= after:
            return after, None
        if self._message[0] != offered.number:
            self._message = (offered.number, frame_message(offered.result))
            self.encoded += 1
        return self._message

    def _offer(self) -> None:
        now = self._loop.time()
        if now < self._due:
            self._loop.call_at(self._due, self._offer)
            return
        self._poked = False
        self._due = now + 1 / _MOST_A_SECOND
        self._offered = self._channel.newest
        self._wake()

    def _send_state(self, number: int, now: float) -> None:
        self._sent = (number, now)
        self.state_message = _packed({**self._channel.state(), "sources": self._sources()})
        self.states += 1
        self._wake()

    def _wake(self) -> None:
        for viewer in self.viewers:
            viewer.wake()


def frame_message(result: FrameResult) -> bytes:
    """Returns the message of a frame; its size and boxes are in stored pixels of the source."""
    frame = result.frame
    height, width = frame.image.shape[:2]
    drawn = {tube.id for tube in result.actors}
    tubes = [
        {
            "id": tube.id,
            "label": tube.label,
            "score": round(tube.score, 3),
            "box": [round(value, 1) for value in tube.box],
            "observed": tube.observed,
        }
        for tube in result.tubes
        if tube.id in drawn
    ]
    header = {
        "type": "frame",
        "index": frame.index,
        "time": round(frame.time, 3),
        "age": None if result.age is None else round(result.age, 1),
        "ms": {stage: round(value, 2) for stage, value in result.ms.items()},
        "size": [width, height],
        "aspect": frame.sample_aspect,
        "tubes": tubes,
    }
    return _packed(header, _jpeg(frame.image))


def _jpeg(image: Any) -> bytes:
    longest = max(image.shape[:2])
    if longest > _LONGEST_SIDE:
        scale = _LONGEST_SIDE / longest
        image = in_size(image, image.shape[1] * scale, image.shape[0] * scale)
    good, encoded = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    return encoded.tobytes() if good else b""


def _packed(header: dict[str, object], picture: bytes = b"") -> bytes:
    text = msgspec.json.encode(header)
    return struct.pack("<I", len(text)) + text + picture
