"""Defines the command ``edgekit build``."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgekit.cli.options.bundles import BUNDLE, require_signature
from edgekit.cli.options.shared import common_options, emit_json, stdout_console
from edgekit.cli.options.types import OUT_FOLDER
from edgekit.cli.output.progress_bars import progress_bar
from edgekit.errors import UsageError
from edgekit.targets.bundle_choice import Named, take

if TYPE_CHECKING:
    from edgekit.bundle import Bundle

__all__ = ["command"]

_LOG = logging.getLogger(__name__)


@click.command(name="build")
@click.argument("bundle", type=BUNDLE, required=False)
@click.option(
    "--workspace",
    type=click.IntRange(1),
    metavar="MIB",
    help="Largest GPU memory in MiB that a layer may use while it computes. [default: half "
    "of what is free]",
)
@click.option(
    "--cache",
    type=OUT_FOLDER,
    help="Folder to keep the engine in; the same as --cache of edgekit run, not the work cache. "
    "[default: engines/ in the bundle]",
)
@click.option("--force", is_flag=True, help="Build the engine even if it is already there.")
@require_signature
@common_options
def command(
    bundle: Named,
    workspace: int | None,
    cache: Path | None,
    force: bool,
    require_signature: Path | None,
    as_json: bool,
) -> None:
    """Build the TensorRT engine of a jetson bundle, on the Jetson that runs it.

    BUNDLE is a folder. By default it is the newest jetson bundle in artifacts/; none is shipped. An
    engine fits one model, one version of TensorRT and one kind of GPU, and takes minutes to build.
    The command is optional: edgekit run builds a missing engine as well.

    Example: edgekit build artifacts/korsal-lite0-ucf24-jetson-fp16 --workspace 512
    """
    import dataclasses

    from edgekit.targets.jetson.engine import build_engine

    loaded = take(
        bundle,
        what="jetson bundle in artifacts/",
        another="edgekit build BUNDLE",
        fits=lambda bundle: bundle.manifest.target == "jetson",
        shipped=_none,
        require_signature=require_signature,
    )
    with progress_bar() as bar:
        tasks = {}

        def report(phase: str, done: int, steps: int) -> None:
            if phase not in tasks:
                tasks[phase] = bar.add_task(phase, total=steps, note="")
                _LOG.info("%s, %d steps", phase, steps)
            bar.update(tasks[phase], completed=done)

        engine = build_engine(loaded, workspace=workspace, force=force, cache=cache, report=report)
    if as_json:
        emit_json(dataclasses.asdict(engine) | {"path": str(engine.path)})
        return
    how = f"built in {engine.seconds:.0f} s" if engine.built else "was there already"
    console = stdout_console(as_json)
    console.print(f"{engine.path}", soft_wrap=True, markup=False)
    console.print(f"key {engine.key}, {how}", soft_wrap=True, markup=False)


def _none() -> Bundle:
    """Raises ``UsageError``, because no shipped bundle is for the target jetson."""
    raise UsageError(
        "No bundle for the target jetson was named, and artifacts/ has none.",
        hint="Make one: edgekit export --target jetson",
    )
