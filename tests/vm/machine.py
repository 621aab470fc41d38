"""A virtual machine of QEMU without KVM, and a way to run commands in it."""

from __future__ import annotations

import base64
import itertools
import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from edgekit.benchmarks.suites.support.streams import WITH_ITS_PARENT

BOOT_SECONDS = 600
"""Longest wait for a guest to boot. On a busy machine, TCG is slow; usually it takes 20 seconds."""


class Result(NamedTuple):
    """What a command in the guest gave.

    Attributes:
        status: Exit status; 124 if the command was killed at its limit.
        output: Standard output and standard error together.
    """

    status: int
    output: str


class Boot(NamedTuple):
    """What a guest boots from.

    Attributes:
        arch: ``amd64`` or ``arm64``.
        kernel: Compressed kernel.
        initrd: Compressed initial file system.
        options: More words for the kernel's command line.
    """

    arch: str
    kernel: Path
    initrd: Path
    options: str = ""


# Many attributes: the process of QEMU, its two sockets, and what has been read from them.
class Machine:
    """A running guest; a context manager that ends it.

    Args:
        boot: Kernel and initial file system.
        disk: Image of the root file system (qcow2). The guest writes into it.
        folder: Folder for the sockets and the log of the serial console.
        drives: More images (raw), which the guest sees as /dev/vdb and so on.
        snapshot: Name of a snapshot in ``disk`` to continue from, instead of booting.
        network: Whether the guest reaches the programs on this machine, at 10.0.2.2.
        more: More arguments for QEMU.
    """

    def __init__(
        self,
        boot: Boot,
        disk: Path,
        folder: Path,
        *,
        drives: Sequence[Path] = (),
        snapshot: str = "",
        network: bool = False,
        more: Sequence[str] = (),
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.console = folder / "console.txt"
        self._log = folder / "qemu.txt"
        self._port_path, self._monitor_path = folder / "port", folder / "monitor"
        self._numbers = itertools.count(1)
        self._replies: dict[int, Result] = {}
        self._pending = b""
        for path in (self._port_path, self._monitor_path):
            path.unlink(missing_ok=True)
        words = self._words(boot, disk, drives)
        restrict = "off" if network else "on"
        words += ["-netdev", f"user,id=n0,restrict={restrict}"]
        words += ["-device", "virtio-net-pci,netdev=n0,romfile="]
        if snapshot:
            words += ["-loadvm", snapshot]
        with self._log.open("w") as log:
            self._process = subprocess.Popen(
                [*words, *more], stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        self._port = self._connected(self._port_path)

    def _words(self, boot: Boot, disk: Path, drives: Sequence[Path]) -> list[str]:
        x86 = boot.arch == "amd64"
        console = "ttyS0" if x86 else "ttyAMA0"
        # Without AVX, which TCG emulates slowly: a frame takes 0.6 seconds instead of 1.
        program, machine, cpu = (
            ("qemu-system-x86_64", "q35", "Nehalem")
            if x86
            else ("qemu-system-aarch64", "virt", "cortex-a76")
        )
        words = [*WITH_ITS_PARENT, "nice", "-n", "5", program]
        words += ["-M", machine, "-cpu", cpu, "-accel", "tcg", "-smp", "1", "-m", "1536"]
        words += ["-display", "none", "-no-reboot", "-kernel", str(boot.kernel)]
        append = f"console={console} root=/dev/vda rw quiet mitigations=off net.ifnames=0 panic=-1"
        words += ["-initrd", str(boot.initrd), "-append", f"{append} {boot.options}".strip()]
        # Raw images are "unsafe": what the guest has synced does not wait for this machine's disk.
        # When QEMU is killed, its writes into them are in this machine's memory and are not lost.
        for number, (image, kind, cache) in enumerate(
            [(disk, "qcow2", "writeback"), *((each, "raw", "unsafe") for each in drives)]
        ):
            words += ["-drive", f"file={image},if=none,id=d{number},format={kind},cache={cache}"]
            words += ["-device", f"virtio-blk-pci,drive=d{number}"]
        words += ["-device", "virtio-serial-pci", "-device", "virtio-rng-pci"]
        words += ["-chardev", f"socket,id=port,path={self._port_path},server=on,wait=off"]
        words += ["-device", "virtserialport,chardev=port,name=edgekit.agent"]
        words += ["-serial", f"file:{self.console}"]
        words += ["-monitor", f"unix:{self._monitor_path},server=on,wait=off"]
        return words

    def __enter__(self) -> Machine:
        return self

    def __exit__(self, *exception: object) -> None:
        self.cut_power()

    def wait_for_boot(self) -> float:
        """Waits until the guest runs commands; returns the guest's own seconds since its start.

        Raises:
            RuntimeError: It does not come up; the message has the end of its console.
        """
        return float(self.run("cut -d' ' -f1 /proc/uptime", seconds=BOOT_SECONDS).output)

    def cpu_seconds(self) -> float:
        """CPU time that QEMU has taken: a guest that is busy takes a second of it per second, but
        less if this machine has other work."""
        fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        return sum(map(int, fields[11:13])) / os.sysconf("SC_CLK_TCK")

    def start(self, command: str, *, seconds: float = 300) -> int:
        """Starts a command in the guest and returns its number for ``result``."""
        number = next(self._numbers)
        request = {"id": number, "command": command, "seconds": seconds}
        self._port.settimeout(60)
        self._port.sendall(json.dumps(request).encode() + b"\n")
        return number

    def result(self, number: int, *, seconds: float = 300) -> Result:
        """Waits for a command that ``start`` started.

        Raises:
            RuntimeError: There is no reply in time, or QEMU has ended.
        """
        deadline = time.monotonic() + seconds
        while number not in self._replies:
            self._port.settimeout(0.5)
            try:
                part = self._port.recv(1 << 16)
            except TimeoutError:
                part = b""
                if time.monotonic() > deadline or self._process.poll() is not None:
                    raise RuntimeError(f"No reply from the guest.\n{self.last_words()}") from None
            *lines, self._pending = (self._pending + part).split(b"\n")
            for reply in map(json.loads, lines):
                self._replies[reply["id"]] = Result(reply["status"], reply["output"])
        return self._replies.pop(number)

    def run(self, command: str, *, seconds: float = 300, status: int | None = 0) -> Result:
        """Runs a command in the guest, as root, by bash.

        Args:
            command: Lines of a shell script.
            seconds: Limit, after which the guest kills it.
            status: Expected exit status; None if any will do.

        Raises:
            AssertionError: The exit status is another one; the message has the output.
        """
        found = self.result(self.start(command, seconds=seconds), seconds=seconds + 60)
        assert status in (None, found.status), f"{command}\n{found.output}\nstatus {found.status}"
        return found

    def put(self, path: str, content: bytes) -> None:
        """Writes a file of at most 60 KB into the guest."""
        text = base64.b64encode(content).decode()
        self.run(f"mkdir -p $(dirname {path}); base64 -d > {path} <<'END'\n{text}\nEND")

    def get(self, path: str) -> bytes:
        """Returns the content of a file of the guest."""
        return base64.b64decode(self.run(f"base64 -w0 {path}").output)

    def monitor(self, line: str, *, seconds: float = 120) -> str:
        """Runs a command of QEMU's monitor and returns what it says."""
        with self._connected(self._monitor_path) as monitor:
            monitor.settimeout(seconds)
            prompt = b"(qemu) "
            said = b""
            while not said.endswith(prompt):
                said += monitor.recv(4096)
            monitor.sendall(line.encode() + b"\n")
            said = b""
            while not said.endswith(prompt):
                said += monitor.recv(4096)
        return said.decode(errors="replace")

    def shut_down(self) -> None:
        """Ends the guest as its own ``poweroff`` does, with all files written."""
        self.start("systemctl poweroff")
        self._process.wait(BOOT_SECONDS)

    def cut_power(self) -> None:
        """Kills QEMU, which the guest's kernel cannot notice: what is not on its disk is lost."""
        if self._process.poll() is None:
            os.kill(self._process.pid, signal.SIGKILL)
            self._process.wait()
        self._port.close()

    def last_words(self) -> str:
        """Returns the end of the serial console and of QEMU's own messages."""
        texts = (
            path.read_text(errors="replace") for path in (self.console, self._log) if path.exists()
        )
        return "\n".join(text[-2000:] for text in texts)

    def _connected(self, path: Path) -> socket.socket:
        deadline = time.monotonic() + 60
        while True:
            connection = socket.socket(socket.AF_UNIX)
            try:
                connection.connect(str(path))
                return connection
            except OSError:
                connection.close()
                if self._process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"QEMU does not run.\n{self.last_words()}") from None
                time.sleep(0.05)
