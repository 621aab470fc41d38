"""What every command has in common: ``--json``, ``-v``, and where its words go."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress

__all__ = ["common_options", "emit_json", "progress_bar", "stdout_console"]

F = TypeVar("F", bound=Callable[..., Any])


def common_options(function: F) -> F:
    """Adds ``--json`` (parameter ``as_json``) and ``-v`` to a command."""
    function = click.option(
        "-v",
        "--verbose",
        is_flag=True,
        expose_value=False,
        callback=_set_verbosity,
        help="Say more about what is done, on standard error.",
    )(function)
    return click.option(
        "--json",
        "as_json",
        is_flag=True,
        help="Print one JSON object on standard output; all else goes to standard error.",
    )(function)


def _set_verbosity(context: click.Context, parameter: click.Parameter, value: bool) -> None:
    del context, parameter
    level = logging.INFO if value else logging.WARNING
    logging.basicConfig(stream=sys.stderr, level=level, format="%(message)s")
    logging.getLogger("edgekit").setLevel(level)


def emit_json(value: object) -> None:
    """Prints one object on standard output."""
    import msgspec

    click.echo(msgspec.json.format(msgspec.json.encode(value), indent=2).decode())


def stdout_console(as_json: bool) -> Console:
    """Where results for people go: standard output, or standard error beside ``--json``."""
    from rich.console import Console

    return Console(stderr=as_json, highlight=False)


def progress_bar() -> Progress:
    """A progress bar on standard error; silent when that is no terminal."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    console = Console(stderr=True)
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
        console=console,
        disable=not console.is_terminal,
    )
