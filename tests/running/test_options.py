"""Tests that options of a run are checked when made, and come from the command line."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, fields, is_dataclass
from pathlib import Path

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

import edgekit
from edgekit.cli.run import command
from edgekit.errors import UsageError
from edgekit.media.sources.source import SourceOptions
from edgekit.running.options import FrameOptions, RunOptions, TubeOptions
from edgekit.running.output_options import ClipOptions, FileOptions, NetworkOptions
from edgekit.targets.base import SessionOptions

PARTS = (
    *(ClipOptions, FileOptions, FrameOptions, NetworkOptions, RunOptions, SessionOptions),
    *(SourceOptions, TubeOptions),
)

RENAMED = {
    "named": "sources",
    "cameras": "sources",
    "clips": "folder",
    "clip_before": "before",
    "clip_after": "after",
    "clips_keep": "most_bytes",
}
"""Parameters of the command whose field has another name."""

OF_THE_CALL = {"check", "as_json", "verbose", "quiet", "config"}
"""Parameters of the command that a run does not know."""


def test_every_option_of_the_command_has_a_field() -> None:
    known = {each.name for part in PARTS for each in fields(part)}
    asked = {str(each.name) for each in command.params if isinstance(each, click.Parameter)}
    assert {RENAMED.get(name, name) for name in asked - OF_THE_CALL} <= known


@pytest.mark.parametrize("part", PARTS)
def test_options_are_small_and_stay_as_they_were_made(part: type) -> None:
    assert is_dataclass(part)
    assert len(fields(part)) <= (12 if part is RunOptions else 10)
    made = part()
    with pytest.raises((FrozenInstanceError, TypeError)):
        setattr(made, fields(part)[0].name, None)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: FrameOptions(fps=0), "Expected fps to be more than 0; found 0."),
        (lambda: FrameOptions(fps=float("nan")), "fps"),
        (lambda: FrameOptions(drop_policy="oldest"), "drop_policy"),
        (lambda: FrameOptions(max_frames=True), "max_frames"),
        (lambda: TubeOptions(score="high"), "Expected score to be float; found 'high'"),
        (lambda: TubeOptions(link="sort"), "Expected link to be one of edgekit, road"),
        (lambda: TubeOptions(delay=-1), "delay"),
        (lambda: ClipOptions(before=31), "before"),
        (lambda: ClipOptions(most_bytes=0), "Expected most_bytes to be at least 1; found 0."),
        (lambda: ClipOptions(most_seconds=-1.0), "most_seconds"),
        (lambda: FileOptions(video=3), "video"),
        (lambda: FileOptions(picture=""), "Expected picture to be a path"),
        (lambda: NetworkOptions(mqtt_ca=b"x"), "Expected mqtt_ca to be a path"),
        (lambda: RunOptions(sources=()), "source"),
        (lambda: RunOptions(sources="clip.mp4"), "sources"),
        (lambda: RunOptions(sources=(1.5,)), "sources"),
        (
            lambda: RunOptions(network=NetworkOptions(public_origin=("https://x.example",))),
            "public_origin says where browsers find the page, and none is served.",
        ),
        (
            lambda: RunOptions(network=NetworkOptions(serve="0", trusted_proxy=("127.0.0.1",))),
            "trusted_proxy names a proxy, but not the address of the page behind it.",
        ),
        (lambda: RunOptions(sources=(0, 1), show=True), "show has one window"),
        (lambda: RunOptions(sinks="tally"), "Expected sinks to be tuple[str, ...]"),
        (lambda: RunOptions(sinks=("a:x", "b", "a:x")), "sink names the same sink with the same"),
    ],
)
def test_a_wrong_value_is_named_by_its_parameter(make, words: str) -> None:
    with pytest.raises(UsageError) as caught:
        make()
    assert words in caught.value.message
    assert "--" not in str(caught.value)


@pytest.mark.parametrize(
    ("files", "network", "words"),
    [
        ({"rotate": 9}, {}, "rotate works only with events or video."),
        ({"rotate_keep": 0}, {}, "rotate_keep works only with rotate or video."),
        ({"events": "e.jsonl", "rotate_keep": 9}, {}, "rotate_keep works only with rotate or"),
        ({"clips": ClipOptions(before=1)}, {}, "clips.before works only with clips.folder."),
        ({"clips": ClipOptions(after=1)}, {}, "clips.after works only with clips.folder."),
        ({"clips": ClipOptions(most_bytes=9)}, {}, "clips.most_bytes or clips.most_seconds works"),
        ({"clips": ClipOptions(most_seconds=9)}, {}, "clips.most_bytes or clips.most_seconds"),
        ({}, {"mqtt_ca": "ca.pem"}, "mqtt_ca works only with mqtt."),
        ({}, {"mqtt_buffer": "waiting.db"}, "mqtt_buffer works only with mqtt."),
        ({}, {"token": "a-long-token", "metrics": "0"}, "token works only with serve."),
    ],
)
def test_an_option_without_the_one_that_it_belongs_to(files, network, words: str) -> None:
    with pytest.raises(UsageError) as caught:
        RunOptions(files=FileOptions(**files), network=NetworkOptions(**network))
    assert caught.value.message.startswith(words)
    assert "--" not in str(caught.value)


def test_options_with_the_one_that_they_belong_to() -> None:
    clips = ClipOptions(folder="clips", before=1, after=1, most_bytes=9, most_seconds=9)
    network = NetworkOptions(
        mqtt="mqtt://host", mqtt_ca="ca.pem", mqtt_buffer="b.db", serve="0", token="a-long-token"
    )
    RunOptions(files=FileOptions(events="-", rotate=9, rotate_keep=0, clips=clips), network=network)
    RunOptions(files=FileOptions(video="v.mkv", rotate_keep=0))  # keeps videos of earlier runs


CAMERA, RTSP, WEB, PIPELINE = 0, "rtsp://x/y", "http://x/y", "videotestsrc ! appsink"
LIVE = (CAMERA, "/dev/video7", RTSP, WEB, PIPELINE)
OTHERS = ("-", "clip.mp4", "folder", "file:///clip.mp4")


@pytest.mark.parametrize(
    ("groups", "takers"),
    [
        ({"reading": SourceOptions(rtsp_transport="udp")}, (RTSP, "RTSPS://x")),
        ({"reading": SourceOptions(patience=3)}, LIVE),
        ({"reading": SourceOptions(camera_size=(9, 9))}, (CAMERA, "/dev/video7")),
        ({"reading": SourceOptions(camera_format="MJPG")}, (CAMERA, "/dev/video7")),
        ({"reading": SourceOptions(camera_fps=9)}, (CAMERA, "/dev/video7")),
        ({"reading": SourceOptions(raw_size=(9, 9))}, ("-",)),
        ({"reading": SourceOptions(raw_fps=9)}, ("-",)),
        ({"reading": SourceOptions(raw_format="nv12")}, ("-",)),
        ({"frames": FrameOptions(realtime=True)}, (WEB, *OTHERS)),
        ({"files": FileOptions(video="v.mkv", rotate=9)}, LIVE),
        ({"files": FileOptions(video="v.mkv", rotate_keep=9)}, LIVE),
        ({"files": FileOptions(video="v.mkv", events="e", rotate_keep=9)}, LIVE),
        ({"files": FileOptions(video="v.mkv", events="e", rotate=9)}, (*LIVE, *OTHERS)),
        ({}, (*LIVE, *OTHERS)),
    ],
)
def test_an_option_that_has_no_effect_on_any_source_is_refused(groups, takers) -> None:
    for source in {*LIVE, *OTHERS, *takers}:
        if source in takers:
            RunOptions(sources=(source,), **groups)
        else:
            with pytest.raises(UsageError, match="and no source of this run is one") as caught:
                RunOptions(sources=(source,), **groups)
            assert "--" not in str(caught.value)
        both = RunOptions(sources=(source, takers[0]), **groups)
        assert both.of_source(0).sources == (source,)
        RunOptions(sources=(source, "package://x"), **groups)


def test_options_that_do_not_fit_the_linker_are_refused() -> None:
    with pytest.raises(UsageError, match=r"max_gap=3\.0 works only with the linker 'edgekit'"):
        TubeOptions(link="road", max_gap=3)
    with pytest.raises(UsageError, match="cannot be used together"):
        TubeOptions(delay=3, delay_seconds=1.0)


def test_the_page_and_the_metrics_have_ports_of_their_own() -> None:
    with pytest.raises(UsageError, match="serve and metrics name the same port, 8080") as caught:
        NetworkOptions(serve="8080", metrics="127.0.0.1:8080")
    assert caught.value.hint.endswith("metrics='8081'")
    for serve, metrics in (("0", "0"), ("8080", "8081"), ("10.0.0.1:8080", "8080")):
        NetworkOptions(serve=serve, metrics=metrics)


def test_text_becomes_a_path_when_options_are_made() -> None:
    assert FileOptions(video="a.mp4") == FileOptions(video=Path("a.mp4"))
    assert ClipOptions(folder="a/./b").folder == Path("a/b")
    assert NetworkOptions(mqtt_ca="ca.pem", mqtt_buffer="b.db").mqtt_buffer == Path("b.db")
    assert FileOptions(events="-").events == "-"


def test_a_password_is_not_shown() -> None:
    network = NetworkOptions(mqtt="mqtt://me:s3cret@host", serve="0", token="s3cret" * 3)
    options = RunOptions(network=network)
    assert "s3cret" not in repr(options)
    assert "s3cret" not in repr(RunOptions(sources=("rtsp://me:s3cret@camera/live",)))


@pytest.mark.parametrize(
    "make",
    [
        lambda: RunOptions(sinks="tally:s3cret"),
        lambda: RunOptions(sources="rtsp://me:s3cret@camera/live"),
        lambda: RunOptions(network={"mqtt": "mqtt://me:s3cret@host"}),
        lambda: NetworkOptions(mqtt=("mqtt://me:s3cret@host",)),
        lambda: NetworkOptions(token=b"s3cret"),
        lambda: edgekit.run(RunOptions(), sinks="tally:s3cret"),
        lambda: edgekit.run({"token": "s3cret"}),
    ],
)
def test_an_error_shows_no_password(make) -> None:
    with pytest.raises(UsageError) as caught:
        make()
    assert "found a value of type " in caught.value.message
    assert "s3cret" not in str(caught.value)


def test_an_output_replaces_neither_a_source_nor_another_output(tmp_path: Path) -> None:
    clip = tmp_path / "clip.mp4"
    clip.touch()
    with pytest.raises(UsageError, match="is already in use, as a source or as another"):
        RunOptions(sources=(str(clip),), files=FileOptions(video=clip))
    both = tmp_path / "x.mp4"
    with pytest.raises(UsageError, match=f"picture={both} is already in use"):
        RunOptions(files=FileOptions(video=both, picture=tmp_path / "." / "x.mp4"))
    RunOptions(sources=(str(clip), "-"), files=FileOptions(events="-", video=both))
    both.symlink_to(both.name)  # a circular link is replaced
    RunOptions(sources=(str(clip),), files=FileOptions(video=both))


@given(
    st.integers(2, 16),
    st.lists(st.sampled_from(["events", "video", "picture", "save_detections"]), unique=True),
)
def test_no_two_sources_write_to_the_same_place(count: int, names: list[str]) -> None:
    files = FileOptions(
        **{name: Path(f"{name}.out.gz") for name in names}, clips=ClipOptions(folder=Path("clips"))
    )
    network = NetworkOptions(mqtt="mqtt://host", mqtt_buffer=Path("waiting.db"))
    options = RunOptions(sources=("-",) * count, files=files, network=network)
    every = [options.of_source(number) for number in range(count)]
    places = [path for own in every for path in own.files.paths().values()]
    places += [own.files.clips.folder for own in every]
    places += [own.network.mqtt_buffer for own in every]
    assert len(set(places)) == len(places) == count * (len(names) + 2)
    assert all(own.tubes == options.tubes and own.session == options.session for own in every)


def test_a_single_source_writes_to_the_named_place(tmp_path: Path) -> None:
    options = RunOptions(files=FileOptions(events="./events.jsonl"))
    assert options.of_source(0) is options
    assert options.files.named() == {"events": "./events.jsonl"}
