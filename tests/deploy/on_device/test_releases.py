"""Tests what is made of the files of a deployment that are damaged or replaced."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from edgekit.deploy.on_device.agent import Agent
from edgekit.deploy.on_device.connection import DeviceError, WorkstationConnection
from tests.special_files import put_special_file

FACTS = {
    "schema": 1, "number": 1, "replaces": None, "created": 5, "bundle": "b", "sha256": "0" * 64,
    "target": "onnx", "edgekit": "1", "extras": [], "health": "", "service": "none",
    "notifies": False,
}  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Returns the folder of a service ``door`` with a single release."""
    service = tmp_path / "services/door"
    release = service / "releases/1"
    release.mkdir(parents=True)
    (release / "release.json").write_text(json.dumps(FACTS))
    (release / "options.toml").write_text("score = 0.3\n")
    for link in ("bundle", "venv"):
        (release / link).symlink_to(f"../../../../{link}s/a")
    (service / "current").symlink_to("releases/1")
    return service


@pytest.fixture
def agent(tmp_path: Path) -> Agent:
    with (tmp_path / "none").open("w+b") as stream:
        return Agent(WorkstationConnection(stream, stream), tmp_path)


def requests(agent: Agent) -> list[Any]:
    return [
        agent.status,
        lambda: agent.current("door"),
        lambda: agent.earlier("door"),
        lambda: agent.keys("door"),
    ]


@pytest.mark.parametrize(
    "text",
    ["", "3", "[]", "[" * 100_000, "\x00", "1" * 5000]
    + [json.dumps({**FACTS, key: [{}]}) for key in FACTS if key not in ("extras", "target")]
    + [json.dumps({**FACTS, key: None}) for key in ("number", "extras", "service", "notifies")]
    + [json.dumps({**FACTS, "replaces": "../../x"}), json.dumps({**FACTS, "number": 1e300})],
)  # fmt: skip
def test_damaged_facts_are_named(folder: Path, agent: Agent, text: str) -> None:
    path = folder / "releases/1/release.json"
    path.write_text(text)
    for request in requests(agent):
        with pytest.raises(DeviceError, match="release") as caught:
            request()
        assert len(caught.value.message) < 300 + len(str(path))
    agent.tidy()
    assert path.exists(), "the current release is kept"


def test_missing_facts_are_no_release(folder: Path, agent: Agent) -> None:
    (folder / "releases/1/release.json").unlink()
    assert (agent.status(), agent.current("door"), agent.earlier("door")) == ([], {}, {})


@pytest.mark.parametrize("name", ["release.json", "options.toml"])
@pytest.mark.parametrize("kind", ["pipe", "device", "sparse", "folder", "loop"])
def test_what_is_no_file_of_its_size(folder: Path, agent: Agent, name: str, kind: str) -> None:
    path = folder / "releases/1" / name
    put_special_file(path, kind)
    for request in (
        [*requests(agent)] if name == "release.json" else [lambda: agent.options("door")]
    ):
        with pytest.raises(DeviceError, match=f"Cannot read .*{name}"):
            request()


@pytest.mark.parametrize("target", ["releases/x", "releases/-1", "releases/²", "/", "releases/.."])
def test_a_link_to_no_release(folder: Path, agent: Agent, target: str) -> None:
    (folder / "current").unlink()
    (folder / "current").symlink_to(target)
    for request in requests(agent):
        with pytest.raises(DeviceError, match="which has a number"):
            request()


def test_other_names_among_the_releases_stay(folder: Path, agent: Agent) -> None:
    for name in ("²", "x", ".new-7"):
        (folder / "releases" / name).mkdir()
    agent.tidy()
    assert agent.release("door", {}, None, None, "a", "a") == 2
    assert (folder / "releases/²").is_dir()
