"""Writes detections frame by frame as they arrive, in the layout of ``detections``."""

from __future__ import annotations

import contextlib
import gzip
import json
import logging
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np

from edgekit.datasets.annotations import TruthTube
from edgekit.files.writing import atomic_file
from edgekit.linking.tracker import RATE
from edgekit.metrics.detections import MOST_BYTES, SCHEMA, StoredDetections
from edgekit.metrics.frame_detections import FrameDetections
from edgekit.runtime.types import Detections

__all__ = ["DetectionsWriter", "detections_writer", "write_detections"]

_LOG = logging.getLogger(__name__)
_BOX_DIGITS = 4
_SCORE_DIGITS = 6
_FPS_DIGITS = 6


class DetectionsWriter:
    """Writes videos one after the other, and their frames one after the other.

    ``detections_writer`` makes it. Only the names of the videos are kept in memory.
    """

    def __init__(self, stream: IO[bytes], classes: Sequence[str]) -> None:
        self._stream = stream
        self._names: set[str] = set()
        self._size: tuple[int, int] | None = None
        self._write(f'{{"schema":{SCHEMA},"classes":{_json(list(classes))},"videos":{{')

    @contextlib.contextmanager
    def video(
        self,
        name: str,
        frame_size: tuple[int, int],
        truth: Sequence[TruthTube] = (),
        fps: float = RATE,
    ) -> Iterator[FrameWriter]:
        """Begins a video; frames are written inside the ``with`` block.

        Args:
            name: Name of the video, unique within the file.
            frame_size: Width and height in pixels; 0 if the writer's ``size`` is set later.
            truth: Annotated tubes of the video.
            fps: Frames per second, unless the writer's ``fps`` is set later.
        """
        separator = "," if self._names else ""
        self._names.add(name)
        self._write(f'{separator}{_json(name)}:{{"detections":[')
        frames = FrameWriter(self._stream, frame_size, fps)
        yield frames
        width, height = frames.size
        self._size = self._size or frames.size
        rest: dict[str, Any] = {"frames": frames.count, "width": width, "height": height}
        rest["fps"] = round(frames.fps, _FPS_DIGITS)
        rest["gt"] = [_truth(tube) for tube in truth]
        self._write(f"],{_json(rest)[1:]}")

    def close(self) -> None:
        """Writes the end of the file."""
        width, height = self._size or (320, 240)
        self._write(f'}},"width":{width},"height":{height}}}\n')

    def _write(self, text: str) -> None:
        self._stream.write(text.encode())


class FrameWriter:
    """Writes the frames of one video.

    Attributes:
        count: Number of frames written so far.
        size: Width and height in pixels.
        fps: Frames per second.
    """

    def __init__(self, stream: IO[bytes], size: tuple[int, int], fps: float) -> None:
        self._stream = stream
        self.size, self.fps = size, fps
        self.count = 0

    def add(self, detections: Detections | None) -> None:
        """Writes the next frame; scores that round to 0 at six digits are left out.

        Args:
            detections: Detections of the frame; None if the frame was not processed.
        """
        if detections is None:
            self._stream.write(b",null" if self.count else b"null")
            self.count += 1
            return
        boxes = np.round(np.asarray(detections.boxes, np.float64), _BOX_DIGITS)
        scores = np.round(np.asarray(detections.scores, np.float64), _SCORE_DIGITS)
        sparse: list[dict[str, float]] = [{} for _ in range(len(boxes))]
        rows, labels = np.nonzero(scores)
        for row, label in zip(rows.tolist(), labels.tolist(), strict=True):
            sparse[row][str(label)] = float(scores[row, label])
        separator = "," if self.count else ""
        self.count += 1
        frame = _json({"boxes": boxes.tolist(), "scores": sparse})
        self._stream.write(f"{separator}{frame}".encode())


@contextlib.contextmanager
def detections_writer(path: Path, classes: Sequence[str]) -> Iterator[DetectionsWriter]:
    """Opens a file for detections; the complete file appears if the block ends without error.

    Args:
        path: File to write; gzipped if it ends in ``.gz``. Equal content gives equal bytes.
        classes: Class names, by class index.

    Raises:
        OutputError: The file cannot be written, or the disk is full.
    """
    path = Path(path)
    with atomic_file(path) as temporary, contextlib.ExitStack() as stack:
        stream: Any = stack.enter_context(temporary.open("wb"))
        if path.suffix == ".gz":
            # The gzip header has no name and no time, so equal content gives equal bytes.
            stream = gzip.GzipFile("", "wb", compresslevel=6, fileobj=stream, mtime=0)
            stack.callback(stream.close)
        writer = DetectionsWriter(stream, classes)
        yield writer
        writer.close()
        size = stream.tell()  # before it is compressed
    if size > MOST_BYTES:
        _LOG.warning(
            "The detections in %s have %d bytes when they are unpacked, and EdgeKit reads at most "
            "%d: it cannot score them again.", path, size, MOST_BYTES,
        )  # fmt: skip


def write_detections(path: Path, saved: StoredDetections) -> None:
    """Writes the detections of a dataset, video by video.

    Raises:
        OutputError: The file cannot be written, or the disk is full.
    """
    with detections_writer(path, saved.classes) as writer:
        for stored in saved.videos:
            video = stored.load()
            truth = video.truth
            found = FrameDetections.of(video.detections, len(saved.classes))
            size = (truth.width, truth.height)
            with writer.video(truth.name, size, truth.tubes, found.fps) as frames:
                _add_all(frames, found)


def _add_all(frames: FrameWriter, detections: Iterable[Detections | None]) -> None:
    for found in detections:
        frames.add(found)


def _truth(tube: TruthTube) -> dict[str, Any]:
    boxes = tube.boxes.astype(np.float64)
    boxes[:, 2:] -= boxes[:, :2]
    boxes[:, :2] += 1.0
    return {
        "label": tube.label,
        "start": tube.start,
        "end": tube.end + 1,
        "boxes_xywh_1based": np.round(boxes, _BOX_DIGITS).tolist(),
    }


def _json(value: object) -> str:
    return json.dumps(value, separators=(",", ":"), allow_nan=False)
