"""Tests the messages of ``edgekit run`` to a service manager, at a real socket."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from edgekit.deploy.on_device.service import _reported as reported_health
from edgekit.media.activity import SourceActivity
from edgekit.pipeline.results import FrameResult, RunInfo, RunSummary, SourceHealth
from edgekit.running import service_manager as service
from edgekit.runtime.types import Detections, Frame
from tests.waiting import LIMIT

DOCS = Path(__file__).parents[3] / "docs"
linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="systemd is of Linux")


class Listener:
    """The socket of a service manager: ``/path``, or ``@name`` in the abstract namespace."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(f"\0{name[1:]}" if name[0] == "@" else name)
        self._socket.settimeout(LIMIT)
        self.heard: list[str] = []

    def until(self, start: str) -> str:
        """The next message that begins so; all before it are noted too."""
        while True:
            message = self._socket.recv(65536).decode().strip()
            self.heard.append(message)
            if message.startswith(start):
                return message

    def rest(self) -> list[str]:
        """All that has come and was not heard yet."""
        self._socket.setblocking(False)
        found = []
        while True:
            try:
                found.append(self._socket.recv(65536).decode().strip())
            except BlockingIOError:
                self._socket.settimeout(LIMIT)
                return found

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def listener(request, tmp_path):
    abstract = getattr(request, "param", "path") == "abstract"
    heard = Listener(f"@edgekit-{os.getpid()}-{id(request)}" if abstract else str(tmp_path / "s"))
    yield heard
    heard.close()


@pytest.fixture
def begin(start_run, listener):
    """Starts ``edgekit run`` as a service, with a watchdog of so many seconds."""
    pytest.importorskip("cysystemd")

    def start(*words, watchdog: float | None = None) -> subprocess.Popen[str]:
        surroundings = {**os.environ, "NOTIFY_SOCKET": listener.name}
        if watchdog is not None:
            surroundings["WATCHDOG_USEC"] = str(round(watchdog * 1e6))
        return start_run(*words, env=surroundings)

    return start


@linux
@pytest.mark.parametrize("listener", ["path", "abstract"], indirect=True)
def test_a_run_reports_when_it_is_ready_and_when_it_ends(begin, listener, mjpeg_server, tmp_path):
    mjpeg_server.start()
    options = tmp_path / "options.toml"
    options.write_text("score = 0.4\n")
    process = begin("--source", mjpeg_server.url, "--config", options, watchdog=8)
    listener.until("READY=1")
    assert re.match(
        r"STATUS=1 of 1 sources give frames, [\d.]+ a second\.", listener.until("STATUS=")
    )
    listener.until("WATCHDOG=1")
    process.send_signal(signal.SIGHUP)
    listener.until("RELOADING=1")
    listener.until("READY=1")
    process.send_signal(signal.SIGTERM)
    listener.until("STOPPING=1")
    _, stderr = process.communicate(timeout=LIMIT)
    assert process.returncode == 130
    assert "Traceback" not in stderr
    assert listener.rest() == []


@linux
def test_a_lost_source_is_reported_and_is_no_reason_to_start_anew(begin, listener, mjpeg_servers):
    here, dead = mjpeg_servers(), mjpeg_servers()
    here.start()
    process = begin("--source", here.url, "--source", dead.url, "--patience", "3", watchdog=4)
    listener.until("READY=1")
    assert f"1 of 2 sources give frames, 0 a second. Lost: {dead.url}." in re.sub(
        r"\d+ a second", "0 a second", listener.until("STATUS=1 of 2")
    )
    here.kill()
    listener.until("STATUS=0 of 2")
    for _ in range(4):
        listener.until("WATCHDOG=1")
    assert process.poll() is None


@linux
def test_a_run_that_hangs_sends_no_watchdog_message(begin, listener, mjpeg_server):
    mjpeg_server.start()
    # So patient that the silence is never taken for a loss.
    begin("--source", mjpeg_server.url, "--patience", "600", watchdog=2)
    listener.until("WATCHDOG=1")
    mjpeg_server.frozen.set()
    end, last = time.monotonic() + LIMIT, time.monotonic()
    while time.monotonic() < last + 6:
        assert time.monotonic() < end
        if "WATCHDOG=1" in listener.rest():
            last = time.monotonic()
        time.sleep(0.05)
    mjpeg_server.frozen.clear()
    listener.until("WATCHDOG=1")


@linux
def test_a_check_and_a_run_that_cannot_begin_say_nothing(begin, listener, spot_video):
    process = begin(spot_video(5), "--check")
    process.communicate(timeout=LIMIT)
    assert (process.returncode, listener.rest()) == (0, [])
    process = begin(spot_video(5), "--events", "/nowhere/e.jsonl")
    process.communicate(timeout=LIMIT)
    assert process.returncode == 3
    assert not {"READY=1", "WATCHDOG=1"} & {*listener.rest()}


@linux
def test_a_file_is_reported_to_its_end(begin, listener, spot_video):
    process = begin(spot_video(60), "--realtime")
    listener.until("READY=1")
    listener.until("STOPPING=1")
    process.communicate(timeout=LIMIT)
    assert process.returncode == 0


def test_without_the_library_a_warning_says_what_helps(monkeypatch, caplog):
    monkeypatch.setenv("NOTIFY_SOCKET", "/nowhere")
    monkeypatch.setitem(sys.modules, "cysystemd", None)
    assert service.ServiceManager().sink(list) is None
    assert "pip install" in caplog.text
    assert "systemd" in caplog.text


def test_where_nobody_listens_nothing_is_imported(monkeypatch, caplog):
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    monkeypatch.setitem(sys.modules, "cysystemd", None)
    manager = service.ServiceManager()
    assert manager.sink(list) is None
    manager.reloaded()
    assert not caplog.records


@pytest.fixture
def told(monkeypatch):
    """A manager whose messages are kept, and which looks when it is told to."""
    messages = []
    monkeypatch.setenv("NOTIFY_SOCKET", "/nowhere")
    monkeypatch.setenv("WATCHDOG_USEC", "30000000")
    monkeypatch.setattr(service, "_sender", lambda: lambda *message: messages.append(message))
    monkeypatch.setattr(service.ServiceManager, "_work", lambda self: None)
    return service.ServiceManager(), messages


RESULT = FrameResult(Frame(0, 0.0, np.zeros((6, 8, 3), np.uint8)), Detections.empty(1), [])


def info(name="x", fps=25.0, health=SourceHealth, longest_step=0.0):
    return RunInfo(
        name, 8, 6, fps, None, ("a",), health=lambda: health(), longest_step=longest_step
    )


@pytest.mark.parametrize(
    ("fps", "step", "age", "flows"),
    [
        (25.0, 0.0, 14, True),
        (25.0, 0.0, 16, False),
        (0.5, 0.0, 39, True),  # 20 intervals of a slow source
        (0.5, 0.0, 41, False),
        (25.0, 20.0, 34, True),  # frames are left out on purpose
        (25.0, 20.0, 36, False),
    ],
)
def test_what_counts_as_a_flow_goes_by_the_rate_of_the_source(told, fps, step, age, flows):
    manager, messages = told
    manager.sink(list).start(info(fps=fps, longest_step=step))
    manager._look(time.monotonic() + age)
    assert (("WATCHDOG", "") in messages) is flows


def test_names_cannot_forge_messages(told):
    manager, messages = told
    lost = SourceHealth(connected=False, error="gone")
    manager.sink(list).start(info("a\nREADY=1\nMAINPID=1", health=lambda: lost))
    manager._look(time.monotonic() + 10)
    statuses = [words for kind, words in messages if kind == "STATUS"]
    assert statuses == ["0 of 1 sources give frames, 0 a second. Lost: a READY=1 MAINPID=1."]


def test_the_status_reports_the_rate_of_the_last_seconds_and_what_stalls(told):
    now = [100.0]
    manager, _ = told
    fast, slow = manager.sink(list), manager.sink(list)
    for part in (fast, slow):
        part.activity = SourceActivity(lambda: now[0])
    fast.start(info("fast"))
    slow.start(info("slow", fps=0.2))
    for _ in range(60):
        fast.frame(RESULT)
        now[0] += 0.1
    assert manager._words() == "1 of 2 sources give frames, 10 a second."
    fast.close()
    for _ in range(3):
        slow.frame(RESULT)
        now[0] += 5
    assert manager._words() == "1 of 2 sources give frames, 0.2 a second."
    # A trial of a new release reads this.
    assert reported_health(manager._words())[:2] == ("degraded", 0.2)
    now[0] += 120
    words = manager._words()
    assert words.startswith("0 of 2 sources give frames")
    assert words.endswith("Stalled: slow.")
    slow.end(RunSummary(3, 0, 1.0, {}, error="It broke."))
    slow.close()
    assert manager._words() == "0 of 2 sources give frames, 0 a second. Failed: slow."
    assert reported_health(words)[:2] == ("silent", pytest.approx(0, abs=0.1))


def test_the_status_is_up_to_date_when_the_run_is_ready(told):
    manager, messages = told
    part = manager.sink(list)
    part.start(info())
    now = time.monotonic()
    manager._look(now)
    part.frame(RESULT)
    manager._look(now + 0.5)
    kinds, texts = zip(*messages, strict=True)
    assert kinds == ("WATCHDOG", "STATUS", "READY", "STATUS")
    assert texts[1].startswith("0 of 1 sources give frames")
    assert texts[3].startswith("1 of 1 sources give frames")


def test_one_source_that_has_not_begun_keeps_all_from_being_ready(told):
    manager, messages = told
    first, second = manager.sink(list), manager.sink(list)
    first.start(info())
    first.frame(RESULT)
    manager._look(time.monotonic())
    assert ("READY", "") not in messages
    second.start(info())
    second.end(RunSummary(0, 0, 0.0, {}))
    manager._look(time.monotonic())
    assert ("READY", "") in messages
    first.close()
    first.close()
    assert [kind for kind, _ in messages].count("STOPPING") == 1


@pytest.mark.parametrize(
    ("micros", "process"), [("", ""), ("0", ""), ("x", ""), ("25e5", ""), ("1000000", "1")]
)
def test_a_watchdog_that_is_not_for_this_process_is_none(monkeypatch, micros, process):
    monkeypatch.setenv("WATCHDOG_USEC", micros)
    monkeypatch.setenv("WATCHDOG_PID", process)
    assert service._watchdog_seconds() is None
    monkeypatch.setenv("WATCHDOG_USEC", "2500000")
    monkeypatch.setenv("WATCHDOG_PID", str(os.getpid()))
    assert service._watchdog_seconds() == 2.5


@linux
def test_systemd_takes_the_unit_of_the_docs(tmp_path):
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd is not installed")
    text = (DOCS / "service.md").read_text()
    unit = re.search(r"```ini\n(# /etc/systemd.*?)```", text, re.S)[1]
    assert "Type=notify" in unit
    # Programs have to be there: this one stands for that of the recipe.
    unit = unit.replace("/opt/edgekit/bin/edgekit", "/bin/true")
    unit = unit.replace("User=edgekit", "User=root")
    path = tmp_path / "edgekit@.service"
    path.write_text(unit)
    instance = tmp_path / "edgekit@door.service"
    instance.symlink_to(path)
    done = subprocess.run(
        ["systemd-analyze", "verify", instance], capture_output=True, text=True, timeout=LIMIT
    )
    own = [line for line in done.stderr.splitlines() if "edgekit@" in line]
    assert own == []
