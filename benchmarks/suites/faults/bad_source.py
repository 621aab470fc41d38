"""Measures how ``edgekit run`` ends when one of its two sources cannot be opened.

Run it as ``python -m edgekit.benchmarks.suites.faults.bad_source``; 1,000 runs take a quarter of an
hour. Every run is its own process, with the bad source first or second. It prints Markdown. It
exits with 5 if a process did not end with status 3 and one error that names the source.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import socket
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from edgekit.media._opencv import cv2

__all__ = ["bad_sources", "judge", "main", "write_good"]

_LONGEST = 60.0


@contextlib.contextmanager
def bad_sources(folder: Path, good: Path) -> Iterator[dict[str, str]]:
    """Yields values for ``--source`` that cannot be opened, by kind; they are valid in the block.

    Args:
        folder: Folder for temporary files.
        good: MP4 video, which is truncated for one of them.
    """
    (folder / "empty folder").mkdir()
    (folder / "broken pictures").mkdir()
    (folder / "broken pictures" / "1.png").write_bytes(b"\x89PNG")
    (folder / "empty.mp4").touch()
    (folder / "cut.mp4").write_bytes(good.read_bytes()[:2000])
    (folder / "sound.wav").write_bytes(b"RIFF\x24\0\0\0WAVEfmt " + bytes(2000))
    (folder / "noise.mkv").write_bytes(np.random.default_rng(1).bytes(1 << 16))
    with socket.create_server(("127.0.0.1", 0)) as gone:
        refused = gone.getsockname()[1]
    with socket.create_server(("127.0.0.1", 0)) as silent:
        yield {
            "missing file": str(folder / "nowhere.mp4"),
            "folder without pictures": str(folder / "empty folder"),
            "broken pictures": str(folder / "broken pictures"),
            "empty file": str(folder / "empty.mp4"),
            "truncated file": str(folder / "cut.mp4"),
            "sound only": str(folder / "sound.wav"),
            "noise": str(folder / "noise.mkv"),
            "missing camera": "/dev/video63",
            "no camera": "/dev/null",
            "refused URL": f"http://127.0.0.1:{refused}/live",
            "silent URL": f"rtsp://127.0.0.1:{silent.getsockname()[1]}/live",
        }


def judge(sources: list[str], bad: str, options: list[str]) -> str:
    """Runs ``edgekit run`` once; returns what was wrong with its end, empty if nothing."""
    command = [sys.executable, "-m", "edgekit", "run", "--threads", "1", "--patience", "2"]
    for source in sources:
        command += ["--source", source]
    done = subprocess.run(
        [*command, *options], capture_output=True, text=True, timeout=_LONGEST, check=False
    )
    if done.returncode != 3:
        return f"status {done.returncode}: {done.stderr[-200:]!r}"
    said = done.stderr + done.stdout
    if bad not in said:
        return f"the source is not named: {said[-200:]!r}"
    if "Traceback" in said or "Fatal" in said:
        return f"more than an error: {said[-200:]!r}"
    return ""


def main() -> int:
    """Opens two sources repeatedly and prints a table; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--openings", type=int, default=1000, help="number of runs with two sources"
    )
    openings = parser.parse_args().openings
    tried: Counter[str] = Counter()
    wrong: list[str] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        good = write_good(folder / "good.mp4")
        with bad_sources(folder, good) as kinds:
            cases = itertools.product(kinds.items(), (0, 1), ([], ["--json"]))
            for (kind, bad), place, options in itertools.islice(itertools.cycle(cases), openings):
                sources = [str(good)]
                sources.insert(place, bad)
                tried[kind] += 1
                problem = judge(sources, bad, options)
                if problem:
                    wrong.append(f"{kind}, {'second' if place else 'first'}: {problem}")
    print("| bad source | openings | not ended with status 3 and its error |")
    print("| --- | --- | --- |")
    for kind, count in tried.items():
        print(f"| {kind} | {count} | {sum(text.startswith(f'{kind},') for text in wrong)} |")
    for text in wrong[:20]:
        print(f"\n{text}")
    return 5 if wrong else 0


def write_good(path: Path) -> Path:
    """Writes a video that takes OpenCV some milliseconds to open."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), 25, (1280, 720))
    for number in range(50):
        writer.write(np.full((720, 1280, 3), 5 * number, np.uint8))
    writer.release()
    return path


if __name__ == "__main__":
    sys.exit(main())
