"""Standard input, output and error where they are closed, full, or a terminal that has gone."""

from __future__ import annotations

import errno
import os
import sys

from edgekit.errors import OutputError

__all__ = ["drop_terminals", "fill_closed", "give_up_output", "has_terminal", "output_is_there"]

_NUMBERS = (0, 1, 2)


def fill_closed() -> None:
    """Opens the null device as each standard stream that is closed.

    Otherwise the next files to be opened would take their numbers, and what a C library prints
    would stand in them. Standard error swallows words from then on; Python knows of no other.
    """
    for number in _NUMBERS:
        try:
            os.fstat(number)
        except OSError:
            _to_null(number)
    if sys.stderr is None:
        sys.stderr = open(2, "w", errors="backslashreplace", closefd=False)  # noqa: SIM115


def output_is_there() -> None:
    """Raises where there is no standard output, which every command prints on.

    Raises:
        OutputError: It is closed.
    """
    if sys.stdout is None:
        raise OutputError(
            "Standard output is closed, and results are printed on it.",
            mend="Leave it open: without >&-, or with > FILE or > /dev/null",
        )


def give_up_output(error: OSError) -> bool:
    """Lets what is still to be printed go nowhere, after printing failed.

    Otherwise Python would try again at its end, and say so in words of its own.

    Args:
        error: What printing came to.

    Returns:
        Whether nobody is there to read: the reader of a pipe has left, or a terminal has gone.
    """
    is_unread = error.errno in (errno.EPIPE, errno.EIO)
    if is_unread or error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        _to_null(1)
    return is_unread


def has_terminal() -> bool:
    """Whether this process has a controlling terminal, and that is there."""
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY))
    except OSError:
        return False
    return True


def drop_terminals() -> None:
    """Lets words for a terminal that has gone go nowhere; other files and pipes keep theirs.

    May be called in a signal handler.
    """
    import termios

    for number in _NUMBERS:
        try:
            termios.tcgetattr(number)
        except termios.error as error:
            if error.args[0] == errno.EIO:  # of a file or pipe it is ENOTTY
                _to_null(number)


def _to_null(number: int) -> None:
    null = os.open(os.devnull, os.O_RDWR)
    if null == number:
        os.set_inheritable(null, True)
    else:
        os.dup2(null, number)
        os.close(null)
