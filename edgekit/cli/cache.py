"""Defines the command ``edgekit cache``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgekit._printable import plural, size_text
from edgekit.cli.options.shared import common_options, emit_json, stdout_console

if TYPE_CHECKING:
    from edgekit.calibration.cache import Contents

__all__ = ["command"]

_FOLDER = click.option(
    "--cache",
    "folder",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    metavar="FOLDER",
    help="Folder of the work cache, as edgekit quantize --cache named it. "
    "[default: ~/.cache/edgekit]",
)


@click.group(name="cache")
def command() -> None:
    """Show or empty the cache of edgekit quantize, eval, train and bench --sweep.

    These commands keep results that take long to compute in the work cache: exported models,
    rendered clips, measured layers, detections in annotated videos, frames of training videos. A
    repeated command reuses them. Compiled models, which edgekit run --cache keeps, and TensorRT
    engines are not in this cache; to remove them, delete their folder.

    Example: edgekit cache clear
    """


@command.command(name="info")
@_FOLDER
@common_options
def info(folder: Path | None, as_json: bool) -> None:
    """Show the folder and the size of the cache.

    Example: edgekit cache info
    """
    from edgekit.calibration.cache import contents_of

    found = contents_of(_folder(folder))
    if as_json:
        emit_json({**_content(found), "bytes": found.size})
        return
    console = stdout_console()
    count = sum(found.pieces.values())
    console.print(
        f"{found.folder}: {size_text(found.size)} in {count} {plural('piece', count)}",
        soft_wrap=True,
    )
    for kind in sorted(found.pieces):
        text = f"  {kind:<12} {found.pieces[kind]:>5}   {size_text(found.sizes[kind])}"
        console.print(text)
    if count:
        console.print("To empty it: edgekit cache clear")


@command.command(name="clear")
@_FOLDER
@common_options
def clear(folder: Path | None, as_json: bool) -> None:
    """Empty the cache.

    It removes what EdgeKit wrote there and nothing else. It refuses to while another edgekit
    command uses the cache.

    Example: edgekit cache clear
    """
    from edgekit.calibration.cache import clear_cache

    removed = clear_cache(_folder(folder))
    if as_json:
        emit_json({**_content(removed), "freed_bytes": removed.size})
        return
    console = stdout_console()
    console.print(f"Freed {size_text(removed.size)} in {removed.folder}", soft_wrap=True)
    if removed.others:
        console.print(
            f"Files or folders that were left, as EdgeKit did not write them: {removed.others}"
        )


def _folder(named: Path | None) -> Path:
    from edgekit.calibration.store import default_store

    return named or default_store(make=False)


def _content(found: Contents) -> dict[str, object]:
    kinds = {
        kind: {"pieces": count, "bytes": found.sizes[kind]}
        for kind, count in sorted(found.pieces.items())
    }
    return {"folder": str(found.folder), "kinds": kinds, "others": found.others}
