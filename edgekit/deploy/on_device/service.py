"""Controls the service of a deployment through systemd, and reads its health."""

from __future__ import annotations

import http.client
import json
import os
import re
import shlex
import shutil
import subprocess
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any, NamedTuple

from edgekit.deploy.on_device.connection import DeviceError
from edgekit.deploy.on_device.facts import runtime_folder, user_name
from edgekit.deploy.on_device.unit import MARK

__all__ = ["Health", "Service"]

_SHOWN = (
    *("FragmentPath", "ActiveState", "SubState", "NRestarts", "StatusText"),
    *("Result", "ExecMainStatus"),
)
_STATUS_TEXT = re.compile(r"(\d+) of (\d+) sources give frames, (\d+(?:\.\d+)?(?:e-\d+)?) a second")
_MOST_ANSWER = 1 << 20
_LEVELS = ("dead", "silent", "degraded", "ok")


class Health(NamedTuple):
    """Health of a service.

    Attributes:
        level: ``dead``; ``silent``, if it runs but no source gives frames; ``degraded``, if some
            sources give frames; or ``ok``.
        rate: Frames per second of all sources; None if it is unknown.
        words: Description for people.
    """

    level: str
    rate: float | None
    words: str

    def worse_than(self, other: Health) -> bool:
        """Returns whether another health is better, or has more than twice the frames."""
        if _LEVELS.index(self.level) != _LEVELS.index(other.level):
            return _LEVELS.index(self.level) < _LEVELS.index(other.level)
        return bool(self.rate is not None and other.rate and self.rate < other.rate / 2)


class Service:
    """A unit of systemd.

    Args:
        kind: ``user`` for the user's own systemd, ``system`` for that of the system.
        name: Name of the service, without ``.service``.
    """

    def __init__(self, kind: str, name: str) -> None:
        self.kind = kind
        self.unit = f"{name}.service"
        own = kind == "user"
        config = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
        permanent = Path(config, "systemd/user") if own else Path("/etc/systemd/system")
        transient = Path(runtime_folder(), "systemd/user") if own else Path("/run/systemd/system")
        self.path = permanent / self.unit
        self.trial_path = transient / f"{self.unit}.d" / "edgekit-trial.conf"
        self._root = [] if own or os.getuid() == 0 else ["sudo", "-n"]

    def refuse_unusable(self) -> None:
        """Raises ``DeviceError`` if systemd does not answer, or the unit is not ours."""
        if shutil.which("systemctl") is None:
            raise DeviceError(
                "Expected systemd on the device; found no systemctl.",
                "Start the service by other means, and deploy without one.",
            )
        found = self.show()
        other = found.get("FragmentPath", "")
        if not other:
            return
        text = _text(Path(other))
        if not text.startswith(MARK):
            raise DeviceError(
                f"Expected the service {self.unit} to be made by edgekit deploy; found "
                f"{other}, which somebody else wrote.",
                f"Choose another name for the service, or remove it: {self._removal(other)}",
            )
        if self.kind == "system" and f"\nUser={user_name()}\n" not in text:
            raise DeviceError(
                f"Expected the service {self.unit} to be a deployment of {user_name()}; found "
                f"{other}, which another user of this device deployed.",
                "Deploy as that user, whom its line User= names, or choose another name for the "
                f"service. To take it over, remove it: {self._removal(other)}",
            )

    def show(self) -> dict[str, str]:
        """Returns what systemd knows about the unit.

        Raises:
            DeviceError: systemd does not answer.
        """
        text = self.control("show", f"--property={','.join(_SHOWN)}", self.unit)
        return dict(line.split("=", 1) for line in text.splitlines() if "=" in line)

    def control(self, *words: str) -> str:
        """Runs ``systemctl``; returns what it prints.

        Raises:
            DeviceError: It failed.
        """
        flags = ["--user"] if self.kind == "user" else []
        # Everybody may read the state of system services.
        root = [] if words[0] == "show" else self._root
        environment = {**os.environ, "XDG_RUNTIME_DIR": runtime_folder(), "LC_ALL": "C"}
        command = [*root, "systemctl", *flags, *words]
        done = subprocess.run(command, capture_output=True, text=True, env=environment)
        if done.returncode:
            hint = "Check systemd on the device: systemctl status"
            if self.kind == "user":
                hint = "Let the user's systemd run without a login: sudo loginctl enable-linger"
            elif root:
                hint = "Deploy as root, or let the user call sudo without a password."
            raise DeviceError(f"{' '.join(command)} failed: {done.stderr.strip()}", hint)
        return done.stdout

    def write(self, path: Path, text: str) -> None:
        """Writes a file of the unit, with the rights that it needs; empty text removes it."""
        script = 'mkdir -p "${1%/*}" && cat > "$1.new" && sync "$1.new" && mv "$1.new" "$1"'
        if not text:
            script = 'rm -f "$1"; rmdir "${1%/*}" 2>/dev/null; true'
        command = [*self._root, "sh", "-c", script, "sh", str(path)]
        done = subprocess.run(command, input=text, capture_output=True, text=True)
        if done.returncode:
            raise DeviceError(
                f"Cannot write {path}: {done.stderr.strip()}",
                "Deploy as root, or let the user call sudo without a password.",
            )

    def health(self, address: str) -> Health:
        """Returns the health of the service.

        Args:
            address: Address of its health page; empty if it serves none.
        """
        found = self.show()
        active, sub = found.get("ActiveState", ""), found.get("SubState", "")
        if active != "active":
            how = f"{sub or active}, result {found.get('Result', 'unknown')}"
            return Health("dead", None, f"the service is {how}")
        return _served(address) if address else _reported(found.get("StatusText", ""))

    def log(self) -> str:
        """Returns the last words of the service in the journal; empty if there are none."""
        flags = ["--user-unit"] if self.kind == "user" else ["--unit"]
        command = ["journalctl", *flags, self.unit, "-n", "20", "-o", "cat", "--no-pager"]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=10)
        except (OSError, subprocess.SubprocessError):
            return ""
        errors = [line for line in done.stdout.splitlines() if line.startswith("Error: ")]
        return errors[-1] if errors else ""

    def stays_after_logout(self) -> bool:
        """Makes the user's services start with the device; returns whether they do."""
        if self.kind == "system":
            return True
        marker, program = Path("/var/lib/systemd/linger", user_name()), shutil.which("loginctl")
        if not marker.exists() and program is not None:
            subprocess.run([program, "enable-linger"], capture_output=True)
        return marker.exists()

    def _removal(self, path: str) -> str:
        sudo, flag = ("", "--user ") if self.kind == "user" else ("sudo ", "")
        return f"{sudo}systemctl {flag}disable --now {self.unit}; {sudo}rm {shlex.quote(path)}"


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _served(address: str) -> Health:
    """Returns the health that the live page of a run reports."""
    try:
        # A proxy in the environment does not reach the page of this device.
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(address, timeout=3) as answer:
            found: dict[str, Any] = json.loads(answer.read(_MOST_ANSWER))
    except urllib.error.HTTPError as error:
        try:
            found = json.loads(error.read(_MOST_ANSWER))
        except (OSError, ValueError, RecursionError, http.client.HTTPException):
            return Health("silent", None, f"{address} answers with status {error.code}")
    except (OSError, ValueError, RecursionError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", error)
        return Health("silent", None, f"{address} does not answer: {reason}")
    try:
        level = found["status"] if found["status"] in ("ok", "degraded") else "silent"
        rate = sum(source["rate"] for source in found["sources"])
        parts = [part for source in found["sources"] for part in (source, *source.get("sinks", ()))]
        faults = [part["error"] for part in parts if part.get("error")]
        words = f"{found['status']}, {rate:.1f} frames/s"
    except (AttributeError, KeyError, TypeError, OverflowError):
        return Health("silent", None, f"{address} does not answer as a run of EdgeKit does")
    return Health(level, rate, f"{words}: {faults[0]}" if faults else words)


def _reported(text: str) -> Health:
    """Returns the health that a run reported to systemd; without a report it is ``ok``."""
    match = _STATUS_TEXT.search(text)
    if match is None:
        return Health("ok", None, "the service runs")
    giving, every = int(match[1]), int(match[2])
    level = "ok" if giving == every else "degraded" if giving else "silent"
    return Health(level, float(match[3]), text)
