"""Tests that a live run without drops reports the same as a run on the file.

This holds if the file repeats no re-encoded picture, because only live sources recognize those.
"""

from __future__ import annotations

import json

import pytest

from edgekit.assets import default_bundle
from edgekit.detector import Detector
from edgekit.linking.registry import make_linker
from edgekit.media import open_source
from edgekit.media.sinks.events import EventsSink
from edgekit.media.sinks.queued import QueuedSink
from edgekit.pipeline.pipeline import Pipeline

FRAMES = 40


class Live:
    """A file that is said to be a camera: the threads, queues and waits are those of a live run."""

    live, reopens, frames = True, False, None

    def __init__(self, file):
        self._file = file

    def __getattr__(self, name):
        return getattr(self._file, name)


def events_of(clip, path, *, live):
    with open_source(str(clip)) as file, Detector(default_bundle()) as detector:
        source = Live(file) if live else file
        linker = make_linker("edgekit", len(detector.classes))
        sink = EventsSink(path, live=live)
        sinks = [QueuedSink(sink, "events", live=live, frames=FRAMES)] if live else [sink]
        options = {"drop_policy": "none", "overlap": True} if live else {}
        Pipeline(source, detector, linker, sinks, max_frames=FRAMES, **options).run()
    found = []
    for line in path.read_text().splitlines():
        event = json.loads(line)
        if event["type"] in ("frame", "gap", "tube"):
            found.append({k: v for k, v in event.items() if k not in ("ms", "age")})
    return found


@pytest.mark.shared
@pytest.mark.parametrize("name", ["v_HorseRiding_g01_c03", "v_SalsaSpin_g03_c01"])
def test_a_live_run_that_loses_no_frame_equals_one_of_the_file(shared, tmp_path, name):
    clip = shared / "ucf24" / f"{name}.mp4"
    offline = events_of(clip, tmp_path / "offline.jsonl", live=False)
    assert sum(event["type"] == "frame" for event in offline) == FRAMES
    assert any(event.get("tubes") for event in offline)
    assert events_of(clip, tmp_path / "live.jsonl", live=True) == offline
