"""Opens a file or stream with PyAV, and reads its packets; an error gives the reason in words."""

from __future__ import annotations

import errno
import time
from collections import deque
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any, NamedTuple

from edgekit.errors import MissingDependencyError
from edgekit.media.sources._frame_clock import checked_fps, is_bare, rate_or_none
from edgekit.media.sources._protocols import file_limits, name_for_ffmpeg, stream_limits
from edgekit.media.sources.source import MOST_PIXELS, SourceOptions
from edgekit.media.sources.video._decoder import DecodedPicture, Decoder
from edgekit.media.sources.video._stream_selection import choose, is_tiled, loses_content
from edgekit.media.sources.video._unreadable import (
    NO_PARTS,
    ONLY_A_FILE,
    Unreadable,
    no_data,
    reason_of,
)
from edgekit.system.leaving import Ending, connection_to, inside

__all__ = ["Connection"]

_LOOK = {"analyzeduration": "2000000", "fpsprobesize": "4"}
"""FFmpeg's limits for probing a stream before the first picture: microseconds, frames."""

_LISTS = frozenset(("concat", "dash", "hls", "sdp"))
"""Formats whose own length means nothing, because the video is elsewhere."""

_TIMED = frozenset(("rtsp", "sdp", "rtp", "mpegts", "flv", "hls", "dash", "matroska,webm"))
"""Formats with real times. For a series of JPEGs, FFmpeg invents 25 pictures per second."""

_EMPTY = 0.5
"""Wait in seconds that shows that no packets had gathered, even on a busy CPU."""

_MOST_GATHERED = 100_000
_TEXT = "tty"
_GENERATE_TIMES = 0x1
_AHEAD = 32


class _Packet(NamedTuple):
    packet: Any
    waited: float


# Many attributes: a container of FFmpeg, and what is known of its stream before the first picture.
class Connection:
    """An open file or stream, and its pictures.

    Args:
        place: Path of a local file, or an address.
        options: RTSP transport, and the longest wait.
        name: Name of the source, for messages.

    Attributes:
        fps: Frames per second.
        frames: Declared or estimated number of frames; 0 if unknown.
        counted: Number of frames that the container lists; 0 if it lists none.
        whole: Whether it is a file, local or on a server, that is read from first to last byte.
        endless: Whether it has no end of its own.
        timed: Whether picture times come from the source and are not invented by FFmpeg.
        segmented: Whether pictures come in segments of some seconds, each at once.
        still: Whether it is a single picture.
        broken: Number of pictures after the first good one that had decoding errors.
        packets: Number of video packets received so far.
        passed: Number of frames up to the last packet, with those that an AVI leaves out.
        cut: Whether the container ended in the middle.

    Raises:
        Unreadable: The source cannot be reached, or has no video.
        MissingDependencyError: PyAV is not installed.
    """

    def __init__(self, place: Path | str, options: SourceOptions, name: str) -> None:
        try:
            import av
        except ImportError as error:
            raise MissingDependencyError.for_extra("av", "video", "This reader") from error
        self._av: Any = av
        self._patience = options.patience
        self.broken = self.packets = self.passed = 0
        self.cut = False
        local = isinstance(place, Path)
        if isinstance(place, Path):
            settings = file_limits(av.formats_available)
        else:
            settings = _LOOK | stream_limits(place)
        if str(place).lower().startswith("rtsp"):
            settings["rtsp_transport"] = options.rtsp_transport
        self._network = None if isinstance(place, Path) else connection_to(place)
        begin = time.monotonic()
        try:
            with inside(self._network):
                self._container: Any = av.open(
                    name_for_ffmpeg(place) if isinstance(place, Path) else place,
                    options=settings,
                    metadata_errors="replace",
                    # A timeout makes FFmpeg call Python at every read, which slows other threads.
                    timeout=None if local else (self._patience, self._patience),
                )
        except Ending:
            raise Unreadable("the program ends") from None
        except (OSError, ValueError, av.FFmpegError) as error:
            # After the time limit, any error that FFmpeg reports is a consequence of the limit.
            late = time.monotonic() - begin >= self._patience and not local
            raise Unreadable(no_data(self._patience) if late else self._reason(error)) from None
        try:
            with inside(self._network):
                self._look(local, name)
        except BaseException:
            self._container.close()
            raise

    def _look(self, local: bool, name: str) -> None:
        container = self._container
        # The times that FFmpeg invents for AVI are not in frame order.
        container.flags &= ~_GENERATE_TIMES
        stream = choose(container.streams.video, name)
        if stream is None or container.format.name == _TEXT:
            if is_tiled(container.streams.video):
                raise Unreadable("it is a picture in tiles, of which FFmpeg reads only one")
            if container.streams.audio:
                raise Unreadable("it is of sound only", "sound")
            raise Unreadable("it has no video in it")
        context = stream.codec_context
        if context is None:
            raise Unreadable("this FFmpeg cannot decode its video", "codec")
        seconds = _seconds(container, stream)
        self.whole = local or (container.size > 0 and container.format.name not in _LISTS)
        self.endless = not (self.whole or seconds)
        self.timed = container.format.name in _TIMED
        self.segmented = container.format.name in ("dash", "hls")
        self.still = container.format.name.endswith(("_pipe", "image2"))
        # Frame threads would each delay a stream by one frame; slice threads do not.
        context.thread_type = "SLICE" if self.endless else "AUTO"
        if self.endless:
            context.flags |= self._av.codec.context.Flags.low_delay
        # A damaged header may declare any size.
        context.options = {"max_pixels": str(MOST_PIXELS)}
        if not local and loses_content(container.format.name, context):
            raise Unreadable(ONLY_A_FILE)
        self._stream = stream
        self._is_mp4 = container.format.name.startswith("mov")
        self._ahead: deque[_Packet] = deque()
        self._fetched = self._packets()
        self.counted = 0 if self._is_mp4 else stream.frames
        self.fps = self._rate()
        self.frames = stream.frames or int(seconds * self.fps + 0.5)
        self._decoder = Decoder(stream, name, keep_size=self.whole)
        self._pictures = self._decoded()

    def next(self) -> DecodedPicture | None:
        """Returns the content of the next packet; None at the end.

        Raises:
            Unreadable: The connection broke, or nothing arrived in time.
        """
        try:
            with inside(self._network):
                return next(self._pictures, None)
        except Ending:
            return None

    def catch_up(self, is_late: Callable[[float], bool]) -> tuple[int, bool]:
        """Skips late packets up to the newest key frame; skips nothing if no key frame follows.

        Args:
            is_late: Function that returns whether a picture of a stream time, in seconds, is late.

        Returns:
            Number of skipped pictures; and whether no packets were left, so that the next picture
            is current whatever its time says.

        Raises:
            Unreadable: The connection broke, or nothing arrived in time.
        """
        kept: list[_Packet] = []
        left_out, pictures, emptied = 0, 0, False
        with inside(self._network):
            for _ in range(_MOST_GATHERED):
                fetched = self._ahead.popleft() if self._ahead else next(self._fetched, None)
                if fetched is None:
                    break
                packet = fetched.packet
                if packet.stream_index == self._stream.index and packet.size:
                    if packet.is_keyframe:
                        left_out, kept = left_out + pictures, []
                        pictures = 0
                    pictures += 1
                    if packet.pts is not None and not is_late(self._decoder.seconds(packet.pts)):
                        kept.append(fetched)
                        break
                kept.append(fetched)
                if emptied := fetched.waited > _EMPTY:
                    break
        self._ahead.extend(kept)
        if left_out:
            self._decoder.forget()
        return left_out, emptied

    def close(self) -> None:
        """Closes the connection; no other thread may be in ``next``."""
        self._pictures.close()
        self._fetched.close()
        self._container.close()

    def _rate(self) -> float:
        tick = self._stream.time_base
        rates = self._stream.average_rate, self._stream.guessed_rate
        declared = float(next(filter(None, rates[::-1] if is_bare(tick) else rates), 0))
        if not self.whole:
            return checked_fps(rate_or_none(declared, float(tick)), ())
        times = []
        for _ in range(_AHEAD):
            fetched = next(self._fetched, None)
            if fetched is None:
                break
            self._ahead.append(fetched)
            shown = fetched.packet.dts if fetched.packet.pts is None else fetched.packet.pts
            if shown is not None:
                times.append(float(shown * tick))
        return checked_fps(declared, times)

    def _decoded(self) -> Generator[DecodedPicture, None, None]:
        while True:
            fetched = self._ahead.popleft() if self._ahead else next(self._fetched, None)
            if fetched is None:
                break
            packet, waited = fetched
            if packet.stream_index != self._stream.index or not packet.size:
                yield DecodedPicture(None, waited=waited)
                continue
            pictures = self._decoder.pictures(packet)
            self._count(pictures)
            for picture in pictures:
                yield picture._replace(waited=waited)
            if not pictures:
                yield DecodedPicture(None, waited=waited)
        pictures = self._decoder.pictures(None)
        self._count(pictures)
        yield from pictures

    def _count(self, pictures: list[DecodedPicture]) -> None:
        if self._decoder.begun:
            self.broken += sum(picture.broken for picture in pictures)

    def _packets(self) -> Generator[_Packet, None, None]:
        # Read all streams: a server that sends only sound must not look like a silent one.
        packets = self._container.demux(*((self._stream,) if self.whole else ()))
        # An AVI counts frames by their times: an empty chunk repeats a picture.
        is_avi = self._container.format.name == "avi"
        try:
            while True:
                begin = time.monotonic()
                if (packet := next(packets, None)) is None:
                    if self._lacks_pictures():
                        raise Unreadable(NO_PARTS)
                    return
                if packet.stream_index == self._stream.index and packet.size:
                    self.packets += 1
                    numbered = is_avi and packet.dts is not None
                    self.passed = packet.dts + 1 if numbered else self.packets
                    self.cut = packet.is_corrupt  # this matters if the packet is the last one
                yield _Packet(packet, time.monotonic() - begin)
        except (OSError, ValueError, self._av.FFmpegError) as error:
            if self.whole and isinstance(error, self._av.error.InvalidDataError):
                self.cut = True
                return
            # Without a length, FFmpeg cannot tell the end of a recording from a lost connection.
            ended = not (self.whole or self.endless) and self.packets
            if ended and getattr(error, "errno", None) == errno.EIO:
                return
            if self._lacks_pictures() and getattr(error, "errno", None) == errno.EIO:
                raise Unreadable(NO_PARTS) from None
            raise Unreadable(self._reason(error)) from None
        finally:
            packets.close()

    def _lacks_pictures(self) -> bool:
        """Returns whether an MP4 on a server has pictures by its index, of which none came."""
        return bool(self._network and self._is_mp4 and self._stream.frames and not self.packets)

    def _reason(self, error: BaseException) -> str:
        connects = self._network is not None and not self.packets
        return reason_of(error, self._av.error, self._patience, connects=connects)


def _seconds(container: Any, stream: Any) -> float:
    """Returns the duration in seconds; 0 if unknown."""
    if container.duration and container.duration > 0:
        return float(container.duration / 1_000_000)
    if stream.duration and stream.duration > 0:
        return float(stream.duration * stream.time_base)
    return 0.0
