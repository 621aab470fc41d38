"""Defines the options of a run, checked when they are made.

Fields are named like the flags of ``edgekit run``: ``max_misses`` for ``--max-misses``.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

from edgekit._checks import check_choice, check_range, check_types
from edgekit._parameters import parameter
from edgekit.errors import UsageError
from edgekit.files.output_paths import marked
from edgekit.linking.choices import LINKS
from edgekit.media.sources.source import SourceOptions
from edgekit.pipeline.choices import DropPolicy
from edgekit.targets.base import SessionOptions
from edgekit.targets.bundle_choice import Named

__all__ = [
    "ClipOptions",
    "FileOptions",
    "FrameOptions",
    "NetworkOptions",
    "RunOptions",
    "TubeOptions",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameOptions:
    """Frames of each source to process.

    Attributes:
        drop_policy: ``latest`` keeps only the newest frame, ``none`` loses no frame. The default is
            ``latest`` for a live source and ``none`` for others.
        fps: Largest number of frames per second to process; None for every frame.
        motion_gate: Whether inference pauses while nothing moves.
        realtime: Whether a file is read at its own frame rate.
        duration: Seconds of a source after which it is stopped; None for no limit.
        max_frames: Number of frames of a source after which it is stopped; None for no limit.
    """

    drop_policy: DropPolicy | None = None
    fps: float | None = None
    motion_gate: bool = False
    realtime: bool = False
    duration: float | None = None
    max_frames: int | None = None

    def __post_init__(self) -> None:
        check_types(self)
        check_range("fps", self.fps, 0, above=True)
        check_range("duration", self.duration, 0, above=True)
        check_range("max_frames", self.max_frames, 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class TubeOptions:
    """Detections and tubes to report.

    Attributes:
        score: Smallest score of detections and tubes to report.
        top_k: Largest number of detections per frame; None for the bundle's own.
        link: Name of the linker, one of ``edgekit.linking.choices.LINKS``.
        max_misses: Number of frames in a row without a detection after which a tube ends; None for
            the linker's default.
        max_gap: Seconds without a detection after which a tube ends, in place of ``max_misses``.
        min_hits: Number of detections after which a tube is reported.
        delay: Number of later frames that correct each box of a finished tube.
        delay_seconds: Seconds of later frames that do so, in place of ``delay``.
    """

    score: float = 0.3
    top_k: int | None = None
    link: str = "edgekit"
    max_misses: int | None = None
    max_gap: float | None = None
    min_hits: int = 3
    delay: int = 0
    delay_seconds: float | None = None

    def __post_init__(self) -> None:
        check_types(self)
        check_choice("link", self.link, LINKS)
        check_range("score", self.score, 0, 1)
        check_range("top_k", self.top_k, 1)
        check_range("max_misses", self.max_misses, 1)
        check_range("max_gap", self.max_gap, 0)
        check_range("min_hits", self.min_hits, 1)
        check_range("delay", self.delay, 0)
        check_range("delay_seconds", self.delay_seconds, 0)


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
        check_types(self)
        check_range("before", self.before, 0, 30)
        check_range("after", self.after, 0)


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
        clips = (
            self.clips if folder is None else replace(self.clips, folder=Path(folder, str(number)))
        )
        return replace(
            self,
            events=own.get("events", self.events),
            video=own.get("video"),
            picture=own.get("picture"),
            save_detections=own.get("save_detections"),
            clips=clips,
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
    """

    mqtt: str | None = field(default=None, repr=False)
    mqtt_ca: str | Path | None = None
    mqtt_buffer: str | Path | None = None
    metrics: str | None = None
    serve: str | None = None
    token: str | None = field(default=None, repr=False)
    public_origin: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_types(self)

    def of_source(self, number: int) -> NetworkOptions:
        """Returns these services for one of several sources, with a buffer of its own."""
        if self.mqtt_buffer is None:
            return self
        return replace(self, mqtt_buffer=marked(Path(self.mqtt_buffer), f"-{number}"))


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """Options of a run, checked.

    Attributes:
        sources: Sources, each in a form that ``edgekit.open_source`` accepts.
        reading: Options for opening the sources. ``catches_up`` follows from ``frames``.
        all_or_none: Whether the run ends if any source cannot be opened at the start.
        bundle: Folder of the bundle; ``shipped`` for the shipped one; None for the newest in
            ``artifacts/`` that runs on this machine, else the shipped one.
        session: Options of inference.
        frames: Frames to process.
        tubes: Detections and tubes to report.
        files: Files to write.
        network: Services that send or show the results.
        show: Whether a window shows the annotated frames.

    Raises:
        UsageError: A value has the wrong type or is out of range, or two values contradict each
            other.
    """

    sources: tuple[int | str, ...] = (0,)
    reading: SourceOptions = field(default_factory=SourceOptions)
    all_or_none: bool = False
    bundle: Named | str = None
    session: SessionOptions = field(default_factory=SessionOptions)
    frames: FrameOptions = FrameOptions()
    tubes: TubeOptions = TubeOptions()
    files: FileOptions = FileOptions()
    network: NetworkOptions = NetworkOptions()
    show: bool = False

    def __post_init__(self) -> None:
        check_types(self)
        if not self.sources:
            raise UsageError("No source was given.", hint=f"Name one: {parameter('source', 'S')}")
        self._check_places()
        if self.show and len(self.sources) > 1:
            raise UsageError(
                f"{parameter('show')} has one window, and there are {len(self.sources)} sources.",
                hint=f"Leave it out, and see them all in a browser: {parameter('serve', 8080)}",
            )
        if self.network.public_origin and not self.network.serve:
            raise UsageError(
                f"{parameter('public_origin')} says where browsers find the page, and none is "
                "served.",
                hint=f"Serve it: {parameter('serve', 8080)}",
            )

    def of_source(self, number: int) -> RunOptions:
        """Returns the options of one source; files of several sources bear its number.

        Args:
            number: Number of the source, from 0.
        """
        if len(self.sources) == 1:
            return self
        files, network = self.files.of_source(number), self.network.of_source(number)
        return replace(self, sources=self.sources[number:][:1], files=files, network=network)

    def _check_places(self) -> None:
        """Refuses an output that would replace a source or another output."""
        taken = _files_among(self.sources)
        for number in range(len(self.sources)):
            files = self.files if len(self.sources) == 1 else self.files.of_source(number)
            for name, written in files.paths().items():
                path = written.resolve()
                if path in taken:
                    raise UsageError(
                        f"{parameter(name, files.named()[name])} is already in use, as a source or "
                        "as another output.",
                        hint="Choose another file.",
                    )
                taken.add(path)


def _files_among(sources: Iterable[int | str]) -> set[Path]:
    found = set()
    for source in sources:
        with contextlib.suppress(OSError):  # too long for a name: an address or a pipeline
            if source and isinstance(source, str) and Path(source).is_file():
                found.add(Path(source).resolve())
    return found
