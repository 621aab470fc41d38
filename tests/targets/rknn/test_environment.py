"""Tests the environment of Rockchip's toolkit: missing, impossible, made."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from edgekit.errors import EdgeKitError, MissingDependencyError, OutputError
from edgekit.targets.rknn import environment


@pytest.fixture(autouse=True)
def empty(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    monkeypatch.setattr(environment, "_PYTHONS", ((3, 10), (3, 99)))


def test_the_command_that_makes_it_is_named() -> None:
    assert environment.installed_version() is None
    with pytest.raises(MissingDependencyError, match="rknn-toolkit2") as caught:
        environment.variables()
    assert caught.value.hint == f"Make it: {environment.MAKE}"


def test_without_a_network_nothing_is_left(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "nothing"))
    with pytest.raises(EdgeKitError, match="pip could not install rknn-toolkit2") as caught:
        environment.make_environment()
    assert "PIP_FIND_LINKS" in caught.value.hint
    assert not list((tmp_path / "edgekit").iterdir())
    assert environment.installed_version() is None


def test_a_full_disk_is_said_without_the_trace_of_pip() -> None:
    full = "import errno, os; raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), 'x')"
    with pytest.raises(OutputError, match="no space left on device in ") as caught:
        environment._run([sys.executable, "-c", full], "pip could not install", "")
    assert "TMPDIR" in caught.value.hint
    assert "Traceback" not in caught.value.message


@pytest.mark.parametrize(("argument", "status"), [("--help", 0), ("-h", 0), ("rk3588", 2)])
def test_an_argument_installs_nothing(
    argument: str, status: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert environment._main([argument]) == status
    assert environment.MAKE in capsys.readouterr().out
    assert not list(tmp_path.iterdir())


def test_a_python_that_the_toolkit_does_not_support(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment, "_PYTHONS", ((2, 6), (2, 7)))
    for act in (environment.make_environment, environment.environment):
        with pytest.raises(EdgeKitError, match=r"needs Linux and Python 3\.10 to 3\.12; found"):
            act()
