"""Handles the folder of a training run: its files, and whether a run may start or resume there."""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Mapping
from pathlib import Path

from edgekit._parameters import parameter
from edgekit.errors import BadInputError, OutputError
from edgekit.files.output_paths import refuse_unwritable_folder, writing
from edgekit.files.reading import read_regular
from edgekit.files.writing import atomic_file
from edgekit.training.result import Epoch

__all__ = [
    "HISTORY",
    "LAST",
    "SCHEMA",
    "SETTINGS",
    "STATE",
    "WEIGHTS",
    "add_to_history",
    "begin",
    "may_resume",
]

SCHEMA = 1
"""Version of the files of a run that EdgeKit writes, and the newest that it reads."""

HISTORY = "history.jsonl"
LAST = "last.safetensors"
SETTINGS = "settings.json"
STATE = "state.pt"
WEIGHTS = "weights.safetensors"
_MOST_HISTORY = 1 << 26
_STARTED = 19
"""Place of the time of start among the values behind the name in /proc/PID/stat, in ticks."""


def may_resume(out: Path, *, resume: bool, force: bool) -> bool:
    """Returns whether the run in a folder goes on, rather than a new one beginning there.

    Raises:
        BadInputError: There is no run to resume.
        OutputError: There is a run that is neither to be resumed nor replaced, or the folder cannot
            be written.
    """
    refuse_unwritable_folder(out)
    if _is_restarted(out):  # torchrun gives the same words again after a process has failed
        return (out / STATE).is_file()
    with writing(out):
        is_used = out.exists() and any(out.iterdir())
    if is_used and not (resume or force):
        saved = (out / STATE).is_file()
        go_on = f"{parameter('resume', True)} to go on with it, " if saved else ""
        raise OutputError(
            f"{out} holds an earlier run{'' if saved else ', which ended before it was saved'}.",
            hint=f"Add {go_on}{parameter('force', True)} to replace it, or name another place.",
        )
    if resume:
        _refuse_no_state(out / STATE)
    return resume


def begin(out: Path, settings: Mapping[str, object], epochs: int | None) -> None:
    """Writes the settings of a run, and keeps the history of its finished epochs.

    A run that ended while it saved may have reported an epoch that its state does not have. The
    state of a run that is replaced is removed, so that the new run alone can go on. Its weights
    stay until there are others, because the new run may begin with them.

    Args:
        out: Folder of the run; it is created.
        settings: Settings, which JSON can hold.
        epochs: Number of finished epochs of a run that goes on; None for a new run.

    Raises:
        OutputError: The folder cannot be written.
    """
    with writing(out):
        out.mkdir(parents=True, exist_ok=True)
        for name in (STATE, LAST) if epochs is None else ():
            (out / name).unlink(missing_ok=True)
    epochs = epochs or 0
    kept = [line for line in _lines(out / HISTORY) if _epoch_of(line) <= epochs]
    _write(out / SETTINGS, json.dumps({"schema": SCHEMA, **settings}, indent=2) + "\n")
    _write(out / HISTORY, "".join(f"{line}\n" for line in kept[:epochs]))


def add_to_history(out: Path, epoch: Epoch) -> None:
    """Adds the line of an epoch to the history of a run.

    Raises:
        OutputError: The file cannot be written.
    """
    record: dict[str, object] = {"epoch": epoch.number, **epoch.losses, "rate": epoch.rate}
    if epoch.held_out:
        record["held_out_frame_map"] = epoch.held_out
    # The whole file is replaced, as appending would follow a link or wait for a pipe.
    lines = [*_lines(out / HISTORY), json.dumps(record)]
    _write(out / HISTORY, "".join(f"{line}\n" for line in lines))


def _is_restarted(out: Path) -> bool:
    """Returns whether ``torchrun`` began the run in a folder, and starts its processes again.

    It did not begin it if they failed before ``begin``, as they do if there is an earlier run.
    """
    if os.environ.get("TORCHELASTIC_RESTART_COUNT", "0") == "0":
        return False
    try:
        return (out / SETTINGS).stat().st_mtime >= _start_of(os.getppid())
    except OSError:
        return False


def _start_of(process: int) -> float:
    """Returns when a process started, in seconds since 1970; 0 where the system does not tell."""
    try:
        ticks = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[_STARTED]
        since_boot = int(ticks) / os.sysconf("SC_CLK_TCK")
        return time.time() - (time.clock_gettime(time.CLOCK_BOOTTIME) - since_boot)
    except (OSError, ValueError, IndexError, AttributeError):
        return 0.0


def _lines(path: Path) -> list[str]:
    with writing(path):
        if not path.is_file():
            return []
        return read_regular(path, _MOST_HISTORY).decode("utf-8", "replace").splitlines()


def _epoch_of(line: str) -> float:
    """Returns the number of the epoch in a line of the history; infinity for a broken line."""
    try:
        return int(json.loads(line)["epoch"])
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
        return math.inf


def _write(path: Path, text: str) -> None:
    with atomic_file(path) as temporary:
        temporary.write_text(text)


def _refuse_no_state(state: Path) -> None:
    """Raises unless the state of a run is there; the error names the runs beside it."""
    if state.is_file():
        return
    others = sorted(path.parent for path in state.parent.parent.glob(f"*/{STATE}"))
    instead = f"use {parameter('force', True)} instead" if state.parent.exists() else "leave it out"
    hint = f"{parameter('resume')} needs a saved run. To begin one, {instead}."
    if others:
        folders = parameter("out", " or ".join(map(str, others[:3])))
        hint += f" To resume another one, name its folder: {folders}"
    raise BadInputError(f"There is nothing to resume: no {state} was found.", hint=hint)
