"""HOST. Models of OpenVINO as files, byte for byte the same for the same model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from edgekit.targets.openvino.quiet import openvino_reason

__all__ = ["MODEL", "WEIGHTS", "clean", "save"]

MODEL = "model.xml"
WEIGHTS = "model.bin"


def clean(model: Any) -> None:
    """Leaves nothing in an ``openvino.Model`` that depends on the machine, the day or the run."""
    model.set_friendly_name("edgekit")
    information = model.get_rt_info()
    for key in list(information):
        del information[key]
    # What the converter adds has the number of all that the process has converted so far; it is
    # called after what it feeds instead, so the last come first.
    taken: set[str] = set()
    for operator in reversed(model.get_ordered_ops()):
        name = operator.get_friendly_name()
        if _is_numbered(operator, name):
            feeds = [
                target.get_node().get_friendly_name()
                for output in operator.outputs()
                for target in output.get_target_inputs()
            ]
            name = f"{min(feeds)}/{operator.get_type_name()}"
        found, count = name, 1
        while found in taken:
            count += 1
            found = f"{name}_{count}"
        taken.add(found)
        operator.set_friendly_name(found)


def _is_numbered(operator: Any, name: str) -> bool:
    """Whether a name is one of the converter's own: no tensor of the file had it."""
    return not any(output.names for output in operator.outputs()) and "/" not in name


def save(openvino: Any, model: Any, folder: Path) -> None:
    """Writes ``MODEL`` and ``WEIGHTS`` into a folder, every number in the type that it has.

    Raises:
        OSError: They cannot be written.
    """
    try:
        openvino.save_model(model, folder / MODEL, compress_to_fp16=False)
    except RuntimeError as error:
        raise OSError(None, openvino_reason(error)) from error
