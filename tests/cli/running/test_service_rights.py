"""Tests what a service may do, under a systemd in namespaces that applies the documented unit."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import cv2
import numpy as np
import pytest

from edgekit.assets import default_bundle
from edgekit.benchmarks.suites.deployment.ssh_devices import reason_for_none
from edgekit.benchmarks.suites.support.streams import WITH_ITS_PARENT, free_ports
from edgekit.deploy.on_device.unit import unit_text

ROOT = Path(__file__).parents[3]
PROBE = ROOT / "tests" / "rights_probe.py"
_SYSTEMD = "/lib/systemd/systemd"

# The tests' Python may be in a home folder or in /tmp, which the unit hides, so it is shown again.
_HERE = """
[Service]
ProtectHome=tmpfs
BindReadOnlyPaths={shown}
Environment=PYTHONPATH={root} OMP_NUM_THREADS=1
StandardOutput=append:/run/said
StandardError=append:/run/said
TimeoutStartSec=240
TimeoutStopSec=240
WatchdogSec=0
"""
_PROBE = """
[Service]
Type=oneshot
Restart=no
ExecStartPre=
ExecStart=
ExecStart={python} /etc/edgekit/probe.py
StandardOutput=append:/run/found.json
"""
_SCRIPT = """
set -e
mount -t tmpfs -o mode=755 tmpfs /run
mkdir -p /run/folder /run/manager/systemd/user /run/systemd/system
mount --bind "{folder}" /run/folder
for each in /etc /tmp /var/tmp; do  # what is written there ends with the namespace
    mkdir -p "/run/upper$each" "/run/work$each" && chmod --reference="$each" "/run/upper$each"
    layers="lowerdir=$each,upperdir=/run/upper$each,workdir=/run/work$each"
    mount -t overlay overlay -o "$layers" "$each"
done
for each in /var/lib /var/cache /opt; do mount -t tmpfs -o mode=755 tmpfs "$each"; done
echo edgekit:x:10001:10001::/:/usr/sbin/nologin >>/etc/passwd
echo edgekit:x:10001: >>/etc/group
cp -r /run/folder/etc /etc/edgekit
cp -r /run/folder/units/. /run/manager/systemd/user
mkdir -p /opt/edgekit/bin
printf '#!/bin/sh\\nexec "{python}" -m edgekit "$@"\\n' >/opt/edgekit/bin/edgekit
chmod 755 /opt/edgekit/bin/edgekit
# A systemd that boots makes these, which it mounts over what a service may not see.
for each in /run/systemd/inaccessible /run/manager/systemd/inaccessible; do
    mkdir -p $each && mkdir -m 0 $each/dir && touch $each/reg && chmod 0 $each/reg
    mkfifo -m 0 $each/fifo $each/sock && mknod -m 0 $each/chr c 0 0 && mknod -m 0 $each/blk b 0 0
done
export XDG_RUNTIME_DIR=/run/manager XDG_CONFIG_HOME=/var/lib XDG_CACHE_HOME=/var/cache
unset COVERAGE_PROCESS_CONFIG  # a service may not write where the coverage of the tests is kept
{systemd} --user >/run/systemd.log 2>&1 </dev/null &
until systemctl --user show-environment >/dev/null 2>&1; do sleep 0.1; done
# Those of the systemd of a machine are open to all users.
chmod 755 /run/manager/systemd && chmod 777 /run/manager/systemd/notify
status=0
{commands}
for each in /var/lib/edgekit /run/said /run/systemd.log /run/state /run/health /run/found.json; do
    if [ -e $each ]; then cp -r $each /run/folder/out; fi
done
exit $status
"""


def documented_unit() -> str:
    """The unit file that the page shows."""
    text = (ROOT / "docs" / "service.md").read_text()
    return text.partition("```ini\n")[2].partition("```")[0]


def exposure(unit: str, folder: Path) -> float:
    """Returns the exposure that systemd finds, from 0 (confined) to 10."""
    path = folder / "edgekit-exposure.service"
    path.write_text(unit)
    words = ["systemd-analyze", "security", "--offline=true", "--no-pager", path]
    said = subprocess.run(words, capture_output=True, text=True, env={"LC_ALL": "C.UTF-8"})
    found = re.search(r"Overall exposure level for \S+: ([\d.]+)", said.stdout)
    assert found, said.stdout + said.stderr
    return float(found[1])


@pytest.fixture
def run_inside(tmp_path: Path):
    """Runs commands of a shell beside a systemd that has units; returns the folder that is left."""
    if reason := reason_for_none():
        pytest.skip(f"no devices can be simulated: {reason}")
    out = tmp_path / "out"
    for name in ("etc", "out", "units"):
        (tmp_path / name).mkdir()
    python = Path(sys.executable)
    shown = {python.parents[1], Path(sys.base_prefix), ROOT}
    shown |= {Path(each) for each in sys.path if each and Path(each).is_dir()}
    shown = {each for each in shown if not shown & set(each.parents)}
    here = _HERE.format(root=ROOT, shown=" ".join(map(str, shown)))

    def call(units: dict[str, str], etc: dict[str, str | bytes], commands: str) -> Path:
        drop_ins = {f"{name}.d/here.conf": here for name in units if name.endswith(".service")}
        for name, text in {**units, **drop_ins}.items():
            path = tmp_path / "units" / name
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)
        for name, text in etc.items():
            content = text.encode() if isinstance(text, str) else text
            (tmp_path / "etc" / name).write_bytes(content)
        script = _SCRIPT.format(
            folder=tmp_path, python=python, systemd=_SYSTEMD, commands=textwrap.dedent(commands)
        )
        words = [*WITH_ITS_PARENT, "unshare", "--mount", "--pid", "--fork", "--kill-child"]
        words += ["--mount-proc"]
        done = subprocess.run([*words, "sh", "-c", script], capture_output=True, text=True)
        said = (out / "said").read_text() if (out / "said").exists() else ""
        log = (out / "systemd.log").read_text() if (out / "systemd.log").exists() else ""
        assert done.returncode == 0, done.stdout + done.stderr + said + log
        return out

    return call


_READ_ONLY = ("/etc", "/etc/edgekit", "/usr", "/opt/edgekit", "/var", "/boot", "/run")
_WRITABLE = ("/dev/shm", "/var/lib/edgekit", "/var/cache/edgekit", "/tmp")
_KERNEL = ("/proc/sys/kernel/hostname", "/proc/sys/vm/swappiness", "/proc/sysrq-trigger")


def test_what_a_service_may_still_do(run_inside):
    probe = _PROBE.format(python=sys.executable)
    out = run_inside(
        {"edgekit@.service": documented_unit(), "edgekit@probe.service.d/probe.conf": probe},
        {"probe.py": PROBE.read_bytes()},
        "systemctl --user start edgekit@probe || status=$?",
    )
    found = json.loads((out / "found.json").read_text())
    devices = {each for each in found.pop("devices") if not each.startswith("/dev/video")}
    plain = ("full", "null", "ptmx", "random", "tty", "urandom", "zero")
    assert devices <= {f"/dev/{name}" for name in plain}
    for place in (*_READ_ONLY, *_KERNEL):
        assert found.pop(f"write {place}") in ("EROFS", "EACCES", "ENOENT"), place
    # The tests' own Python is shown again, and nothing else in the folders that are hidden.
    assert len(found.pop("users' folders")) <= 1
    assert len(found.pop("host's files in /tmp")) <= 2
    assert found == {
        "Uid": "10001",
        **dict.fromkeys(("CapEff", "CapPrm", "CapBnd", "CapAmb"), "0" * 16),
        "NoNewPrivs": "1",
        "Seccomp": "2",
        **{f"write {folder}": "done" for folder in _WRITABLE},
        "mode of a new file": "0o640",
        "writable code": "EPERM",
        **dict.fromkeys(("AF_UNIX", "AF_INET", "AF_INET6"), "done"),
        **dict.fromkeys(("AF_NETLINK", "AF_PACKET", "AF_VSOCK"), "EAFNOSUPPORT"),
        **dict.fromkeys(("raw socket", "root", "realtime", "setuid file"), "EPERM"),
        **dict.fromkeys(("unshare", "mount", "ptrace", "sethostname", "swapon", "reboot"), "EPERM"),
        **dict.fromkeys(("adjtimex", "personality"), "EPERM"),
        "others' processes": [],
    }


@pytest.fixture
def options(tmp_path) -> dict[str, object]:
    """Options of a run for two minutes, with most outputs; its clip is ``tmp_path / clip.mp4``."""
    writer = cv2.VideoWriter(
        str(tmp_path / "clip.mp4"), cv2.VideoWriter.fourcc(*"mp4v"), 10, (64, 64)
    )
    for _ in range(1200):
        writer.write(np.zeros((64, 64, 3), np.uint8))
    writer.release()
    return {
        "source": "/etc/edgekit/clip.mp4",
        "realtime": True,
        "threads": 1,
        "events": "events.jsonl",
        "video": "run.mkv",
        "picture": "run.png",
        "serve": str(free_ports(1)),
        "mqtt": "mqtt://127.0.0.1:1",
    }


def test_a_run_needs_no_more_rights(run_inside, options, tmp_path):
    run_service(run_inside, "edgekit@door", documented_unit(), options, tmp_path)


@pytest.mark.parametrize("user", ["", "edgekit"])
def test_a_deployed_run_needs_no_more_rights(run_inside, options, tmp_path, user):
    release, data = Path("/opt/release"), Path("/var/lib/edgekit")
    unit = unit_text("door", release, data, notifies=True, signed=False, user=user)
    prepared = """
        mkdir -p /opt/release/venv/bin /var/lib/edgekit && chown edgekit /var/lib/edgekit
        cp /opt/edgekit/bin/edgekit /opt/release/venv/bin
        cp /etc/edgekit/door.toml /opt/release/options.toml
        ln -s {} /opt/release/bundle
    """
    commands = prepared.format(default_bundle())
    run_service(run_inside, "door", unit, options, tmp_path, commands)


def run_service(run_inside, name, unit, options, tmp_path, prepare=""):
    """Starts, reloads and stops a service, and checks that its outputs are complete."""
    text = "".join(f"{key} = {json.dumps(value)}\n" for key, value in options.items())
    commands = f"""
        systemctl --user start {name} || status=$?
        curl -s http://127.0.0.1:{options["serve"]}/health >/run/health || status=$?
        systemctl --user reload {name} || status=$?
        systemctl --user show -p NRestarts,ActiveState,MemoryCurrent {name} >/run/state
        systemctl --user stop {name} || status=$?
        systemctl --user show -p Result {name} >>/run/state
    """
    out = run_inside(
        {f"{name.partition('@')[0]}{'@' * ('@' in name)}.service": unit},
        {"door.toml": text, "clip.mp4": (tmp_path / "clip.mp4").read_bytes()},
        textwrap.dedent(prepare) + textwrap.dedent(commands),
    )
    state = (out / "state").read_text().splitlines()
    assert {"NRestarts=0", "ActiveState=active", "Result=success"} <= set(state)
    (source,) = json.loads((out / "health").read_text())["sources"]
    assert source["status"] == "ok"
    failing = {sink["name"] for sink in source["sinks"] if sink["error"]}
    assert failing == {"mqtt"}, "there is no broker"
    lines = (out / "edgekit" / "events.jsonl").read_text().splitlines()
    assert json.loads(lines[-1])["type"] == "end"
    assert (out / "edgekit" / "run.mkv").stat().st_size > 0
    assert (out / "edgekit" / "run.png").stat().st_size > 0
    said = (out / "said").read_text()
    assert "Traceback" not in said
    assert "ermission denied" not in said
    assert "not permitted" not in said


def test_cameras_are_allowed_before_their_driver_is_loaded():
    """A name is looked up in /proc/devices when the service starts; make vm shows the effect."""
    assert re.findall("^DeviceAllow=(.*)", documented_unit(), re.MULTILINE) == ["char-81 rw"]


def test_the_exposure_stays_low(tmp_path):
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd is not installed")
    assert exposure(documented_unit(), tmp_path) <= 1.6
    for user, most in (("edgekit", 2.4), ("", 6.3)):
        unit = unit_text("door", Path("/x"), Path("/y"), notifies=True, signed=False, user=user)
        assert exposure(unit, tmp_path) <= most
