"""Prints what ``edgekit doctor`` reports."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgekit._printable import plural, size_text

if TYPE_CHECKING:
    from rich.console import Console

    from edgekit.doctor.report import CameraReport, SystemReport

__all__ = ["print_system_report"]


def print_system_report(console: Console, found: SystemReport) -> None:
    """Prints the machine, the installation, and how to get what is missing."""
    _print_machine(console, found)
    _print_tables(console, found)
    _print_missing(console, found)


def _print_machine(console: Console, found: SystemReport) -> None:
    """Prints what this machine is and has, a line for each."""
    system, cpu = found.system, found.cpu
    line = f"EdgeKit {found.edgekit}, Python {system.python} on {system.platform}"
    console.print(line, soft_wrap=True)
    features = ", ".join(cpu.features) or "no features that are known here"
    cores = f"{cpu.cores} {plural('core', cpu.cores)}"
    console.print(f"CPU      {cpu.model}, {cores} ({features})", soft_wrap=True)
    console.print(f"Memory   {system.memory_gib or 'unknown'} GiB")
    console.print(f"GPU      {', '.join(found.gpus) or 'none found'}", soft_wrap=True)
    cameras = "\n         ".join(line for each in found.cameras for line in _camera(each))
    console.print(f"Cameras  {cameras or 'none found'}", soft_wrap=True)
    console.print(f"Runtime  onnx on {', '.join(found.providers) or 'nothing'}", soft_wrap=True)
    if found.opencv:
        backends = ", ".join(found.opencv.backends)
        console.print(f"OpenCV   {found.opencv.version} ({backends})", soft_wrap=True)
    if found.kernel:
        kernel = found.kernel
        note = kernel.problem or f"here: {', '.join(kernel.available)}"
        console.print(f"Cascade  {kernel.kernel} ({note})", soft_wrap=True)
    console.print(f"Bundle   {found.bundle or 'none'}", soft_wrap=True)
    if found.cache:
        size = f"{found.cache.folder}, {size_text(found.cache.bytes)}"
        hint = " (to empty it: edgekit cache clear)" if found.cache.bytes else ""
        console.print(f"Cache    {size}{hint}", soft_wrap=True)


def _print_tables(console: Console, found: SystemReport) -> None:
    """Prints the targets, the packages and the plug-ins."""
    from edgekit.cli.output.tables import print_table

    states = []
    for target in found.targets:
        answers = ("yes" if able else "no" for able in (target.runs, target.exports))
        states.append((target.name, *answers, "\n".join(target.missing)))
    print_table(console, ("target", "runs here", "exports here", "missing"), states, words=4)
    packages = [(part.name, part.version or "-", part.purpose) for part in found.packages]
    print_table(console, ("package", "version", "for"), packages, words=3, wrapped=(2,))
    plugins = [
        (part.name, part.group, f"{part.distribution} {part.version}")
        for part in found.plugins
        if not part.problem
    ]
    if plugins:
        print_table(console, ("plug-in", "group", "from"), plugins, words=3)


def _print_missing(console: Console, found: SystemReport) -> None:
    """Prints how to get what is missing, and what is wrong."""
    missing: dict[str, list[str]] = {}
    for part in found.packages:
        if not part.version:
            missing.setdefault(part.install, []).append(part.name)
    for line, names in missing.items():
        text = f"To get {', '.join(names)}, run: {line}"
        if not line:
            text = f"Not available for this machine and Python: {', '.join(names)}"
        console.print(text, soft_wrap=True)
    for plugin in found.plugins:
        if plugin.problem:
            console.print(f"! {plugin.problem}", soft_wrap=True)
    for line in found.problems:
        console.print(f"! {line}", soft_wrap=True)
    if not found.problems:
        console.print("Everything that edgekit run needs is here.")


def _camera(camera: CameraReport) -> list[str]:
    """Describes a camera and its formats in lines of 71 characters, or how to get access to it."""
    from edgekit.media.sources.cameras.messages import GROUP_LINE, NOT_PERMITTED
    from edgekit.media.sources.cameras.modes import offered

    title = f"{camera.device} ({camera.name})"
    if camera.problem == NOT_PERMITTED:
        return [f"{title} {NOT_PERMITTED}", f"  Run: {GROUP_LINE}", "  Then log in again."]
    if camera.problem:
        return [f"{title} {camera.problem}"]
    return [
        title,
        *(offered(camera.formats, width=71, indent="  ") or ["  It reports no formats."]),
    ]
