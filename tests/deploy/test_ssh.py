"""Tests the connection to a device that answers something else than EdgeKit's program."""

from __future__ import annotations

import os
import sys
import tracemalloc
from pathlib import Path

import pytest

from edgekit.deploy.content import input_content, send_content
from edgekit.deploy.device_program import device_program
from edgekit.deploy.ssh import DeviceConnection
from edgekit.errors import BadInputError, HostError


@pytest.mark.parametrize(
    ("said", "found"),
    [
        ("edgekit-device 3.11\nWelcome!", r"found b'Welcome!\\n'"),
        ("edgekit-device 3.11\n[1]", r"found b'\[1\]\\n'"),
        ("edgekit-device 3.11\n{}", r"found b'\{\}\\n'"),
        ("edgekit-device three", r"found b'edgekit-device three\\n'"),
        ("edgekit-device 3.11", "The connection to device was lost"),
        ('edgekit-device 3.11\n{"done": ' + "[" * 100_000, r"found b'\{\"done\": \[\[\["),
        ('edgekit-device 3.11\n{"done": "' + "a" * (1 << 24), r"found b'\{\"done\": \"aaa"),
        ('edgekit-device 3.11\n{"failed": 3}', r"found b'\{\"failed\": 3\}\\n'"),
        ('edgekit-device 3.11\n{"failed": {"message": 3}}', "device: 3"),
    ],
)
def test_strange_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str, found: str
) -> None:
    (tmp_path / "said").write_text(f"{said}\n")
    ssh = tmp_path / "ssh"
    ssh.write_text(f"#!/bin/sh\ncat '{tmp_path}/said'\nexec 1>&-\ncat >'{tmp_path}/sent'\n")
    ssh.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with pytest.raises(HostError, match=found):
        DeviceConnection("device")


def test_the_program_fits_into_a_pipe_with_room_to_grow() -> None:
    assert len(device_program()) < 1 << 15


def test_errors_without_end_are_kept_up_to_their_beginning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ssh = tmp_path / "ssh"
    ssh.write_text("#!/bin/sh\nyes no access | head -c 100000000 >&2\nexit 255\n")
    ssh.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    tracemalloc.start()
    with pytest.raises(HostError, match="no acc"):
        DeviceConnection("device")
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 10_000_000


def device_that_says(folder: Path, monkeypatch: pytest.MonkeyPatch, *answers: str) -> None:
    """Puts a program ``ssh`` on the path that gives these answers, and keeps what it is sent."""
    (folder / "said").write_text("\n".join(["edgekit-device 3.11", '{"done": null}', *answers, ""]))
    ssh = folder / "ssh"
    ssh.write_text(f"#!/bin/sh\ncat '{folder}/said'\nexec 1>&-\ncat >'{folder}/sent'\n")
    ssh.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")


def test_a_file_that_grows_sends_no_requests_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    device_that_says(tmp_path, monkeypatch, '{"done": null}')
    file = tmp_path / "file"
    file.write_bytes(b'abcd{"do": "python", "with": {"key": "", "code": "print(1)"}}\n')
    with DeviceConnection("device") as connection:
        connection.send(file, 4, kind="inputs")
    assert (tmp_path / "sent").read_bytes().endswith(b'"size": 4}}\nabcd')


@pytest.mark.parametrize("kind", ["shorter", "gone", "pipe"])
def test_a_file_that_becomes_shorter_or_something_else_ends_the_connection(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    device_that_says(tmp_path, monkeypatch, '{"done": null}')
    file = tmp_path / "file"
    if kind == "shorter":
        file.write_bytes(b"abcd")
    elif kind == "pipe":
        os.mkfifo(file)
    with (
        DeviceConnection("device") as connection,
        pytest.raises(BadInputError, match="file has changed while EdgeKit copied it to device"),
    ):
        connection.send(file, 5, kind="inputs")


@pytest.mark.parametrize(
    ("answer", "found"),
    [("3", "Expected `str`, got `int`"), ("NaN", "NaN"), ("null", "got `null`")],
)
def test_other_values_are_refused_as_they_arrive(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: str, found: str
) -> None:
    device_that_says(tmp_path, monkeypatch, f'{{"done": {answer}}}')
    with DeviceConnection("device") as connection, pytest.raises(HostError, match=found):
        connection.ask("finish", str)


@pytest.mark.parametrize("size", ["-1", "1e400", "11", "true"])
def test_a_file_that_claims_a_wrong_size_is_not_fetched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: str
) -> None:
    ssh = tmp_path / "ssh"
    said = f'edgekit-device 3.11\n{{"done": null}}\n{{"done": {size}}}\n'
    ssh.write_text(f"#!/bin/sh\nprintf '%s' '{said}'\nexec 1>&-\ncat >/dev/null\n")
    ssh.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with (
        DeviceConnection("device") as connection,
        pytest.raises(HostError, match="at most 10 bytes; found"),
    ):
        connection.fetch("found", tmp_path / "fetched", 10)
    assert not (tmp_path / "fetched").exists()


def test_a_device_that_is_full_within_a_file_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A limit of file sizes stands in for a quota, which the free space does not show.
    ssh = tmp_path / "bin" / "ssh"
    ssh.parent.mkdir()
    ssh.write_text(
        f"#!/bin/sh\nulimit -f 1000\nexport HOME='{tmp_path}/home'\n"
        'for command; do :; done\nexec sh -c "$command"\n'
    )
    ssh.chmod(0o755)
    monkeypatch.setenv("PATH", f"{ssh.parent}:{os.environ['PATH']}")
    file = tmp_path / "clip.mp4"
    file.write_bytes(os.urandom(8 << 20))
    with DeviceConnection("device", python=sys.executable) as connection:
        with pytest.raises(HostError, match="device: Cannot use the home folder: File too large"):
            send_content(connection, input_content(file))
        assert connection.ask("status", list[object]) == []
