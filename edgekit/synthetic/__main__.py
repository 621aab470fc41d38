"""Renders clips to train or evaluate on: ``python -m edgekit.synthetic``."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from edgekit._parameters import write_flags
from edgekit.errors import EdgeKitError
from edgekit.synthetic.dataset import write_dataset


@click.command()
@click.argument("out", type=click.Path(path_type=Path))
@click.option(
    "--clips", type=click.IntRange(1), default=60, show_default=True, help="Number of clips."
)
@click.option(
    "--seed",
    type=click.IntRange(0),
    default=1000,
    show_default=True,
    help="Seed of the first clip.",
)
@click.option(
    "--frames",
    type=click.IntRange(8),
    default=80,
    show_default=True,
    help="Length of each clip, in frames at 25 per second.",
)
@click.option(
    "--fps",
    type=click.FloatRange(1, 240),
    default=25.0,
    show_default=True,
    help="Frames per second. Another rate shows the same scenes at other moments.",
)
@click.option("--force", is_flag=True, help="Replace a folder that is already there.")
def command(out: Path, clips: int, seed: int, frames: int, fps: float, force: bool) -> None:
    """Render clips of puppets (drawn figures) into the folder OUT, with their annotations.json.

    Clip number i depends only on the seed SEED + i.

    Example: python -m edgekit.synthetic puppets --clips 60 --seed 1000
    """
    before = write_flags(True)
    try:
        write_dataset(
            out,
            range(seed, seed + clips),
            frames=frames,
            fps=fps,
            force=force,
            progress=lambda name: click.echo(name, err=True),
        )
    except EdgeKitError as error:
        click.echo(f"Error: {error}", err=True)
        sys.exit(error.exit_status)
    finally:
        write_flags(before)


if __name__ == "__main__":
    command()
