"""The command line. Each command is a module of this package, imported only when called."""

from __future__ import annotations

import atexit
import contextlib
import errno
import gc
import importlib
import io
import os
import signal
import sys
import threading
from collections.abc import Sequence
from typing import NoReturn, cast

import click

from edgekit import __version__
from edgekit._early_signals import command_ended
from edgekit._parameters import write_flags
from edgekit._printable import printable
from edgekit.cli.output.json_output import end_output, kept_free
from edgekit.cli.output.outcome import INTERRUPTED, Failure, Outcome, failure_of, wants_json
from edgekit.cli.output.standard_streams import (
    escape_unknown,
    fill_closed,
    give_up_output,
    output_is_there,
)
from edgekit.system.own_process import claim_process
from edgekit.system.telemetry import opt_out

__all__ = ["COMMANDS", "cli", "main", "program"]

COMMANDS = {
    "export": "Turn a checkpoint into a verified bundle for a target, on the host.",
    "quantize": "Quantize a float bundle to INT8, and measure and limit the loss of accuracy.",
    "run": "Find action tubes in a camera, video or folder of pictures.",
    "fleet": "Show the state of all devices that report to an MQTT broker.",
    "bench": "Measure how long each stage of a frame takes, for every bundle and runtime.",
    "eval": "Score a bundle, or saved detections, against annotations.",
    "train": "Train or fine-tune a network on annotated clips.",
    "demo": "Run a bundle on a rendered clip, and score it against the clip's known tubes.",
    "build": "Build the TensorRT engine of a jetson bundle, on the Jetson that runs it.",
    "deploy": "Put EdgeKit and a bundle on devices over SSH, and go back if the trial there fails.",
    "inspect": "Show the model, inputs, classes, files and signature of a bundle.",
    "sign": "Sign a bundle, so that devices can refuse bundles of others.",
    "dataset": "Inspect, check, convert or split annotated videos.",
    "cache": "Show or empty the cache of edgekit quantize, eval, train and bench --sweep.",
    "doctor": "Show the packages, cameras and processors here, and how to install what is missing.",
}
"""Every command with its line of help, so that ``edgekit --help`` imports no command."""


class _LazyGroup(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        return cast(click.Command, importlib.import_module(f"edgekit.cli.{cmd_name}").command)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args[0] not in COMMANDS:
            import difflib

            if near := difflib.get_close_matches(args[0], COMMANDS, 1):
                ctx.fail(f"No such command {args[0]!r}. Did you mean {near[0]!r}?")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="edgekit")
def cli() -> None:
    """Takes a trained online action detector to an edge device.

    The detector finds action tubes: a tube is one action of one actor, with a class and a box in
    each frame. It is a CenterNet, a network that finds objects by their centres. As in KORSAL, the
    published detector of actions (arXiv 2111.03319), its input has the cascade: extra channels with
    a map of the structural similarity (SSIM) of the frame to an earlier one, which shows motion.

    A bundle is a folder with a model for one target (a kind of device and its inference runtime),
    its settings and checksums. The host, a PC with PyTorch, trains, exports and quantizes. The
    device runs bundles: copy the folder there. Both may be one machine.

    Exit statuses: 0 done, 1 other failure, 2 wrong usage, 3 bad input, 4 missing package, 5
    exceeded bound, 130 interrupted. docs/errors.md explains them.

    Example: edgekit run --source clip.mp4 --video out.mp4
    """


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command line.

    Args:
        arguments: Words after the program's name; None for the words of this process.

    Returns:
        The exit status: 0 success, 1 unknown error, 2 wrong usage, 3 bad input, 4 missing
        dependency, 5 exceeded bound, 130 interrupted.
    """
    fill_closed()
    words = sys.argv[1:] if arguments is None else [*arguments]
    as_flags = write_flags(True)
    try:
        return _run(words)
    finally:
        write_flags(as_flags)


def _run(words: list[str]) -> int:
    """Runs a command line and prints its outcome; returns the exit status."""
    outcome = Outcome()
    with kept_free(wanted=wants_json(words)):
        status, failure = _call(words, outcome)
    command_ended()
    try:
        if wants_json(words):
            outcome.print(failure)
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError as error:
        if not give_up_output(error):
            failure = failure_of(error)
            _say(failure)
            status = status or failure.status
    return status


def _call(words: list[str], outcome: Outcome) -> tuple[int, Failure | None]:
    """Runs a command line; returns its exit status, and the failure if there is one."""
    try:
        output_is_there()
        _refuse_empty(words)
        status = cli.main(words, prog_name="edgekit", standalone_mode=False, obj=outcome)
    except click.ClickException as error:
        if isinstance(error, click.UsageError) and error.ctx is None and words[0] in COMMANDS:
            # click's parser does not say which command it parsed.
            command = importlib.import_module(f"edgekit.cli.{words[0]}").command
            error.ctx = click.Context(command, info_name=f"edgekit {words[0]}")
        shown = io.StringIO()
        error.show(shown)
        click.echo(printable(shown.getvalue(), lines=True), err=True, nl=False)
        failure = failure_of(error)
    except SystemExit:  # click's answer to a pipe without a reader
        give_up_output(BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE)))
        return 0, None
    except Exception as error:
        if isinstance(error, OSError) and error.filename is None and give_up_output(error):
            return 0, None
        failure = failure_of(error)
        if failure.code == "internal":
            import traceback

            click.echo(printable(traceback.format_exc(), lines=True), err=True, nl=False)
        _say(failure)
    else:
        status = status if isinstance(status, int) else 0
        return status, INTERRUPTED if status == INTERRUPTED.status else None
    return failure.status, failure


def _refuse_empty(words: Sequence[str]) -> None:
    """Raises if a word, or the value in a word such as ``--out=``, is empty.

    It is usually "$NAME" with an unset variable. As a path, an empty text would mean the current
    folder; as a value, it would look like a missing option.
    """
    options = words[: words.index("--")] if "--" in words else words
    for place, word in enumerate(words):
        if not word:
            what = f", after {words[place - 1]}," if place else ""
        elif place < len(options) and word.startswith("--") and word.find("=") == len(word) - 1:
            what = f", the value of {word[:-1]},"
        else:
            continue
        raise click.UsageError(
            f"Argument {place + 1} of the command line{what} is empty. Remove it, or set the "
            "variable that it came from."
        )


def program() -> NoReturn:
    """Runs the command line of this process and ends the process."""
    opt_out(os.environ)
    claim_process()
    escape_unknown()
    status = main()
    if wants_json(sys.argv[1:]):
        end_output()
    # The work is done and reported: a Ctrl-C during Python's shutdown could end nothing more.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if any(thread.daemon for thread in threading.enumerate()):
        # Such a thread may be inside a C library for as long as a camera or server is silent. If it
        # returned during Python's shutdown, Python would abort the process.
        with contextlib.suppress(BaseException):
            atexit._run_exitfuncs()
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(Exception):
                stream.flush()
        os._exit(status)
    # Python looks for garbage several times while it ends, among all that the run has imported.
    gc.freeze()
    sys.exit(status)


def _say(failure: Failure) -> None:
    with contextlib.suppress(OSError):  # standard error may be full, or a closed terminal
        words = failure.message if failure is INTERRUPTED else f"Error: {failure.message}"
        click.echo(printable(words, lines=True), err=True)
        if failure.hint:
            click.echo(printable(failure.hint, lines=True), err=True)
