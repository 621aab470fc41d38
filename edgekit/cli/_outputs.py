"""What ``edgekit run`` writes and shows, by its options."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from edgekit.media.sink import Sink

__all__ = ["FILES", "make_sinks", "output_options"]

FILES = ("events", "video", "picture", "save_detections")
"""The options that name a file to write."""

_FILE = click.Path(dir_okay=False, path_type=Path)
_OPTIONS = (
    click.option(
        "--events", metavar="FILE|-", help="Write results as JSON Lines; - is the terminal."
    ),
    click.option("--video", type=_FILE, help="Write the annotated video."),
    click.option("--picture", type=_FILE, help="Write one picture of all tubes over time."),
    click.option(
        "--save-detections",
        type=_FILE,
        help="Write all detections, for edgekit eval --detections; packed if it ends in .gz.",
    ),
    click.option("--show", is_flag=True, help="Show the annotated frames in a window; Q ends it."),
)


def output_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds the options that say where results go."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def make_sinks(options: dict[str, Any], stop: Callable[[], None]) -> list[Sink]:
    """The sinks that were asked for; none of them has touched a file yet."""
    from edgekit.cli._sinks import DetectionsSink, StatusSink
    from edgekit.media.events import EventsSink
    from edgekit.media.picture import PictureSink
    from edgekit.media.video_file import VideoSink
    from edgekit.media.window import WindowSink

    sinks: list[Sink] = [StatusSink()]
    if options["events"]:
        target = sys.stdout.buffer if options["events"] == "-" else options["events"]
        sinks.append(EventsSink(target, score=options["score"]))
    if options["video"]:
        sinks.append(VideoSink(options["video"]))
    if options["picture"]:
        sinks.append(PictureSink(options["picture"]))
    if options["save_detections"]:
        sinks.append(DetectionsSink(options["save_detections"]))
    if options["show"]:
        sinks.append(WindowSink(stop))
    return sinks
