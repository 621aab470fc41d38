"""Holds the outcome of a command, its result or error, as one JSON object."""

from __future__ import annotations

import errno
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import click

from edgekit._early_signals import interrupted
from edgekit._printable import as_unicode, printable_json
from edgekit.cli.output.standard_streams import prints_unicode
from edgekit.errors import (
    BadInputError,
    EdgeKitError,
    MissingDependencyError,
    OutputError,
    ResourceError,
)
from edgekit.system.shortage import shortage_of

__all__ = ["INTERRUPTED", "SCHEMA", "Failure", "Outcome", "failure_of", "wants_json"]


class Failure(NamedTuple):
    """Reason for a failed command, as ``--json`` prints it.

    Attributes:
        code: Word that stays constant across versions; docs/errors.md lists all.
        message: Description of what was expected and found.
        hint: Command or step that helps; empty if there is none.
        status: Exit status.
    """

    code: str
    message: str
    hint: str
    status: int


SCHEMA = 1
"""Version of what ``--json`` prints, for commands whose result has no version of its own."""

_MARSHAL = ("marshal data", "EOF read where object expected")
"""Texts of Python's errors about damaged compiled files."""

INTERRUPTED = Failure("interrupted", "Interrupted.", "", 130)


class Outcome:
    """Collects what is printed on standard output at the end, so that it is one object.

    Attributes:
        result: Object that the command gave to ``emit_json``; None before that.
    """

    def __init__(self, result: object = None) -> None:
        self.result = result

    def print(self, failure: Failure | None) -> None:
        """Prints the result; a failure is added under the key ``error``."""
        if self.result is None and failure is None:
            return
        import msgspec

        content = msgspec.to_builtins(self.result) if self.result is not None else {}
        if failure is not None:
            content = {"error": failure._asdict(), **content}
        content = {"schema": SCHEMA, **content}
        text = msgspec.json.encode(as_unicode(content))
        content = msgspec.json.format(text, indent=2)
        click.echo(printable_json(content, ascii_only=not prints_unicode()).decode())


def wants_json(words: Sequence[str]) -> bool:
    """Returns whether a command line contains ``--json``, even if it is otherwise wrong."""
    return "--json" in words[: words.index("--") if "--" in words else None]


def failure_of(error: BaseException) -> Failure:
    """Returns the failure to report for an exception that ended a command."""
    if interrupted():
        return INTERRUPTED
    if isinstance(error, click.exceptions.Abort):  # click raises Abort for Ctrl-C and for EOFError
        if not isinstance(error.__cause__, EOFError):
            return INTERRUPTED
        error = error.__cause__
    if isinstance(error, ImportError | MissingDependencyError) and _caused_by_interrupt(error):
        return INTERRUPTED
    if isinstance(error, EOFError | ValueError) and any(words in str(error) for words in _MARSHAL):
        error = _damaged_bytecode()
    if isinstance(error, click.UsageError):
        path = error.ctx.command_path if error.ctx else "edgekit"
        return Failure("usage", error.format_message(), f"Run: {path} --help", error.exit_code)
    if isinstance(error, click.ClickException):
        return Failure("error", error.format_message(), "", error.exit_code)
    shortage = shortage_of(error)
    # These two name the file, or what needs less memory.
    if shortage is not None and not isinstance(error, OutputError | ResourceError):
        error = shortage
    if isinstance(error, OSError) and error.errno is not None:
        error = _system_error(error)
    if not isinstance(error, EdgeKitError) and _is_of_an_import(error):
        error = _unusable_package(error)
    if isinstance(error, EdgeKitError):
        return Failure(error.code, error.message, error.hint, error.exit_status)
    import traceback

    what = traceback.format_exception_only(error)[-1].strip()
    return Failure(
        "internal",
        f"EdgeKit failed with an unexpected error: {what}",
        "This is a fault of EdgeKit. Please report it together with the traceback.",
        1,
    )


def _caused_by_interrupt(error: BaseException | None) -> bool:
    """Returns whether Ctrl-C interrupted an import; some packages report it as their failure."""
    while error is not None and not isinstance(error, KeyboardInterrupt):
        error = error.__cause__ or error.__context__
    return error is not None


def _is_of_an_import(error: BaseException) -> bool:
    """Returns whether the import of another package raised an error.

    Packages also raise other errors than ``ImportError``: numpy a ``RuntimeError`` on a processor
    that it was not built for, and Python a ``SyntaxError`` for a damaged file.
    """
    if isinstance(error, ImportError | SyntaxError):  # the latter has no name
        return not (getattr(error, "name", None) or "").startswith("edgekit")
    frame, called, is_import = error.__traceback__, False, False
    while frame is not None:  # the last call of EdgeKit leads into the body of another module
        name = frame.tb_frame.f_globals.get("__name__", "")
        if name.partition(".")[0] == "edgekit":
            called = False
        elif not called and not name.startswith("importlib"):
            called, is_import = True, frame.tb_frame.f_code.co_name == "<module>"
        frame = frame.tb_next
    return called and is_import


def _unusable_package(error: BaseException) -> EdgeKitError:
    """Returns the error for a package that every installation needs."""
    kind = "" if isinstance(error, ImportError) else f"{type(error).__name__}: "
    reason = f"{kind}{' '.join(str(error).split()):.400}".rstrip(".")
    return MissingDependencyError(
        f"A package that EdgeKit needs is missing, or cannot be imported: {reason}.",
        hint="See what helps: edgekit doctor. If it names no problem, install that package again.",
    )


def _damaged_bytecode() -> EdgeKitError:
    """Returns the error for a compiled file that Python could not write to the disk as a whole."""
    import edgekit

    place = shlex.quote(str(Path(edgekit.__file__).parents[1]))
    return BadInputError(
        "A compiled file of Python (.pyc) is damaged. The disk was full, a limit of file sizes was "
        "reached, or the power was cut when Python wrote it.",
        hint=f"Run: find {place} -name __pycache__ -prune -exec rm -r {{}} +",
    )


def _system_error(error: OSError) -> EdgeKitError:
    """Returns the error for a system call that failed where no module expected it."""
    from edgekit.files.output_paths import output_error

    if error.errno == errno.ENOENT and error.filename is None and not _has_current_folder():
        return BadInputError(
            "The current folder no longer exists, so its files cannot be found.",
            hint="Go to another folder (cd), or write absolute paths.",
        )
    # Everything else that EdgeKit writes has a name.
    place = str(error.filename or "standard output")
    if error.errno == errno.ENAMETOOLONG:
        return BadInputError(
            f"There is no file {place}: the name is longer than the system allows."
        )
    if error.filename is None or error.errno in (errno.ENOSPC, errno.EROFS, errno.EDQUOT):
        return output_error(error, Path(place))
    return BadInputError(
        f"Cannot use {place}: {error.strerror}.", hint="Check the path and its permissions."
    )


def _has_current_folder() -> bool:
    try:
        Path.cwd()
    except FileNotFoundError:
        return False
    return True
