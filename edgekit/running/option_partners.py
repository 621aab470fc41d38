"""Refuses options of a run's outputs that have no effect without another option."""

from __future__ import annotations

from collections.abc import Mapping

from edgekit._parameters import parameter, writes_flags
from edgekit.errors import UsageError
from edgekit.running.output_options import ClipOptions, FileOptions, NetworkOptions

__all__ = ["check_partners"]

_FILES, _CLIPS = FileOptions(), ClipOptions()

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
