"""Tests that a run from Python finds and writes what ``edgekit run`` does."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest

import edgekit
from edgekit.bundle import Bundle
from edgekit.cli import main
from edgekit.errors import UsageError
from edgekit.media.sinks.sink import Sink
from edgekit.pipeline.results import FrameResult
from edgekit.running.options import FrameOptions, RunOptions, TubeOptions
from edgekit.running.output_options import FileOptions, NetworkOptions
from edgekit.running.run import check, run
from edgekit.running.source_runs import SourceRuns


@pytest.fixture
def clip(spots: Path) -> Path:
    return spots / "spot0.avi"


def events_of(path: Path) -> list[dict]:
    """Returns the events without what depends on the clock."""
    found = [json.loads(line) for line in path.read_text().splitlines()]
    for event in found:
        for name in ("ms", "time", "stages", "seconds", "fps"):
            event.pop(name, None)
    return found


def test_python_and_the_command_line_find_the_same(
    clip: Path, spotter: Bundle, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    here, there = tmp_path / "here.jsonl", tmp_path / "there.jsonl"
    report = run(
        RunOptions(
            sources=(str(clip),),
            bundle=spotter.path,
            tubes=TubeOptions(score=0.2, min_hits=1),
            files=FileOptions(events=here),
        )
    )
    words = ["run", str(clip), "--bundle", str(spotter.path), "--events", str(there), "--json"]
    assert main([*words, "--score", "0.2", "--min-hits", "1"]) == 0
    shown = json.loads(capsys.readouterr().out)
    found = report.to_json()
    assert ["schema", *found] == list(shown)
    assert found["tubes"] == shown["tubes"]
    assert found["files"] == {"events": str(here)}
    assert report.error is None
    assert report.sources[0].summary.frames == 24
    assert events_of(here) == events_of(there)


def test_a_run_is_stopped_from_another_thread(clip: Path, spotter: Bundle) -> None:
    class Counter(Sink):
        def __init__(self) -> None:
            self.frames = 0

        def frame(self, result: FrameResult) -> None:
            self.frames += 1
            if self.frames == 3:
                stopping = threading.Thread(target=runs[0].stop)
                stopping.start()
                stopping.join()

    runs: list[SourceRuns] = []
    counter = Counter()
    options = RunOptions(
        sources=(str(clip),), bundle=spotter.path, frames=FrameOptions(realtime=True)
    )
    report = run(options, sinks=lambda: [counter], on_start=runs.append)
    assert report.sources[0].summary.interrupted
    assert report.to_json()["interrupted"] is True
    assert 3 <= counter.frames < 24


@pytest.mark.parametrize(("fps", "rate"), [(None, 25.0), (5.0, 5.0), (60.0, 25.0)])
def test_the_cost_of_drops_is_that_at_the_limited_rate(
    clip: Path, spotter: Bundle, fps: float | None, rate: float
) -> None:
    frames = FrameOptions(realtime=True, fps=fps, max_frames=2)
    report = run(RunOptions(sources=(str(clip),), bundle=spotter.path, frames=frames))
    assert report.sources[0].source_fps == pytest.approx(rate)


def test_a_check_writes_nothing(clip: Path, spotter: Bundle, tmp_path: Path) -> None:
    files = FileOptions(events=tmp_path / "events.jsonl", video=tmp_path / "video.mp4")
    options = RunOptions(sources=(str(clip), str(clip)), bundle=spotter.path, files=files)
    sources, bundle = check(options)
    assert [source.name for source in sources] == [str(clip), str(clip)]
    assert bundle == spotter.manifest.name
    assert not list(tmp_path.iterdir())


def test_a_contradiction_names_parameters(clip: Path, spotter: Bundle) -> None:
    options = RunOptions(
        sources=(str(clip),), bundle=spotter.path, frames=FrameOptions(drop_policy="latest")
    )
    with pytest.raises(UsageError) as caught:
        run(options)
    assert "drop_policy='latest'" in caught.value.message
    assert "realtime=True" in caught.value.hint


def test_paths_and_the_bundle_may_be_text(clip: Path, tmp_path: Path) -> None:
    report = edgekit.run(
        edgekit.RunOptions(
            sources=(str(clip),),
            bundle="shipped",
            frames=edgekit.FrameOptions(max_frames=3),
            files=edgekit.FileOptions(
                events=str(tmp_path / "events.jsonl"),
                picture=str(tmp_path / "tubes.png"),
                save_detections=str(tmp_path / "detections.json"),
            ),
        )
    )
    assert report.sources[0].summary.frames == 3
    assert {*report.sources[0].files} == {"events", "picture", "save_detections"}
    assert all(Path(path).exists() for path in report.sources[0].files.values())


def test_options_of_another_type_are_refused() -> None:
    with pytest.raises(
        UsageError, match=r"options to be edgekit\.RunOptions; found a value of type str"
    ):
        edgekit.run("clip.mp4")
    with pytest.raises(
        UsageError, match="sinks to be a function that returns sinks; found"
    ) as caught:
        edgekit.run(edgekit.RunOptions(), sinks=["tally:tubes.json"])
    assert "RunOptions(sinks=...)" in caught.value.hint


def test_the_link_of_the_page_is_not_printed(
    clip: Path, spotter: Bundle, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("aiohttp")
    told: list[str] = []
    options = RunOptions(
        sources=(str(clip),),
        bundle=spotter.path,
        network=NetworkOptions(serve="127.0.0.1:0"),
    )
    with caplog.at_level("INFO", "edgekit"):
        run(options)
    assert "Live page: http://127.0.0.1:" in caplog.text
    caplog.clear()
    run(options, say=told.append)
    assert "Live page: http://127.0.0.1:" in told[0]
    assert "Live page" not in caplog.text
    assert capfd.readouterr() == ("", "")
