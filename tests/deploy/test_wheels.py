"""Tests that wheels are looked for only where a device can use some."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgekit.deploy.device_facts import DeviceFacts
from edgekit.deploy.wheels import Wheelhouse
from edgekit.errors import HostError


def facts(libc: tuple[str, str]) -> DeviceFacts:
    return DeviceFacts(
        "device", (3, 11, 2), "aarch64", libc, "/root", 1 << 30,
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
