"""Simulated devices: real SSH servers on loopback ports, each with a home and a systemd of its own.

Each device is a set of Linux namespaces, so that its processes end with it. It shares the kernel,
the network and all files with this machine, except for its home folder, ``/run``, and the units of
its system. Root, sshd and systemd are needed.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from edgekit._closing import Closing
from edgekit.benchmarks.suites.support.streams import WITH_ITS_PARENT, free_ports

__all__ = ["SshDevice", "Workstation", "reason_for_none"]

_SSHD = Path("/usr/sbin/sshd")
_SYSTEMD = Path("/lib/systemd/systemd")
_CGROUPS = (Path("/sys/fs/cgroup/systemd"), Path("/sys/fs/cgroup/unified"), Path("/sys/fs/cgroup"))

_INIT = """
set -e
mount -t tmpfs tmpfs /run
mkdir -p /run/sshd /run/systemd/system "$XDG_RUNTIME_DIR"
chmod 700 "$XDG_RUNTIME_DIR"
[ "{home}" = "$HOME" ] || mount --bind "{home}" "$HOME"
{more}
if [ {systemd} = system ]; then
    mkdir -p "{home}/.units" /run/systemd/system/service.d
    mount --bind "{home}/.units" /etc/systemd/system
    # The files of a device are below /tmp, and its /proc cannot be covered.
    echo '[Service]' >/run/systemd/system/service.d/simulated.conf
    for each in PrivateTmp ProtectKernelLogs ProtectKernelTunables; do
        echo "$each=no" >>/run/systemd/system/service.d/simulated.conf
    done
    export SYSTEMD_UNIT_PATH=/etc/systemd/system:/run/systemd/system:/usr/lib/systemd/user
fi
if [ {systemd} != none ]; then
    {program} --user >"{folder}/systemd.log" 2>&1 </dev/null &
fi
exec {sshd} -D -e -f "{folder}/sshd_config" >"{folder}/sshd.log" 2>&1
"""


def reason_for_none() -> str:
    """Returns the reason why this machine cannot simulate devices; empty if it can."""
    if os.geteuid() != 0:
        return "only root can make namespaces with a systemd"
    missing = [str(each) for each in (_SSHD, _SYSTEMD) if not each.exists()]
    if missing:
        return f"there is no {' and no '.join(missing)}"
    tried = subprocess.run(["/usr/bin/unshare", "--mount", "--pid", "--fork", "true"])
    return "the system allows no namespaces" if tried.returncode else ""


class Workstation:
    """The side of the user: a key, a configuration of ``ssh``, and a program that uses it.

    Args:
        folder: Folder for the files; an earlier key in it is used again.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.key = folder / "key"
        self.config = folder / "config"
        self.known_hosts = folder / "known_hosts"
        if not self.key.exists():
            _make_key(self.key)
        self.config.write_text("")
        self.known_hosts.write_text("")
        ssh = folder / "bin" / "ssh"
        ssh.parent.mkdir(exist_ok=True)
        ssh.write_text(f'#!/bin/sh\nexec /usr/bin/ssh -F "{self.config}" "$@"\n')
        ssh.chmod(0o755)

    @property
    def path(self) -> str:
        """Value of ``PATH`` with which ``ssh`` finds the devices by name."""
        return f"{self.folder / 'bin'}:{os.environ['PATH']}"

    def add(self, name: str, port: int, host_key: str, *, key: bool = True) -> None:
        """Adds a device to the configuration.

        Args:
            name: Name of the device.
            port: Its port on this machine.
            host_key: Public key that it is expected to have; empty if it is unknown.
            key: Whether the user has a key for it.
        """
        lines = [
            f"Host {name}",
            "  HostName 127.0.0.1",
            f"  Port {port}",
            "  User root",
            f"  UserKnownHostsFile {self.known_hosts}",
            "  GlobalKnownHostsFile /dev/null",
            f"  HostKeyAlias {name}",
            "  IdentitiesOnly yes",
            "  IdentityAgent none",
            f"  IdentityFile {self.key if key else 'none'}",
        ]
        with self.config.open("a") as stream:
            stream.write("\n".join(lines) + "\n")
        if host_key:
            with self.known_hosts.open("a") as stream:
                stream.write(f"{name} {' '.join(host_key.split()[:2])}\n")


class SshDevice(Closing):
    """A simulated device.

    Args:
        folder: Empty folder for its files; ``home`` in it is its home folder.
        name: Name that the workstation gives it.
        workstation: Workstation that may log in.
        programs: Folders in front of its ``PATH``; by default that of this Python.
        environment: Further environment variables of its programs.
        systemd: Its systemd: ``user`` for one of the user; ``system`` for one that stands in for
            that of the system: it is one of the user too, but reads the units of the system, and
            a program ``systemctl`` speaks to it; or ``none``.
        prepare: Lines of shell that are run as it starts, such as mounts.
        home_at: Folder at which the device itself sees its home; by default where it is.
        image: Home folder of an earlier device to begin with, which saw it at the same place.
    """

    def __init__(
        self,
        folder: Path,
        name: str,
        workstation: Workstation,
        *,
        programs: Sequence[Path] = (),
        environment: Mapping[str, str] | None = None,
        systemd: str = "user",
        prepare: str = "",
        home_at: Path | None = None,
        image: Path | None = None,
    ) -> None:
        self.name = name
        self.home = folder / "home"
        if image is None:
            self.home.mkdir(parents=True)
        else:
            shutil.copytree(image, self.home, symlinks=True)
        seen = home_at or self.home
        self.port = free_ports(1)
        python = Path(getattr(sys, "_base_executable", sys.executable)).parent
        places = [*(programs or [python]), "/usr/bin", "/bin"]
        if systemd == "system":
            places.insert(0, _stand_in(folder / "bin"))
        path = ":".join(map(str, places))
        _make_key(folder / "host_key")
        self.host_key = (folder / "host_key.pub").read_text()
        variables = {"HOME": str(seen), "PATH": path, **(environment or {})}
        settings = [f"Port {self.port}", "ListenAddress 127.0.0.1", f"HostKey {folder}/host_key"]
        settings += [f"AuthorizedKeysFile {workstation.key}.pub", "StrictModes no", "UsePAM no"]
        settings += ["PidFile none", "PermitRootLogin yes"]
        settings += [f"SetEnv {' '.join(f'{key}={value}' for key, value in variables.items())}"]
        (folder / "sshd_config").write_text("\n".join(settings) + "\n")
        workstation.add(name, self.port, self.host_key)
        script = _INIT.format(
            folder=folder,
            home=self.home,
            sshd=_SSHD,
            program=_SYSTEMD,
            systemd=systemd,
            more=prepare,
        )
        runtime = f"/run/user/{os.getuid()}"
        # The folders that this machine's user has chosen are none of the device's.
        inherited = {name: os.environ[name] for name in os.environ if not name.startswith("XDG_")}
        self._cgroups = list(_own_cgroups(f"edgekit-{os.getpid()}-{name}"))
        self._process = subprocess.Popen(
            [*WITH_ITS_PARENT, "/usr/bin/unshare", "--mount", "--pid", "--fork", "--kill-child",
             "--mount-proc", "/bin/sh", "-c", script],
            env={**inherited, "HOME": str(seen), "XDG_RUNTIME_DIR": runtime, "PATH": path},
            preexec_fn=lambda: _enter(self._cgroups),
            stdin=subprocess.DEVNULL,
        )  # fmt: skip
        self._wait(folder / "sshd.log", systemd=systemd)

    @property
    def root(self) -> Path:
        """Folder of the deployments."""
        return self.home / ".local/share/edgekit"

    def kill_programs(self) -> bool:
        """Kills what deployments run there, as a lack of memory would; returns whether they did."""
        found = [number for number in _below(self._process.pid) if _is_program(number)]
        for number in found[:1]:  # not the one that watches over it
            os.kill(number, signal.SIGKILL)
        return bool(found)

    def close(self) -> None:
        """Ends the device and all its processes, as a power cut would."""
        self._process.kill()
        self._process.wait()
        for each in self._cgroups:
            for _ in range(100):
                with contextlib.suppress(OSError):
                    for below in sorted(each.rglob("*/"), reverse=True):
                        below.rmdir()
                    each.rmdir()
                if not each.exists():
                    break
                time.sleep(0.05)

    def _wait(self, log: Path, *, systemd: str) -> None:
        """Waits until the device answers."""
        end = time.monotonic() + 60
        place = f"user/{os.getuid()}/systemd"
        while time.monotonic() < end:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port)):
                if systemd == "none":
                    return
                children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children")
                inside = children.read_text().split()
                if inside and Path(f"/proc/{inside[0]}/root/run/{place}/private").exists():
                    return
            if self._process.poll() is not None:
                break
            time.sleep(0.05)
        raise RuntimeError(f"{self.name} does not start: {log.read_text() if log.exists() else ''}")


def _below(parent: int) -> list[int]:
    """Returns all processes that a process has started, and theirs, each after its parent."""
    found = [parent]
    for number in found:
        with contextlib.suppress(OSError):
            children = Path(f"/proc/{number}/task/{number}/children").read_text()
            found += map(int, children.split())
    return found[1:]


def _is_program(number: int) -> bool:
    """Returns whether a process is EdgeKit's program on a device."""
    with contextlib.suppress(OSError):
        process = Path(f"/proc/{number}")
        python = (process / "exe").resolve().name.startswith("python")
        return python and b"edgekit-device" in (process / "cmdline").read_bytes()
    return False


def _stand_in(folder: Path) -> Path:
    """Writes a program ``systemctl`` that speaks to the user's systemd; returns its folder."""
    folder.mkdir()
    program = folder / "systemctl"
    place = f"XDG_RUNTIME_DIR=/run/user/{os.getuid()}"
    program.write_text(f'#!/bin/sh\n{place} exec /usr/bin/systemctl --user "$@"\n')
    program.chmod(0o755)
    return folder


def _make_key(path: Path) -> None:
    command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(path)]
    subprocess.run(command, check=True)


def _own_cgroups(name: str) -> list[Path]:
    """Makes a control group in each hierarchy that systemd uses."""
    made = []
    for parent in _CGROUPS:
        if (parent / "cgroup.procs").exists():
            place = parent / name
            place.mkdir(exist_ok=True)
            made.append(place)
    return made


def _enter(groups: Sequence[Path]) -> None:
    for each in groups:
        (each / "cgroup.procs").write_text(str(os.getpid()))
