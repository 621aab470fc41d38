"""Chooses and opens the source for what a user names: a file, address, camera or pipeline."""

from __future__ import annotations

import errno
import importlib.util
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, wait
from functools import partial
from pathlib import Path

from edgekit._checks import as_instance, can_be_path, unexpected
from edgekit._parameters import parameter
from edgekit.errors import MediaError, UsageError
from edgekit.media.sources.absent import AbsentSource
from edgekit.media.sources.address import (
    check_address,
    is_address,
    lacks_scheme,
    path_of,
    scheme_of,
    without_secrets,
)
from edgekit.media.sources.cameras.messages import is_camera
from edgekit.media.sources.opencv.gstreamer import PipelineSource, is_pipeline, pipeline_name
from edgekit.media.sources.pictures.folder import FramesSource, is_picture, open_picture
from edgekit.media.sources.registry import SOURCES
from edgekit.media.sources.source import Source, SourceOptions
from edgekit.media.sources.video.reader import VideoSource
from edgekit.system.leaving import inside, inside_or_end

__all__ = ["may_come", "open_source", "open_sources", "open_stream"]


def open_source(spec: str | int | Path, options: SourceOptions | None = None) -> Source:
    """Opens a source.

    Args:
        spec: Number of a camera; or text that names a video, picture, folder of pictures, camera,
            URL or GStreamer pipeline; or ``-`` for frames on standard input. A ``Path`` always
            means a file or a folder of pictures.
        options: Options for reading the source.

    Raises:
        MediaError: The source is missing or cannot be read; the message says what to do.
        UsageError: The text names nothing that can be opened.
    """
    if options is not None:
        as_instance("options", options, SourceOptions, "edgekit.SourceOptions")
    if isinstance(spec, int) and not isinstance(spec, bool):
        return _open_camera(spec, options)
    if isinstance(spec, str | Path) and spec != "" and not can_be_path(str(spec)):
        raise unexpected("source", "text of whole characters, without NUL", spec)
    if isinstance(spec, Path):
        return _open_path(spec, options)
    text = as_instance("source", spec, str, "a camera number, text or a path")
    if text == "-":
        from edgekit.media.sources.raw import RawSource

        return RawSource(options=options)
    if not text:
        raise UsageError(
            f"{parameter('source')} is empty.",
            hint=f"Name a file, a folder or a URL: {parameter('source', 'S')}",
        )
    if is_address(text):
        return _open_address(text, options)
    if is_pipeline(text):
        return PipelineSource(text, options)
    path = path_of(text)
    _refuse_name(path)
    if lacks_scheme(text) and not path.exists():
        check_address(text)  # the error about a missing file would show the password
    return _open_camera(str(path), options) if is_camera(str(path)) else _open_path(path, options)


def open_stream(address: str, options: SourceOptions | None = None) -> Source:
    """Opens a stream with a scheme of ``edgekit.media.sources.registry.SCHEMES``.

    Raises:
        MediaError: The stream is missing or cannot be read; the message says what to do.
    """
    # PyAV reads like FFmpeg and explains failures; OpenCV's reader is always installed.
    if _has_pyav():
        return VideoSource(address, options)
    from edgekit.media.sources.opencv.stream import OpenCVStreamSource

    return OpenCVStreamSource(address, options)


def _open_camera(device: int | str, options: SourceOptions | None) -> Source:
    # Imported here: these modules take a tenth of the time in which a run on a file starts.
    from edgekit.media.sources.cameras.camera import open_camera

    return open_camera(device, options)


def _open_address(address: str, options: SourceOptions | None) -> Source:
    check_address(address)
    scheme = scheme_of(address)
    with SOURCES.attributed(scheme):
        source = SOURCES[scheme](address, options)
        if not isinstance(source, Source):
            raise TypeError(f"expected a Source; found {type(source).__name__}")
    return source


def _open_path(path: Path, options: SourceOptions | None) -> Source:
    _refuse_name(path)
    if path.is_dir() or (path.is_file() and is_picture(path)):
        with inside_or_end():
            return FramesSource(path) if path.is_dir() else open_picture(path)
    if _has_pyav():
        return VideoSource(path, options)
    from edgekit.media.sources.opencv.file import FileSource

    return FileSource(path)


def open_sources(
    specs: Sequence[str | int | Path],
    options: SourceOptions | None = None,
    *,
    absent: bool = False,
) -> list[Source]:
    """Opens several sources at the same time, so that no stream ages while others open.

    Args:
        specs: Sources, each in a form that ``open_source`` accepts.
        options: Options for reading all sources.
        absent: Whether an ``AbsentSource`` replaces a camera or stream that cannot be opened. A
            missing file is always an error.

    Raises:
        EdgeKitError: A source cannot be opened, as in ``open_source``; the others are closed.
    """
    make = _open_or_await if absent else open_source
    if len(specs) == 1:
        return [make(specs[0], options)]
    futures = [_begin(partial(make, spec, options)) for spec in specs]
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


def _open_or_await(spec: str | int | Path, options: SourceOptions | None) -> Source:
    try:
        return open_source(spec, options)
    except MediaError as error:
        if not may_come(spec):
            raise
        return AbsentSource(_name_of(spec), error, partial(open_source, spec, options))


def may_come(spec: str | int | Path) -> bool:
    """Returns whether a missing source may appear later: a camera, a pipeline or a stream.

    An ``http`` address may be a recording, and counts as a stream until it answers.
    """
    if isinstance(spec, int):
        return True
    text = str(spec)
    if is_address(text):
        return True
    return text not in ("", "-") and (is_camera(str(path_of(text))) or is_pipeline(text))


def _name_of(spec: str | int | Path) -> str:
    """Returns the name that the source will have once it is open."""
    text = str(spec)
    if not isinstance(spec, int):
        if is_address(text):
            return without_secrets(text)
        if is_pipeline(text):
            return pipeline_name(text)
        text = str(path_of(text))
    return f"camera {text}"


def _begin(make: Callable[[], Source]) -> Future[Source]:
    """Runs a function in a daemon thread, which is abandoned if nobody waits for its result."""
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
                f"The path {path} is longer than the system allows.",
                hint="Check the path.",
            ) from error
