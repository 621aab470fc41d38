"""Tests that a real browser plays written videos."""

from __future__ import annotations

import asyncio
import functools
import http.server
import json
import threading

import numpy as np
import pytest

pytest.importorskip("aiohttp")
pytest.importorskip("av")

from edgekit.benchmarks.suites.support.browser import find_chromium, open_browser
from edgekit.media.sinks.video.file import VideoSink
from edgekit.media.sinks.video.live import LiveVideoSink
from edgekit.pipeline.results import FrameResult, RunInfo, RunSummary
from edgekit.runtime.types import Detections, Frame

TIMES = [n / 25 for n in range(30)] + [1.2 + n / 5 for n in range(10)]
LENGTH = 3.2
BLUE, GREEN, RED = (220, 40, 30), (40, 200, 60), (30, 40, 210)

PLAY = """
new Promise((done) => {
  const video = document.createElement('video');
  const found = [];
  const moments = %s;
  document.body.append(video);
  video.muted = true;
  video.onerror = () => done({error: `${video.error.code} ${video.error.message}`});
  const look = (now, frame) => {
    // The frame of an earlier moment may come after a later one was asked for.
    if (Math.abs(frame.mediaTime - moments[found.length]) > 0.1) {
      video.requestVideoFrameCallback(look);
      return;
    }
    const canvas = document.createElement('canvas');
    [canvas.width, canvas.height] = [video.videoWidth, video.videoHeight];
    const context = canvas.getContext('2d');
    context.drawImage(video, 0, 0);
    const middle = [video.videoWidth / 2, video.videoHeight / 2];
    const colour = [...context.getImageData(...middle, 1, 1).data].slice(0, 3);
    found.push({time: frame.mediaTime, colour});
    if (found.length < moments.length) { next(); return; }
    done({duration: video.duration, width: video.videoWidth, height: video.videoHeight, found});
  };
  const next = () => {
    video.requestVideoFrameCallback(look);
    video.currentTime = moments[found.length] + 0.01;
  };
  video.onloadeddata = next;
  // A frame that is shown between two callbacks is never told: its moment is asked for again.
  setInterval(() => {
    if (video.readyState > 1 && !video.seeking) video.currentTime = moments[found.length] + 0.01;
  }, 1000);
  fetch(%s).then((answer) => answer.blob()).then((blob) => {
    video.src = URL.createObjectURL(blob);
  });
})
"""


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@pytest.fixture
def server(tmp_path):
    (tmp_path / "index.html").write_text("<!doctype html><title>video</title><body></body>")
    handler = functools.partial(Quiet, directory=str(tmp_path))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as made:
        made.daemon_threads = True
        threading.Thread(target=made.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{made.server_port}/"
        made.shutdown()


def colour_at(seconds):
    return BLUE if seconds < 0.6 else GREEN if seconds < 2 else RED


def write(path, make, *, end=True):
    sink = make(path)
    sink.start(RunInfo("clip", 320, 240, 25.0, None, ("walk",), sample_aspect=1.5))
    for index, seconds in enumerate(TIMES):
        image = np.full((240, 320, 3), colour_at(seconds), np.uint8)
        frame = Frame(index, seconds, image, "", 1.5)
        sink.frame(FrameResult(frame, Detections.empty(1), []))
    if end:
        sink.end(RunSummary(1, 0, 1.0, {}))
        sink.close()
    return sink


def play(server, name, moments):
    program = find_chromium()
    if program is None:
        pytest.skip("needs a browser: apt-get install chromium")

    async def look():
        async with open_browser(program) as browser:
            await browser.open(server)
            while not await browser.ask("document.title === 'video' && !!document.body"):
                await asyncio.sleep(0.05)
            return await browser.ask(PLAY % (json.dumps(moments), json.dumps(name)))

    return asyncio.run(look())


@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("out.mp4", VideoSink),
        ("out.mov", VideoSink),
        ("out.webm", VideoSink),
        ("out.mkv", VideoSink),
        ("live.mkv", LiveVideoSink),
    ],
)
def test_a_browser_plays_it_with_the_times_colours_and_shape_of_its_source(
    tmp_path, server, name, make
):
    write(tmp_path / name, make)
    moments = [TIMES[7], TIMES[31], TIMES[36]]
    played = play(server, name, moments)
    assert "error" not in played, played
    assert played["duration"] == pytest.approx(LENGTH, abs=0.04)
    assert (played["width"], played["height"]) == (480, 240)
    assert [frame["time"] for frame in played["found"]] == pytest.approx(moments, abs=0.002)
    for seconds, frame in zip(moments, played["found"], strict=True):
        assert frame["colour"] == pytest.approx(colour_at(seconds)[::-1], abs=12)


def test_a_browser_plays_a_live_video_while_it_is_written(tmp_path, server):
    sink = write(tmp_path / "live.mkv", LiveVideoSink, end=False)
    played = play(server, "live.mkv", [TIMES[7]])
    sink.close()
    assert "error" not in played, played
    assert played["found"][0]["colour"] == pytest.approx(BLUE[::-1], abs=12)
