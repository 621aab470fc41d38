"""Defines what ``edgekit doctor`` reports, in the order of its JSON."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # both need numpy, which may be what is missing
    from edgekit.media.sources.cameras.v4l2 import Format
    from edgekit.runtime.native.library import Setting

__all__ = [
    "CacheReport",
    "CameraReport",
    "CpuReport",
    "OpenCvReport",
    "PackageReport",
    "PluginReport",
    "PythonReport",
    "SystemReport",
    "TargetReport",
]


@dataclass(frozen=True, slots=True)
class PythonReport:
    """Python and the machine under it.

    Attributes:
        python: Version of Python.
        platform: Operating system and its version.
        machine: Architecture, such as ``x86_64``.
        memory_gib: Memory in GiB; None if it is unknown.
    """

    python: str
    platform: str
    machine: str
    memory_gib: float | None


@dataclass(frozen=True, slots=True)
class CpuReport:
    """The processor.

    Attributes:
        model: Its name, with the board's name if there is one.
        cores: Number of cores that this process may use.
        features: Its features that determine the speed of integers and half precision.
    """

    model: str
    cores: int
    features: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CameraReport:
    """A camera.

    Attributes:
        device: Path of the device file.
        name: Product name.
        driver: Kernel driver; empty if the device may not be opened.
        formats: Pixel formats, in the driver's order.
        problem: Reason for unknown formats; empty if they are known.
    """

    device: str
    name: str
    driver: str
    formats: tuple[Format, ...]
    problem: str


@dataclass(frozen=True, slots=True)
class PackageReport:
    """A package that EdgeKit can use.

    Attributes:
        name: Name of its distribution.
        version: Installed version, of it or of a package that replaces it; None if there is none.
        purpose: Description of what EdgeKit uses it for.
        extra: Extra of EdgeKit that installs it; None if none does.
        install: Command that installs it; empty if there is none for this machine and Python.
    """

    name: str
    version: str | None
    purpose: str
    extra: str | None
    install: str


@dataclass(frozen=True, slots=True)
class TargetReport:
    """A target.

    Attributes:
        name: Its name.
        runs: Whether this machine can run its bundles.
        exports: Whether this machine can export its bundles.
        missing: Packages that it lacks here.
        install: Commands that install them.
    """

    name: str
    runs: bool
    exports: bool
    missing: tuple[str, ...] = ()
    install: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PluginReport:
    """A part that another package adds to EdgeKit.

    Attributes:
        group: Group of the entry point, such as ``edgekit.targets``.
        name: Name of the part.
        value: The part, as ``module:Object``.
        distribution: Name of the distribution that adds it.
        version: Version of the distribution.
        problem: Reason why it cannot be used; None if it can.
    """

    group: str
    name: str
    value: str
    distribution: str
    version: str
    problem: str | None


@dataclass(frozen=True, slots=True)
class OpenCvReport:
    """The installed OpenCV.

    Attributes:
        version: Its version.
        backends: Names of its backends for video that are there.
    """

    version: str
    backends: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CacheReport:
    """The folder of cached calibration results.

    Attributes:
        folder: Path of the folder.
        bytes: Size of the results, in bytes.
    """

    folder: str
    bytes: int


# Many attributes: one for each key of the JSON that ``edgekit doctor --json`` prints.
@dataclass(frozen=True, slots=True)
class SystemReport:
    """Report of ``edgekit doctor``: all that EdgeKit finds on this machine.

    Attributes:
        edgekit: Version of EdgeKit.
        system: Python, the operating system and the memory.
        cpu: The processor.
        gpus: Descriptions of the GPUs.
        cameras: The cameras.
        packages: The packages that EdgeKit can use, installed or not.
        targets: The targets, with whether they work here.
        plugins: Parts that other packages add.
        providers: Execution providers of the installed onnxruntime.
        opencv: The installed OpenCV; None if there is none.
        kernel: The kernel that computes the cascade; None if it cannot be used.
        bundle: Path of the default bundle; None if it cannot be used.
        cache: The cache of calibration results; None if it cannot be read.
        problems: What has to be repaired before ``edgekit run`` works as it should.
    """

    edgekit: str
    system: PythonReport
    cpu: CpuReport
    gpus: tuple[str, ...]
    cameras: tuple[CameraReport, ...]
    packages: tuple[PackageReport, ...]
    targets: tuple[TargetReport, ...]
    plugins: tuple[PluginReport, ...]
    providers: tuple[str, ...]
    opencv: OpenCvReport | None
    kernel: Setting | None
    bundle: str | None
    cache: CacheReport | None
    problems: tuple[str, ...]
