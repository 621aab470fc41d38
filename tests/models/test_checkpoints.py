"""Tests that published checkpoints load, and others are refused with a reason."""

from __future__ import annotations

import os
import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from edgekit.errors import CheckpointError, OutputError, UsageError
from edgekit.models.checkpoints import load_checkpoint, save_checkpoint
from edgekit.models.dcn import LOWERINGS, set_lowering
from edgekit.models.registry import ARCHITECTURES, NetworkSpec, build, identify

State = dict[str, torch.Tensor]


@pytest.fixture(scope="module")
def network(own_networks: None) -> torch.nn.Module:
    """A tiny one: a published network is a thousand times as large to write and to read."""
    torch.manual_seed(0)
    return build("tiny", classes=2, channels=3, head_conv=0)


@pytest.fixture
def state(network: torch.nn.Module) -> State:
    return {name: tensor.clone() for name, tensor in network.state_dict().items()}


def saved(path: Path, content: object) -> Path:
    torch.save(content, path)
    return path


@pytest.mark.parametrize("arch", ARCHITECTURES.own)
@pytest.mark.parametrize(("channels", "head_conv"), [(3, 16), (6, 16), (6, 0)])
def test_identify_reads_every_network_from_its_keys(
    arch: str, channels: int, head_conv: int
) -> None:
    head_conv = max(head_conv, ARCHITECTURES[arch].narrowest)
    with torch.device("meta"):
        state = build(arch, classes=5, channels=channels, head_conv=head_conv).state_dict()
    assert identify(state) == NetworkSpec(arch, 5, channels, head_conv)


@pytest.mark.parametrize("arch", ["resdcn18", "dlav0_34", "dla34", "res50", "lite0"])
def test_round_trip_keeps_every_weight(arch: str, tmp_path: Path) -> None:
    with torch.device("meta"):  # spares the time that fresh random weights take
        network = build(arch, classes=3, channels=6, head_conv=8)
    network.to_empty(device="cpu")
    for index, tensor in enumerate(network.state_dict().values()):
        tensor.fill_(index)
    save_checkpoint(tmp_path / "a.safetensors", network, {"epoch": "7", "classes": '["ü"]'})
    found = load_checkpoint(tmp_path / "a.safetensors", arch=arch, classes=3)
    assert found.spec == NetworkSpec(arch, 3, 6, 8)
    assert found.epoch == 7
    assert found.metadata == {"epoch": "7", "classes": '["ü"]'}
    assert len(found.sha256) == 64
    assert not found.network.training
    expected = network.state_dict()
    for name, tensor in found.network.state_dict().items():
        assert torch.equal(tensor, expected[name]), name
    assert all(p.requires_grad and p.is_leaf for p in found.network.parameters())


def test_saving_twice_gives_the_same_bytes(network: torch.nn.Module, tmp_path: Path) -> None:
    metadata = {str(n): "x" for n in range(20)}
    save_checkpoint(tmp_path / "a", network, metadata)
    save_checkpoint(tmp_path / "b", network, dict(reversed(metadata.items())))
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a", "b"]


def test_half_halves_the_file_and_loads_as_float32(tmp_path: Path) -> None:
    network = build("lite0", classes=2)
    save_checkpoint(tmp_path / "full", network, {})
    save_checkpoint(tmp_path / "half", network, {}, half=True)
    assert (tmp_path / "half").stat().st_size < 0.52 * (tmp_path / "full").stat().st_size
    found = load_checkpoint(tmp_path / "half").network.state_dict()
    for name, tensor in network.state_dict().items():
        assert found[name].dtype == tensor.dtype
        torch.testing.assert_close(found[name], tensor, rtol=1e-3, atol=1e-7)


def test_half_refuses_weights_that_it_cannot_hold(tmp_path: Path) -> None:
    network = build("res18", classes=1)
    with torch.no_grad():
        next(network.parameters()).fill_(1e6)
    with pytest.raises(CheckpointError, match=r"hm\.0\.weight has others as torch\.float16"):
        save_checkpoint(tmp_path / "a", network, {}, half=True)
    assert not list(tmp_path.iterdir())


def test_saving_where_nothing_can_be_written(network: torch.nn.Module, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError):
        save_checkpoint(tmp_path / "file" / "a.safetensors", network, {})


@pytest.mark.parametrize("wrapped", [False, True])
@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("prefix", ["", "module.", "module.module."])
def test_every_layout_of_a_pth_loads(
    prefix: str, legacy: bool, wrapped: bool, state: State, tmp_path: Path
) -> None:
    parameter = torch.nn.Parameter(torch.ones(3))
    optimizer = torch.optim.Adam([parameter])
    parameter.sum().backward()
    optimizer.step()
    content: dict[str, Any] = {prefix + name: tensor for name, tensor in state.items()}
    if wrapped:
        content = {"epoch": 60, "state_dict": content, "optimizer": optimizer.state_dict()}
    torch.save(content, tmp_path / "a.pth", _use_new_zipfile_serialization=not legacy)
    found = load_checkpoint(tmp_path / "a.pth")
    assert found.epoch == (60 if wrapped else None)
    assert found.metadata == {}
    assert torch.equal(found.network.state_dict()["hm.weight"], state["hm.weight"])


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_float_types_become_float32(dtype: torch.dtype, state: State, tmp_path: Path) -> None:
    other = {k: v.to(dtype) if v.is_floating_point() else v for k, v in state.items()}
    found = load_checkpoint(saved(tmp_path / "a.pth", other)).network.state_dict()
    assert torch.equal(found["tiny.weight"], other["tiny.weight"].float())
    assert {v.dtype for v in found.values()} == {torch.float32, torch.int64}


def test_checkpoints_older_than_the_batch_counter_load(state: State, tmp_path: Path) -> None:
    old = {k: v for k, v in state.items() if not k.endswith("num_batches_tracked")}
    found = load_checkpoint(saved(tmp_path / "a.pth", old)).network.state_dict()
    assert found["norm.num_batches_tracked"].item() == 0


def test_unused_keys_are_ignored(tmp_path: Path) -> None:
    state = build("dlav0_34", classes=2).state_dict()
    state["base.fc.weight"] = torch.full((10, 512, 1, 1), float("nan"))
    assert load_checkpoint(saved(tmp_path / "a.pth", state)).spec.arch == "dlav0_34"


# Files that are no checkpoint


def test_malicious_pickles_execute_nothing(tmp_path: Path) -> None:
    marker = tmp_path / "executed"

    class Evil:
        def __reduce__(self) -> Any:
            return os.mkdir, (str(marker),)

    torch.save({"state_dict": Evil()}, tmp_path / "new.pth")
    torch.save(Evil(), tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    (tmp_path / "raw.pth").write_bytes(pickle.dumps(Evil()))
    for name in ("new", "old", "raw"):
        with pytest.raises(CheckpointError, match="EdgeKit executed nothing in it") as caught:
            load_checkpoint(tmp_path / f"{name}.pth")
        assert "state_dict" in caught.value.hint
    assert not marker.exists()


def test_truncated_files(state: State, network: torch.nn.Module, tmp_path: Path) -> None:
    torch.save(state, tmp_path / "new")
    torch.save(state, tmp_path / "old", _use_new_zipfile_serialization=False)
    save_checkpoint(tmp_path / "safe", network, {"a": "b"})
    for name in ("new", "old", "safe"):
        whole = (tmp_path / name).read_bytes()
        for length in (1, 9, 100, len(whole) // 2, len(whole) - 1):
            (tmp_path / "cut").write_bytes(whole[:length])
            with pytest.raises(CheckpointError) as caught:
                load_checkpoint(tmp_path / "cut")
            assert str(tmp_path / "cut") in caught.value.message
            assert caught.value.hint


def test_files_of_other_kinds(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    (tmp_path / "text").write_text("epoch,loss\n1,0.5\n")
    (tmp_path / "jpeg").write_bytes(b"\xff\xd8\xff\xe0\x00\x10JFIF" + bytes(100))
    (tmp_path / "pickle").write_bytes(b"\x80\x02" + os.urandom(64))
    with zipfile.ZipFile(tmp_path / "zip", "w") as archive:
        archive.writestr("readme.txt", "hello")
    (tmp_path / "folder").mkdir()
    saved(tmp_path / "module", torch.nn.Conv2d(1, 1, 1))
    saved(tmp_path / "list", [torch.ones(1)])
    saved(tmp_path / "wrapped list", {"state_dict": [1]})
    (tmp_path / "json").write_bytes((2).to_bytes(8, "little") + b"{}")
    names = [p.name for p in tmp_path.iterdir()]
    for name in [*names, "missing"]:
        with pytest.raises(CheckpointError) as caught:
            load_checkpoint(tmp_path / name)
        assert caught.value.exit_status == 3
        assert caught.value.hint


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_torchscript_program_is_not_called_damaged(tmp_path: Path) -> None:
    script = torch.jit.trace(torch.nn.Conv2d(1, 1, 1), torch.zeros(1, 1, 2, 2))
    torch.jit.save(script, str(tmp_path / "x.pt"))
    with pytest.raises(CheckpointError, match="TorchScript program") as caught:
        load_checkpoint(tmp_path / "x.pt")
    assert "damaged" not in caught.value.message
    assert "torch.jit.load" in caught.value.hint


@pytest.mark.usefixtures("bound_by_permissions")
def test_unreadable_file(state: State, tmp_path: Path) -> None:
    saved(tmp_path / "a.pth", state).chmod(0)
    with pytest.raises(CheckpointError, match="Cannot read"):
        load_checkpoint(tmp_path / "a.pth")


# State dicts that do not fit


def refused(tmp_path: Path, content: object, **options: Any) -> CheckpointError:
    with pytest.raises(CheckpointError) as caught:
        load_checkpoint(saved(tmp_path / "bad.pth", content), **options)
    assert "bad.pth" in caught.value.message
    assert caught.value.hint
    return caught.value


def test_state_dict_of_something_else(tmp_path: Path) -> None:
    error = refused(tmp_path, torch.nn.Linear(3, 4).state_dict())
    assert "resdcn18" in error.message
    assert "bias, weight" in error.message
    refused(tmp_path, {})
    refused(tmp_path, {"state_dict": {}})


def test_keys_that_do_not_fit_are_listed(state: State, tmp_path: Path) -> None:
    del state["norm.weight"]
    state["hps.weight"] = torch.ones(1)
    state["norm.bias"] = torch.ones(15)
    message = refused(tmp_path, state).message
    assert "1 missing: norm.weight\n" in message
    assert "1 unexpected: hps.weight\n" in message
    assert "norm.bias (expected [16], found [15])" in message


def test_a_long_list_is_cut(state: State, tmp_path: Path) -> None:
    state.update({f"extra{n:02}": torch.ones(1) for n in range(13)})
    message = refused(tmp_path, state).message
    assert "13 unexpected: extra00" in message
    assert "extra09 and 3 more" in message
    assert "extra10" not in message


def test_keys_of_the_signature_that_miss_are_listed(tmp_path: Path) -> None:
    state = build("res18", classes=2, channels=3, head_conv=0).state_dict()
    for name in ("conv1.weight", "deconv_layers.3.weight"):
        damaged = {k: v for k, v in state.items() if k != name}
        for arch in ("res18", "auto"):
            assert f"1 missing: {name}" in refused(tmp_path, damaged, arch=arch).message


def test_arch_of_another_network(state: State, tmp_path: Path) -> None:
    assert "arch='tiny'" in refused(tmp_path, state, arch="dla34").hint
    with pytest.raises(UsageError, match="'dla35'"):
        load_checkpoint(tmp_path / "bad.pth", arch="dla35")


def test_other_number_of_classes(state: State, tmp_path: Path) -> None:
    assert "Expected 24 classes" in refused(tmp_path, state, classes=24).message


@pytest.mark.parametrize(
    ("name", "value", "found"),
    [
        ("norm.bias", torch.full((16,), float("nan")), "NaN or infinite"),
        ("norm.bias", torch.full((16,), float("inf")), "NaN or infinite"),
        ("norm.bias", torch.full((16,), 1e300, dtype=torch.float64), "NaN or infinite"),
        ("norm.running_var", torch.full((16,), -1.0), "negative variances"),
        ("norm.bias", torch.ones(16, dtype=torch.int8), "type int8"),
        ("norm.bias", torch.ones(16, dtype=torch.complex64), "type complex64"),
        ("norm.bias", torch.ones(1).expand(16), "fewer values"),
        ("norm.bias", torch.ones(16).to_sparse(), "sparse"),
        ("norm.bias", torch.ones(16, device="meta"), "absent"),
        ("norm.bias", torch.ones(0), "expected [16], found [0]"),
        ("norm.bias", [1.0] * 16, "'norm.bias' is a list"),
        ("norm.bias", None, "'norm.bias' is a NoneType"),
        (3, torch.ones(1), "unexpected: 3"),
        ("module.norm.bias", torch.ones(16), "norm.bias occurs twice"),
        ("hm.weight", torch.ones(0, 16, 1, 1), "(0, 16, 1, 1)"),
        ("hm.weight", torch.ones(2), "(2,)"),
        ("tiny.weight", torch.ones(16, 0, 7, 7), "(16, 0, 7, 7)"),
        ("hm.weight", torch.ones(1).expand(10**9, 16, 1, 1), "four positive sizes"),
    ],
)
@pytest.mark.filterwarnings("ignore:TypedStorage is deprecated")
def test_values_that_cannot_be(
    name: Any, value: Any, found: str, state: State, tmp_path: Path
) -> None:
    state[name] = value
    assert found in refused(tmp_path, state).message


# The published networks


@pytest.mark.shared
@pytest.mark.parametrize("arch", ["dla34", "dlav0_34", "res18", "resdcn18"])
def test_published_checkpoints_load_and_agree(arch: str, golden: Any, tmp_path: Path) -> None:
    spec, weights, given, heads = golden(arch)
    state = {name: torch.from_numpy(value) for name, value in weights().items()}
    prefixed = {f"module.{name}": tensor for name, tensor in state.items()}
    for content in (state, {"epoch": 60, "state_dict": prefixed}):
        found = load_checkpoint(saved(tmp_path / "a.pth", content))
        assert found.spec.arch == arch
        assert found.spec.classes == spec["heads"]["hm"]
        assert found.spec.channels == spec["input_channels"]
        assert found.epoch == content.get("epoch")
    for lowering in LOWERINGS if "dcn" in arch or arch == "dla34" else LOWERINGS[:1]:
        set_lowering(found.network, lowering)
        with torch.no_grad():
            result = found.network(torch.from_numpy(given))
        for head, expected in heads.items():
            error = np.abs(result[head].numpy() - expected).max() / np.abs(expected).max()
            assert error < 1e-3, (lowering, head)


def test_metadata_that_nests_too_deep_is_not_stored(tmp_path: Path) -> None:
    network = build("lite0", classes=2)
    save_checkpoint(tmp_path / "a", network, {"classes": "[" * 100_000, "size": "[1, 2]"})
    checkpoint = load_checkpoint(tmp_path / "a")
    assert [checkpoint.stored(name) for name in ("classes", "size", "mean")] == [None, [1, 2], None]
