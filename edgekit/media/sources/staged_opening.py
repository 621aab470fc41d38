"""Opens the sources of a run so that no frame ages while the model is loaded."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Sequence
from functools import partial

from edgekit._closing import Closing
from edgekit.errors import MediaError
from edgekit.media.sources.absent import AbsentSource
from edgekit.media.sources.address import check_address, is_address, path_of, scheme_of
from edgekit.media.sources.cameras.messages import is_camera
from edgekit.media.sources.opencv.gstreamer import check_gstreamer, is_pipeline
from edgekit.media.sources.opening import may_come, open_source, open_sources
from edgekit.media.sources.registry import SCHEMES
from edgekit.media.sources.source import Source, SourceOptions
from edgekit.media.sources.video.reader import VideoSource

__all__ = ["StagedOpening"]


class StagedOpening(Closing):
    """Opens recorded sources at once, and live sources when their frames can be processed.

    Live sources are first only checked for existence. If there are several, an ``AbsentSource``
    replaces each live source that cannot be opened, as long as another one can. It also replaces
    each address at which a server shows a picture, as it may in place of a camera that is away.

    Args:
        specs: Sources, each in a form that ``open_source`` accepts.
        options: Options for reading all sources.
        all_or_none: Whether every source that cannot be opened is an error.

    Raises:
        EdgeKitError: A source that cannot appear later, or all live ones, cannot be opened; the
            others are closed.
    """

    def __init__(
        self,
        specs: Sequence[int | str],
        options: SourceOptions | None = None,
        *,
        all_or_none: bool = False,
    ) -> None:
        self._specs = specs
        self._options = options
        self._absent = not all_or_none and sum(map(may_come, specs)) > 1
        self._later = {n: spec for n, spec in enumerate(specs) if _is_live(spec)}
        for spec in self._later.values():
            with contextlib.suppress(*(MediaError,) if self._absent else ()):
                _check(spec)
        self._early = {n: spec for n, spec in enumerate(specs) if n not in self._later}
        self._sources: dict[int, Source] = {}
        self._open(self._early)

    @property
    def live(self) -> bool:
        """Whether any source is live."""
        return bool(self._later) or any(source.live for source in self._sources.values())

    def complete(self) -> list[Source]:
        """Opens the remaining sources, and returns all in their order.

        Raises:
            EdgeKitError: A recorded source, or every live source, cannot be opened.
        """
        for number, source in self._sources.items():
            if source.live and source.reopens:
                # Only the server's answer showed that it is live; what it has sent since then is
                # old.
                source.close()
                self._later[number] = self._early[number]
        self._open(dict(sorted(self._later.items())))
        self._later = {}
        sources = [source for _, source in sorted(self._sources.items())]
        _refuse_if_all_absent(sources)
        if self._absent and any(source.live for source in sources):
            self._await_streams()
        return [source for _, source in sorted(self._sources.items())]

    def _await_streams(self) -> None:
        """Puts an ``AbsentSource`` in place of each picture that a server shows."""
        for number, source in self._sources.items():
            if isinstance(source, VideoSource) and source.still and not source.live:
                error = MediaError(f"The address of {source.name} gives a picture, and no stream.")
                again = partial(open_source, self._specs[number], self._options)
                self._sources[number] = AbsentSource(source.name, error, again)
                source.close()

    def _open(self, specs: dict[int, int | str]) -> None:
        opened = open_sources(list(specs.values()), self._options, absent=self._absent)
        self._sources.update(zip(specs, opened, strict=True))

    def close(self) -> None:
        """Closes all open sources."""
        with contextlib.ExitStack() as stack:
            for source in self._sources.values():
                stack.callback(source.close)


def _refuse_if_all_absent(sources: Sequence[Source]) -> None:
    live = {number: source for number, source in enumerate(sources) if source.live}
    errors = {n: source.error for n, source in live.items() if isinstance(source, AbsentSource)}
    if not errors or len(errors) < len(live):
        return
    if len(errors) == 1:
        raise next(iter(errors.values()))
    words = "\n".join(f"Source {number}: {error.message}" for number, error in errors.items())
    hints = dict.fromkeys(line for error in errors.values() for line in error.hint.splitlines())
    raise MediaError(f"None of the live sources can be opened.\n{words}", hint="\n".join(hints))


def _is_live(spec: int | str) -> bool:
    """Returns whether a source is certainly live; one over HTTP or of a package may be recorded."""
    if isinstance(spec, int):
        return True
    if is_address(spec):
        return scheme_of(spec) in SCHEMES and not spec.lower().startswith("http")
    if spec == "-" or not spec:
        return False
    return is_camera(str(path_of(spec))) or is_pipeline(spec)


def _check(spec: int | str) -> None:
    device = spec if isinstance(spec, int) else str(path_of(spec))
    if isinstance(device, int) or is_camera(device):
        if sys.platform.startswith("linux"):
            from edgekit.media.sources.cameras.camera import check_camera

            check_camera(device)
    elif is_address(str(spec)):
        check_address(str(spec))
    else:
        check_gstreamer()
