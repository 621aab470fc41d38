"""From what a user names to the source that reads it."""

from __future__ import annotations

import errno
import importlib.util
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, wait
from functools import partial
from pathlib import Path

from edgekit.errors import MediaError, UsageError
from edgekit.media._camera_words import is_camera
from edgekit.media._leaving import inside
from edgekit.media.address import check_address, is_address, path_of
from edgekit.media.camera import open_camera
from edgekit.media.gstreamer import PipelineSource, is_pipeline
from edgekit.media.pictures import FramesSource, is_picture, open_picture
from edgekit.media.raw import RawSource
from edgekit.media.source import Source, SourceOptions
from edgekit.media.sources.opencv_file import FileSource
from edgekit.media.sources.opencv_stream import OpenCVStreamSource
from edgekit.media.sources.video import VideoSource

__all__ = ["open_source", "open_sources"]


def open_source(spec: str | int | Path, options: SourceOptions | None = None) -> Source:
    """Opens a source.

    Args:
        spec: A camera's number; or a text that names a video, picture, folder of pictures, camera,
            URL, or pipeline of GStreamer, or is ``-`` for frames on standard input. A ``Path`` is
            never anything but a file or a folder of pictures.
        options: How it is to be read.

    Raises:
        MediaError: It is not there or cannot be read; says what to do.
        UsageError: It is nothing that can be opened.
    """
    if isinstance(spec, int):
        return open_camera(spec, options)
    if isinstance(spec, Path):
        return _open_path(spec, options)
    text = spec
    if text == "-":
        return RawSource(options=options)
    if not text:
        raise UsageError("--source is empty.", mend="Name a file, a folder or a URL: --source S")
    if is_address(text):
        check_address(text)
        # PyAV reads as FFmpeg does and says what is wrong; OpenCV's reader is what is always there.
        return (VideoSource if _has_pyav() else OpenCVStreamSource)(text, options)
    if is_pipeline(text):
        return PipelineSource(text, options)
    path = path_of(text)
    _refuse_name(path)
    return open_camera(str(path), options) if is_camera(str(path)) else _open_path(path, options)


def _open_path(path: Path, options: SourceOptions | None) -> Source:
    _refuse_name(path)
    if path.is_dir():
        return FramesSource(path)
    if path.is_file() and is_picture(path):
        return open_picture(path)
    return VideoSource(path, options) if _has_pyav() else FileSource(path)


def open_sources(
    specs: Sequence[str | int | Path], options: SourceOptions | None = None
) -> list[Source]:
    """Opens several sources at the same time: a stream that waits for the others grows old.

    Args:
        specs: Each as ``open_source`` takes it.
        options: How all of them are to be read.

    Raises:
        EdgeKitError: One cannot be opened, as in ``open_source``; the others are closed.
    """
    if len(specs) == 1:
        return [open_source(specs[0], options)]
    futures = [_begin(partial(open_source, spec, options)) for spec in specs]
    try:
        wait(futures, return_when=FIRST_EXCEPTION)
        for future in futures:
            if future.done():
                future.result()
        return [future.result() for future in futures]
    except BaseException:
        for future in futures:
            future.add_done_callback(_discard)
        raise


def _begin(make: Callable[[], Source]) -> Future[Source]:
    """What a function makes, in a thread that is left behind where nobody waits for it."""
    future: Future[Source] = Future()

    def work() -> None:
        try:
            with inside():
                future.set_result(make())
        except BaseException as error:
            future.set_exception(error)

    threading.Thread(target=work, name="edgekit-open", daemon=True).start()
    return future


def _discard(future: Future[Source]) -> None:
    if future.exception() is None:
        future.result().close()


def _has_pyav() -> bool:
    return importlib.util.find_spec("av") is not None


def _refuse_name(path: Path) -> None:
    try:
        path.lstat()
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            raise MediaError(
                f"There is no file {path}: no name is that long.", mend="Check the path."
            ) from error
