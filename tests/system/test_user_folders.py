"""Tests the folders of a user's files, also for a user without a home folder."""

from __future__ import annotations

import os
import pwd
import stat
from pathlib import Path

import pytest

from edgekit.errors import OutputError
from edgekit.system.user_folders import user_folder, user_secret

ASKED = ("XDG_CACHE_HOME", ".cache", "--cache DIR")


@pytest.fixture
def unknown_user(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a container that runs as a number."""

    def missing(number: int) -> pwd.struct_passwd:
        raise KeyError(f"getpwuid(): uid not found: {number}")

    monkeypatch.setattr(pwd, "getpwuid", missing)
    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)


def refused() -> OutputError:
    with pytest.raises(OutputError) as caught:
        user_folder(*ASKED)
    assert "--cache DIR" in caught.value.hint
    assert "XDG_CACHE_HOME" in caught.value.hint
    return caught.value


def test_the_folder_of_the_variable_goes_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "x" / "y"))
    assert user_folder(*ASKED) == tmp_path / "x" / "y" / "edgekit"
    for ignored in ("", "relative", "./here"):
        monkeypatch.setenv("XDG_CACHE_HOME", ignored)
        assert user_folder(*ASKED) == tmp_path / ".cache" / "edgekit"
        assert (tmp_path / ".cache" / "edgekit").is_dir()


@pytest.mark.usefixtures("unknown_user")
@pytest.mark.parametrize("home", [None, "", "relative", "."])
def test_nobody_has_no_home(home: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    if home is not None:
        monkeypatch.setenv("HOME", home)
    assert f"the user {os.getuid()} is not known here" in refused().message


def test_a_home_that_is_not_there_is_not_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "gone"))
    assert f"{tmp_path}/gone does not exist" in refused().message
    assert not list(tmp_path.iterdir())


def test_a_home_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", "/proc")  # not even by root
    assert "/proc/.cache/edgekit" in refused().message
    (tmp_path / ".cache").touch()
    monkeypatch.setenv("HOME", str(tmp_path))
    assert f"{tmp_path}/.cache/edgekit" in refused().message


def test_an_unset_home_is_that_of_the_system(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    user = pwd.struct_passwd(("u", "x", 1, 1, "", str(tmp_path), "/bin/sh"))
    monkeypatch.setattr(pwd, "getpwuid", lambda number: user)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", "")
    assert user_folder(*ASKED) == tmp_path / ".cache" / "edgekit"


def test_a_secret_is_made_once_for_each_user(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "a"))
    first = user_secret("--cache DIR")
    assert (len(first), user_secret("--cache DIR")) == (32, first)
    place = tmp_path / "a" / "edgekit"
    modes = [stat.S_IMODE(path.stat().st_mode) for path in (place, place / "secret")]
    assert modes == [0o700, 0o600]
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "b"))
    assert user_secret("--cache DIR") != first


@pytest.mark.parametrize("damage", [b"", b"short", b"x" * 33])
def test_a_damaged_secret_is_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damage: bytes
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    user_secret("")
    (tmp_path / "edgekit" / "secret").write_bytes(damage)
    made = user_secret("")
    assert (len(made), user_secret("")) == (32, made)
