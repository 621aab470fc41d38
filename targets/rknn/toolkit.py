"""HOST. Rockchip's toolkit in a process of its own: ``python -m edgekit.targets.rknn.toolkit``.

    toolkit convert MODEL.onnx MODEL.rknn CHIP [RANGES.json]
    toolkit simulate MODEL.onnx CHIP [RANGES.json]

The toolkit needs other versions of packages than EdgeKit, writes to the terminal, and leaves files
in its working folder. ``simulate`` reads inputs from its standard input, and writes the outputs to
its standard output, as ``edgekit.targets.rknn.arrays`` does.
"""

from __future__ import annotations

import ctypes
import importlib
import json
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np

from edgekit.targets.rknn.arrays import read_array, write_array

__all__ = ["convert", "simulate"]

_MODULE = "edgekit.targets.rknn.toolkit"
_ASK, _FIXED_ADDRESSES = 0xFFFFFFFF, 0x0040000  # of the system call personality
_ROUNDED = "_int8"
"""Ending of the toolkit's names for inputs and outputs of the network after rounding."""


def convert(model: str, out: str, chip: str, ranges: str = "") -> None:
    """Writes a model for a chip.

    Args:
        model: ONNX file in the working folder.
        out: File to write.
        chip: Chip by the toolkit's name.
        ranges: JSON file for an INT8 model; empty for a float16 model.
    """
    toolkit = _built(model, chip, ranges)
    _done(toolkit.export_rknn(out), "export")


def simulate(model: str, chip: str, ranges: str = "") -> None:
    """Computes what the chip would compute, until the standard input ends; see ``convert``."""
    # The toolkit writes to the standard output, which is kept for the arrays.
    results = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    toolkit = _built(model, chip, ranges)
    _done(toolkit.init_runtime(), "start of the simulator")
    write_array(results, np.zeros(0, np.float32))  # it is ready
    while True:
        try:
            given = read_array(sys.stdin.buffer)
        except EOFError:
            return
        found = toolkit.inference(inputs=[given], data_format=["nchw"])
        if found is None:
            raise SystemExit("The simulator gave no result.")
        for values in found:
            write_array(results, np.asarray(values, np.float32))


def _built(model: str, chip: str, ranges: str) -> Any:
    toolkit = _loaded(model, chip)
    if not ranges:
        _done(toolkit.build(do_quantization=False), "build")
        return toolkit
    chosen = json.loads(Path(ranges).read_text())
    # The toolkit lists the tensors only after a calibration of its own, whose ranges are replaced.
    np.save("sample.npy", np.zeros(chosen["input_shape"], np.float32))
    Path("samples.txt").write_text("sample.npy\n")
    _done(toolkit.hybrid_quantization_step1(dataset="samples.txt"), "calibration")
    toolkit.release()
    stem = Path(model).stem
    _rewrite(Path(f"{stem}.quantization.cfg"), chosen["ranges"], set(chosen["float"]))
    toolkit = _new(chip)
    done = toolkit.hybrid_quantization_step2(
        model_input=f"{stem}.model",
        data_input=f"{stem}.data",
        model_quantization_cfg=f"{stem}.quantization.cfg",
    )
    _done(done, "quantization")
    return toolkit


def _loaded(model: str, chip: str) -> Any:
    toolkit = _new(chip)
    _done(toolkit.load_onnx(model), "reading of the ONNX file")
    return toolkit


def _new(chip: str) -> Any:
    toolkit = importlib.import_module("rknn.api").RKNN(verbose=False)
    _done(toolkit.config(target_platform=chip), "configuration")
    return toolkit


def _rewrite(path: Path, ranges: dict[str, list[float]], float_tensors: set[str]) -> None:
    """Puts EdgeKit's ranges, and the tensors that stay float, into the toolkit's list."""
    yaml = importlib.import_module("ruamel.yaml").YAML()
    content = yaml.load(path.read_text())
    listed = content["quantize_parameters"]
    for name, entry in listed.items():
        tensor = name.removesuffix(_ROUNDED)
        if tensor in float_tensors:
            content["custom_quantize_layers"][name] = "float16"
        elif tensor in ranges and entry["scale"]:
            # The toolkit makes scale and zero point from these, and refuses other ones.
            low, high = ranges[tensor]
            entry["min"], entry["max"] = [min(0.0, low)], [max(0.0, high)]
    with path.open("w") as file:
        yaml.dump(content, file)


def _done(status: int, what: str) -> None:
    """Ends the process if a step failed; the toolkit reports failures by numbers."""
    if status != 0:
        raise SystemExit(f"The toolkit's {what} failed with status {status}.")


def _fix_addresses() -> None:
    """Starts this process again at fixed addresses, because the toolkit writes pointers to files.

    Where a sandbox forbids it, equal networks give different bytes.
    """
    set_personality = getattr(ctypes.CDLL(None), "personality", None)
    if set_personality is None or set_personality(_ASK) & _FIXED_ADDRESSES:
        return
    if set_personality(_FIXED_ADDRESSES) >= 0:
        command = [sys.executable, "-m", _MODULE, *sys.argv[1:]]
        os.execv(sys.executable, command)  # noqa: S606  # no shell is wanted


if __name__ == "__main__":
    _fix_addresses()
    if sys.argv[1] == "convert":
        convert(*sys.argv[2:])
    else:
        simulate(*sys.argv[2:])
