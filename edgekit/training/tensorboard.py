"""Writes the results of the epochs for TensorBoard."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

from edgekit._parameters import parameter
from edgekit.errors import MissingDependencyError
from edgekit.files.output_paths import writing
from edgekit.training.result import Epoch

__all__ = ["require_tensorboard", "scalars"]


def require_tensorboard() -> None:
    """Raises unless the package of TensorBoard is installed.

    Raises:
        MissingDependencyError: It is not.
    """
    MissingDependencyError.unless("tensorboard", "tensorboard", parameter("logdir"))


@contextlib.contextmanager
def scalars(folder: Path | None, finished: int) -> Iterator[Callable[[Epoch], None]]:
    """Yields a function that writes losses, learning rate and scores of an epoch.

    Args:
        folder: Folder for the event files; None to write nothing.
        finished: Number of finished epochs of the run; TensorBoard forgets later ones.

    Raises:
        OutputError: The folder cannot be written.
    """
    if folder is None:
        yield lambda epoch: None
        return
    from torch.utils.tensorboard import SummaryWriter

    with writing(folder):
        writer = SummaryWriter(str(folder), purge_step=finished + 1)

    def write(epoch: Epoch) -> None:
        values = {f"loss/{part}": loss for part, loss in epoch.losses.items()}
        values["rate"] = epoch.rate
        for number, score in enumerate(epoch.held_out, 1):
            values[f"frame-mAP@0.5/{number}"] = score
        with writing(folder):
            for name, value in values.items():
                writer.add_scalar(name, value, epoch.number)
            writer.flush()

    try:
        yield write
    finally:
        writer.close()
