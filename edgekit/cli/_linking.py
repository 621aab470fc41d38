"""The options of linking that several commands have, each in frames or in seconds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from edgekit.cli._options import FiniteRange

__all__ = ["delay_options", "misses_options"]


def misses_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds ``--max-misses`` and ``--max-gap``: when a tube ends."""
    return click.option(
        "--max-misses",
        type=click.IntRange(1),
        help="A tube ends after so many frames without a detection. "
        "[default: 30 with edgekit, 5 with the others]",
    )(
        click.option(
            "--max-gap",
            type=FiniteRange(0),
            metavar="SECONDS",
            help="A tube ends after so many seconds without a detection; instead of --max-misses, "
            "with edgekit only.",
        )(command)
    )


def delay_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds ``--delay`` and ``--delay-seconds``: what refines the boxes of finished tubes."""
    return click.option(
        "--delay",
        type=click.IntRange(0),
        default=0,
        show_default=True,
        help="Finished tubes have boxes refined by so many later frames; with edgekit only.",
    )(
        click.option(
            "--delay-seconds",
            type=FiniteRange(0),
            metavar="SECONDS",
            help="Boxes of finished tubes are refined by the frames of so many seconds afterwards; "
            "instead of --delay, with edgekit only.",
        )(command)
    )
