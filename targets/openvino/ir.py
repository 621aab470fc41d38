"""HOST. Writes OpenVINO models as files; equal models give equal bytes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from edgekit.targets.openvino.importing import openvino_reason

if TYPE_CHECKING:
    from types import ModuleType

    from openvino import Model, Node

__all__ = ["MODEL", "WEIGHTS", "clean", "save"]

MODEL = "model.xml"
WEIGHTS = "model.bin"


def clean(model: Model) -> None:
    """Removes from an ``openvino.Model`` all that depends on the machine, the date or the run."""
    model.set_friendly_name("edgekit")
    information = model.get_rt_info()
    for key in list(information):
        del information[key]
    # The converter numbers its own operators by all conversions of the process. They are renamed
    # after the operators that they feed, so the last operators come first.
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


def _is_numbered(operator: Node, name: str) -> bool:
    """Returns whether the converter made up a name: no tensor of the file had it."""
    return not any(output.names for output in operator.outputs()) and "/" not in name


def save(openvino: ModuleType, model: Model, folder: Path) -> None:
    """Writes ``MODEL`` and ``WEIGHTS`` into a folder; every number keeps its type.

    Raises:
        OSError: The files cannot be written.
    """
    try:
        openvino.save_model(model, folder / MODEL, compress_to_fp16=False)
    except RuntimeError as error:
        raise OSError(None, openvino_reason(error)) from error
