"""Defines the command ``edgekit build``."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from contextlib import ExitStack
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
    from rich.progress import Progress, TaskID

    from edgekit.bundle import Bundle
    from edgekit.targets.jetson.builder import Report
    from edgekit.targets.jetson.engine import Engine

__all__ = ["command"]

_LOG = logging.getLogger(__name__)


@click.command(name="build")
@click.argument("bundles", nargs=-1, type=BUNDLE, metavar="[BUNDLE]...")
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
    bundles: tuple[Named, ...],
    workspace: int | None,
    cache: Path | None,
    force: bool,
    require_signature: Path | None,
    as_json: bool,
) -> None:
    """Build the TensorRT engine of a jetson bundle, on the Jetson that runs it.

    BUNDLE is a folder. By default it is the newest jetson bundle in artifacts/; none is shipped. An
    engine fits one model, one version of TensorRT and one kind of GPU, and takes minutes to build.
    The command is optional: edgekit run builds a missing engine as well. Of several bundles, such
    as one for each --dcn of edgekit export, edgekit build measures an inference of each in turn,
    and names the fastest.

    Example: edgekit build artifacts/korsal-lite0-ucf24-jetson-fp16 --workspace 512
    """
    from edgekit.targets.jetson.engine import build_engine

    taken = [
        take(
            bundle,
            what="jetson bundle in artifacts/",
            another="edgekit build BUNDLE",
            fits=lambda bundle: bundle.manifest.target == "jetson",
            shipped=_none,
            require_signature=require_signature,
        )
        for bundle in bundles or (None,)
    ]
    loaded = {str(bundle.path): bundle for bundle in taken}
    with progress_bar() as bar:
        engines = {
            name: build_engine(
                bundle, workspace=workspace, force=force, cache=cache, report=_report(bar)
            )
            for name, bundle in loaded.items()
        }
    _show(engines, _seconds(loaded, cache) if len(loaded) > 1 else {}, as_json)


def _show(engines: Mapping[str, Engine], seconds: Mapping[str, float], as_json: bool) -> None:
    """Prints the engines, and the fastest one if they were measured."""
    import dataclasses

    from edgekit.targets.dcn_choice import fastest

    console = stdout_console(to_stderr=as_json)
    found: dict[str, dict[str, object]] = {}
    for name, engine in engines.items():
        how = f"built in {engine.seconds:.0f} s" if engine.built else "was there already"
        console.print(f"{engine.path}", soft_wrap=True)
        console.print(f"key {engine.key}, {how}", soft_wrap=True)
        found[name] = dataclasses.asdict(engine) | {"path": str(engine.path)}
    result: object = next(iter(found.values()))
    if seconds:
        best = fastest(seconds)
        for name, value in seconds.items():
            console.print(f"{name}: {1e3 * value:.2f} ms", soft_wrap=True)
            found[name] |= {"bundle": name, "ms": round(1e3 * value, 2)}
        console.print(f"Fastest: {best}", soft_wrap=True)
        result = {"engines": list(found.values()), "fastest": best}
    if as_json:
        emit_json(result)


def _seconds(bundles: Mapping[str, Bundle], cache: Path | None) -> dict[str, float]:
    """Returns the seconds of an inference of each bundle."""
    from edgekit.targets.base import SessionOptions
    from edgekit.targets.dcn_choice import session_seconds
    from edgekit.targets.registry import open_session

    options = SessionOptions(cache=cache)
    with ExitStack() as stack:
        sessions = {
            name: stack.enter_context(open_session(bundle, options))
            for name, bundle in bundles.items()
        }
        return session_seconds(sessions)


def _report(bar: Progress) -> Report:
    """Returns a function that shows the progress of a build."""
    tasks: dict[str, TaskID] = {}

    def report(phase: str, done: int, steps: int) -> None:
        if phase not in tasks:
            tasks[phase] = bar.add_task(phase, total=steps, note="")
            _LOG.info("%s, %d steps", phase, steps)
        bar.update(tasks[phase], completed=done)

    return report


def _none() -> Bundle:
    """Raises ``UsageError``, because no shipped bundle is for the target jetson."""
    raise UsageError(
        "No bundle for the target jetson was named, and artifacts/ has none.",
        hint="Make one: edgekit export --target jetson",
    )
