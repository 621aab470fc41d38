"""DEVICE. Lists Rockchip's chips, and recognizes the one of this board."""

from __future__ import annotations

from pathlib import Path

__all__ = ["CHIPS", "chip_of_board", "runs_on"]

CHIPS = ("rk3588", "rk3576", "rk3568", "rk3566", "rk3562")
"""Chips that a model can be compiled for, the default first."""

_SAME = {"rk3568": "rk3566"}
"""Chips whose neural processors are the same."""

_COMPATIBLE = Path("/proc/device-tree/compatible")


def chip_of_board() -> str:
    """Returns the chip of this board by the kernel's device tree, such as ``rk3588``.

    Returns:
        Empty if the board does not say that it has a chip of Rockchip's.
    """
    try:
        names = _COMPATIBLE.read_bytes().decode(errors="replace").split("\0")
    except OSError:
        return ""
    for name in names:
        maker, _, model = name.partition(",")
        found = [chip for chip in CHIPS if model.startswith(chip)]
        if maker == "rockchip" and found:
            return found[0]
    return ""


def runs_on(chip: str, board: str) -> bool:
    """Returns whether a model for one chip runs on another."""
    return _SAME.get(chip, chip) == _SAME.get(board, board)
