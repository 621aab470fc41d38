"""The sources of a run, opened so that no frame grows old while the model is loaded."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Sequence

from edgekit._closing import Closing
from edgekit.media._camera_words import is_camera
from edgekit.media.address import check_address, is_address, path_of
from edgekit.media.camera import check_camera
from edgekit.media.gstreamer import check_gstreamer, is_pipeline
from edgekit.media.source import Source, SourceOptions
from edgekit.media.sources.opening import open_sources

__all__ = ["StagedOpening"]


class StagedOpening(Closing):
    """Opens recorded sources at once, and live ones when their frames can be taken.

    Of those that are opened later it is only checked, at once, that they can be there.

    Args:
        specs: Each as ``open_source`` takes it.
        options: How all of them are to be read.

    Raises:
        EdgeKitError: One cannot be opened; the others are closed.
    """

    def __init__(self, specs: Sequence[int | str], options: SourceOptions | None = None) -> None:
        self._options = options
        self._later = {n: spec for n, spec in enumerate(specs) if _is_live(spec)}
        for spec in self._later.values():
            _check(spec)
        early = {n: spec for n, spec in enumerate(specs) if n not in self._later}
        opened = open_sources(list(early.values()), options)
        self._sources: dict[int, Source] = dict(zip(early, opened, strict=True))

    @property
    def live(self) -> bool:
        """Whether one of them is live."""
        return bool(self._later) or any(source.live for source in self._sources.values())

    def complete(self) -> list[Source]:
        """All sources in their order, open.

        Raises:
            EdgeKitError: One cannot be opened.
        """
        for number, source in self._sources.items():
            if source.live and source.reopens:
                # Only its answer told that it is live, and what it sent since then is old.
                source.close()
                self._sources[number] = source.reopened()
        opened = open_sources(list(self._later.values()), self._options)
        self._sources.update(zip(self._later, opened, strict=True))
        self._later = {}
        return [source for _, source in sorted(self._sources.items())]

    def close(self) -> None:
        """Closes all that are open."""
        with contextlib.ExitStack() as stack:
            for source in self._sources.values():
                stack.callback(source.close)


def _is_live(spec: int | str) -> bool:
    """Whether a source is live for sure; one over HTTP may be a file."""
    if isinstance(spec, int):
        return True
    if is_address(spec):
        return not spec.lower().startswith("http")
    if spec == "-" or not spec:
        return False
    return is_camera(str(path_of(spec))) or is_pipeline(spec)


def _check(spec: int | str) -> None:
    device = spec if isinstance(spec, int) else str(path_of(spec))
    if isinstance(device, int) or is_camera(device):
        if sys.platform.startswith("linux"):
            check_camera(device)
    elif is_address(str(spec)):
        check_address(str(spec))
    else:
        check_gstreamer()
