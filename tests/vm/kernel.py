"""Makes a Debian kernel, its modules and an initial file system for the virtual machines."""

from __future__ import annotations

import functools
import shutil
from pathlib import Path

from tests.vm.cache import cached, command
from tests.vm.machine import Boot

Names = tuple[str, ...]

RELEASE = "bookworm"
MODULES = (
    *("virtio_pci", "virtio_blk", "virtio_net", "virtio_console", "virtio_rng"),
    *("crc32c_generic", "ext4", "autofs4", "configfs", "af_packet", "loop", "overlay"),
    *("vivid", "uvcvideo", "vhci-hcd"),
)
FIRST = ("virtio_pci", "virtio_blk", "crc32c_generic", "ext4")
"""Modules that the initial file system loads; everything else is loaded from the disk."""

INIT = """#!/bin/sh
/bin/busybox --install -s /bin
export PATH=/bin
mount -t proc proc /proc; mount -t sysfs sys /sys; mount -t devtmpfs dev /dev
while read module; do insmod "$module"; done < /order
for i in $(seq 50); do [ -e /dev/vda ] && break; sleep 0.1; done
mount -t ext4 -o rw /dev/vda /new || exec sh
mount --move /dev /new/dev; mount --move /proc /new/proc; mount --move /sys /new/sys
exec switch_root /new /sbin/init
"""


@functools.cache
def boot(arch: str) -> Boot:
    """Returns the kernel and the initial file system of an architecture."""
    folder = boot_folder(arch)
    return Boot(arch, folder / "vmlinuz", folder / "initrd")


def boot_folder(arch: str) -> Path:
    """Returns a folder with ``vmlinuz``, ``initrd`` and the modules in ``lib/modules``."""
    packages = cached(f"kernel-{arch}", _extract, arch, RELEASE)
    loopback = cached("loopback", _build_loopback, packages) if arch == "amd64" else None
    settings = (MODULES, FIRST, INIT)
    return cached(f"boot-{arch}", _boot_folder, packages / "tree", loopback, settings)


def _extract(folder: Path, arch: str, release: str) -> None:
    """Extracts Debian's kernel package and a static busybox, without installing them."""
    include = f"--include=linux-image-{arch},busybox-static"
    words = ["mmdebstrap", f"--architectures={arch}", "--variant=extract", include]
    command(*words, release, folder / "tree")
    command("depmod", "-b", folder / "tree", _version(folder / "tree"))


def _version(tree: Path) -> str:
    (place,) = (tree / "lib/modules").iterdir()
    return place.name


def _build_loopback(folder: Path, packages: Path) -> None:
    """Builds v4l2loopback from Debian's source package against Debian's headers."""
    version = _version(packages / "tree")
    common = version.replace("-amd64", "-common")
    series = ".".join(version.split(".")[:2])
    names = [f"linux-headers-{version}", f"linux-headers-{common}", f"linux-kbuild-{series}"]
    command("apt-get", "download", *names, "v4l2loopback-dkms", folder=folder)
    for package in folder.glob("*.deb"):
        command("dpkg", "-x", package, folder / "tree")
        package.unlink()
    headers = folder / "tree/usr/src" / names[0]
    for path in (headers / "Makefile", headers / ".kernelvariables"):
        if path.exists():
            path.write_text(path.read_text().replace("/usr/src/", f"{folder}/tree/usr/src/"))
    (source,) = (folder / "tree/usr/src").glob("v4l2loopback-*")
    command("make", "-C", headers, f"M={source}", "modules")
    shutil.copy(source / "v4l2loopback.ko", folder)
    shutil.rmtree(folder / "tree")


def _boot_folder(
    folder: Path, tree: Path, loopback: Path | None, settings: tuple[Names, Names, str]
) -> None:
    """Selects the modules that the tests need, and packs an initial file system."""
    modules, first, init = settings
    version = _version(tree)
    inside = Path("lib/modules") / version
    (folder / inside).mkdir(parents=True)
    for module in modules:
        for path in _chain(tree, version, module):
            place = folder / path.relative_to(tree)
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, place)
    for name in ("modules.order", "modules.builtin", "modules.builtin.modinfo"):
        shutil.copy(tree / inside / name, folder / inside)
    if loopback is not None:
        shutil.copy(loopback / "v4l2loopback.ko", folder / inside)
    command("depmod", "-b", folder, version)
    shutil.copy(tree / "boot" / f"vmlinuz-{version}", folder / "vmlinuz")

    root = folder / "first"
    for name in ("bin", "proc", "sys", "dev", "new", "modules"):
        (root / name).mkdir(parents=True)
    shutil.copy(tree / "bin/busybox", root / "bin")
    (root / "bin/sh").symlink_to("busybox")
    order: list[Path] = []
    for module in first:
        order += [path for path in _chain(tree, version, module) if path not in order]
    for path in order:
        shutil.copy(path, root / "modules")
    (root / "order").write_text("".join(f"/modules/{path.name}\n" for path in order))
    (root / "init").write_text(init)
    (root / "init").chmod(0o755)
    names = command("find", ".", "-print0", folder=root)
    archive = command("cpio", "--null", "-o", "-H", "newc", folder=root, stdin=names)
    (folder / "initrd").write_bytes(command("gzip", "-1", stdin=archive))
    shutil.rmtree(root)


def _chain(tree: Path, version: str, module: str) -> list[Path]:
    """Returns the files of a module and of all that it needs, in the order of loading."""
    words = ("modprobe", "-d", tree, "-S", version, "--show-depends", module)
    lines = command(*words).decode().splitlines()
    return [Path(line.split()[1]) for line in lines if line.startswith("insmod")]
