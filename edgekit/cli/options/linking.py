"""Defines the options of detections and linking that several commands have."""

from __future__ import annotations

import click

from edgekit.cli.options.shared import F, FiniteRange, headed

__all__ = ["LINK_HELP", "delay_options", "misses_options", "top_k_option"]

LINK_HELP = (
    "Linker that joins detections into tubes. edgekit follows actors; the others, from KORSAL's "
    "code, link each class separately, and differ in a frame without a detection: the tube has no "
    "box (road), its last box (korsal-hold), or its last box moved on (korsal-motion)."
)
"""Help of ``--link``, without its default."""

top_k_option = click.option(
    "--top-k",
    type=click.IntRange(1),
    help="Largest number of detections per frame. A bundle with the decoding inside its model, as "
    "for jetson, gives no more than its own. [default: the bundle's own: 50, unless edgekit export "
    "--top-k gave another]",
)
"""Option with the number of detections that enter the linking."""

_MISSES = (
    click.option(
        "--max-misses",
        type=click.IntRange(1),
        help="Number of frames in a row without a detection after which a tube ends. The linker "
        "edgekit counts in frames of 25 per second (30 are 1.2 seconds) at any frame rate. "
        "Not together with --max-gap. [default: 30 with edgekit, 5 with other linkers]",
    ),
    click.option(
        "--max-gap",
        type=FiniteRange(0),
        metavar="SECONDS",
        help="Seconds without a detection after which a tube ends: --max-misses as a "
        "time. Only with --link edgekit, and not together with --max-misses. [default: 1.2, "
        "by --max-misses]",
    ),
)
_DELAY = (
    click.option(
        "--delay",
        type=click.IntRange(0),
        default=0,
        show_default=True,
        help="Smooth the boxes of finished tubes: each box is corrected by this many later "
        "frames, of 25 per second. 0 is off, and 15 is a good value for scenes in which "
        "actors are often hidden; docs/linking.md has figures. Live tubes are not corrected, "
        "and finished tubes arrive no later; the cost is a little memory and time for each "
        "tube. Only with --link edgekit, and not together with --delay-seconds.",
    ),
    click.option(
        "--delay-seconds",
        type=FiniteRange(0),
        metavar="SECONDS",
        help="Seconds of later frames that correct each box of a finished tube: --delay as a "
        "time. Only with --link edgekit, and not together with --delay. "
        "[default: 0, by --delay]",
    ),
)


def misses_options(command: F) -> F:
    """Adds ``--max-misses`` and ``--max-gap``, which decide when a tube ends."""
    return headed("Tubes", *_MISSES)(command)


def delay_options(command: F) -> F:
    """Adds ``--delay`` and ``--delay-seconds``, which refine the boxes of finished tubes."""
    return headed("Tubes", *_DELAY)(command)
