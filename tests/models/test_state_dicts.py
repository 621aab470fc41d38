"""Tests that weights are found inside the files of any framework."""

from __future__ import annotations

import argparse
import collections
import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from edgekit.errors import CheckpointError
from edgekit.models.checkpoints import load_checkpoint
from edgekit.models.registry import build
from edgekit.models.state_dicts import find_weights

State = dict[str, torch.Tensor]

STATE: State = build("lite0", classes=3, channels=6, head_conv=1).state_dict()
COUNT = torch.tensor(5)
OTHER: State = {name: tensor + 1 for name, tensor in STATE.items()}


def under(prefix: str, state: State = STATE) -> State:
    return {prefix + name: tensor for name, tensor in state.items()}


def is_state(found: State, state: State = STATE) -> bool:
    return found.keys() == state.keys() and all(found[n] is state[n] for n in state)


@settings(deadline=None, max_examples=60)
@given(
    st.lists(
        st.sampled_from(["module", "model", "_orig_mod", "net", "student", "_fsdp_wrapped_module"]),
        max_size=5,
    ),
    st.lists(st.sampled_from(["state_dict", "model_state_dict", "model", "x", "ema"]), max_size=3),
    st.booleans(),
)
def test_weights_are_found_below_any_names(
    wrappers: list[str], names: list[str], averaged: bool
) -> None:
    prefix = "".join(f"{wrapper}." for wrapper in wrappers)
    content: dict[str, Any] = under(prefix)
    if averaged:
        content["".join(f"{wrapper}." for wrapper in wrappers[:-1]) + "n_averaged"] = torch.tensor(
            5
        )
    for name in names:
        content = {"epoch": 3, name: content, "optimizer": {"state": {0: {"step": torch.ones(1)}}}}
    found = find_weights(content)
    assert is_state(found.state)
    assert (found.others, found.left_out) == ((), ())


def test_what_compiling_and_sharding_put_into_keys_is_left_out() -> None:
    content = {
        name.replace("blocks.", "blocks._orig_mod.").replace(
            "smooth.", "smooth._fsdp_wrapped_module._checkpoint_wrapped_module."
        ): tensor
        for name, tensor in STATE.items()
    }
    assert is_state(find_weights(content).state)


@pytest.mark.parametrize(
    ("content", "taken", "others"),
    [
        ({"model": OTHER, "ema": STATE}, "ema", ("model",)),
        ({"ema": {"module": STATE, "updates": 7}, "model": OTHER}, "ema.module", ("model",)),
        ({"state_dict": OTHER, "ema_state_dict": STATE}, "ema_state_dict", ("state_dict",)),
        ({"state_dict": OTHER, "state_dict_ema": STATE}, "state_dict_ema", ("state_dict",)),
        ({"model": OTHER, "state_dict": STATE}, "state_dict", ("model",)),
        ({"model": OTHER, "model_state_dict": STATE}, "model_state_dict", ("model",)),
        ({"net": OTHER, "model": STATE}, "model", ("net",)),
        ({"net": STATE, "best": OTHER}, "net", ("best",)),
        (under("online_model.", OTHER) | under("ema_model."), "ema_model", ("online_model",)),
        ({"state_dict": under("student.") | under("teacher.", OTHER)}, "state_dict.student", None),
        (
            {"state_dict": STATE, "ema_state_dict": {"steps": COUNT, **under("module.", OTHER)}},
            "state_dict",
            ("ema_state_dict",),
        ),
    ],
)
def test_which_of_several_networks_is_taken(
    content: dict[str, Any], taken: str, others: tuple[str, ...] | None
) -> None:
    found = find_weights(content)
    assert is_state(found.state)
    assert found.place == taken
    assert found.others == (others if others is not None else ("state_dict.teacher",))
    assert not found.left_out


def test_copies_beside_the_weights_are_left_out() -> None:
    """mmcv keeps one of each parameter as a buffer of the network."""
    copies = {f"ema_{name.replace('.', '_')}": tensor for name, tensor in OTHER.items()}
    found = find_weights({"meta": {"epoch": 3}, "state_dict": {**STATE, **copies}})
    assert is_state(found.state)
    assert (found.others, set(found.left_out)) == ((), set(copies))


def test_an_average_of_parameters_is_completed_by_the_statistics_of_the_network(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    network = build("lite0", classes=3, channels=6, head_conv=1)
    average = {name: tensor.detach() + 1 for name, tensor in network.named_parameters()}
    path = tmp_path / "last.pth"
    torch.save({"model": network.state_dict(), "ema": {"decay": 0.9, "shadow": average}}, path)
    found = load_checkpoint(path).network.state_dict()
    expected = network.state_dict() | average
    assert all(torch.equal(found[name], tensor) for name, tensor in expected.items())
    assert "Taken: ema.shadow. Not taken: model." in caplog.text
    assert (
        "ema.shadow lacks some weights of the network, which were taken from model." in caplog.text
    )


def test_tensors_beside_the_network_are_named() -> None:
    beside = {"criterion.weight": torch.ones(3), "step": torch.tensor(4)}
    found = find_weights({"state_dict": under("model.") | beside})
    assert is_state(found.state)
    assert found.left_out == ("state_dict.criterion.weight",)


def test_the_same_weight_twice() -> None:
    with pytest.raises(CheckpointError, match=r"hm\.0\.bias occurs twice.*module\.hm\.0\.bias"):
        find_weights(STATE | {"module.hm.0.bias": torch.ones(1)})


def test_a_name_of_a_hundred_thousand_parts() -> None:
    key = "a." * 100_000 + "b"
    assert find_weights({key: torch.ones(2)}).state


def test_dicts_that_hold_themselves() -> None:
    content: dict[str, Any] = {"model": STATE}
    content["self"] = content
    assert is_state(find_weights(content).state)


# In files


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("safe", [False, True])
def test_wrapped_and_of_another_type(dtype: torch.dtype, safe: bool, tmp_path: Path) -> None:
    content = {name: tensor.to(dtype) for name, tensor in under("module._orig_mod.").items()}
    content["n_averaged"] = torch.tensor(5)
    path = tmp_path / "a"
    (save_file if safe else torch.save)(content, path)  # type: ignore[operator]
    found = load_checkpoint(path).network.state_dict()
    for name, tensor in STATE.items():
        assert torch.equal(found[name], tensor.to(dtype).to(tensor.dtype)), name


def test_what_was_taken_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    torch.save({"model": OTHER, "ema": STATE}, tmp_path / "a.pth")
    with caplog.at_level(logging.WARNING):
        load_checkpoint(tmp_path / "a.pth")
    assert "Taken: ema. Not taken: model." in caplog.text


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (np.float64(0.5), "numpy scalar"),
        (np.ones(3), "numpy array"),
        (argparse.Namespace(lr=1), "argparse.Namespace"),
        (collections.defaultdict(int, a=1), "collections.defaultdict"),
        (torch.nn.Linear(2, 2), "torch.nn.modules.linear.Linear"),
        (torch.nn.Linear, "torch.nn.modules.linear.Linear"),
        (Path("/x"), "pathlib.PosixPath"),
    ],
)
@pytest.mark.parametrize("legacy", [False, True])
def test_a_refusal_names_the_object_that_is_no_weight(
    value: object, kind: str, legacy: bool, tmp_path: Path
) -> None:
    content = {"epoch": 1, "dtype": torch.float32, "best": value, "state_dict": STATE}
    torch.save(content, tmp_path / "a.pth", _use_new_zipfile_serialization=not legacy)
    with pytest.raises(CheckpointError, match=rf"\(best: {kind}\)"):
        load_checkpoint(tmp_path / "a.pth")
    torch.save({"args": [{"deep": value}]}, tmp_path / "b.pth")
    with pytest.raises(CheckpointError, match=rf"\(args\.0\.deep: {kind}\)"):
        load_checkpoint(tmp_path / "b.pth")


def test_a_whole_model_is_no_state_dict(tmp_path: Path) -> None:
    torch.save(torch.nn.Linear(2, 2), tmp_path / "a.pth")
    with pytest.raises(CheckpointError, match=r"\(torch\.nn\.modules\.linear\.Linear\)"):
        load_checkpoint(tmp_path / "a.pth")


def test_the_state_of_a_training_points_to_the_weights(tmp_path: Path) -> None:
    content = dict.fromkeys(("network", "average"), STATE) | {
        "epoch": 1,
        "settings": "",
        "optimizer": {},
        "schedule": {"last_epoch": 3},
    }
    torch.save(content, tmp_path / "state.pt")
    with pytest.raises(CheckpointError, match="which only resume reads") as caught:
        load_checkpoint(tmp_path / "state.pt")
    assert caught.value.hint == f"Use the weights of that run: {tmp_path / 'weights.safetensors'}"
