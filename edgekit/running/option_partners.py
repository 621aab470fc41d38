"""Refuses options of a run that have no effect without another option, or on its sources."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal, TypeAlias

from edgekit._parameters import parameter, writes_flags
from edgekit.errors import UsageError
from edgekit.media.sources.address import is_address, path_of, scheme_of
from edgekit.media.sources.cameras.messages import is_camera
from edgekit.media.sources.registry import SCHEMES
from edgekit.media.sources.source import SourceOptions
from edgekit.running.output_options import ClipOptions, FileOptions, NetworkOptions

__all__ = ["check_partners", "check_sources"]

_FILES, _CLIPS, _READING = FileOptions(), ClipOptions(), SourceOptions()

_Kind: TypeAlias = Literal["camera", "rtsp", "stream", "pipeline", "pipe", "file"]

_LIVE: tuple[_Kind, ...] = ("camera", "rtsp", "stream", "pipeline")
"""Kinds of sources that are live; a stream may also be a recording."""

_TAKE: dict[str, tuple[_Kind, ...]] = {
    "rtsp_transport": ("rtsp",),
    "patience": _LIVE,
    "camera_size": ("camera",),
    "camera_format": ("camera",),
    "camera_fps": ("camera",),
    "raw_size": ("pipe",),
    "raw_fps": ("pipe",),
    "raw_format": ("pipe",),
    "realtime": ("stream", "pipe", "file"),
    "rotate": _LIVE,
    "rotate_keep": _LIVE,
}
"""Kinds of sources on which an option has an effect; docs/live.md has the table."""

_NAMES: dict[tuple[_Kind, ...], str] = {
    ("rtsp",): "rtsp:// streams",
    _LIVE: "cameras and streams",
    ("camera",): "cameras",
    ("pipe",): "frames on standard input",
    ("stream", "pipe", "file"): "recordings, which are not live",
}

_EXAMPLES = {
    "clips": "FOLDER",
    "events": "FILE",
    "mqtt": "mqtt://HOST",
    "rotate": "100MB",
    "serve": "8080",
    "video": "FILE",
}
"""Value in the hint for each option that another one needs."""

_IN_PYTHON = {
    "clip_before": "clips.before",
    "clip_after": "clips.after",
    "clips_keep": "clips.most_bytes or clips.most_seconds",
    "clips": "clips.folder",
}
"""Names in Python of options that have another one there, because they are grouped."""


def check_partners(files: FileOptions, network: NetworkOptions) -> None:
    """Checks that no option is given without an option that it belongs to.

    An option that has its default value counts as not given.

    Raises:
        UsageError: An option is given alone. The message names the options that it needs.
    """
    there = {
        "clips": files.clips.folder,
        "events": files.events,
        "mqtt": network.mqtt,
        "rotate": files.rotate,
        "serve": network.serve,
        "video": files.video,
    }
    keeps = (files.clips.most_bytes, files.clips.most_seconds)
    for name, given, needed in (
        ("rotate", files.rotate is not None, ("events", "video")),
        ("rotate_keep", files.rotate_keep != _FILES.rotate_keep, ("rotate", "video")),
        ("clip_before", files.clips.before != _CLIPS.before, ("clips",)),
        ("clip_after", files.clips.after != _CLIPS.after, ("clips",)),
        ("clips_keep", keeps != (None, None), ("clips",)),
        ("mqtt_ca", network.mqtt_ca is not None, ("mqtt",)),
        ("mqtt_buffer", network.mqtt_buffer is not None, ("mqtt",)),
        ("token", network.token is not None, ("serve",)),
    ):
        if given:
            _check(name, needed, there)


def check_sources(
    sources: Iterable[int | str], reading: SourceOptions, files: FileOptions, *, realtime: bool
) -> None:
    """Checks that no option is given that has no effect on any of the sources.

    An option that has its default value counts as not given.

    Args:
        sources: Sources of the run, which need not exist here: a deployment checks them elsewhere.
        reading: Options for opening the sources.
        files: Files to write. The video of a file is one whole, without rotation.
        realtime: Whether files are read at their own frame rate.

    Raises:
        UsageError: An option has no effect. The message names the sources that it is for.
    """
    given = {
        name: getattr(reading, name) != getattr(_READING, name)
        for name in _TAKE
        if hasattr(reading, name)
    }
    given["realtime"] = realtime
    given["rotate"] = not files.events and files.rotate is not None
    given["rotate_keep"] = files.rotate_keep != _FILES.rotate_keep and not (
        files.events and files.rotate
    )
    if not any(given.values()):
        return
    kinds = {_kind_of(source) for source in sources}
    for name, takers in _TAKE.items():
        if given[name] and None not in kinds and kinds.isdisjoint(takers):
            of_video = "a video of " if name.startswith("rotate") else ""
            raise UsageError(
                f"{_named(name)} works only with {of_video}{_NAMES[takers]}, and no source of this "
                "run is one.",
                hint=f"Leave out {_named(name)}, or check the sources.",
            )


def _kind_of(source: int | str) -> _Kind | None:
    """Returns the kind of a source; None for one of a package, which may use any option."""
    from edgekit.media.sources.opencv.gstreamer import is_pipeline

    if isinstance(source, int):
        return "camera"
    if source == "-":
        return "pipe"
    if is_address(source):
        scheme = scheme_of(source)
        if scheme not in SCHEMES:
            return None
        return "rtsp" if scheme in ("rtsp", "rtsps") else "stream"
    if is_pipeline(source):
        return "pipeline"
    return "camera" if is_camera(str(path_of(source))) else "file"


def _check(name: str, needed: tuple[str, ...], there: Mapping[str, object]) -> None:
    if any(there[other] for other in needed):
        return
    others = " or ".join(map(_named, needed))
    raise UsageError(
        f"{_named(name)} works only with {others}.",
        hint=f"Add {_named(needed[0], _EXAMPLES[needed[0]])}, or leave out {_named(name)}.",
    )


def _named(name: str, value: str | None = None) -> str:
    """Names an option as its user knows it; only the command line shows the value."""
    if writes_flags():
        return parameter(name, value)
    return _IN_PYTHON.get(name, name)
