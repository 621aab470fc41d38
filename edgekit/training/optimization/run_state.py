"""Saves and loads the state of a training run, from which it continues exactly."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TypeAlias, TypedDict, cast

import torch

from edgekit._parameters import parameter
from edgekit.errors import CheckpointError
from edgekit.files.schemas import check_schema
from edgekit.files.writing import atomic_file
from edgekit.models.weight_files import read_weights
from edgekit.training.run_folder import SCHEMA

__all__ = ["RunState", "load_state", "save_state"]

_LATER = ("classes", "arch")
"""Settings that states of before they were saved lack."""

Tensors: TypeAlias = dict[str, "torch.Tensor"]


class RunState(TypedDict):
    """State of a run.

    Attributes:
        epoch: Number of finished epochs.
        step: Number of finished steps in the current epoch.
        sums: Sum of each part of the loss over those steps.
        settings: Settings of the run, its network and the names of its classes, as JSON.
        network: Weights of the network.
        average: Weights of its moving average.
        optimizer: State of the optimizer.
        schedule: Number of steps that the learning rates depend on.
        scaler: Scale of the gradients in fp16.
        best: Epoch and scores of the best validation; None before the first one.
    """

    epoch: int
    step: int
    sums: dict[str, float]
    settings: str
    network: Tensors
    average: Tensors
    optimizer: dict[str, object]
    schedule: int
    scaler: dict[str, object]
    best: tuple[int, tuple[float, ...]] | None


def save_state(path: Path, state: RunState) -> None:
    """Writes a state; a reader sees the earlier one or this one.

    Raises:
        OutputError: The file cannot be written.
    """
    with atomic_file(path) as temporary:
        try:
            torch.save({"schema": SCHEMA, **state}, temporary)
        except RuntimeError:
            with temporary.open("ab") as file:  # torch does not say why; this raises the reason
                file.write(bytes(1 << 20))
            raise


def load_state(path: Path, settings: Mapping[str, object]) -> RunState:
    """Returns the state of a run.

    Args:
        path: File that ``save_state`` wrote.
        settings: Settings that the run must have, which JSON can hold.

    Raises:
        CheckpointError: The file is no such state, or the run had other settings.
    """
    hint = f"To replace the run, use {parameter('force', True)} instead of {parameter('resume')}."
    try:
        state = read_weights(path).entries
    except CheckpointError as error:
        raise CheckpointError(
            f"{path} is not the state of a training run. {error.message}", hint=hint
        ) from error
    schema = state.get("schema", 0)
    check_schema(
        schema, SCHEMA, what="training", path=path, error=CheckpointError, hint=hint, oldest=0
    )
    try:
        found, _ = dict(json.loads(str(state["settings"]))), (state["step"], state["best"])
    except Exception as error:
        raise CheckpointError(
            f"{path} is not the state of a training run: {error}.", hint=hint
        ) from error
    wanted = json.loads(json.dumps(settings))
    found = {**{name: wanted[name] for name in _LATER if name in wanted}, **found}
    differ = [name for name in wanted if found.get(name) != wanted[name]]
    if differ:
        there = ", ".join(f"{name} {json.dumps(found.get(name))}" for name in differ)
        here = ", ".join(f"{name} {json.dumps(wanted[name])}" for name in differ)
        raise CheckpointError(
            f"{path} belongs to a training run with other settings: that run has {there}; "
            f"this run has {here}.",
            hint=f"Use the settings that it began with. {hint}",
        )
    return cast("RunState", state)
