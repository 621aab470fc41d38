from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from edgekit.errors import OutputError
from edgekit.training.optimization.run_state import save_state


@pytest.mark.parametrize("room", [0, 100])
def test_a_full_disk_is_said_and_leaves_the_earlier_state(small_disk: Path, room: int) -> None:
    path = small_disk / "state.pt"
    small: Any = {"network": {"a": torch.zeros(10)}}
    save_state(path, small)
    earlier = path.read_bytes()
    taken = small_disk / "other"
    taken.write_bytes(bytes((256 - 16 - room) << 10))
    large: Any = {"network": {"a": torch.zeros(20_000), "b": torch.zeros(60_000)}}
    with pytest.raises(OutputError, match=r"Cannot write .*: No space left on device"):
        save_state(path, large)
    assert path.read_bytes() == earlier
    assert {file.name for file in small_disk.iterdir()} == {"state.pt", "other"}
