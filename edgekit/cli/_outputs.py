"""What ``edgekit run`` writes and shows, by its options."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgekit.cli._parsing import BYTES

if TYPE_CHECKING:
    from edgekit.media.sink import Sink

__all__ = ["FILES", "files_of", "make_sinks", "output_options"]

FILES = ("events", "video", "picture", "save_detections")
"""The options that name a file to write."""

_FILE = click.Path(dir_okay=False, path_type=Path)
_OPTIONS = (
    click.option(
        "--events", metavar="FILE|-", help="Write results as JSON Lines; - is the terminal."
    ),
    click.option("--video", type=_FILE, help="Write the annotated video."),
    click.option(
        "--rotate",
        type=BYTES,
        help="Begin a new file of events, and of live video, at this size, for example 100MB.",
    ),
    click.option(
        "--rotate-keep",
        type=click.IntRange(0),
        default=5,
        show_default=True,
        help="Older files to keep, of events and of live video.",
    ),
    click.option(
        "--clips",
        type=click.Path(file_okay=False, path_type=Path),
        metavar="DIR",
        help="Write a short video of each tube, and what is known of it.",
    ),
    click.option(
        "--clip-before",
        type=click.FloatRange(0, 30),
        default=2.0,
        show_default=True,
        metavar="SECONDS",
        help="Of its clip, before the tube is shown.",
    ),
    click.option(
        "--clip-after",
        type=click.FloatRange(0),
        default=2.0,
        show_default=True,
        metavar="SECONDS",
        help="Of its clip, after the tube's last box.",
    ),
    click.option("--picture", type=_FILE, help="Write one picture of all tubes over time."),
    click.option(
        "--save-detections",
        type=_FILE,
        help="Write all detections, for edgekit eval --detections; packed if it ends in .gz.",
    ),
    click.option(
        "--mqtt",
        metavar="URL",
        envvar="EDGEKIT_MQTT",
        show_envvar=True,
        help="Send tubes to mqtt://user:password@host:port/prefix, or mqtts:// for TLS.",
    ),
    click.option("--mqtt-ca", type=_FILE, help="Certificate to trust with mqtts://, as PEM."),
    click.option(
        "--mqtt-buffer",
        type=_FILE,
        help="Where messages wait while the broker is away. [default: in ~/.local/state/edgekit]",
    ),
    click.option(
        "--metrics",
        metavar="HOST:PORT",
        help="Serve figures for Prometheus; a port alone is for this machine only.",
    ),
    click.option(
        "--serve",
        metavar="HOST:PORT",
        help="Serve a page that shows the run live; a port alone is for this machine only.",
    ),
    click.option(
        "--token",
        envvar="EDGEKIT_TOKEN",
        show_envvar=True,
        help="What viewers of the page have to show. [default: made, unless it is loopback]",
    ),
    click.option("--show", is_flag=True, help="Show the annotated frames in a window; Q ends it."),
)


def output_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds the options that say where results go."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def files_of(options: dict[str, Any]) -> dict[str, Path]:
    """The files that are to be written, by the names of their options; standard output is none."""
    given = {name: options[name] for name in FILES}
    return {name: Path(path) for name, path in given.items() if path and path != "-"}


def make_sinks(options: dict[str, Any], stop: Callable[[], None], *, live: bool) -> list[Sink]:
    """The sinks that were asked for; none of them has touched a file yet.

    Each works in its own thread but the status line, the page, which has one of its own, and the
    window, which wants the main thread.

    Args:
        options: Of ``output_options``, and ``score``.
        stop: Ends the run.
        live: Whether the source is.
    """
    from edgekit.cli._sinks import DetectionsSink, StatusSink
    from edgekit.media.events import EventsSink
    from edgekit.media.live_video import LiveVideoSink
    from edgekit.media.picture import PictureSink
    from edgekit.media.queued import QueuedSink
    from edgekit.media.video_file import VideoSink
    from edgekit.media.window import WindowSink

    sinks: list[Sink] = [StatusSink()]

    def add(name: str, sink: Sink, *fatal: type[Exception]) -> None:
        sinks.append(QueuedSink(sink, name, live=live, fatal=fatal))

    rotation = {"rotate": options["rotate"], "keep": options["rotate_keep"]}
    if options["events"]:
        target = sys.stdout.buffer if options["events"] == "-" else options["events"]
        # Where a reader has left, as `head` does, there is nobody to run for.
        events = EventsSink(target, live=live, **rotation)
        add("events", events, BrokenPipeError)
    if options["video"]:
        path = options["video"]
        add("video", LiveVideoSink(path, **rotation) if live else VideoSink(path))
    if options["clips"]:
        from edgekit.media.clips import ClipsSink

        before, after = options["clip_before"], options["clip_after"]
        add("clips", ClipsSink(options["clips"], before=before, after=after))
    if options["picture"]:
        add("picture", PictureSink(options["picture"]))
    if options["save_detections"]:
        add("save_detections", DetectionsSink(options["save_detections"]))
    if options["mqtt"]:
        from edgekit.media.mqtt import Broker, MqttSink

        broker = Broker.parse(options["mqtt"], options["mqtt_ca"])
        add("mqtt", MqttSink(broker, buffer=options["mqtt_buffer"]))
    queued = [sink for sink in sinks if isinstance(sink, QueuedSink)]
    if options["metrics"]:
        from edgekit.media.metrics import MetricsSink

        sinks.append(MetricsSink(options["metrics"], lambda: [sink.health() for sink in queued]))
    if options["serve"]:
        from edgekit.media.page import LivePage

        page = LivePage(options["serve"], options["token"])
        sinks.append(page.sink(lambda: [sink.health() for sink in queued]))
    if options["show"]:
        sinks.append(WindowSink(stop))
    return sinks
