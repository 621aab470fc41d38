"""Compares what tests/rights_probe.py found in a container with docs/container.md.

Run it as ``python rights_probe.py | python rights.py``. It prints each difference, and exits with 5
if there is one.
"""

from __future__ import annotations

import json
import sys

_PLAIN = ("full", "null", "ptmx", "pts/ptmx", "random", "tty", "urandom", "zero")
EXPECTED = {
    "Uid": "10001",
    **dict.fromkeys(("CapEff", "CapPrm", "CapBnd", "CapAmb"), "0" * 16),
    "NoNewPrivs": "1",
    "Seccomp": "2",
    **dict.fromkeys(("write /dev/shm", "write /var/lib/edgekit", "write /tmp"), "done"),
    **dict.fromkeys(("AF_UNIX", "AF_INET", "AF_INET6", "AF_NETLINK"), "done"),
    **dict.fromkeys(("writable code", "setuid file", "adjtimex", "personality"), "done"),
    "mode of a new file": "0o644",
}
"""What the container may do. It may do nothing else that the probe tries."""

BY_ENGINE = ("AF_VSOCK", "unshare")
"""Decided by the engine's list of system calls: that of Podman 4.3 allows both."""

REFUSED = {"EACCES", "EAFNOSUPPORT", "ENOENT", "ENOSYS", "EPERM", "EROFS", "ESRCH"}
"""Errors of what is not allowed or not there. QEMU's user emulation, for one, has no ptrace."""


def main() -> int:
    """Prints the differences, and returns the exit status."""
    found = json.load(sys.stdin)
    said = []
    devices = set(found.pop("devices"))
    # tests/container/run.sh passes one camera.
    if not {"/dev/video0"} <= devices <= {"/dev/video0", *(f"/dev/{name}" for name in _PLAIN)}:
        said.append(f"Expected the camera and no other device of the host; found {sorted(devices)}")
    for name in ("others' processes", "host's files in /tmp"):
        if others := found.pop(name):
            said.append(f"Expected no {name}; found {others}")
    for name in BY_ENGINE:
        print(f"{name}, by the engine's list: {found.pop(name)}")
    for name, result in found.items():
        wanted = {EXPECTED[name]} if name in EXPECTED else REFUSED
        if result not in wanted:
            said.append(f"{name}: expected {' or '.join(sorted(wanted))}; found {result}")
    print("\n".join(said) or f"The container may do what is documented: {len(found)} tries")
    return 5 if said else 0


if __name__ == "__main__":
    raise SystemExit(main())
