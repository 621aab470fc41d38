"""Tests that no command connects to others or leaves unnamed files."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import click
import pytest

from edgekit.benchmarks.suites.faults.system_calls import isolation
from edgekit.benchmarks.suites.support import strace
from edgekit.benchmarks.suites.support.every_command import every_command
from edgekit.cli import COMMANDS, cli


@pytest.fixture(scope="module")
def strace_command():
    if not shutil.which("strace"):
        pytest.skip("needs the command strace")
    if subprocess.run(["strace", "-o", os.devnull, "true"], capture_output=True).returncode:
        pytest.skip("this system does not let strace watch")


@pytest.fixture(scope="module")
def alone(strace_command):
    if isolation() is None:
        pytest.skip("needs the right to make a network namespace")


@pytest.mark.long
def test_every_command_keeps_to_itself(alone):
    module = "edgekit.benchmarks.suites.faults.system_calls"
    done = subprocess.run([sys.executable, "-m", module, "--json"], stdout=subprocess.PIPE)
    found = [json.loads(line) for line in done.stdout.splitlines()]
    for one in found:
        assert one["lookups"] == 0, one
        assert one["strangers"] == one["families"] == one["strays"] == [], one
        assert one["status"] == one["expected"], one["said"]
    assert done.returncode == 0
    assert [one["name"] for one in found] == [command.name for command in every_command(1)]


def test_every_command_and_every_part_of_a_group_is_listed():
    listed = {command.words[3:5] for command in every_command(1) if command.words[1:2] == ("-m",)}
    for name in COMMANDS:
        command = cli.get_command(None, name)
        if isinstance(command, click.Group):
            assert {words for words in listed if words[0] == name} == {
                (name, part) for part in command.commands
            }
    assert {words[0] for words in listed} == set(COMMANDS)


def test_the_page_on_privacy_has_every_command():
    page = Path(__file__).parents[3].joinpath("docs", "privacy.md").read_text()
    _, count, table = re.split(r"printed this for all (\d+)\s+commands:", page)
    names = re.findall(r"^\| (.+?) \| \d+ \| \d+ \| none \| none \|$", table, re.M)
    assert names == [command.name for command in every_command(1)]
    assert int(count) == len(names)


def ran(tmp_path, code):
    # Nothing else, because ONNX Runtime keeps silent by itself where it sees "CI=1".
    environment = {"HOME": str(tmp_path), "ORT_DISABLE_TELEMETRY": "0"}
    return strace.traced([sys.executable, "-c", code], tmp_path, environment)


def test_a_name_that_is_looked_up_is_seen(strace_command, tmp_path):
    code = "import socket\ntry: socket.getaddrinfo('edgekit.invalid', 80)\nexcept OSError: pass"
    assert ran(tmp_path, code).lookups > 0


def test_an_address_beyond_loopback_is_seen(strace_command, tmp_path):
    code = (
        "import socket\none = socket.socket(type=socket.SOCK_DGRAM)\n"
        "try: one.connect(('192.0.2.1', 9))\nexcept OSError: pass\n"
        "two = socket.create_server(('', 0))\n"
        "three = socket.create_connection(('127.0.0.1', two.getsockname()[1]))"
    )
    trace = ran(tmp_path, code)
    assert trace.sockets == 3
    (other, own) = sorted(trace.strangers, reverse=True)
    assert other == "192.0.2.1:9"
    assert own.startswith("0.0.0.0:")


def test_files_that_are_left_are_seen(strace_command, tmp_path):
    code = (
        "import os, threading, time\nos.mkdir('made'); os.mkdir('gone'); os.rmdir('gone')\n"
        "threading.Thread(target=time.sleep, args=[0.1]).start()\n"
        "open('made/a \"1\" é', 'w'); os.rename('made/a \"1\" é', 'made/ü')\n"
        "os.symlink('x', 'link')\n"
        "try: os.mkdir('made')\nexcept FileExistsError: pass\nopen('/proc/self/comm', 'w')"
    )
    left = ran(tmp_path, code).left
    assert {path.relative_to(tmp_path).as_posix() for path in left} == {"made", "made/ü", "link"}


def test_what_onnxruntime_leaves_without_the_variable_is_seen(strace_command, tmp_path):
    onnxruntime = pytest.importorskip("onnxruntime", "1.32")
    assert onnxruntime
    assert any(path.name == "deviceid" for path in ran(tmp_path, "import onnxruntime").left)


def test_lines_of_strace_are_read():
    lines = [
        "7 connect(3<UDPv6:[9]>, {sa_family=AF_INET6, sin6_port=htons(53), sin6_flowinfo=htonl(0), "
        'inet_pton(AF_INET6, "2001:db8::1", &sin6_addr), sin6_scope_id=0}, 28) = 0',
        "7 sendmmsg(3, [{msg_hdr={msg_name={sa_family=AF_INET, sin_port=htons(443), "
        'sin_addr=inet_addr("8.8.8.8")}, msg_namelen=16}}], 1, 0) = 1',
        "7 connect(3, {sa_family=AF_INET6, sin6_port=htons(1), inet_pton(AF_INET6, "
        '"::ffff:127.0.0.1", &sin6_addr)}, 28) = 0',
        '7 connect(3, {sa_family=AF_UNIX, sun_path="/run/systemd/resolve/io.systemd.Resolve"}, 42',
        "8 socket(AF_VSOCK, SOCK_STREAM, 0) = 4",
        '8 openat(AT_FDCWD</x>, "/etc/hosts", O_RDONLY|O_CLOEXEC) = 5',
    ]
    sockets, strangers, families, lookups = strace.network(lines)
    assert strangers == ("2001:db8::1:53", "8.8.8.8:443")
    assert (sockets, families, lookups) == (0, ("AF_VSOCK",), 3)


def test_parts_of_an_interrupted_call_are_put_together(tmp_path):
    lines = [
        f'7 mkdir("{tmp_path}/a", 0777 <unfinished ...>',
        f'8 mkdir("{tmp_path}/b", 0777 <unfinished ...>',
        "7 <... mkdir resumed>) = -1 EEXIST (File exists)",
        "8 <... mkdir resumed>) = 0",
    ]
    assert strace.created(lines, tmp_path) == {tmp_path / "b"}
