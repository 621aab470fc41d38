"""A program with its own threads, sockets, handlers and umask that uses EdgeKit.

``python tests/host_program.py CLIPS FOLDER`` checks that no call of EdgeKit changes the state of
the process, and that several threads get the same results as one. It prints ``unchanged``, and at
the very end ``connected``. ``tests/test_embedding.py`` runs it.
"""

from __future__ import annotations

import atexit
import gc
import hashlib
import io
import json
import locale
import logging
import os
import random
import signal
import socket
import sys
import threading
import traceback
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

PAIR = socket.socketpair()
SERVER = socket.create_server(("127.0.0.1", 0))
PEERS = (socket.create_connection(SERVER.getsockname()), SERVER.accept()[0])


@atexit.register
def say_that_connections_work() -> None:
    """Is registered before EdgeKit's hooks, and therefore called after them."""
    for sender, receiver in (PAIR, PEERS):
        sender.sendall(b"word")
        assert receiver.recv(4) == b"word"
    print("connected")


import av  # noqa: E402, F401  # these three change the environment when they are imported
import cv2  # noqa: E402, F401
import numpy  # noqa: E402, F401

import edgekit  # noqa: E402
from edgekit.assets import default_bundle  # noqa: E402

ENVIRONMENT: set[str] = set()
"""Variables that were set or removed, also for a moment."""
CALLS: list[str] = []
"""Calls that change the process."""


def watch_calls() -> None:
    """Notes each change of the environment and each call that changes the process."""

    def audit(event: str, arguments: tuple[object, ...]) -> None:
        if event in ("os.putenv", "os.unsetenv"):
            ENVIRONMENT.add(os.fsdecode(arguments[0]))  # type: ignore[arg-type]
        elif event in ("os.chdir", "os.fchdir"):
            CALLS.append(event)

    sys.addaudithook(audit)
    for module, name in (
        (os, "umask"),
        (os, "dup2"),
        (signal, "signal"),
        (signal, "setitimer"),
        (locale, "setlocale"),
        (socket, "setdefaulttimeout"),
        (logging, "disable"),
        (logging, "basicConfig"),
        (warnings, "simplefilter"),
        (sys, "setswitchinterval"),
    ):
        setattr(module, name, noted(f"{module.__name__}.{name}", getattr(module, name)))


def noted(name: str, call: Callable[..., object]) -> Callable[..., object]:
    """Returns a function that does the same, and notes that EdgeKit called it."""

    def noting(*arguments: object, **named: object) -> object:
        caller = sys._getframe(1).f_globals.get("__name__", "")
        if caller.startswith("edgekit"):
            CALLS.append(f"{name} in {caller}")
        return call(*arguments, **named)

    return noting


def state() -> dict[str, object]:
    """Returns what belongs to the whole process, but the umask, which a thread changes."""
    numbers = sorted(signal.valid_signals())
    streams = [os.fstat(number) for number in (0, 1, 2)]
    return {
        "environment": dict(os.environ),
        "signals": {number: signal.getsignal(number) for number in numbers},
        "folder": Path.cwd(),
        "locale": locale.setlocale(locale.LC_ALL),
        "descriptors": [(each.st_dev, each.st_ino) for each in streams],
        "streams": (sys.stdin, sys.stdout, sys.stderr),
        "hooks": (sys.excepthook, threading.excepthook, sys.unraisablehook, sys.displayhook),
        "finders": [*sys.meta_path],
        "hidden": [name for name, module in [*sys.modules.items()] if module is None],
        "path": [*sys.path],
        "logging": (logging.root.level, logging.root.manager.disable, [*logging.root.handlers]),
        "warnings": [*warnings.filters],
        "timeout": socket.getdefaulttimeout(),
        "collector": (gc.isenabled(), gc.get_threshold()),
        "random": random.getstate(),
        "cores": os.sched_getaffinity(0),
    }


def changes(before: dict[str, object]) -> list[str]:
    """Returns the names of what differs from an earlier state."""
    return [name for name, value in state().items() if value != before[name]]


def work(clips: Path, folder: Path) -> dict[str, object]:
    """Uses the device side of the API, and returns what it found."""
    folder.mkdir()
    clip = next(path for path in sorted(clips.iterdir()) if path.suffix != ".json")
    options = edgekit.SessionOptions(threads=1)
    bundle = edgekit.load_bundle(default_bundle())
    pictures = hashlib.sha256()
    boxes = []
    with edgekit.Detector(bundle, options=options) as detector, edgekit.open_source(clip) as source:
        tracker = edgekit.Tracker("edgekit", detector.classes)
        annotator = edgekit.Annotator(detector.classes)
        for frame in source:
            found = detector.detect(frame.image)
            tubes = tracker.update(found, frame.time, index=frame.index)
            pictures.update(annotator.draw(frame, tubes).tobytes())
            boxes.append((found.boxes.tolist(), tubes.boxes.tolist(), tubes.names))
        ended = [(tube.id, tube.name, tube.start, tube.end) for tube in tracker.finish()]
    with edgekit.Detector(bundle, options=options) as detector, edgekit.open_source(clip) as source:
        sinks = [
            edgekit.EventsSink(folder / "events.jsonl"),
            edgekit.VideoSink(folder / "video.mp4"),
            edgekit.PictureSink(folder / "picture.png"),
            edgekit.ClipsSink(folder / "clips"),
        ]
        linker = edgekit.Tracker("edgekit", detector.classes)
        edgekit.Pipeline(source, detector, linker, sinks).run()
    result = edgekit.evaluate(bundle, root=clips, session=options)
    events = [json.loads(line) for line in (folder / "events.jsonl").read_text().splitlines()]
    kept = [
        {name: value for name, value in event.items() if name not in ("ms", "seconds", "stages")}
        for event in events
        if event["type"] not in ("start", "end")
    ]
    # The name of a clip and the text of the picture tell times.
    files = sorted(path.suffix for path in folder.rglob("*") if path.is_file())
    return {
        "boxes": boxes,
        "pictures": pictures.hexdigest(),
        "ended": ended,
        "events": kept,
        "files": files,
        "scores": [result.frame_map, result.video_map],
    }


def main() -> None:
    """Works alone, then in threads, while another thread uses the umask and watches."""
    clips, folder = Path(sys.argv[1]), Path(sys.argv[2])
    sys.stderr = io.StringIO()
    signal.signal(signal.SIGINT, lambda *_: None)
    signal.signal(signal.SIGTERM, lambda *_: None)
    locale.setlocale(locale.LC_ALL, "C")
    before = state()
    watch_calls()
    alone = work(clips, folder / "alone")
    changed = changes(before)
    assert not changed, changed
    assert alone["ended"], "the comparison would be of nothing"
    assert not ENVIRONMENT - {"ORT_DISABLE_TELEMETRY"}, ENVIRONMENT  # while it was imported
    ENVIRONMENT.clear()

    done = threading.Event()
    faults: list[str] = []

    def use_the_umask() -> None:
        mask = 0o027
        os.umask(mask)
        while not done.wait(0.001):
            other = 0o077 if mask == 0o027 else 0o027
            if os.umask(other) != mask:
                faults.append("umask")
            mask = other
            faults.extend(changes(before))

    watcher = threading.Thread(target=use_the_umask)
    watcher.start()
    try:
        with ThreadPoolExecutor(4) as pool:
            tasks = [pool.submit(work, clips, folder / str(number)) for number in range(4)]
            results = [task.result() for task in tasks]
    finally:
        done.set()
        watcher.join()
    assert not faults, faults
    assert not ENVIRONMENT, ENVIRONMENT
    assert not CALLS, CALLS
    for found in results:
        differing = [name for name, value in found.items() if value != alone[name]]
        assert not differing, differing
    os.write(2, b"still the program's\n")
    print("unchanged")


if __name__ == "__main__":
    try:
        main()
    except BaseException:
        traceback.print_exc(file=sys.__stderr__)
        sys.exit(1)
