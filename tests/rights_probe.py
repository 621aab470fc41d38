"""Tries what a process might do, and prints as JSON what it could or which error it got.

Tests run it in a service and in a container; pytest does not collect it.
"""

from __future__ import annotations

import ctypes
import errno
import json
import mmap
import os
import socket
from collections.abc import Callable
from pathlib import Path

FOLDERS = (
    *("/etc", "/etc/edgekit", "/usr", "/opt/edgekit", "/var", "/boot", "/run", "/dev/shm"),
    *("/var/lib/edgekit", "/var/cache/edgekit", "/tmp"),
)
OF_THE_KERNEL = ("/proc/sys/kernel/hostname", "/proc/sys/vm/swappiness", "/proc/sysrq-trigger")
libc = ctypes.CDLL(None, use_errno=True)
found: dict[str, object] = {}


def tried(name: str, call: Callable[..., object], *arguments: object) -> None:
    try:
        result = call(*arguments)
    except OSError as error:
        found[name] = errno.errorcode[error.errno or 0]
    else:
        found[name] = result if isinstance(result, (str, list)) else "done"


def called(name: str, *arguments: object) -> None:
    def call() -> None:
        if getattr(libc, name)(*arguments) < 0:
            raise OSError(ctypes.get_errno(), name)

    tried(name, call)


def is_open(path: Path) -> bool:
    for mode in (os.O_RDWR, os.O_RDONLY):
        try:
            os.close(os.open(path, mode | os.O_NONBLOCK | os.O_NOCTTY))
        except OSError:
            continue
        return True
    return False


def names(*folders: str) -> list[str]:
    return sorted(path.name for folder in folders for path in Path(folder).iterdir())


def files() -> None:
    own = Path("/var/lib/edgekit/probe")
    tried("host's files in /tmp", names, "/tmp")
    for folder in FOLDERS:
        tried(f"write {folder}", Path(folder, "probe").write_text, "")
    for path in OF_THE_KERNEL:
        tried(f"write {path}", lambda path: Path(path).open("r+").close(), path)
    tried("users' folders", names, "/root", "/home")
    tried("mode of a new file", lambda: oct(own.stat().st_mode & 0o777))
    tried("setuid file", own.chmod, 0o4755)
    found["others' processes"] = [
        path.name
        for path in Path("/proc").iterdir()
        if path.name.isdigit() and path.stat().st_uid != os.getuid()
    ]
    places = [*Path("/dev").glob("*"), *Path("/dev").glob("*/*")]
    found["devices"] = sorted(
        str(path)
        for path in places
        if path == path.resolve()
        and (path.is_char_device() or path.is_block_device())
        and is_open(path)
    )


def system_calls() -> None:
    tried("writable code", lambda: mmap.mmap(-1, 4096, prot=mmap.PROT_WRITE | mmap.PROT_EXEC))
    for name in ("AF_UNIX", "AF_INET", "AF_INET6", "AF_NETLINK", "AF_PACKET", "AF_VSOCK"):
        kind = socket.SOCK_RAW if name in ("AF_NETLINK", "AF_PACKET") else socket.SOCK_STREAM
        tried(name, socket.socket, getattr(socket, name), kind)
    tried("raw socket", socket.socket, socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
    tried("root", os.setuid, 0)
    tried("realtime", lambda: os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1)))
    called("unshare", 0x10000000)
    called("mount", b"none", b"/tmp", b"tmpfs", 0, None)
    called("ptrace", 16, os.getppid(), 0, 0)
    called("sethostname", b"x", 1)
    called("swapon", b"/x", 0)
    called("reboot", 0)
    called("adjtimex", ctypes.create_string_buffer(256))
    called("personality", 0x0008)


if __name__ == "__main__":
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    for name in ("Uid", "CapEff", "CapPrm", "CapBnd", "CapAmb", "NoNewPrivs", "Seccomp"):
        found[name] = status[name].split()[0]
    files()
    system_calls()
    print(json.dumps(found))
