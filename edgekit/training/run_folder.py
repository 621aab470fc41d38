"""The folder of a training run: what is in it, and whether a run may go on or begin there."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path

from edgekit._parameters import parameter
from edgekit.errors import BadInputError, OutputError
from edgekit.files.writing import atomic_file
from edgekit.training.result import Epoch
from edgekit.training.settings import Settings

__all__ = ["HISTORY", "STATE", "WEIGHTS", "may_resume", "write_history"]

HISTORY = "history.json"
STATE = "state.pt"
WEIGHTS = "weights.safetensors"


def may_resume(out: Path, *, resume: bool, force: bool) -> bool:
    """Returns whether the run in a folder goes on, rather than a new one beginning there.

    Raises:
        BadInputError: There is no run to resume.
        OutputError: There is a run that is neither to be resumed nor replaced.
    """
    restarted = int(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")) > 0
    if restarted:  # torchrun starts again with the same words after a process has failed
        return (out / STATE).is_file()
    if out.exists() and any(out.iterdir()) and not (resume or force):
        raise OutputError(
            f"{out} holds an earlier run.",
            hint=f"Add {parameter('resume', True)} to go on with it, {parameter('force', True)} to "
            "replace it, or name another place.",
        )
    if resume:
        _refuse_no_state(out / STATE)
    return resume


def write_history(
    path: Path, settings: Settings, history: Sequence[Epoch], scores: Sequence[float]
) -> None:
    """Writes the settings, losses and scores of a run."""
    record = {
        "settings": repr(settings),
        "epochs": [{"epoch": e.number, **e.losses} for e in history],
        "held_out_frame_map": scores,
    }
    with atomic_file(path) as temporary:
        temporary.write_text(json.dumps(record, indent=2) + "\n")


def _refuse_no_state(state: Path) -> None:
    """Raises unless the state of a run is there; the error names the runs beside it."""
    if state.is_file():
        return
    others = sorted(path.parent for path in state.parent.parent.glob(f"*/{STATE}"))
    hint = f"To begin a run, leave {parameter('resume')} away."
    if others:
        folders = parameter("out", " or ".join(map(str, others[:3])))
        hint += f" To resume another one, name its folder: {folders}"
    raise BadInputError(f"There is nothing to resume: no {state} was found.", hint=hint)
