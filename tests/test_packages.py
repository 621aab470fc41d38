"""Tests the messages of ``make test`` about Debian packages that it cannot install."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("packages.sh")


@pytest.fixture
def packages(tmp_path):
    """Runs the script where these programs do and say what they are told; returns its lines."""

    def run(path=":/usr/bin:/bin", **programs):
        for name, text in programs.items():
            program = tmp_path / name.replace("_", "-")
            program.write_text(f"#!/bin/sh\n{text}\n")
            program.chmod(0o755)
        done = subprocess.run(
            ["/bin/sh", str(SCRIPT), "test"],
            env={"PATH": f"{tmp_path}{path}", "PYTHON": "/bin/true"},
            capture_output=True,
            text=True,
        )
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout.splitlines()

    return run


def test_nothing_is_said_where_all_is_there(packages):
    assert packages(dpkg_query="echo installed", ldconfig="echo libgthread-2.0.so.0") == []


def test_without_a_right_to_install_the_line_to_type_is_said(packages):
    lines = packages(dpkg_query="exit 1", id="echo 1000", sudo="exit 1")
    assert len(lines) == 1
    assert "neither root nor sudo without a password" in lines[0]
    assert "sudo apt-get install --no-install-recommends" in lines[0]
    assert "chromium" in lines[0]


def test_without_a_network_the_reason_is_said(packages):
    failing = 'echo "E: Could not resolve deb.example"; exit 100'
    lines = packages(dpkg_query="exit 1", id="echo 0", apt_get=failing, systemctl="exit 1")
    assert len(lines) == 2
    assert lines[0].startswith("Installing Debian packages: ")
    assert lines[1].startswith("Not installed: ")
    assert "because apt-get says: Could not resolve deb.example." in lines[1]


def test_one_that_is_not_known_does_not_keep_back_the_others(packages, tmp_path):
    log = tmp_path / "installed"
    unknown = 'case "$*" in *chromium*) echo "E: Unable to locate"; exit 100; esac'
    apt = f'{unknown}; echo "$@" >> {log}'
    known = f'grep -q -- "install-recommends $3\\$" {log} 2>/dev/null && echo installed'
    lines = packages(dpkg_query=known, id="echo 0", apt_get=apt, systemctl="exit 1")
    assert lines[-1].startswith("Not installed: chromium, because apt-get says: Unable to locate")


def test_without_apt_what_is_needed_is_said(packages):
    (line,) = packages(path="")
    assert "there is no apt here" in line
    assert "chromium" in line
