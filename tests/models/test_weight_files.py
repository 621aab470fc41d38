"""Tests that damaged weight files give a reason or the tensors, and nothing else."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgekit.errors import CheckpointError
from edgekit.models.weight_files import read_weights, write_safetensors

STATE = {
    "a.weight": torch.arange(6.0).reshape(2, 3),
    "b.count": torch.tensor(4),
    "c.weight": torch.full((3,), 0.5, dtype=torch.float16),
}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("files")
    torch.save({"epoch": 3, "state_dict": STATE}, folder / "zip")
    torch.save(STATE, folder / "legacy", _use_new_zipfile_serialization=False)
    write_safetensors(folder / "safetensors", STATE, {"name": "ä"})
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("kind", ["zip", "legacy", "safetensors"])
def test_every_format_gives_the_tensors_back(
    kind: str, files: dict[str, bytes], tmp_path: Path
) -> None:
    (tmp_path / "a").write_bytes(files[kind])
    found = read_weights(tmp_path / "a")
    entries = found.entries["state_dict"] if kind == "zip" else found.entries
    assert entries.keys() == STATE.keys()
    for name, tensor in STATE.items():
        assert entries[name].dtype == tensor.dtype
        assert torch.equal(entries[name], tensor)
    assert found.metadata == ({"name": "ä"} if kind == "safetensors" else {})
    assert found.epoch == (3 if kind == "zip" else None)


def test_safetensors_are_aligned_and_in_order(files: dict[str, bytes]) -> None:
    content = files["safetensors"]
    length = int.from_bytes(content[:8], "little")
    assert length % 8 == 0
    header = json.loads(content[8 : 8 + length])
    assert header.pop("__metadata__") == {"edgekit_schema": "1", "name": "ä"}
    assert [header[name]["data_offsets"] for name in header] == [[0, 8], [8, 32], [32, 38]]


def test_a_weight_that_flipped_in_an_archive_is_noticed(
    files: dict[str, bytes], tmp_path: Path
) -> None:
    content = bytearray(files["zip"])
    place = content.index(STATE["a.weight"].numpy().tobytes())
    content[place + 6] ^= 0x40
    (tmp_path / "a").write_bytes(content)
    with pytest.raises(CheckpointError, match="checksum"):
        read_weights(tmp_path / "a")


@pytest.mark.parametrize("kind", ["zip", "legacy", "safetensors"])
@settings(
    max_examples=100,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(data=st.data())
def test_damaged_files_give_a_reason_or_tensors(
    kind: str, data: st.DataObject, files: dict[str, bytes], tmp_path: Path
) -> None:
    content = bytearray(files[kind])
    for _ in range(data.draw(st.integers(1, 3))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    (tmp_path / "a").write_bytes(content[: data.draw(st.integers(0, len(content)))])
    # Any other exception, a warning among them, fails the test.
    with contextlib.suppress(CheckpointError):
        assert isinstance(read_weights(tmp_path / "a").entries, dict)


def test_numbers_of_thousands_of_digits_are_none(tmp_path: Path) -> None:
    write_safetensors(tmp_path / "a", STATE, {"epoch": "1" * 5000})
    assert read_weights(tmp_path / "a").epoch is None
    write_safetensors(tmp_path / "a", STATE, {"edgekit_schema": "1" * 5000})
    with pytest.raises(CheckpointError, match="schema"):
        read_weights(tmp_path / "a")
