"""Fixtures of the tests in virtual machines, which only ``make vm`` runs."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.vm import report
from tests.vm.cache import RUN, need
from tests.vm.disk import SNAPSHOT, booted
from tests.vm.kernel import boot
from tests.vm.machine import Machine
from tests.vm.running import put_programs

if os.environ.get("EDGEKIT_VM") != "1":
    collect_ignore_glob = ["test_*.py"]

PROGRAMS = [
    ("qemu-system-x86_64", "qemu-system-x86"),
    ("qemu-system-aarch64", "qemu-system-arm"),
    ("qemu-aarch64-static", "qemu-user-static"),
    ("qemu-img", "qemu-utils"),
    ("mmdebstrap", "mmdebstrap"),
    ("arch-test", "arch-test"),
    ("depmod", "kmod"),
    ("cpio", "cpio"),
    ("aarch64-linux-gnu-gcc", "gcc-aarch64-linux-gnu"),
    ("mosquitto", "mosquitto"),
    ("mosquitto_sub", "mosquitto-clients"),
    ("setpriv", "util-linux"),
]


@pytest.fixture(scope="session", autouse=True)
def programs() -> None:
    """Says which Debian packages are missing."""
    need(PROGRAMS)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """Lets fixtures see whether the test has passed."""
    found = yield
    if call.when == "call":
        item.stash[PASSED] = found.passed
    return found


PASSED = pytest.StashKey[bool]()
Shows = Callable[[str, str, str], None]


@pytest.fixture
def shows(request: pytest.FixtureRequest) -> Iterator[Shows]:
    """Notes a row of the page: claim, command, what it printed. Only passed tests keep theirs."""
    lines: list[report.Line] = []
    name = f"{request.path.stem}-{request.node.name}".replace("/", "_")
    report.forget(name)
    begin = time.monotonic()
    yield lambda claim, command, shown: lines.append(report.Line(claim, command, shown))
    if request.node.stash.get(PASSED, False):
        section = (request.module.__doc__ or request.path.stem).strip().splitlines()[0]
        report.keep(name, section.rstrip("."), lines, time.monotonic() - begin)


@pytest.fixture
def place() -> Iterator[Path]:
    """An empty folder for images; what a test leaves there is removed after it."""
    folder = RUN / "place"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def resumed(arch: str, folder: Path, stack: ExitStack) -> Machine:
    """Continues a booted guest from its snapshot, with the time of this machine."""
    disk = folder / "disk.qcow2"
    shutil.copy(booted(arch) / "disk.qcow2", disk)
    machine = stack.enter_context(Machine(boot(arch), disk, folder, snapshot=SNAPSHOT))
    machine.run(f"date -s @{time.time():.3f}")
    put_programs(machine)
    return machine


@pytest.fixture
def guest(place: Path) -> Iterator[Machine]:
    """A booted x86-64 guest with a disk of its own."""
    with ExitStack() as stack:
        yield resumed("amd64", place, stack)


@pytest.fixture
def arm_guest(place: Path) -> Iterator[Machine]:
    """A booted arm64 guest (Cortex-A76) with a disk of its own."""
    with ExitStack() as stack:
        yield resumed("arm64", place, stack)
