"""Defines the options of a run, checked when they are made.

Fields are named like the flags of ``edgekit run``: ``max_misses`` for ``--max-misses``.
"""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from edgekit._checks import check_choice, check_range
from edgekit._options import check_types, keep_paths
from edgekit._parameters import parameter
from edgekit.errors import UsageError
from edgekit.files.reading import real_path
from edgekit.linking.choices import LINKS
from edgekit.linking.confirmation import ConfirmedLinker
from edgekit.linking.registry import make_linker
from edgekit.media.sources.source import SourceOptions
from edgekit.pipeline.choices import DropPolicy
from edgekit.running.option_partners import check_partners, check_sources
from edgekit.running.output_options import FileOptions, NetworkOptions
from edgekit.targets.base import SessionOptions
from edgekit.targets.bundle_choice import Named

__all__ = ["FrameOptions", "RunOptions", "TubeOptions"]


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
        delay_seconds: Seconds of later frames that correct each box of a finished tube, in place of
            ``delay``.
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
        self.linker(1)  # checks the other options, before any source is opened

    def linker(self, classes: int, *, history: int | None = None) -> ConfirmedLinker:
        """Returns a new linker with these options.

        Args:
            classes: Number of classes.
            history: Number of its newest frames that a tube remembers; None for all.

        Raises:
            UsageError: Options do not fit the linker.
        """
        return make_linker(
            self.link,
            classes,
            score=self.score,
            min_hits=self.min_hits,
            max_misses=self.max_misses,
            max_gap=self.max_gap,
            delay=self.delay,
            delay_seconds=self.delay_seconds,
            history=history,
        )


# Many attributes: one for each group of options, and those that belong to no group.
@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """Options of a run, checked.

    Attributes:
        sources: Sources, each in a form that ``edgekit.open_source`` accepts. The address of a
            stream may contain a password.
        reading: Options for opening the sources. ``catches_up`` follows from ``frames``.
        all_or_none: Whether the run ends if any source cannot be opened at the start.
        bundle: Folder of the bundle; ``shipped`` for the shipped one; None for the newest in
            ``artifacts/`` that runs on this machine, else the shipped one.
        require_signature: File of public keys, one of which must have signed the bundle; None for
            no check.
        session: Options of inference.
        frames: Frames to process.
        tubes: Detections and tubes to report.
        files: Files to write.
        network: Services that send or show the results.
        sinks: Sinks of installed packages, each as ``NAME`` or ``NAME:VALUE``. A value may contain
            a password.
        show: Whether a window shows the annotated frames.

    Raises:
        UsageError: A value has the wrong type or is out of range, or two values contradict each
            other.
    """

    sources: tuple[int | str, ...] = field(default=(0,), repr=False)
    reading: SourceOptions = field(default_factory=SourceOptions)
    all_or_none: bool = False
    bundle: Named | str = None
    require_signature: str | Path | None = None
    session: SessionOptions = field(default_factory=SessionOptions)
    frames: FrameOptions = FrameOptions()
    tubes: TubeOptions = TubeOptions()
    files: FileOptions = field(default_factory=FileOptions)
    network: NetworkOptions = field(default_factory=NetworkOptions)
    sinks: tuple[str, ...] = field(default=(), repr=False)
    show: bool = False

    def __post_init__(self) -> None:
        keep_paths(self, "require_signature")
        check_types(self)
        if not self.sources:
            raise UsageError("No source was given.", hint=f"Name one: {parameter('source', 'S')}")
        self._check_places()
        check_partners(self.files, self.network)
        check_sources(self.sources, self.reading, self.files, realtime=self.frames.realtime)
        if len(set(self.sinks)) < len(self.sinks):
            raise UsageError(
                f"{parameter('sink')} names the same sink with the same value twice.",
                hint="Give each its own value, or leave one out.",
            )
        if self.show and len(self.sources) > 1:
            raise UsageError(
                f"{parameter('show')} has one window, and there are {len(self.sources)} sources.",
                hint=f"Leave it out, and see them all in a browser: {parameter('serve', '8080')}",
            )
        if self.network.public_origin and not self.network.serve:
            raise UsageError(
                f"{parameter('public_origin')} says where browsers find the page, and none is "
                "served.",
                hint=f"Serve it: {parameter('serve', '8080')}",
            )
        if self.network.trusted_proxy and not self.network.public_origin:
            raise UsageError(
                f"{parameter('trusted_proxy')} names a proxy, but not the address of the page "
                "behind it.",
                hint="Name what browsers show: "
                f"{parameter('public_origin', 'https://cam.example.com')}",
            )

    def of_source(self, number: int) -> RunOptions:
        """Returns the options of one source; files of several sources bear its number.

        Args:
            number: Number of the source, from 0.
        """
        if len(self.sources) == 1:
            return self
        # Without the checks: an option may have an effect on another source only.
        own = copy.copy(self)
        object.__setattr__(own, "sources", self.sources[number:][:1])
        object.__setattr__(own, "files", self.files.of_source(number))
        object.__setattr__(own, "network", self.network.of_source(number))
        return own

    def _check_places(self) -> None:
        """Refuses an output that would replace a source or another output."""
        taken = _files_among(self.sources)
        for number in range(len(self.sources)):
            files = self.files if len(self.sources) == 1 else self.files.of_source(number)
            for name, written in files.paths().items():
                path = real_path(written)
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
