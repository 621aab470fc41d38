"""The command line. Each command is a module of this package, imported only when it is called."""

from __future__ import annotations

import atexit
import contextlib
import errno
import importlib
import os
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn, cast

import click

from edgekit.errors import BadInputError, EdgeKitError

__all__ = ["COMMANDS", "cli", "main", "program"]

COMMANDS = {
    "export": "Turn a checkpoint into a verified bundle for a target.",
    "quantize": "Turn a float bundle into one of INT8 whose loss is known and bounded.",
    "run": "Find action tubes in a camera, video or folder of pictures.",
    "bench": "Measure what each stage of a frame takes, for every bundle and runtime.",
    "eval": "Score a bundle, or saved detections, against annotations.",
    "train": "Train or fine-tune a network on annotated clips.",
    "demo": "Play a rendered clip through a bundle and judge it against the known truth.",
    "build": "Build the TensorRT engine of a bundle, on the device that runs it.",
    "inspect": "Show what a bundle is.",
    "doctor": "Show what is installed, what is missing, and how to get it.",
}
"""Every command with its one line of help: ``edgekit --help`` imports none of them."""


class _LazyGroup(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        return cast(click.Command, importlib.import_module(f"edgekit.cli.{cmd_name}").command)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="edgekit", prog_name="edgekit")
def cli() -> None:
    """Takes a trained online action detector to an edge device.

    Example: edgekit run --source clip.mp4 --video out.mp4
    """


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command line.

    Args:
        arguments: Without the program's name; those of the process if not given.

    Returns:
        The exit status: 0 done, 2 wrong usage, 3 bad input, 4 something is not installed, 5 a
        bound was missed, 130 interrupted.
    """
    try:
        result = cli.main(arguments, prog_name="edgekit", standalone_mode=False)
    except click.exceptions.Abort:  # what click makes of Ctrl-C
        click.echo("Interrupted.", err=True)
        return 130
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except EdgeKitError as error:
        _say(error)
        return error.exit_status
    except OSError as error:
        if error.errno == errno.EPIPE:
            return 0
        found = _system_error(error)
        _say(found)
        return found.exit_status
    return result if isinstance(result, int) else 0


def program() -> NoReturn:
    """Runs the command line of this process and ends the process; the console script."""
    try:
        status = main()
    except Exception:
        sys.excepthook(*sys.exc_info())
        status = 1
    if any(thread.daemon for thread in threading.enumerate()):
        # Such a thread may be inside a C library, for as long as a camera or server is silent.
        # Python would abort the process if it came back while the interpreter is taken down.
        with contextlib.suppress(BaseException):
            atexit._run_exitfuncs()
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(Exception):
                stream.flush()
        os._exit(status)
    sys.exit(status)


def _system_error(error: OSError) -> EdgeKitError:
    """What is said where the system refuses something that no module expected."""
    from edgekit._files import output_error

    place = str(error.filename or "the result")
    if error.errno == errno.ENAMETOOLONG:
        return BadInputError(f"There is no file {place}: no name is that long.")
    if error.filename is None or error.errno in (errno.ENOSPC, errno.EROFS, errno.EDQUOT):
        return output_error(error, Path(place))
    return BadInputError(
        f"Cannot use {place}: {error.strerror}.", mend="Check the path, and who may use it."
    )


def _say(error: EdgeKitError) -> None:
    click.echo(f"Error: {error.message}", err=True)
    if error.mend:
        click.echo(error.mend, err=True)
