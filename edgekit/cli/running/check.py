"""Prints what ``edgekit run --check`` found."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from edgekit._printable import printable
from edgekit.cli.options.shared import emit_json

if TYPE_CHECKING:
    from edgekit.media import Source
    from edgekit.running.options import RunOptions

__all__ = ["print_check"]


def print_check(options: RunOptions, as_json: bool) -> None:
    """Opens all that a run needs, and prints what it found.

    Args:
        options: Options of the run.
        as_json: Whether to print one JSON object.
    """
    from edgekit.media.sources.absent import AbsentSource
    from edgekit.running.run import check, facts

    sources, bundle = check(options)
    if as_json:
        found = [_source_json(source, bundle) for source in sources]
        emit_json(found[0] if len(found) == 1 else {"sources": found})
        return
    for source in sources:
        if isinstance(source, AbsentSource):
            words = (
                f"Not reachable: {source.name}. {source.error.message} A run would try it again "
                "while the other sources run."
            )
        else:
            words = f"Ready: {facts(source)}, with {bundle}. Nothing was written."
        click.echo(printable(words, lines=True))


def _source_json(source: Source, bundle: str) -> dict[str, object]:
    from edgekit.media.sources.absent import AbsentSource

    return {
        "source": source.name,
        "width": source.width,
        "height": source.height,
        "fps": round(source.fps, 3),
        "live": source.live,
        "bundle": bundle,
        **({"error": source.error.message} if isinstance(source, AbsentSource) else {}),
    }
