"""The annotated video of a run that may end at any moment."""

from __future__ import annotations

from pathlib import Path

from edgekit.errors import OutputError
from edgekit.media import _matroska
from edgekit.media._packets import PacketEncoder, decoder_header
from edgekit.media._whole_file import WholeFile, make_room
from edgekit.media.drawing import Annotator
from edgekit.media.sink import Sink
from edgekit.media.source import name_of
from edgekit.runtime.letterbox import Letterbox
from edgekit.runtime.results import FrameResult, Gap, RunInfo, RunSummary

__all__ = ["LiveVideoSink"]

_HIGHEST_FPS = 240.0
_MOST_FRAMES = 300


class LiveVideoSink(Sink):
    """Writes the annotated frames as a video that can be played while it grows.

    Matroska, by clusters: a second of video is encoded, then added to the file in one piece and
    synced to the disk. So ``kill -9`` and a power cut cost that second, not the video. OpenCV's own
    writer keeps up to 256 KiB to itself, minutes of a quiet scene, and passes its muxers no option
    that would change this.

    Frames have their source's times. The first one gives the size; those of another size are fitted
    into it. A video that is there already is kept under ``NAME.1.mkv``.

    Args:
        path: Ends in ``.mkv``; appears with the first cluster.
        rotate: Bytes after which a new file begins; None for never.
        keep: How many older files stay.
        seconds: Length of a cluster, at most 30.

    Raises:
        OutputError: At once where the name ends otherwise; by later calls where no encoder is there
            or the place cannot be written to. The frames of the present cluster are lost then;
            later calls may succeed again.
    """

    def __init__(
        self, path: Path | str, *, rotate: int | None = None, keep: int = 5, seconds: float = 1.0
    ) -> None:
        self._path = Path(path)
        if self._path.suffix.lower() != ".mkv":
            raise OutputError(
                f"The video {name_of(self._path)} of a live source does not end in .mkv: "
                "other formats cannot be played before they are complete.",
                mend=f"Name it {name_of(self._path.with_suffix('.mkv'))}",
            )
        self._rotate = rotate
        self._keep = keep
        self._longest = 1e3 * min(seconds, 30.0)
        self._fps = 25.0
        self._size = (0, 0)
        self._annotator = Annotator(())
        self._encoder: PacketEncoder | None = None
        self._file: WholeFile | None = None
        self._duration_at = 0
        self._times: list[float] = []
        self._begin = 0.0
        self._shift = 0.0
        self._latest = -1.0
        self._dropped = 0

    @property
    def dropped(self) -> int:
        """Frames of clusters that could not be written."""
        return self._dropped

    def start(self, info: RunInfo) -> None:
        """Takes over classes and rate."""
        self._fps = min(info.fps, _HIGHEST_FPS)
        self._annotator = Annotator(info.classes)

    def gap(self, gap: Gap) -> None:
        """Writes what there is, as the next frame may be long in coming."""
        if gap.reason == "reconnect":
            self._flush()

    def frame(self, result: FrameResult) -> None:
        """Draws and encodes a frame; writes a cluster when it is complete."""
        image = self._annotator.draw(result)
        if self._encoder is None:
            self._size = (image.shape[0], image.shape[1])
            self._encoder = self._make_encoder()
        time = self._time_of(result)
        if self._times and (
            time - self._times[0] >= self._longest or len(self._times) >= _MOST_FRAMES
        ):
            self._flush()
        if image.shape[:2] != self._size:
            image = Letterbox.fit((image.shape[0], image.shape[1]), self._size).apply(image)
        self._encoder.write(image)
        self._times.append(time)

    def end(self, summary: RunSummary) -> None:
        """Writes the last cluster."""
        self._flush()

    def reopen(self) -> bool:
        """Nothing is to be done: every cluster is a new try."""
        return True

    def close(self) -> None:
        """Closes the file."""
        if self._encoder is not None:
            self._encoder.close()
        if self._file is not None:
            self._file.close()

    def _make_encoder(self) -> PacketEncoder:
        encoder = PacketEncoder(self._size, self._fps)
        if encoder.codec is None:
            encoder.close()
            height, width = self._size
            raise OutputError(
                f"This OpenCV cannot encode a video of {width}x{height} pixels.",
                mend="Leave --video out, or install opencv-python.",
            )
        return encoder

    def _flush(self) -> None:
        if self._encoder is None or not self._times:
            return
        times, self._times = self._times, []
        self._dropped += len(times)
        packets = self._encoder.take()
        if len(packets) < len(times):
            raise OutputError(
                f"Of {len(times)} frames only {len(packets)} could be encoded: the folder for "
                "temporary files is full or cannot be written.",
                mend="Free some space there, or set TMPDIR to another folder.",
            )
        if self._file is None or (self._rotate and self._file.size >= self._rotate):
            self._next_file(packets[0], times[0])
        assert self._file is not None
        stamps = [round(time - self._begin) for time in times]
        self._file.add(_matroska.cluster(list(zip(stamps, packets, strict=True))))
        self._dropped -= len(times)
        length = times[-1] - self._begin + 1e3 / self._fps
        self._file.put(self._duration_at, _matroska.duration_field(length))
        self._file.sync()

    def _next_file(self, packet: bytes, begin: float) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None
        make_room(self._path, self._keep)
        assert self._encoder is not None
        assert self._encoder.codec is not None
        # The encoder drops an odd last row or column.
        height, width = (side // 2 * 2 for side in self._size)
        head, place = _matroska.header(
            self._encoder.codec.matroska, decoder_header(packet), width, height
        )
        file = WholeFile(self._path)
        try:
            file.add(head)
        except BaseException:
            file.close()
            raise
        self._file, self._duration_at, self._begin = file, place, begin

    def _time_of(self, result: FrameResult) -> float:
        """Milliseconds that only grow, whatever the source's clock does."""
        time = 1e3 * result.frame.time + self._shift
        if time <= self._latest:
            self._shift += self._latest + 1e3 / self._fps - time
            time = self._latest + 1e3 / self._fps
        self._latest = time
        return time
