"""DEVICE. Reads and writes the two files of a model: ``model.param`` and ``model.bin``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from edgekit.bundle import Bundle
from edgekit.files.output_paths import writing
from edgekit.runtime.types import Array
from edgekit.targets import base
from edgekit.targets.ncnn.param import NcnnLayer, read_param, write_param
from edgekit.targets.ncnn.structure import Structure, check_structure
from edgekit.targets.ncnn.weights import Arrays, read_weights, write_weights

__all__ = ["MODEL", "WEIGHTS", "NcnnModel", "read_model", "write_model"]

MODEL = "model.param"
WEIGHTS = "model.bin"


@dataclass(frozen=True, slots=True)
class NcnnModel:
    """A model that was checked.

    Attributes:
        structure: Layers, and the sizes of blobs and weights.
        content: Content of the file with the weights.
        arrays: Weights by layer and role, as views of ``content``.
    """

    structure: Structure
    content: bytes
    arrays: Arrays

    @property
    def text(self) -> str:
        """Content of the other file, as EdgeKit writes it."""
        return write_param(self.structure.layers)


def read_model(bundle: Bundle) -> NcnnModel:
    """Reads and checks the model of a bundle, because ncnn itself trusts its files.

    Raises:
        BundleError: A file is missing or changed, is not in ncnn's format, or contradicts itself.
    """
    weights = PurePosixPath(bundle.manifest.model).with_suffix(".bin").as_posix()
    place = bundle.model_path
    try:
        structure = check_structure(read_param(bundle.read_model()))
        place = bundle.path / weights
        content = bundle.read_file(weights)
        return NcnnModel(structure, content, read_weights(structure.weights, content))
    except ValueError as error:
        raise base.not_readable(place, "ncnn", error) from error


def write_model(
    folder: Path, layers: Sequence[NcnnLayer], arrays: Mapping[tuple[str, str], Array]
) -> tuple[str, str]:
    """Writes both files into a folder; equal arguments give equal bytes.

    Args:
        folder: Existing folder.
        layers: Layers in the order of computation.
        arrays: Weights by layer and role.

    Returns:
        The names of the files, the model first.

    Raises:
        ValueError: The layers contradict each other; see ``check_structure``.
        OutputError: A file cannot be written.
    """
    content = write_weights(check_structure(layers).weights, arrays)
    with writing(folder):
        (folder / MODEL).write_text(write_param(layers), encoding="ascii", newline="\n")
        (folder / WEIGHTS).write_bytes(content)
    return MODEL, WEIGHTS
