"""Tests that wheels are looked for only where a device can use some."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path

import pytest

from edgekit.deploy import wheels
from edgekit.deploy.device_facts import DeviceFacts
from edgekit.deploy.wheels import Wheelhouse
from edgekit.errors import HostError
from edgekit.system.installation import InstallationSource


def facts(libc: tuple[str, str], *, patch: int = 2) -> DeviceFacts:
    return DeviceFacts(
        "device", (3, 11, patch), "aarch64", libc, "/root", 1 << 30,
        tegra=False,
    )  # fmt: skip


@pytest.fixture
def wheelhouse(tmp_path: Path) -> Wheelhouse:
    (tmp_path / "wheels").mkdir()
    (tmp_path / "wheels" / "edgekit_vision-1-py3-none-any.whl").write_bytes(b"no wheel")
    return Wheelhouse(tmp_path / "wheels", tmp_path)


@pytest.mark.parametrize(
    ("libc", "found"),
    [
        (("", ""), "found another one"),
        (("musl", "1.2"), "found musl"),
        (("glibc", ""), "found ''"),
        (("glibc", "2"), "found '2'"),
        (("glibc", "2.x"), "found '2.x'"),
        (("glibc", "3.1"), "found '3.1'"),
        (("glibc", "2.1000000000"), "found '2.1000000000'"),
        (("glibc", "2." + "9" * 5000), "found '2.9"),
    ],
)
def test_a_c_library_without_wheels_is_refused(
    wheelhouse: Wheelhouse, libc: tuple[str, str], found: str
) -> None:
    with pytest.raises(HostError) as caught:
        wheelhouse.wheels_for(facts(libc), ())
    assert found in caught.value.message
    assert len(caught.value.message) < 300


@pytest.mark.parametrize("libc", ["2.36", "2.999", "2.39.1"])
def test_other_versions_are_looked_for_up_to_a_bound(wheelhouse: Wheelhouse, libc: str) -> None:
    with pytest.raises(HostError, match="pip found none"):
        wheelhouse.wheels_for(facts(("glibc", libc)), ())


PROJECT = """
[build-system]
requires = ["setuptools>=77"]
build-backend = "setuptools.build_meta"
[project]
name = "edgekit-vision"
version = "1"
[tool.setuptools]
py-modules = ["program"]
"""


def test_the_same_code_gives_the_same_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, found = tmp_path / "source", tmp_path / "wheels"
    source.mkdir()
    (source / "pyproject.toml").write_text(PROJECT)
    (source / "program.py").write_text("x = 1\n")
    found.mkdir()
    with zipfile.ZipFile(found / "pip-99-py3-none-any.whl", "w") as wheel:
        about = "Metadata-Version: 2.1\nName: pip\nVersion: 99\n"
        wheel.writestr("pip-99.dist-info/METADATA", about)
        wheel.writestr("pip-99.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\n")
        wheel.writestr("pip-99.dist-info/RECORD", "")
    place = InstallationSource("edgekit-vision", str(source), editable=True, published=False)
    monkeypatch.setattr(wheels, "origin", lambda: place)
    keys = set()
    for seconds in (1_000_000_000, 1_500_000_000):
        os.utime(source / "program.py", (seconds, seconds))
        monkeypatch.setenv("SOURCE_DATE_EPOCH", str(seconds))
        work = tmp_path / str(seconds)
        work.mkdir()
        device = facts(("glibc", "2.36"), patch=seconds % 7)
        keys.add(Wheelhouse(found, work).wheels_for(device, ()).key)
    assert len(keys) == 1
    (source / "program.py").write_text("x = 2\n")
    (tmp_path / "other").mkdir()
    changed = Wheelhouse(found, tmp_path / "other").wheels_for(facts(("glibc", "2.36")), ())
    assert changed.key not in keys
