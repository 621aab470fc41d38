"""Reads GStreamer pipelines, such as CSI cameras, with an OpenCV that supports GStreamer."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Any

from edgekit._locking import one_at_a_time
from edgekit._parameters import parameter
from edgekit.errors import MediaError, MissingDependencyError
from edgekit.media._held import within
from edgekit.media._opencv import cv2
from edgekit.media.sources.address import path_of, without_secrets
from edgekit.media.sources.opencv.capture import CaptureSource, with_first_picture
from edgekit.media.sources.source import SourceOptions
from edgekit.runtime.types import Frame

__all__ = ["PipelineSource", "check_gstreamer", "is_pipeline", "pipeline_name"]

_END = "videoconvert ! video/x-raw,format=BGR ! appsink drop=true max-buffers=1 sync=false"
_EXAMPLE = (
    "nvarguscamerasrc ! video/x-raw(memory:NVMM),width=1280,height=720,framerate=30/1 "
    "! nvvidconv ! video/x-raw,format=BGRx"
)
_QUOTED = f'"{_EXAMPLE}"'
_ADDRESS = re.compile(r"\w+://[^\s\"']+")
_SECRET = re.compile(
    r"(\b[\w-]*(?:pw|pass\w*|user[\w-]*|token|key|secret)\s*=\s*)(\"[^\"]*\"|\S+)", re.I
)


class PipelineSource(CaptureSource):
    """A live source that reads the output of a GStreamer pipeline.

    Args:
        pipeline: Pipeline in the syntax of ``gst-launch-1.0``. If it has no ``appsink``, one that
            keeps only the newest picture is appended.
        options: Longest wait for a picture.

    Raises:
        MissingDependencyError: This OpenCV has no GStreamer; the one from pip never has.
        MediaError: The pipeline cannot be built, or gives no picture in time.
    """

    live = True
    reopens = True

    def __init__(self, pipeline: str, options: SourceOptions | None = None) -> None:
        check_gstreamer()
        self._pipeline = pipeline
        self._options = options or SourceOptions()
        self.name = pipeline_name(pipeline)
        patience = self._options.patience
        whole = pipeline if "appsink" in pipeline else f"{pipeline} ! {_END}"
        try:
            capture, self._first = within(patience, lambda: _opened(whole), _release)
        except TimeoutError:
            capture = self._first = None
        if self._first is None:
            raise MediaError(
                f"The pipeline {self.name} delivered no picture within {patience:g} seconds.",
                hint="Test the pipeline: gst-launch-1.0 PIPELINE ! fakesink\n"
                f"For a CSI camera of a Jetson: {parameter('source', _QUOTED)}",
            )
        super().__init__(capture)
        self.height, self.width = self._first.shape[:2]
        self._begin = time.monotonic()

    @one_at_a_time
    def read(self) -> Frame | None:
        """Waits for the next picture; returns None once the pipeline has ended or was closed."""
        image, self._first = self._first, None
        if image is None:
            image = self._grab()
        return None if image is None else self._next(image, time.monotonic() - self._begin)

    def reopened(self) -> PipelineSource:
        """Builds the pipeline again."""
        return PipelineSource(self._pipeline, self._options)


def is_pipeline(text: str) -> bool:
    """Returns whether a source is a pipeline, and not the name of an existing file."""
    return " ! " in text and not _exists(path_of(text))


def has_gstreamer() -> bool:
    """Returns whether this OpenCV can read pipelines."""
    registry = cv2.videoio_registry
    return bool(registry.hasBackend(cv2.CAP_GSTREAMER))


def check_gstreamer() -> None:
    """Checks that pipelines can be read.

    Raises:
        MissingDependencyError: This OpenCV has no GStreamer.
    """
    if not has_gstreamer():
        raise MissingDependencyError(
            f"The source is a GStreamer pipeline, but this build of OpenCV, {cv2.__version__}, "
            "does not support GStreamer. Builds from pip do not; the system's package does.",
            hint="Use the system's package (sudo apt install python3-opencv) in an environment "
            "without OpenCV from pip; see docs/live.md.\n"
            f"For a CSI camera of a Jetson: {parameter('source', _QUOTED)}",
        )


def pipeline_name(pipeline: str) -> str:
    """Returns a pipeline without users, passwords and tokens, for names, logs and errors."""
    shown = _ADDRESS.sub(lambda found: without_secrets(found[0]), pipeline)
    return _SECRET.sub(r"\1...", shown)


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # the text is too long for a file name
        return False


def _opened(pipeline: str) -> tuple[Any, Any]:
    return with_first_picture(cv2.VideoCapture(pipeline, cv2.CAP_GSTREAMER))


def _release(opened: tuple[Any, Any]) -> None:
    opened[0].release()
