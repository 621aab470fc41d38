"""What ``edgekit run`` reads, by its options."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgekit.errors import UsageError

if TYPE_CHECKING:
    from edgekit.media.source import SourceOptions

__all__ = ["input_options", "reading_of", "source_files", "spec_of"]


class _FrameSize(click.ParamType[tuple[int, int]]):
    name = "WxH"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, int]:
        match = re.fullmatch(r"([1-9]\d{0,4})x([1-9]\d{0,4})", str(value))
        if match is None:
            self.fail(f"{value!r} is no WIDTHxHEIGHT such as 640x480.", param, ctx)
        return int(match[1]), int(match[2])


_OPTIONS = (
    click.option(
        "--camera", metavar="N", help="Number of a camera, or its device file. [default: 0]"
    ),
    click.option(
        "--source",
        metavar="S",
        help="A video, picture, folder, URL or pipeline of GStreamer instead; - is standard input.",
    ),
    click.option(
        "--rtsp-transport",
        type=click.Choice(["tcp", "udp"]),
        default="tcp",
        show_default=True,
        help="What carries the pictures of an rtsp:// source.",
    ),
    click.option(
        "--patience",
        type=click.FloatRange(0, min_open=True),
        default=10.0,
        show_default=True,
        metavar="SECONDS",
        help="Open a camera or stream anew that gives no frame for so long.",
    ),
    click.option(
        "--raw-size",
        type=_FrameSize(),
        help="Width and height of the frames on standard input, unless they are y4m.",
    ),
    click.option(
        "--raw-fps",
        type=click.FloatRange(0, 1000, min_open=True),
        default=25.0,
        show_default=True,
        help="How many of them are a second, unless they are y4m.",
    ),
    click.option(
        "--raw-format",
        type=click.Choice(["bgr24", "rgb24", "gray8", "nv12", "yuv420p"]),
        default="bgr24",
        show_default=True,
        help="How they lie in memory, by FFmpeg's names, unless they are y4m.",
    ),
)


def input_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds the options that say where frames come from."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def spec_of(options: dict[str, Any]) -> int | str:
    """What ``open_source`` is to open.

    Raises:
        UsageError: A camera and a source were given, or a camera that cannot be one.
    """
    source, camera = options["source"], options["camera"]
    if camera is not None and source is not None:
        raise UsageError(
            "--camera and --source were both given, and one run has one source.",
            mend="Leave one of them out.",
        )
    if source is not None:
        return str(source)
    chosen = "0" if camera is None else str(camera)
    if chosen.isdecimal() and len(chosen) < 5:
        return int(chosen)
    if chosen.startswith("/dev/"):
        return chosen
    raise UsageError(
        f"--camera is '{chosen}'; a number or a device like /dev/video0 was expected.",
        mend="Leave it out for the first camera, or name a file: --source FILE",
    )


def reading_of(options: dict[str, Any]) -> SourceOptions:
    """How ``open_source`` is to read it."""
    from edgekit.media.source import SourceOptions

    return SourceOptions(
        rtsp_transport=options["rtsp_transport"],
        patience=options["patience"],
        raw_size=options["raw_size"],
        raw_fps=options["raw_fps"],
        raw_format=options["raw_format"],
    )


def source_files(options: dict[str, Any]) -> set[Path]:
    """The files among the sources, which nothing may be written to."""
    source = options["source"]
    try:
        return {Path(source).resolve()} if source and Path(source).is_file() else set()
    except OSError:  # too long for a name: an address, or a pipeline
        return set()
