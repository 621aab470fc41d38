"""Compares the events of two runs of one clip on two machines.

Run it as ``python compare.py HERE.jsonl THERE.jsonl``; exits with 1 if they differ.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

_BOX = 0.5
"""Pixels: a tenth of a cell of the network's grid, at most."""
_SCORE = 0.01


def frames(path: Path) -> list[dict[str, Any]]:
    """The frame events of a file."""
    events = map(json.loads, path.read_text().splitlines())
    return [event for event in events if event["type"] == "frame"]


def main() -> int:
    """Prints one line, and returns the exit status."""
    parser = argparse.ArgumentParser(description="Compares the events of two runs.")
    parser.add_argument("here", type=Path)
    parser.add_argument("there", type=Path)
    parser.add_argument("--name", default="events")
    arguments = parser.parse_args()
    ours, theirs = frames(arguments.here), frames(arguments.there)
    box = score = 0.0
    count, alike = 0, len(ours) == len(theirs) > 0
    for one, other in zip(ours, theirs, strict=False):
        pairs = list(zip(one["detections"], other["detections"], strict=False))
        alike &= len(one["detections"]) == len(other["detections"])
        alike &= [tube["id"] for tube in one["tubes"]] == [tube["id"] for tube in other["tubes"]]
        for first, second in pairs:
            alike &= first["class"] == second["class"]
            score = max(score, abs(first["score"] - second["score"]))
            box = max(box, *(abs(a - b) for a, b in zip(first["box"], second["box"], strict=True)))
        count += len(pairs)
    alike &= box <= _BOX and score <= _SCORE and count > 0
    print(
        f"{arguments.name}: {len(ours)} frames here, {len(theirs)} there, {count} detections; "
        f"largest difference {box:.4f} pixels, {score:.6f} in score: "
        f"{'the same' if alike else 'NOT the same'}"
    )
    return 0 if alike else 1


if __name__ == "__main__":
    raise SystemExit(main())
