"""Defines the options of a run's outputs, checked when they are made.

Text that names a file or folder becomes a path then. ``events`` stays as it was given, because
``-`` is no path.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

from edgekit._checks import check_range
from edgekit._options import check_types, keep_paths
from edgekit._parameters import parameter
from edgekit.errors import UsageError
from edgekit.files.output_paths import marked
from edgekit.media.serving.address import parse_address

__all__ = ["ClipOptions", "FileOptions", "NetworkOptions"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipOptions:
    """Short videos of tubes.

    Attributes:
        folder: Folder to write them to; None for no clips.
        before: Seconds to record before a tube appears, 30 at most.
        after: Seconds to record after the last box of a tube.
        most_bytes: Largest total size of the clips; the oldest beyond it are removed.
        most_seconds: Largest age of a clip in seconds; older ones are removed.
    """

    folder: str | Path | None = None
    before: float = 2.0
    after: float = 2.0
    most_bytes: int | None = None
    most_seconds: float | None = None

    def __post_init__(self) -> None:
        keep_paths(self, "folder")
        check_types(self)
        check_range("before", self.before, 0, 30)
        check_range("after", self.after, 0)
        check_range("most_bytes", self.most_bytes, 1)
        check_range("most_seconds", self.most_seconds, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class FileOptions:
    """Files to write.

    Attributes:
        events: File of the events as JSON Lines; ``-`` for standard output; None for no events.
        video: Annotated video; None for no video.
        rotate: Size in bytes at which a new events file or live video starts; None for never.
        rotate_keep: Number of older events files and live videos to keep.
        picture: Picture of all tubes over time; None for no picture.
        save_detections: File of all detections, for ``edgekit eval``; None for no such file.
        clips: Short videos of tubes.
    """

    events: str | Path | None = None
    video: str | Path | None = None
    rotate: int | None = None
    rotate_keep: int = 5
    picture: str | Path | None = None
    save_detections: str | Path | None = None
    clips: ClipOptions = ClipOptions()

    def __post_init__(self) -> None:
        keep_paths(self, "video", "picture", "save_detections")
        check_types(self)
        check_range("rotate", self.rotate, 1)
        check_range("rotate_keep", self.rotate_keep, 0)

    def named(self) -> dict[str, str | Path]:
        """Returns the files that are written, as they were given, by the name of their field."""
        given = {
            "events": self.events,
            "video": self.video,
            "picture": self.picture,
            "save_detections": self.save_detections,
        }
        return {name: path for name, path in given.items() if path}

    def paths(self) -> dict[str, Path]:
        """Returns the paths of the files by the name of their field, without standard output."""
        return {name: Path(path) for name, path in self.named().items() if path != "-"}

    def of_source(self, number: int) -> FileOptions:
        """Returns these files for one of several sources, such as ``events-0.jsonl``.

        Args:
            number: Number of the source, from 0.
        """
        own = {name: marked(path, f"-{number}") for name, path in self.paths().items()}
        folder = self.clips.folder
        if isinstance(folder, Path):
            folder = folder / str(number)
        return replace(
            self,
            events=own.get("events", self.events),
            video=own.get("video"),
            picture=own.get("picture"),
            save_detections=own.get("save_detections"),
            clips=replace(self.clips, folder=folder),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkOptions:
    """Services that send or show the results.

    Attributes:
        mqtt: Address of an MQTT broker; None for none. It may contain a password.
        mqtt_ca: PEM file of the certificate to trust for ``mqtts://``; None for the system's.
        mqtt_buffer: File that keeps messages while the broker is away; None for the default.
        metrics: Address to serve metrics for Prometheus on; None for no metrics.
        serve: Address to serve a live page on; None for no page.
        token: Token that viewers of the page must show; None for a new one.
        public_origin: Addresses of the page behind a proxy.
        trusted_proxy: IP addresses and networks of proxies whose X-Forwarded-For is trusted.
    """

    mqtt: str | None = field(default=None, repr=False)
    mqtt_ca: str | Path | None = None
    mqtt_buffer: str | Path | None = None
    metrics: str | None = None
    serve: str | None = None
    token: str | None = field(default=None, repr=False)
    public_origin: tuple[str, ...] = ()
    trusted_proxy: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        keep_paths(self, "mqtt_ca", "mqtt_buffer")
        check_types(self)
        if self.serve and self.metrics:
            page, metrics = parse_address(self.serve), parse_address(self.metrics, "metrics")
            if page == metrics and page.port:
                raise UsageError(
                    f"{parameter('serve')} and {parameter('metrics')} name the same port, "
                    f"{page.port}.",
                    hint="Choose another port for one of them: "
                    f"{parameter('metrics', str(page.port % 65535 + 1))}",
                )

    def of_source(self, number: int) -> NetworkOptions:
        """Returns these services for one of several sources, with a buffer of its own."""
        if not isinstance(self.mqtt_buffer, Path):
            return self
        return replace(self, mqtt_buffer=marked(self.mqtt_buffer, f"-{number}"))
