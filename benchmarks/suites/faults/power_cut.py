"""Measures what a power cut leaves behind, and how ``edgekit run`` handles truncated files.

Run it as ``python -m edgekit.benchmarks.suites.faults.power_cut``. A loopback server sends the
frames of a rendered clip as a camera would (MJPEG over HTTP, 25 per second, endless). ``edgekit
run`` reads it in its own process and is killed (SIGKILL) at a random moment of its first seconds.
Then every line of the events must be complete JSON, and every cluster of the video must play. After
that, videos in four containers are truncated at random places and processed as files. Such runs
must end with status 0 or 3 and without a traceback.
"""

from __future__ import annotations

import argparse
import contextlib
import http.server
import json
import random
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from edgekit.measuring.timing import machine
from edgekit.media._opencv import cv2

__all__ = ["ENDINGS", "Killed", "camera_on_loopback", "kill", "main", "run_cut", "write_clip"]

ENDINGS = (".mp4", ".mkv", ".avi", ".ts")
_FPS = 25.0
_PATIENCE = 60.0


class Killed(NamedTuple):
    """Output of a killed run.

    Attributes:
        lines: Number of whole lines in the events.
        part: Bytes of an incomplete line.
        frames: Number of ``frame`` events among the lines.
        played: Number of video frames that could be decoded; None if there is no video yet.
        lost: Seconds between the last frame event and the last frame of the video.
    """

    lines: int
    part: int
    frames: int
    played: int | None
    lost: float


@contextlib.contextmanager
def camera_on_loopback(
    images: Sequence[Any],
    fps: float = _FPS,
    *,
    flows: threading.Event | None = None,
) -> Iterator[str]:
    """Serves pictures repeatedly, as a network camera does; yields the address.

    Args:
        images: Pictures, (H, W, 3) uint8, BGR.
        fps: Pictures per second.
        flows: Event without which nothing is sent while it is not set.
    """
    connections: list[socket.socket] = []
    pictures = [cv2.imencode(".jpg", image)[1].tobytes() for image in images]

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            connections.append(self.connection)
            self.send_response(200)
            self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
            self.end_headers()
            begin = time.monotonic()
            with contextlib.suppress(OSError):
                for number in range(1 << 30):
                    time.sleep(max(0.0, begin + number / fps - time.monotonic()))
                    if flows is not None and not flows.is_set():
                        flows.wait()
                        begin = time.monotonic() - number / fps
                    picture = pictures[number % len(pictures)]
                    head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(picture)}"
                    self.wfile.write(head.encode() + b"\r\n\r\n" + picture + b"\r\n")

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/"
        finally:
            server.shutdown()
            for connection in connections:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)


def kill(url: str, folder: Path, seconds: float, *options: str, played: int = 0) -> Killed:
    """Runs on a live source and kills the run some seconds after its first frame.

    Args:
        url: Address of the source.
        folder: Empty folder, which receives the events and the video.
        seconds: Seconds from the first frame event, or from ``played`` frames of the video, to the
            kill.
        options: Additional options for ``edgekit run``.
        played: Number of video frames that must be on disk first.

    Raises:
        ValueError: A line of the events is not JSON.
        RuntimeError: The run ended by itself.
    """
    events, video = folder / "events.jsonl", folder / "video.mkv"
    command = [sys.executable, "-m", "edgekit", "run", "--source", url, *options]
    command += ["--events", str(events), "--video", str(video)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL) as process:
        end = time.monotonic() + _PATIENCE
        while not (
            events.exists()
            and b'"frame"' in events.read_bytes()
            and (not played or (video.exists() and _play(video)[0] >= played))
        ):
            if process.poll() is not None or time.monotonic() > end:
                process.kill()
                assert process.stderr is not None
                words = process.stderr.read().decode()
                raise RuntimeError(f"No frame came; status {process.poll()}. {words}")
            time.sleep(0.02)
        time.sleep(seconds)
        process.kill()
    whole, _, part = events.read_bytes().rpartition(b"\n")
    lines = [json.loads(line) for line in whole.splitlines()]
    frames = [line for line in lines if line["type"] == "frame"]
    found, last = (None, 0.0) if not video.exists() else _play(video)
    begin = frames[0]["time"]
    return Killed(len(lines), len(part), len(frames), found, frames[-1]["time"] - begin - last)


def run_cut(content: bytes, length: int, path: Path, *options: str) -> tuple[int, int, str]:
    """Runs on the first bytes of a video; returns exit status, frames found, standard error."""
    path.write_bytes(content[:length])
    command = [sys.executable, "-m", "edgekit", "run", "--source", str(path), "--json", *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    frames = json.loads(done.stdout)["frames"] if done.returncode == 0 else 0
    return done.returncode, frames, done.stderr


def write_clip(path: Path, images: Sequence[Any], fps: float = _FPS) -> Path:
    """Writes some pictures as a video, by OpenCV; returns its path."""
    height, width = images[0].shape[:2]
    codec = "MJPG" if path.suffix == ".avi" else "mp4v"
    fourcc = cv2.VideoWriter.fourcc(*codec)
    writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, fourcc, fps, (width, height))
    for image in images:
        writer.write(image)
    writer.release()
    return path


def _play(video: Path) -> tuple[int, float]:
    """Returns how many frames can be decoded, and the time of the last one."""
    capture = cv2.VideoCapture(str(video), cv2.CAP_FFMPEG)
    count, last = 0, 0.0
    while capture.read()[0]:
        count += 1
        last = capture.get(cv2.CAP_PROP_POS_MSEC) / 1e3
    capture.release()
    return count, last


def _kills(images: Sequence[Any], count: int, seconds: float, seed: int) -> None:
    draw = random.Random(seed)
    found = []
    with camera_on_loopback(images) as url, tempfile.TemporaryDirectory() as folder:
        for number in range(count):
            place = Path(folder, str(number))
            place.mkdir()
            found.append(kill(url, place, draw.uniform(0, seconds)))
    videos = [run for run in found if run.played]
    print(f"\n| {count} kills at 0 to {seconds:g} s | |\n| --- | --- |")
    print(f"| lines of events, all of them valid | {sum(run.lines for run in found)} |")
    print(f"| runs whose last line is cut | {sum(run.part > 0 for run in found)} |")
    print(f"| runs with a video, all of them playable | {len(videos)} |")
    print(f"| runs killed before the first cluster | {sum(r.played is None for r in found)} |")
    print(f"| videos that do not play | {sum(run.played == 0 for run in found)} |")
    _row("frames in the events", [run.frames for run in videos], "{:.0f}")
    _row("frames that play", [run.played or 0 for run in videos], "{:.0f}")
    _row("seconds that the video is behind the events", [run.lost for run in videos], "{:.2f}")


def _row(name: str, values: Sequence[float], form: str) -> None:
    if values:
        spread = (min(values), statistics.median(values), max(values))
        print(f"| {name}: least, median, most | {', '.join(map(form.format, spread))} |")


def _cuts(images: Sequence[Any], count: int, seed: int) -> None:
    draw = random.Random(seed)
    print(f"\n| {count} cuts | status 0 | status 3 | others | tracebacks | frames found |")
    print("| --- | --- | --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory() as folder:
        for ending in ENDINGS:
            content = write_clip(Path(folder, f"whole{ending}"), images).read_bytes()
            cut = Path(folder, f"cut{ending}")
            runs = [
                run_cut(content, draw.randrange(len(content)), cut)
                for _ in range(count // len(ENDINGS))
            ]
            states = Counter(status for status, _, _ in runs)
            traces = sum("Traceback" in text for _, _, text in runs)
            others = len(runs) - states[0] - states[3]
            frames = [found for status, found, _ in runs if status == 0]
            span = f"{min(frames)} to {max(frames)} of {len(images)}" if frames else ""
            print(f"| {ending} | {states[0]} | {states[3]} | {others} | {traces} | {span} |")


def main() -> None:
    """Prints a table of the kills and one of the truncated files."""
    parser = argparse.ArgumentParser(description="Kills runs, and runs on truncated files.")
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=6.0)
    parser.add_argument("--cuts", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    from edgekit.synthetic import render_clip

    images = list(render_clip(1, frames=75))
    print(machine())
    if arguments.kills:
        _kills(images, arguments.kills, arguments.seconds, arguments.seed)
    if arguments.cuts:
        _cuts(images, arguments.cuts, arguments.seed)


if __name__ == "__main__":
    main()
