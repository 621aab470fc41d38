"""Creates the sinks of ``edgekit run`` from its options."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from edgekit.cli.options.shared import is_quiet
from edgekit.cli.output.status_line import StatusLine
from edgekit.cli.running.service_manager import ServiceManager
from edgekit.errors import UsageError
from edgekit.media.sinks.queued import QueuedSink

if TYPE_CHECKING:
    from edgekit.media.page import LivePage
    from edgekit.media.sinks.prometheus import Metrics
    from edgekit.media.sinks.sink import Sink

__all__ = ["SinkMaker"]


class SinkMaker:
    """Creates the requested sinks, for one source after the other.

    All sources share the status line, the page, the metrics and the service manager. Each source
    has its own other sinks.

    Args:
        options: Options from ``output_options``.
        stop: Function that stops the run.
        sources: Number of sources.

    Attributes:
        service: Connection to the service manager.

    Raises:
        UsageError: An option has an invalid value, or one that several sources cannot share.
        MissingDependencyError: An extra is not installed.
    """

    def __init__(self, options: dict[str, Any], stop: Callable[[], None], *, sources: int) -> None:
        if options["show"] and sources > 1:
            raise UsageError(
                f"--show has one window, and there are {sources} sources.",
                hint="Leave it out, and see them all in a browser: --serve 8080",
            )
        self._stop = stop
        self._several = sources > 1
        self._made = 0
        self._line = StatusLine(shown=not is_quiet())
        self.service = ServiceManager()
        self._page: LivePage | None = None
        self._metrics: Metrics | None = None
        origins = options["public_origins"]
        if origins and not options["serve"]:
            raise UsageError(
                "--public-origin says where browsers find the page, and none is served.",
                hint="Serve it: --serve 8080",
            )
        if options["serve"]:
            from edgekit.media.page import LivePage

            self._page = LivePage(options["serve"], options["token"], origins=origins)
        if options["metrics"]:
            from edgekit.media.sinks.prometheus import Metrics

            self._metrics = Metrics(options["metrics"], several=self._several)

    def make(self, options: dict[str, Any], *, live: bool) -> list[Sink]:
        """Creates the sinks of the next source; none has touched a file yet.

        Each works in its own thread, except the status line; the page, which has a thread already;
        and the window, which needs the main thread.

        Args:
            options: Options of the source, from ``options_of``.
            live: Whether the source is live.
        """
        number = self._made
        self._made += 1
        queued = self._queued(options, number, live)
        sinks: list[Sink] = [self._line.sink(), *queued]
        if (told := self.service.sink(lambda: [sink.health() for sink in queued])) is not None:
            sinks.append(told)
        if self._metrics is not None:
            sinks.append(self._metrics.sink(lambda: [sink.health() for sink in queued]))
        if self._page is not None:
            sinks.append(self._page.sink(lambda: [sink.health() for sink in queued]))
        if options["show"]:
            from edgekit.media.sinks.window import WindowSink

            sinks.append(WindowSink(self._stop))
        return sinks

    def _queued(self, options: dict[str, Any], number: int, live: bool) -> list[QueuedSink]:
        sinks: list[QueuedSink] = []

        def add(name: str, sink: Sink, *fatal: type[Exception]) -> None:
            sinks.append(QueuedSink(sink, name, live=live, fatal=fatal))

        rotation = {"rotate": options["rotate"], "keep": options["rotate_keep"]}
        if options["events"]:
            from edgekit.media.sinks.events import EventsSink

            target = sys.stdout.buffer if options["events"] == "-" else options["events"]
            index = number if self._several else None
            # If the reader of a pipe has left, as `head` does, the run ends.
            events = EventsSink(target, live=live, source_index=index, **rotation)
            add("events", events, BrokenPipeError)
        if options["video"]:
            from edgekit.media.sinks.video.file import VideoSink
            from edgekit.media.sinks.video.live import LiveVideoSink

            path = options["video"]
            add("video", LiveVideoSink(path, **rotation) if live else VideoSink(path))
        if options["clips"]:
            from edgekit.media.sinks.video.clips import ClipsSink

            before, after = options["clip_before"], options["clip_after"]
            keep = dict(options["clips_keep"])
            add("clips", ClipsSink(options["clips"], before=before, after=after, **keep))
        if options["picture"]:
            from edgekit.media.sinks.summary_picture import PictureSink

            add("picture", PictureSink(options["picture"]))
        if options["save_detections"]:
            from edgekit.cli.running.sinks import DetectionsSink

            add("save_detections", DetectionsSink(options["save_detections"]))
        if options["mqtt"]:
            from edgekit.media.sinks.mqtt.sink import Broker, MqttSink

            broker = Broker.parse(options["mqtt"], options["mqtt_ca"])
            if self._several:
                # Each source needs its own status, last will and message order.
                broker = replace(broker, prefix=f"{broker.prefix}/{number}")
            add("mqtt", MqttSink(broker, buffer=options["mqtt_buffer"]))
        return sinks
