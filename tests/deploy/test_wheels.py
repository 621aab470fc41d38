"""Tests that wheels are looked for only where a device can use some."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path

import pytest

from edgekit.deploy import wheels
from edgekit.deploy.device_facts import DeviceFacts
from edgekit.deploy.wheels import Wheelhouse, WheelSet
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
[project.optional-dependencies]
rknn = ["rknn-toolkit-lite2; sys_platform == 'linux' and platform_machine == 'aarch64'"]
[tool.setuptools]
py-modules = ["program"]
"""


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small checkout that stands in for EdgeKit's, with a folder of wheels beside it."""
    folder, found = tmp_path / "source", tmp_path / "found"
    for each in (folder, found):
        each.mkdir()
    (folder / "pyproject.toml").write_text(PROJECT)
    (folder / "program.py").write_text("x = 1\n")
    for name in ("pip", "rknn_toolkit_lite2"):
        with zipfile.ZipFile(found / f"{name}-99-py3-none-any.whl", "w") as wheel:
            about = f"Metadata-Version: 2.1\nName: {name}\nVersion: 99\n"
            wheel.writestr(f"{name}-99.dist-info/METADATA", about)
            kind = "Wheel-Version: 1.0\nRoot-Is-Purelib: true\n"
            wheel.writestr(f"{name}-99.dist-info/WHEEL", kind)
            wheel.writestr(f"{name}-99.dist-info/RECORD", "")
    place = InstallationSource("edgekit-vision", str(folder), editable=True, published=False)
    monkeypatch.setattr(wheels, "origin", lambda: place)
    return folder


def collected(source: Path, name: str, *, patch: int = 2, extras: tuple[str, ...] = ()) -> WheelSet:
    work = source.parent / name
    work.mkdir()
    device = facts(("glibc", "2.36"), patch=patch)
    return Wheelhouse(source.parent / "found", work).wheels_for(device, extras)


def test_the_same_code_gives_the_same_environment(
    source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = set()
    for patch, seconds in ((6, 1_000_000_000), (2, 1_500_000_000)):
        os.utime(source / "program.py", (seconds, seconds))
        monkeypatch.setenv("SOURCE_DATE_EPOCH", str(seconds))
        keys.add(collected(source, f"first-{patch}", patch=patch).key)
    assert len(keys) == 1
    (source / "program.py").write_text("x = 2\n")
    assert collected(source, "changed").key not in keys


def test_a_package_that_this_machine_does_not_need_is_collected(source: Path) -> None:
    found = collected(source, "board", extras=("rknn",))
    names = [name for content in found.contents for name in content.sources]
    assert "rknn_toolkit_lite2-99-py3-none-any.whl" in names
