"""HOST. Runs a vendor's converter in a process of its own, and explains how it failed.

Converters write freely to the terminal, take seconds to import, and can crash or hang. In their own
process none of this reaches EdgeKit. Their output is kept for error messages.
"""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from edgekit._parameters import parameter
from edgekit.errors import ConversionError
from edgekit.system.telemetry import OWN_PROCESS

__all__ = ["last_output", "own_module", "run_converter"]

_LAST_LINES = 6
_START = (
    "Install its package again, for this processor and in a folder from which programs may be "
    "started (not mounted with noexec)."
)

_log = logging.getLogger(__name__)


def run_converter(
    command: Sequence[str],
    *,
    name: str,
    folder: Path,
    hint: str,
    makes: Sequence[str] = (),
    limit: float = 3600.0,
    environment: Mapping[str, str] | None = None,
) -> None:
    """Runs a converter and waits for it.

    Args:
        command: Program and its arguments; ``own_module`` begins those of EdgeKit.
        name: Name of the converter in error messages.
        folder: Existing folder for temporary files; it is the process's working folder.
        hint: What to do if the converter reports a failure.
        makes: Names of files in the folder without which it failed, whatever its status says.
        limit: Largest duration in seconds.
        environment: Further environment variables.

    Raises:
        ConversionError: The converter cannot be started, failed, was killed or took too long; the
            message quotes its last output.
        OSError: The file for its output cannot be written.
    """
    journal = folder / "journal.txt"
    with journal.open("wb") as file:
        try:
            done = subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                cwd=folder,
                env={**os.environ, **OWN_PROCESS, **(environment or {})},
                timeout=limit,
            )
        except OSError as error:
            message = f"EdgeKit cannot start {name}: {command[0]}: {error.strerror or error}."
            raise ConversionError(message, hint=_START) from error
        except subprocess.TimeoutExpired as error:
            raise ConversionError(
                f"EdgeKit stopped {name}, because it did not finish within {limit:g} seconds."
                f"{last_output(journal)}",
                hint="Try again when the machine is less busy, or use a smaller "
                f"{parameter('input_size')}.",
            ) from error
    _log.debug("%s: %s", name, journal.read_text(errors="replace"))
    if done.returncode < 0:
        raise ConversionError(
            f"{name} was ended by {signal.Signals(-done.returncode).name}, probably because memory "
            f"ran out.{last_output(journal)}",
            hint=f"Free some memory, or use a smaller {parameter('input_size')}.",
        )
    if done.returncode or not all((folder / file).is_file() for file in makes):
        raise ConversionError(
            f"{name} could not convert the network.{last_output(journal)}", hint=hint
        )


def own_module(module: str, *arguments: str) -> list[str]:
    """Returns the command that runs a module of EdgeKit in this Python."""
    return [sys.executable, "-m", module, *arguments]


def last_output(journal: Path) -> str:
    """Returns the last lines of a converter's output, as the end of an error message."""
    lines = [line for line in journal.read_text(errors="replace").splitlines() if line.strip()]
    words = [line.strip()[:300] for line in lines[-_LAST_LINES:]]
    return "\n".join([" Its last output:", *words]) if words else ""
