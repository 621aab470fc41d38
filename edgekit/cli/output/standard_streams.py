"""Handles standard streams that are closed, full, or belong to a closed terminal."""

from __future__ import annotations

import codecs
import errno
import io
import os
import sys

from edgekit.errors import OutputError

__all__ = [
    "drop_terminals",
    "escape_unknown",
    "fill_closed",
    "give_up_output",
    "output_is_there",
    "prints_unicode",
]

_NUMBERS = (0, 1, 2)


def fill_closed() -> None:
    """Opens the null device in place of each closed standard stream.

    Otherwise the next opened files would get these descriptors, and the output of C libraries would
    end up in them. Standard error then discards text; Python's other streams stay None.
    """
    for number in _NUMBERS:
        try:
            os.fstat(number)
        except OSError:
            _to_null(number)
    if sys.stderr is None:
        sys.stderr = open(2, "w", errors="backslashreplace", closefd=False)  # noqa: SIM115


def escape_unknown() -> None:
    """Lets standard output escape characters that its encoding lacks, as standard error does.

    Otherwise a name in another script ends the command where the locale is not UTF-8.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


def prints_unicode() -> bool:
    """Returns whether standard output is UTF-8, as programs expect JSON to be."""
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    return codecs.lookup(encoding).name == "utf-8"


def output_is_there() -> None:
    """Checks that standard output exists, because every command prints on it.

    Raises:
        OutputError: Standard output is closed.
    """
    if sys.stdout is None:
        raise OutputError(
            "EdgeKit prints its results on standard output, but standard output is closed.",
            hint="Remove >&- from the command, or redirect the output: > FILE, or > /dev/null",
        )


def give_up_output(error: OSError) -> bool:
    """Discards all further standard output after printing has failed.

    Otherwise Python would try to print again at exit, and report the error in its own words.

    Args:
        error: Error that printing raised.

    Returns:
        Whether nobody reads the output: a pipe has lost its reader, or the terminal is closed.
    """
    is_unread = error.errno in (errno.EPIPE, errno.EIO)
    if is_unread or error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        _to_null(1)
    return is_unread


def drop_terminals() -> None:
    """Redirects streams of a closed terminal to the null device; files and pipes stay unchanged.

    Safe to call in a signal handler.
    """
    import termios

    for number in _NUMBERS:
        try:
            termios.tcgetattr(number)
        except termios.error as error:
            if error.args[0] == errno.EIO:  # for a file or pipe, errno is ENOTTY
                _to_null(number)


def _to_null(number: int) -> None:
    null = os.open(os.devnull, os.O_RDWR)
    if null == number:
        os.set_inheritable(null, True)
    else:
        os.dup2(null, number)
        os.close(null)
