"""Defines the source options of ``edgekit run``, and turns them into sources."""

from __future__ import annotations

import contextlib
import re
from pathlib import Path

import click

from edgekit.cli.options.shared import F, FiniteRange, headed
from edgekit.errors import UsageError
from edgekit.media.choices import RAW_FORMATS, RTSP_TRANSPORTS

__all__ = ["input_options", "specs_of"]

_MOST = 16
_COMMAND_LINE = click.core.ParameterSource.COMMANDLINE


class _FrameSize(click.ParamType[tuple[int, int]]):
    name = "WxH"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, int]:
        match = re.fullmatch(r"([1-9]\d{0,4})x([1-9]\d{0,4})", str(value))
        if match is None:
            self.fail(f"Expected WIDTHxHEIGHT, such as 640x480; found {value!r}.", param, ctx)
        return int(match[1]), int(match[2])


class _PixelFormat(click.ParamType[str]):
    name = "NAME"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> str:
        text = str(value).strip().upper()
        if re.fullmatch(r"[ -~]{3,4}", text) is None:
            words = f"Expected a pixel format of four letters, such as MJPG; found {value!r}."
            self.fail(words, param, ctx)
        return text


_OPTIONS = (
    click.option(
        "--camera",
        "cameras",
        multiple=True,
        metavar="N",
        help="Camera of this machine: its number, or its device file such as /dev/video0. Repeat "
        "the option for several cameras. [default: 0]",
    ),
    click.option(
        "--source",
        "sources",
        multiple=True,
        metavar="S",
        help="Video, picture, folder of pictures, URL or GStreamer pipeline, like CLIP. Use - for "
        "standard input. Repeat the option for several sources.",
    ),
    click.option(
        "--rtsp-transport",
        type=click.Choice(RTSP_TRANSPORTS),
        default="tcp",
        show_default=True,
        help="Transport protocol for rtsp:// sources.",
    ),
    click.option(
        "--patience",
        type=FiniteRange(0, min_open=True),
        default=10.0,
        show_default=True,
        metavar="SECONDS",
        help="Reconnect a camera or stream after this many seconds without a frame.",
    ),
    click.option(
        "--all-or-none",
        is_flag=True,
        help="End with an error if any source cannot be opened at the start. By default, EdgeKit "
        "keeps trying to open a camera or stream, as long as another camera or stream can be "
        "opened, and runs with the other sources.",
    ),
    click.option(
        "--camera-size",
        type=_FrameSize(),
        help="Width and height in pixels to request from a camera. [default: 640x480, or the "
        "nearest]",
    ),
    click.option(
        "--camera-format",
        type=_PixelFormat(),
        help="Pixel format to request from a camera, such as MJPG or YUYV. [default: the "
        "fastest at that size]",
    ),
    click.option(
        "--camera-fps",
        type=FiniteRange(0, 1000, min_open=True),
        help="Frames per second to request from a camera. [default: 30, or the nearest]",
    ),
    click.option(
        "--raw-size",
        type=_FrameSize(),
        help="Width and height of raw frames on standard input. Not needed for y4m.",
    ),
    click.option(
        "--raw-fps",
        type=FiniteRange(0, 1000, min_open=True),
        default=25.0,
        show_default=True,
        help="Frames per second of raw frames on standard input. Not used for y4m.",
    ),
    click.option(
        "--raw-format",
        type=click.Choice(RAW_FORMATS),
        default="bgr24",
        show_default=True,
        help="Pixel format of raw frames on standard input, by FFmpeg's name. Not used for y4m.",
    ),
)


def input_options(command: F) -> F:
    """Adds the argument and options that name the sources."""
    command = click.argument("named", nargs=-1, metavar="[CLIP]...")(command)
    return headed("Source", *_OPTIONS)(command)


def specs_of(context: click.Context) -> list[int | str]:
    """Returns the specs for ``open_sources``: clips, then sources, then cameras, in given order.

    Sources on the command line replace all those in a file of options.

    Raises:
        UsageError: A spec is invalid, an exclusive device appears twice, or there are too many.
    """
    options = {name: context.params[name] for name in ("named", "sources", "cameras")}
    if any(context.get_parameter_source(name) is _COMMAND_LINE for name in options):
        for name in options:
            if context.get_parameter_source(name) is not _COMMAND_LINE:
                options[name] = ()
    clips = [_clip(text) for text in options["named"]]
    specs = [*clips, *map(str, options["sources"]), *map(_camera, options["cameras"])] or [0]
    if len(specs) > _MOST:
        raise UsageError(
            f"{len(specs)} sources were given, and one run takes {_MOST} at most.",
            hint="Share them out among several runs.",
        )
    devices = [_device(spec) for spec in specs]
    for spec, device in zip(specs, devices, strict=True):
        if device and devices.count(device) > 1:
            name = "Standard input" if device == "-" else f"The camera {spec}"
            raise UsageError(f"{name} was given twice.", hint="Leave one of them out.")
    return specs


def _clip(text: str) -> str:
    """Checks a source that was named without ``--source``."""
    from edgekit.bundle import MANIFEST

    with contextlib.suppress(OSError):  # too long for a name: an address or a pipeline
        if text.isdecimal() and not Path(text).exists():
            raise UsageError(
                f"There is no file {text} here.", hint=f"For a camera: --camera {text}"
            )
        if (Path(text) / MANIFEST).is_file():
            raise UsageError(
                f"Expected a video or a folder of pictures; found the bundle {text}.",
                hint=f"To run it: --bundle {text}",
            )
    return text


def _camera(text: str) -> int | str:
    if text.isdecimal() and len(text) < 5:
        return int(text)
    if text.startswith("/dev/"):
        return text
    raise UsageError(
        f"Expected --camera to be a number, or a device such as /dev/video0; found {text!r}.",
        hint="To use the first camera, leave out --camera. To read a file: --source FILE",
    )


def _device(spec: int | str) -> str:
    """Returns the device that only one source can read; empty if the source can be shared."""
    if spec == "-":
        return "-"
    path = Path(f"/dev/video{spec}" if isinstance(spec, int) else spec)
    try:
        is_camera = str(path).startswith("/dev/video") or path.is_char_device()
    except OSError:  # too long for a name: an address or a pipeline
        return ""
    return str(path.resolve()) if is_camera else ""
