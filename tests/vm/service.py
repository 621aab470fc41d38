"""Installs the service of docs/service.md in a guest, and asks systemd about it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.vm.machine import Machine

DOCS = Path(__file__).resolve().parents[2] / "docs" / "service.md"
UNIT = "edgekit@door"
DATA = "/var/lib/edgekit"
EVENTS = f"{DATA}/events.jsonl"
# TCG on a busy machine is a hundred times slower than a board.
SLOW = b"[Service]\nTimeoutStartSec=30min\nTimeoutStopSec=10min\n"
CAMERA = "modprobe vivid n_devs=1 node_types=0x1"
OPTIONS = {
    "bundle": "/opt/bundle",
    "threads": 1,
    "camera": 0,
    "score": 0.4,
    "events": EVENTS,
    "serve": "8080",
}


def documented_unit() -> str:
    """The unit file as the page shows it."""
    text = DOCS.read_text().partition("```ini\n")[2].partition("```")[0]
    assert text.startswith("# /etc/systemd/system/edgekit@.service")
    return text


class Service:
    """The service in a guest.

    Args:
        guest: Machine that it is installed on, or will be.
        options: Options of the run that differ from ``OPTIONS``.
    """

    def __init__(self, guest: Machine, options: dict[str, Any] | None = None) -> None:
        self.guest = guest
        self.options = {**OPTIONS, **(options or {})}

    def install(self) -> None:
        """Writes the unit file of the page, and the file of options."""
        self.guest.put("/etc/systemd/system/edgekit@.service", documented_unit().encode())
        self.guest.put("/etc/systemd/system/edgekit@.service.d/slow.conf", SLOW)
        self.write_options(**self.options)
        self.guest.run("systemctl daemon-reload")

    def write_options(self, **options: Any) -> None:
        """Replaces the file of options."""
        lines = [f"{name} = {json.dumps(value)}\n" for name, value in options.items()]
        path = "/etc/edgekit/door.toml"
        self.guest.put(path, "".join(lines).encode())
        self.guest.run(f"chown root:edgekit {path} && chmod 640 {path}")

    def show(self, name: str) -> str:
        """A property of the unit, as systemd gives it."""
        return self.guest.run(f"systemctl show --value -p {name} {UNIT}").output.strip()

    def journal(self) -> str:
        """All messages of the service."""
        return self.guest.run(f"journalctl -q -o cat -u {UNIT}").output

    def wait_until(self, condition: str, *, seconds: float = 1200) -> None:
        """Waits until a command of the shell succeeds."""
        self.guest.run(
            f"for i in $(seq {int(seconds * 2)}); do {condition} && exit 0; sleep 0.5; done; "
            f"systemctl status --no-pager {UNIT}; journalctl -q -n 30 -u {UNIT}; exit 1",
            seconds=2 * seconds,
        )

    def wait_until_active(self) -> None:
        """Waits until systemd has been told READY."""
        self.wait_until(f"systemctl is-active -q {UNIT}")

    def start(self) -> None:
        """Starts it if it does not run, with a test camera, and waits until it is ready."""
        self.guest.run(f"{CAMERA} && systemctl start --no-block {UNIT}")
        self.wait_until_active()

    def wait_for_frames(self, count: int) -> None:
        """Waits for more frames than the file of events has now."""
        found = f'$(grep -c \'"type":"frame"\' {EVENTS} || true)'
        wanted = f"{found} + {count}"
        number = self.guest.run(f"echo $(({wanted}))").output.strip()
        self.wait_until(f"[ {found} -ge {number} ]")

    def health(self) -> str:
        """What /health answers."""
        program = "import urllib.request as r, urllib.error as e\ntry: print(r.urlopen("
        program += "'http://127.0.0.1:8080/health').read().decode())\n"
        program += "except e.HTTPError as error: print(error.read().decode())"
        return self.guest.run(f'python3 -c "{program}"').output
