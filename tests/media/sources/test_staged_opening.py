"""Tests the order in which the sources of a run are opened."""

from __future__ import annotations

import pytest

from edgekit.errors import MediaError, UsageError
from edgekit.media.sources import staged_opening
from edgekit.media.sources.cameras import camera
from edgekit.media.sources.staged_opening import StagedOpening


class Fake:
    reopens = True

    def __init__(self, spec, log):
        self.spec, self.log, self.live = spec, log, spec == "http://x/live"

    def close(self):
        self.log.append(("close", self.spec))


@pytest.fixture
def log(monkeypatch):
    """What is opened, reopened and closed, in order."""
    log = []

    def open_sources(specs, options, *, absent):
        log.append(("open", *specs))
        return [Fake(spec, log) for spec in specs]

    monkeypatch.setattr(staged_opening, "open_sources", open_sources)
    monkeypatch.setattr(camera, "check_camera", lambda spec: log.append(("check", spec)))
    return log


def test_live_sources_are_opened_last_and_all_keep_their_order(log):
    specs = [2, "a.mp4", "rtsp://x/live", "http://x/b.mp4", "http://x/live", "/dev/video5"]
    with StagedOpening(specs) as opened:
        assert log == [
            ("check", 2),
            ("check", "/dev/video5"),
            ("open", "a.mp4", "http://x/b.mp4", "http://x/live"),
        ]
        assert opened.live
        del log[:]
        assert [source.spec for source in opened.complete()] == specs
        # What came over HTTP in the meantime would be old.
        assert log == [
            ("close", "http://x/live"),
            ("open", 2, "rtsp://x/live", "http://x/live", "/dev/video5"),
        ]
        del log[:]
    assert sorted(log, key=str) == sorted((("close", spec) for spec in specs), key=str)


def test_recorded_sources_are_not_live(log):
    with StagedOpening(["a.mp4", "http://x/b.mp4", "-"]) as opened:
        assert not opened.live


def test_what_cannot_be_is_said_before_anything_is_opened(make_video):
    video = str(make_video())
    with pytest.raises(MediaError, match="there is no /dev/video63"):
        StagedOpening([video, 63])
    with pytest.raises(UsageError, match="is not the address of a stream"):
        StagedOpening([video, "foo://x"])
