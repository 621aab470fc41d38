"""What ``edgekit run`` writes and shows, by its options."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from edgekit._files import marked
from edgekit.cli._options import FiniteRange
from edgekit.cli._parsing import BYTES, KEEP, OUT_FILE, OUT_FOLDER, OUT_OR_STDOUT

__all__ = ["FILES", "files_of", "options_of", "output_options"]

FILES = ("events", "video", "picture", "save_detections")
"""The options that name a file to write."""

_FILE = click.Path(dir_okay=False, path_type=Path)
_OPTIONS = (
    click.option(
        "--events",
        type=OUT_OR_STDOUT,
        metavar="FILE|-",
        help="Write results as JSON Lines; - is the terminal.",
    ),
    click.option("--video", type=OUT_FILE, help="Write the annotated video."),
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
        type=OUT_FOLDER,
        metavar="DIR",
        help="Write a short video of each tube, and what is known of it.",
    ),
    click.option(
        "--clip-before",
        type=FiniteRange(0, 30),
        default=2.0,
        show_default=True,
        metavar="SECONDS",
        help="Of its clip, before the tube is shown.",
    ),
    click.option(
        "--clip-after",
        type=FiniteRange(0),
        default=2.0,
        show_default=True,
        metavar="SECONDS",
        help="Of its clip, after the tube's last box.",
    ),
    click.option(
        "--clips-keep",
        type=KEEP,
        multiple=True,
        metavar="SIZE|AGE",
        help="Remove the oldest clips beyond this size of all, for example 2GB, or when they are "
        "older than, for example, 12h or 7d. May be given for both. [default: all stay]",
    ),
    click.option("--picture", type=OUT_FILE, help="Write one picture of all tubes over time."),
    click.option(
        "--save-detections",
        type=OUT_FILE,
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
        type=OUT_FILE,
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
        help="What viewers of the page have to show. [default: made, unless it is loopback without "
        "a proxy]",
    ),
    click.option(
        "--public-origin",
        "public_origins",
        multiple=True,
        metavar="URL",
        help="Where browsers find the page through a proxy with TLS, as https://cam.example.com. "
        "The page then always needs a token. May be repeated.",
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


def options_of(options: dict[str, Any], number: int, count: int) -> dict[str, Any]:
    """The options with the places of one source of several: ``events-0.jsonl``, ``clips/0``.

    Args:
        options: Of ``output_options``.
        number: Of the source, from 0.
        count: How many there are; with one, nothing changes.
    """
    if count == 1:
        return options
    own = dict(options)
    for name in (*FILES, "mqtt_buffer"):
        if options[name] and options[name] != "-":
            own[name] = marked(Path(options[name]), f"-{number}")
    if options["clips"]:
        own["clips"] = options["clips"] / str(number)
    return own
