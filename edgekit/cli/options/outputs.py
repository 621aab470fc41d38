"""Defines the output options of ``edgekit run``."""

from __future__ import annotations

from pathlib import Path

import click

from edgekit.cli.options.shared import F, FiniteRange, headed
from edgekit.cli.options.types import BYTES, KEEP, OUT_FILE, OUT_FOLDER, OUT_OR_STDOUT

__all__ = ["output_options"]

_FILE = click.Path(dir_okay=False, path_type=Path)
_FILES = (
    click.option(
        "--events",
        type=OUT_OR_STDOUT,
        metavar="FILE|-",
        help="File to write results to, as JSON Lines: one line for each frame with its "
        "detections and tubes, and one for each finished tube. Use - for standard output, "
        "but not together with --json.",
    ),
    click.option(
        "--video", type=OUT_FILE, help="Video file to write, with boxes and labels drawn in."
    ),
    click.option(
        "--rotate",
        type=BYTES,
        help="Size of a file at which EdgeKit starts a new one, for example 100MB; for --events, "
        "and for --video with a live source.",
    ),
    click.option(
        "--rotate-keep",
        type=click.IntRange(0),
        default=5,
        show_default=True,
        help="Number of older files to keep: of the events with --rotate, and of the video of a "
        "live source, whose earlier runs count too.",
    ),
    click.option(
        "--clips",
        type=OUT_FOLDER,
        metavar="FOLDER",
        help="Folder to write a short video of each tube to, with all boxes and labels drawn in, "
        "and a JSON file that describes the tube.",
    ),
    click.option(
        "--clip-before",
        type=FiniteRange(0, 30),
        default=2.0,
        show_default=True,
        metavar="SECONDS",
        help="Seconds to record before a tube appears.",
    ),
    click.option(
        "--clip-after",
        type=FiniteRange(0),
        default=2.0,
        show_default=True,
        metavar="SECONDS",
        help="Seconds to record after the last box of a tube.",
    ),
    click.option(
        "--clips-keep",
        type=KEEP,
        multiple=True,
        metavar="SIZE|AGE",
        help="Largest total size of the clips, for example 2GB, or their largest age, for "
        "example 12h or 7d. EdgeKit removes the oldest ones beyond it. May be given once "
        "as a size and once as an age. [default: keep all]",
    ),
    click.option(
        "--picture", type=OUT_FILE, help="Picture file to write that shows all tubes over time."
    ),
    click.option(
        "--save-detections",
        type=OUT_FILE,
        help="JSON file to write all detections to, before linking. To score it with edgekit eval "
        "--detections, add the annotations of each video under its key gt, in the layout "
        "that docs/events.md shows. Compressed if its name ends in .gz.",
    ),
    click.option(
        "--sink",
        "sinks",
        multiple=True,
        metavar="NAME[:VALUE]",
        help="Sink of an installed package, and a value for it, such as a file or an address. "
        "edgekit doctor lists the sinks of packages; EdgeKit's own outputs have options of their "
        "own. Repeat the option for several sinks.",
    ),
    click.option(
        "--show",
        is_flag=True,
        help="Show the annotated frames in a window. Press Q to end the run.",
    ),
)
_SERVICES = (
    click.option(
        "--mqtt",
        metavar="URL",
        envvar="EDGEKIT_MQTT",
        show_envvar=True,
        help="MQTT broker to send the starts, updates and ends of tubes to: "
        "mqtt://user:password@host:port/prefix, or mqtts:// for TLS. The prefix begins every "
        "topic; docs/events.md lists topics and messages.",
    ),
    click.option(
        "--mqtt-ca", type=_FILE, help="PEM file with the certificate to trust for mqtts://."
    ),
    click.option(
        "--mqtt-buffer",
        type=OUT_FILE,
        help="File that keeps messages while the broker is away. [default: in "
        "~/.local/state/edgekit]",
    ),
    click.option(
        "--metrics",
        metavar="HOST:PORT",
        help="Address to serve metrics for Prometheus on: 9090 for this machine only, 0.0.0.0:9090"
        " for all that reach it.",
    ),
    click.option(
        "--serve",
        metavar="HOST:PORT",
        help="Address to serve a live page on: 8080 for browsers on this machine, 0.0.0.0:8080 for"
        " all that reach it. The page is not encrypted.",
    ),
    click.option(
        "--token",
        envvar="EDGEKIT_TOKEN",
        show_envvar=True,
        help="Password of the live page, at the end of its link (?token=...). [default: a new one,"
        " in the link that EdgeKit prints at the start; none if only this machine reaches the"
        " page]",
    ),
    click.option(
        "--public-origin",
        multiple=True,
        metavar="URL",
        help="Address under which browsers reach the live page through a proxy that adds TLS, such"
        " as https://cam.example.com. The page then always needs a token. Repeat the option "
        "for several addresses.",
    ),
    click.option(
        "--trusted-proxy",
        multiple=True,
        metavar="ADDRESS",
        help="IP address or network of a proxy whose X-Forwarded-For header has the addresses of "
        "its viewers, such as 127.0.0.1 or 10.0.0.0/24. EdgeKit believes no other address. "
        "Repeat the option for several proxies.",
    ),
)


def output_options(command: F) -> F:
    """Adds the options that say where results go."""
    add_files, add_services = headed("Outputs", *_FILES), headed("Network outputs", *_SERVICES)
    return add_files(add_services(command))
