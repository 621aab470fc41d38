"""Creates the sinks of a run from its options."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from edgekit._checks import unexpected
from edgekit.media.sinks.health import SinkHealth
from edgekit.media.sinks.queued import QueuedSink
from edgekit.running.options import RunOptions
from edgekit.running.output_options import ClipOptions, FileOptions, NetworkOptions
from edgekit.running.service_manager import ServiceManager

if TYPE_CHECKING:
    from edgekit.media.page import LivePage
    from edgekit.media.sinks.prometheus import Metrics
    from edgekit.media.sinks.sink import Sink

    _NamedSink: TypeAlias = tuple[str, Sink]

__all__ = ["SinkFactory"]


class SinkFactory:
    """Creates the requested sinks, for one source after the other.

    All sources share the page, the metrics and the service manager. Each source has its own other
    sinks.

    Args:
        options: Options of the run.
        more: Function that makes additional sinks for a source.
        stop: Function that stops the run.
        say: Function that gets the link of the live page; None logs it.

    Attributes:
        service: Connection to the service manager.

    Raises:
        UsageError: An option has an invalid value, or names an unknown sink.
        PluginError: A package with a requested sink cannot be used.
        MissingDependencyError: An extra is not installed.
    """

    def __init__(
        self,
        options: RunOptions,
        more: Callable[[], list[Sink]],
        stop: Callable[[], None],
        say: Callable[[str], None] | None = None,
    ) -> None:
        self._more = more
        self._stop = stop
        self._several = len(options.sources) > 1
        self._made = 0
        self.service = ServiceManager()
        self._page: LivePage | None = None
        self._metrics: Metrics | None = None
        network = options.network
        if options.sinks:
            from edgekit.media.sinks.registry import find_sink

            for text in options.sinks:
                find_sink(text)  # before any source is opened
        if network.serve:
            from edgekit.media.page import LivePage

            self._page = LivePage(
                network.serve,
                network.token,
                origins=network.public_origin,
                proxies=network.trusted_proxy,
                say=say,
            )
        if network.metrics:
            from edgekit.media.sinks.prometheus import Metrics

            self._metrics = Metrics(network.metrics, several=self._several)

    def make(
        self, options: RunOptions, *, live: bool, facts: Callable[[], Mapping[str, str]]
    ) -> list[Sink]:
        """Creates the sinks of the next source; none has touched a file yet.

        Each works in its own thread, except the additional ones; the page, which has a thread
        already; and the window, which needs the main thread.

        Args:
            options: Options of the source, from ``RunOptions.of_source``.
            live: Whether the source is live.
            facts: Function that returns target and runtime of the bundle that runs, by name.
        """
        number = self._made
        self._made += 1
        # If the reader of a pipe has left, as `head` does, the run ends.
        fatal = (BrokenPipeError,)

        def outputs() -> list[SinkHealth]:
            return [sink.health() for sink in queued]

        queued = [
            QueuedSink(sink, name, live=live, fatal=fatal if name == "events" else ())
            for name, sink in (
                *self._file_sinks(options.files, number, live),
                *self._mqtt_sinks(options.network, number, facts, outputs),
                *self._plugin_sinks(options.sinks, number),
            )
        ]
        more = self._more()
        if not isinstance(more, list | tuple):
            raise unexpected("sinks", "a function that returns a list of sinks", more)
        sinks: list[Sink] = [*more, *queued]
        if (status := self.service.sink(outputs)) is not None:
            sinks.append(status)
        if self._metrics is not None:
            sinks.append(self._metrics.sink(outputs))
        if self._page is not None:
            sinks.append(self._page.sink(outputs))
        if options.show:
            from edgekit.media.sinks.window import WindowSink

            sinks.append(WindowSink(self._stop))
        return sinks

    def _file_sinks(self, files: FileOptions, number: int, live: bool) -> Iterator[_NamedSink]:
        if files.events:
            from edgekit.media.sinks.events import EventsSink

            target = sys.stdout.buffer if files.events == "-" else files.events
            index = number if self._several else None
            yield (
                "events",
                EventsSink(
                    target,
                    live=live,
                    source_index=index,
                    rotate=files.rotate,
                    keep=files.rotate_keep,
                ),
            )
        if files.video and live:
            from edgekit.media.sinks.video.live import LiveVideoSink

            video = LiveVideoSink(files.video, rotate=files.rotate, keep=files.rotate_keep)
            yield "video", video
        elif files.video:
            from edgekit.media.sinks.video.file import VideoSink

            yield "video", VideoSink(files.video)
        if isinstance(files.clips.folder, Path):
            yield "clips", _clips_sink(files.clips, files.clips.folder)
        if files.picture:
            from edgekit.media.sinks.summary_picture import PictureSink

            yield "picture", PictureSink(files.picture)
        if isinstance(files.save_detections, Path):
            from edgekit.running.sinks import DetectionsSink

            yield "save_detections", DetectionsSink(files.save_detections)

    def _mqtt_sinks(
        self,
        network: NetworkOptions,
        number: int,
        facts: Callable[[], Mapping[str, str]],
        outputs: Callable[[], list[SinkHealth]],
    ) -> Iterator[_NamedSink]:
        if not network.mqtt:
            return
        from edgekit.media.sinks.mqtt.sink import Broker, MqttSink

        broker = Broker.parse(network.mqtt, ca if isinstance(ca := network.mqtt_ca, Path) else None)
        if self._several:
            # Each source needs its own status, last will and message order.
            broker = replace(broker, prefix=f"{broker.prefix}/{number}")
        sink = MqttSink(broker, buffer=network.mqtt_buffer, facts=facts, outputs=outputs)
        yield "mqtt", sink

    def _plugin_sinks(self, texts: Sequence[str], number: int) -> Iterator[_NamedSink]:
        if not texts:
            return
        from edgekit.media.sinks.registry import make_sink, sink_name

        made: Counter[str] = Counter()
        for text in texts:
            name = f"sink {sink_name(text)}"
            made[name] += 1
            sink = make_sink(text, number if self._several else None)
            yield name if made[name] == 1 else f"{name} {made[name]}", sink


def _clips_sink(clips: ClipOptions, folder: Path) -> Sink:
    from edgekit.media.sinks.video.clips import ClipsSink

    return ClipsSink(
        folder,
        before=clips.before,
        after=clips.after,
        most_bytes=clips.most_bytes,
        most_seconds=clips.most_seconds,
    )
