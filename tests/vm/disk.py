"""Makes the disk of the virtual machines: Debian with systemd, and EdgeKit in /opt/edgekit."""

from __future__ import annotations

import contextlib
import functools
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from tests.vm.cache import alone, cached, command
from tests.vm.kernel import RELEASE, boot, boot_folder
from tests.vm.machine import Machine

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent
PACKAGES = (
    *("systemd", "systemd-sysv", "udev", "kmod", "e2fsprogs", "procps", "iproute2", "psmisc"),
    *("python3", "python3-venv", "libgl1", "libglib2.0-0", "v4l-utils", "logrotate"),
    *("openssh-server", "sudo", "dbus"),
)
COMPILER = ("gcc", "libc6-dev")
"""Only for arm64, whose kernels are compiled in the guest."""

EXTRAS = "video,mqtt,serve,metrics,systemd"
TOOLS = ("setuptools>=77", "wheel", "pytest", "hypothesis", "pip")
"""To build the wheel and to test its kernels in the guest, and what a deployment needs."""

MACHINE = {"amd64": "x86_64", "arm64": "aarch64"}
SIZE = "3G"
SNAPSHOT = "booted"

FILES = {
    "etc/hostname": "edge\n",
    "etc/fstab": "/dev/vda / ext4 errors=remount-ro 0 1\n",
    "etc/systemd/network/wired.network": "[Match]\nName=eth0\n[Network]\nDHCP=ipv4\n",
    "etc/systemd/journald.conf.d/kept.conf": "[Journal]\nStorage=persistent\n",
    "etc/profile.d/edgekit.sh": "PATH=/opt/edgekit/bin:$PATH\n",
}
MASKED = (
    *("proc-sys-fs-binfmt_misc.automount", "systemd-binfmt.service"),
    *("apt-daily.timer", "apt-daily-upgrade.timer", "dpkg-db-backup.timer", "e2scrub_all.timer"),
    *(
        "e2scrub_reap.service",
        "fstrim.timer",
        "getty@tty1.service",
        "serial-getty@ttyS0.service",
        "serial-getty@ttyAMA0.service",
        "systemd-timesyncd.service",
    ),
)


@functools.cache
def booted(arch: str) -> Path:
    """Returns a folder with ``disk.qcow2``, which has a snapshot of a guest that has booted.

    The disk is an overlay of the disk of ``base``.
    """
    parts = (base(arch), boot_folder(arch), HERE / "machine.py")
    return cached(f"booted-{arch}", _boot_once, arch, *parts)


@functools.cache
def base(arch: str) -> Path:
    """Returns the image of the root file system (raw), which nothing may write to."""
    packages = PACKAGES
    if arch == "arm64":
        with alone("binfmt"):
            _register_arm64()
        packages += COMPILER
    root = cached(f"root-{arch}", _debian, arch, RELEASE, packages)
    environment = cached(f"environment-{arch}", _environment, root, _packages(arch))
    with _sources() as sources:
        bundle = cached("bundle", _bundle, sources / "targets", sources / "edgekit/assets")
    parts = (_edgekit(arch), bundle, cached("clip", _clip), boot_folder(arch))
    settings = (FILES, MASKED, SIZE)
    disk = cached(f"disk-{arch}", _disk, environment, *parts, HERE / "guest", *settings)
    return disk / "root.img"


def wheels(arch: str) -> list[Path]:
    """Returns the wheels of EdgeKit and of all that a device needs for it."""
    return [*_packages(arch).iterdir(), *_edgekit(arch).glob("*.whl")]


def _packages(arch: str) -> Path:
    requirements = [*_requirements(ROOT / "pyproject.toml"), *TOOLS]
    constraints = ROOT / "constraints.txt"
    return cached(f"wheels-{arch}", _download, MACHINE[arch], constraints, requirements)


@functools.cache
def _edgekit(arch: str) -> Path:
    with _sources() as sources:
        return cached(f"edgekit-{arch}", _wheel, sources, arch)


def overlay(image: Path, place: Path) -> Path:
    """Makes a disk that begins like an image and keeps what is written to itself."""
    words = ("qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b")
    command(*words, image, place)
    return place


def _register_arm64() -> None:
    """Lets this machine's kernel run programs of arm64 by qemu-aarch64-static."""
    folder = Path("/proc/sys/fs/binfmt_misc")
    if not (folder / "register").exists():
        command("mount", "-t", "binfmt_misc", "binfmt_misc", folder)
    if not (folder / "qemu-aarch64").exists():
        magic = "7f454c460201010000000000000000000200b700"
        mask = "ffffffffffffff00fffffffffffffffffeffffff"
        texts = (
            "".join(f"\\x{byte:02x}" for byte in bytes.fromhex(text)) for text in (magic, mask)
        )
        # The flag F keeps the interpreter open, so that it need not be in the root.
        program = shutil.which("qemu-aarch64-static")
        line = ":".join(("", "qemu-aarch64", "M", "", *texts, str(program), "F"))
        (folder / "register").write_text(line)


def _debian(folder: Path, arch: str, release: str, packages: Sequence[str]) -> None:
    """Installs Debian with systemd. For arm64 this needs qemu-user-static."""
    words = ["mmdebstrap", f"--architectures={arch}", "--variant=minbase"]
    command(*words, f"--include={','.join(packages)}", release, folder / "tree")


def _download(folder: Path, machine: str, constraints: Path, requirements: Sequence[str]) -> None:
    """Downloads EdgeKit's dependencies for the device."""
    words = [sys.executable, "-m", "pip", "download", "-q", "-d", folder, "--only-binary=:all:"]
    words += ["--implementation", "cp", "--python-version", "3.11"]
    words += ["--abi=cp311", "--abi=abi3", "--abi=none"]
    for minor in (36, 34, 31, 28, 27, 17):
        words += ["--platform", f"manylinux_2_{minor}_{machine}"]
    words += ["--platform", f"manylinux2014_{machine}", "--platform", "any"]
    command(*words, "-c", constraints, *requirements)


def _requirements(project: Path) -> list[str]:
    import tomllib

    table = tomllib.loads(project.read_text())["project"]
    extras = [table["optional-dependencies"][name] for name in EXTRAS.split(",")]
    found = [*table["dependencies"], *(line for extra in extras for line in extra)]
    return [line.partition(";")[0].strip() for line in found if "python_version" not in line]


def _environment(folder: Path, root: Path, wheels: Path) -> None:
    """Makes /opt/edgekit with everything but EdgeKit itself."""
    tree = folder / "tree"
    command("cp", "-a", root / "tree", tree)
    shutil.copytree(wheels, tree / "opt/wheels")
    command("chroot", tree, "python3", "-m", "venv", "/opt/edgekit")
    # Debian's setuptools, which is in each new environment, is older than EdgeKit's build needs.
    install = ("/opt/edgekit/bin/pip", "install", "-qU", "--no-index", "--find-links=/opt/wheels")
    names = sorted({path.name.partition("-")[0] for path in wheels.iterdir()})
    command("chroot", tree, *install, *names)
    shutil.rmtree(tree / "opt/wheels")


@contextlib.contextmanager
def _sources() -> Iterator[Path]:
    """Copies the files of the checkout that belong to the wheel."""
    with tempfile.TemporaryDirectory() as name:
        place = Path(name) / "sources"
        parts = ("edgekit", "targets", "calibration", "quantization", "benchmarks")
        files = ("setup.py", "pyproject.toml", "README.md", "LICENSE")
        listed = command("git", "ls-files", "-z", *parts, *files, folder=ROOT).split(b"\0")
        for path in map(Path, filter(None, map(bytes.decode, listed))):
            (place / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / path, place / path, follow_symlinks=False)
        yield place


def _wheel(folder: Path, sources: Path, arch: str) -> None:
    """Builds EdgeKit's wheel with its compiled kernels, for arm64 by a cross compiler."""
    shutil.copytree(sources, folder / "sources", symlinks=True)
    words = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", folder, sources]
    if arch == "arm64":
        compiler = "aarch64-linux-gnu-gcc"
        cross = ["_PYTHON_HOST_PLATFORM=linux-aarch64", f"CC={compiler}"]
        words = ["env", *cross, f"LDSHARED={compiler} -shared", *words]
    command(*words)


def _bundle(folder: Path, *sources: Path) -> None:
    """Exports the shipped model for pictures of 64 pixels, so that a guest is fast enough."""
    edgekit = Path(sys.executable).with_name("edgekit")
    command(edgekit, "export", "--target", "onnx", "--input-size", "64", "-o", folder / "bundle")


def _clip(folder: Path) -> None:
    """Renders a clip with actors, as the JPEG files that the USB camera shows."""
    import cv2

    command(
        sys.executable, "-m", "edgekit.synthetic", folder / "clip", "--clips", "1", "--seed", "161"
    )
    (path,) = (folder / "clip").glob("*.avi")
    capture, number = cv2.VideoCapture(str(path)), 0
    while (read := capture.read())[0]:
        picture = cv2.resize(read[1], (320, 240), interpolation=cv2.INTER_AREA)
        cv2.imwrite(str(folder / f"{number:04}.jpg"), picture)
        number += 1
    shutil.rmtree(folder / "clip")


def _disk(folder: Path, environment: Path, *rest: Any) -> None:
    """Adds EdgeKit, the modules and the programs of the tests, and makes the file system."""
    wheel, bundle, clip, modules, guest, files, masked, size = rest
    tree = folder / "tree"
    command("cp", "-a", environment / "tree", tree)
    shutil.copytree(modules / "lib/modules", tree / "lib/modules", dirs_exist_ok=True)
    shutil.copytree(guest, tree / "opt/guest")
    shutil.copytree(bundle / "bundle", tree / "opt/bundle")
    shutil.copytree(clip, tree / "opt/clip")
    shutil.copytree(wheel, tree / "opt/wheels", symlinks=True)
    (name,) = (path.name for path in wheel.glob("*.whl"))
    install = ("/opt/edgekit/bin/pip", "install", "-q", "--no-index", "--no-deps")
    command("chroot", tree, *install, f"/opt/wheels/{name}")
    command("chroot", tree, "useradd", "--system", "edgekit")
    for path, text in files.items():
        (tree / path).parent.mkdir(parents=True, exist_ok=True)
        (tree / path).write_text(text)
    shutil.copy(guest / "agent.service", tree / "etc/systemd/system")
    systemctl = ("systemctl", "-q", "--root", tree)
    command(*systemctl, "enable", "agent.service", "systemd-networkd.service")
    command(*systemctl, "disable", "ssh.service")
    command(*systemctl, "mask", *masked)
    command("mke2fs", "-q", "-t", "ext4", "-d", tree, "-F", folder / "root.img", size)
    shutil.rmtree(tree)


def _boot_once(folder: Path, arch: str, image: Path, *others: Path) -> None:
    """Boots, reads EdgeKit into the guest's memory, and keeps the state of the machine."""
    disk = overlay(image, folder / "disk.qcow2")
    with Machine(boot(arch), disk, folder) as machine:
        machine.wait_for_boot()
        machine.run("systemctl is-system-running --wait", status=None, seconds=600)
        machine.run("edgekit doctor && sync", seconds=600)
        machine.monitor(f"savevm {SNAPSHOT}", seconds=300)
        machine.monitor("info snapshots")
