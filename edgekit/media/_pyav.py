"""The use of PyAV: connections, the pictures that come through them, and why none come."""

from __future__ import annotations

import time
from collections.abc import Generator
from typing import Any, NamedTuple

from edgekit.errors import MissingDependencyError
from edgekit.media._capture import believable_fps
from edgekit.media._leaving import Ending, inside, sockets
from edgekit.media.source import MOST_PIXELS, SourceOptions

__all__ = ["Connection", "Picture", "Unreadable"]

_LOOK = {"analyzeduration": "2000000", "fpsprobesize": "4"}
"""How long FFmpeg looks at a stream before it gives its first picture: microseconds, frames."""


class Picture(NamedTuple):
    """What came out of a packet.

    Attributes:
        image: (H, W, 3) uint8, BGR; None where there was none, or a broken one.
        broken: Whether there was one that cannot be decoded.
        waited: Seconds until the packet came.
    """

    image: Any
    broken: bool = False
    waited: float = 0.0


class Unreadable(Exception):
    """Says why, in place of PyAV's error, whose text has the address with its password."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Connection:
    """An open stream and its pictures.

    Attributes:
        fps: As declared, or else assumed.
        frames: Their number as declared; 0 where unknown.
        endless: Whether it has no end of its own.

    Raises:
        Unreadable: It cannot be reached, or has no video.
        MissingDependencyError: PyAV is not installed.
    """

    def __init__(self, address: str, options: SourceOptions) -> None:
        try:
            import av
        except ImportError as error:
            raise MissingDependencyError.for_extra("av", "stream", "This reader") from error
        self._av: Any = av
        self._patience = options.patience
        settings = dict(_LOOK)
        if address.lower().startswith("rtsp"):
            settings["rtsp_transport"] = options.rtsp_transport
        # Which sockets will be FFmpeg's cannot be asked: those that are not there yet.
        self._before = sockets()
        begin = time.monotonic()
        try:
            with inside(self._before):
                self._container: Any = av.open(
                    address,
                    options=settings,
                    metadata_errors="replace",
                    timeout=(self._patience, self._patience),
                )
        except Ending:
            raise Unreadable("the program ends") from None
        except (OSError, ValueError, av.FFmpegError) as error:
            # Whatever FFmpeg says once its time is over, it says because it is over.
            late = time.monotonic() - begin >= self._patience
            raise Unreadable(self._silence() if late else self._reason(error)) from None
        try:
            self._look()
        except BaseException:
            self._container.close()
            raise

    def _look(self) -> None:
        container = self._container
        if not container.streams.video:
            sound = bool(container.streams.audio)
            raise Unreadable("it is of sound only" if sound else "it has no video in it")
        stream = container.streams.video[0]
        context = stream.codec_context
        if context is None:
            raise Unreadable("this FFmpeg cannot decode its video")
        self.fps = believable_fps(float(stream.average_rate or stream.guessed_rate or 0))
        self.frames = stream.frames
        self.endless = not (container.duration and container.duration > 0)
        # Threads that each take a frame would hold as many frames back.
        context.thread_type = "SLICE" if self.endless else "AUTO"
        if self.endless:
            context.flags |= self._av.codec.context.Flags.low_delay
        # A damaged header may claim any size.
        context.options = {"max_pixels": str(MOST_PIXELS)}
        self._stream = stream
        self._pictures = self._decoded()

    def next(self) -> Picture | None:
        """What the next packet holds; None at the end.

        Raises:
            Unreadable: The connection broke, or nothing at all came in time.
        """
        try:
            with inside(self._before):
                return next(self._pictures, None)
        except Ending:
            return None

    def close(self) -> None:
        """Ends the connection; no other thread may be in ``next``."""
        self._pictures.close()
        self._container.close()

    def _decoded(self) -> Generator[Picture, None, None]:
        try:
            # All streams, because a server that sends sound alone must not look like a silent one.
            packets = self._container.demux()
            while True:
                begin = time.monotonic()
                packet = next(packets, None)
                waited = time.monotonic() - begin
                if packet is None:
                    return
                if packet.stream_index != self._stream.index:
                    yield Picture(None, waited=waited)
                    continue
                try:
                    frames = packet.decode()
                except (self._av.error.InvalidDataError, self._av.error.PatchWelcomeError):
                    yield Picture(None, True, waited)
                    continue
                for frame in frames:
                    broken = frame.is_corrupt
                    image = None if broken else frame.to_ndarray(format="bgr24")
                    yield Picture(image, broken, waited)
                if not frames:
                    yield Picture(None, waited=waited)
        except (OSError, ValueError, self._av.FFmpegError) as error:
            raise Unreadable(self._reason(error)) from None

    def _silence(self) -> str:
        return f"none came for {self._patience:g} seconds"

    def _reason(self, error: BaseException) -> str:
        errors = self._av.error
        reasons = {
            (errors.ExitError, errors.TimeoutError): self._silence(),
            (errors.HTTPUnauthorizedError,): "the server wants another name or password (401)",
            (errors.HTTPForbiddenError,): "the server does not allow it (403)",
            (errors.HTTPNotFoundError,): "the server has nothing at that address (404)",
            (errors.ConnectionRefusedError,): "the connection was refused: nothing listens there",
            (errors.InvalidDataError,): "what the server sends is no stream that FFmpeg knows",
        }
        for kinds, reason in reasons.items():
            if isinstance(error, kinds):
                return reason
        said = getattr(error, "strerror", None) or type(error).__name__
        return f"FFmpeg says '{said}'; an unknown host says so too"
