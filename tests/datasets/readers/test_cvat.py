from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from edgekit.datasets._faults import collected_faults
from edgekit.datasets.published import read_truth
from edgekit.datasets.tools.checking import check_dataset
from edgekit.datasets.tools.loading import DatasetChoice
from edgekit.errors import AnnotationError

META = """<meta><task><id>12</id><name>gym</name><size>30</size><mode>interpolation</mode>
<overlap>5</overlap><created>2026-11-03 09:12:55+00:00</created><start_frame>0</start_frame>
<stop_frame>29</stop_frame><frame_filter></frame_filter>
<labels><label><name>walk</name><color>#fa3253</color><type>any</type><attributes><attribute>
<name>pace</name><mutable>True</mutable></attribute></attributes></label><label><name>jump</name>
<color>#3d3df5</color><attributes/></label></labels>
<segments><segment><id>3</id><start>0</start><stop>29</stop></segment></segments>
<original_size><width>64</width><height>48</height></original_size><source>gym.mp4</source>
</task><dumped>2026-11-03 10:00:00+00:00</dumped></meta>"""

TRACKS = """<track id="0" label="jump" source="manual">
<box frame="4" keyframe="1" outside="0" occluded="0" xtl="10.00" ytl="8.50" xbr="20.00" ybr="40.00"
 z_order="0"><attribute name="pace">fast</attribute></box>
<box frame="8" keyframe="1" outside="0" occluded="1" xtl="14.00" ytl="8.50"
 xbr="24.00" ybr="40.00"/>
<box frame="10" keyframe="1" outside="1" occluded="0" xtl="14.00" ytl="8.50" xbr="24.00" ybr="40"/>
</track>"""


def export(tracks: str = TRACKS, meta: str = META) -> str:
    """An export as CVAT writes it."""
    return (
        '<?xml version="1.0" encoding="utf-8"?>\n<annotations>\n<version>1.1</version>\n'
        f"{meta}\n{tracks}\n</annotations>\n"
    )


def test_tracks_are_read_with_their_hidden_spans(tmp_path: Path, clip: Callable[..., Path]) -> None:
    path = clip(tmp_path / "gym.mp4")
    (tmp_path / "annotations.xml").write_text(export())
    truth = read_truth("cvat", tmp_path)
    (video,) = truth.videos
    assert truth.classes == ["walk", "jump"]
    assert (video.name, video.frames, video.width, video.height) == ("gym.mp4", 30, 64, 48)
    assert video.path == path
    (tube,) = video.tubes
    assert (tube.label, tube.start, tube.end) == (1, 4, 9)
    assert tube.boxes.tolist()[:2] == [[10, 8.5, 20, 40], [11, 8.5, 21, 40]]
    assert tube.boxes.tolist()[-1] == [14, 8.5, 24, 40]


def test_each_video_has_a_folder_or_a_file(tmp_path: Path, clip: Callable[..., Path]) -> None:
    for name in ("one", "two"):
        clip(tmp_path / name / "gym.mp4")
        (tmp_path / name / "annotations.xml").write_text(export())
    (tmp_path / "three.xml").write_text(
        export(
            TRACKS.replace("jump", "wave"), META.replace("jump", "wave").replace("gym.mp4", "c.mp4")
        )
    )
    truth = read_truth("cvat", tmp_path)
    assert [video.name for video in truth.videos] == ["one/gym.mp4", "c.mp4", "two/gym.mp4"]
    assert truth.classes == ["walk", "jump", "wave"]
    assert truth.videos[1].tubes[0].label == 2


def test_a_turned_box_becomes_the_box_around_it(tmp_path: Path) -> None:
    box = '<box frame="0" outside="0" xtl="20" ytl="10" xbr="40" ybr="30" rotation="45.00"/>'
    (tmp_path / "a.xml").write_text(export(f'<track id="0" label="walk">{box}</track>'))
    (tube,) = read_truth("cvat", tmp_path).videos[0].tubes
    assert tube.boxes[0] == pytest.approx(
        [30 - 200**0.5, 20 - 200**0.5, 30 + 200**0.5, 20 + 200**0.5]
    )


def track(box: str, label: str = "walk") -> str:
    return export(f'<track id="0" label="{label}"><box {box}/></track>')


SIDES = 'xtl="1" ytl="1" xbr="9" ybr="9"'
BOMB = '<!DOCTYPE a [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><annotations>&b;</annotations>'
IMAGES = export(
    '<image id="0" name="frame_0.png" width="64" height="48"><box label="walk" xtl="1"/></image>',
    META.replace("interpolation", "annotation"),
)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no XML"),
        ("<annotations>", "no XML"),
        (BOMB, "document type or an entity"),
        ('<!DOCTYPE a SYSTEM "file:///etc/passwd"><annotations/>', "document type or an entity"),
        ("<a>" * 50 + "</a>" * 50, "nests more than 32 deep"),
        (IMAGES, "it has pictures (1), and tracks of a video were expected"),
        (
            export("", "<meta><project><tasks><task/></tasks></project></meta>"),
            "export of a project",
        ),
        (export("", ""), "0 frames of 0x0"),
        ("<note>hello</note>", "it begins with <note>, and <annotations> was expected"),
        (track(f'frame="3" {SIDES}', "wave"), "track 0: its label 'wave' is not in the list"),
        (track(f'frame="x" {SIDES}'), "a number is expected"),
        (track('frame="3" xtl="1"'), "an element has no 'ytl'"),
        (track(f'frame="30" {SIDES}'), "the video has 30 frames"),
        (track('frame="3" xtl="nan" ytl="1" xbr="9" ybr="9"'), "infinite or NaN"),
        (track(f'frame="{10**20}" {SIDES}'), "frame 100000000000000000000"),
        (export(meta=META.replace("gym.mp4", "..")), "not a path inside"),
        ('<?xml version="1.0" encoding="zlib_codec"?><annotations/>', "encoding 'zlib_codec'"),
        (export(meta=META.replace(">30<", ">20000000<")), "20000000 frames"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "annotations.xml").write_text(text)
    with pytest.raises(AnnotationError) as caught:
        read_truth("cvat", tmp_path)
    assert message in caught.value.message
    assert "annotations.xml" in caught.value.message


def test_an_export_of_pictures_is_refused_with_the_format_to_choose(tmp_path: Path) -> None:
    (tmp_path / "annotations.xml").write_text(IMAGES)
    with pytest.raises(AnnotationError) as caught:
        read_truth("cvat", tmp_path)
    assert "CVAT for video 1.1" in caught.value.hint


def test_all_faults_of_a_file_can_be_collected(tmp_path: Path) -> None:
    tracks = "".join(f'<track id="0" label="{name}"/>' for name in ("wave", "walk", "Jump"))
    (tmp_path / "a.xml").write_text(export(tracks + TRACKS))
    with collected_faults() as faults:
        (video,) = read_truth("cvat", tmp_path).videos
    assert len(video.tubes) == 1
    assert [fault.message.rpartition("track ")[2][:1] for fault in faults] == ["0", "2"]


def test_a_name_that_no_file_can_have_is_a_video_that_is_missing(tmp_path: Path) -> None:
    (tmp_path / "a.xml").write_text(export(meta=META.replace("gym.mp4", "x" * 300)))
    (video,) = read_truth("cvat", tmp_path).videos
    assert not video.require_path().exists()


def test_many_keyframes_cannot_claim_all_memory(tmp_path: Path) -> None:
    boxes = f'<box frame="0" {SIDES}/><box frame="9999999" {SIDES}/>'
    tracks = f'<track id="0" label="walk">{boxes}</track>' * 2
    (tmp_path / "a.xml").write_text(export(tracks, META.replace(">30<", ">10000000<")))
    with pytest.raises(AnnotationError, match="claim more than 200"):
        read_truth("cvat", tmp_path)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("element", ["<box/>", "<box></box>"])
def test_elements_are_counted_before_they_are_read(
    tmp_path: Path, encoding: str, element: str
) -> None:
    mark = "\ufeff" if encoding.startswith("utf-16") else ""
    for number, message in ((250_000, "more than 250000 elements"), (240_000, "no 'xtl'")):
        track = f'<track id="0" label="walk">{element * number}</track>'
        text = f"{mark}<annotations>{META}{track}</annotations>"
        (tmp_path / "a.xml").write_bytes(text.encode(encoding))
        with pytest.raises(AnnotationError, match=message) as caught:
            read_truth("cvat", tmp_path)
        assert ("Divide the video" in caught.value.hint) is (number == 250_000)


def test_a_folder_without_exports_is_reported(tmp_path: Path) -> None:
    with pytest.raises(AnnotationError, match="Found no annotations"):
        read_truth("cvat", tmp_path)


def test_a_part_of_a_video_keeps_its_own_frame_numbers(tmp_path: Path) -> None:
    """Older exports have ``source`` beside the task; every second frame from the tenth is in it."""
    meta = (
        META.replace("<size>30<", "<size>10<")
        .replace("<start_frame>0<", "<start_frame>10<")
        .replace("<frame_filter></frame_filter>", "<frame_filter>step=2</frame_filter>")
        .replace("<source>gym.mp4</source>\n</task>", "</task><source>gym.mp4</source>")
    )
    boxes = (
        f'<box frame="10" {SIDES}/><box frame="12" {SIDES}/><box frame="14" outside="1" {SIDES}/>'
    )
    (tmp_path / "a.xml").write_text(export(f'<track id="0" label="walk">{boxes}</track>', meta))
    (video,) = read_truth("cvat", tmp_path).videos
    assert (video.name, video.frames) == ("gym.mp4", 30)
    assert [(tube.start, tube.end) for tube in video.tubes] == [(10, 13)]


def tasks(root: Path, **subsets: str) -> Path:
    """An export for each subset, of the video that is called as its keyword."""
    for name, subset in subsets.items():
        meta = META.replace("gym.mp4", f"{name}.mp4")
        meta = meta.replace("<start_frame>", f"<subset>{subset}</subset><start_frame>")
        (root / f"{name}.xml").write_text(export(meta=meta))
    return root


@pytest.mark.parametrize(
    ("subsets", "train", "test"),
    [
        ({"a": "default", "test": "default"}, ["a", "test"], ["a", "test"]),
        ({"a": "Train", "b": "Test", "c": "Train"}, ["a", "c"], ["b"]),
        ({"a": "Train", "b": "Validation"}, ["a"], ["b"]),
        ({"a": "Train", "b": "Validation", "c": "Test"}, ["a"], ["c"]),
    ],
)
def test_the_subset_of_a_task_is_its_part(
    tmp_path: Path, subsets: dict[str, str], train: list[str], test: list[str]
) -> None:
    tasks(tmp_path, **subsets)
    for part, expected in (("train", train), ("test", test)):
        truth = read_truth("cvat", tmp_path, part=part)
        assert [video.name for video in truth.videos] == [f"{name}.mp4" for name in expected]
        assert truth.part == ("" if train == test else part)
        assert truth.classes == ["walk", "jump"]


def test_the_tasks_of_one_part_never_serve_the_other(tmp_path: Path) -> None:
    tasks(tmp_path, a="Train")
    with pytest.raises(AnnotationError, match=r"the part test .* found a\.xml") as caught:
        read_truth("cvat", tmp_path)
    assert "the subset Train or Test" in caught.value.hint
    assert "edgekit dataset split with part='train'" in caught.value.hint
    tasks(tmp_path, b="default", c="Test")
    with pytest.raises(AnnotationError, match=r"b\.xml: its subset is 'default'") as caught:
        read_truth("cvat", tmp_path)
    assert "the subset Train or Test" in caught.value.hint
    with collected_faults() as faults:
        assert len(read_truth("cvat", tmp_path).videos) == 1
    assert len(faults) == 1


def test_a_video_may_be_in_one_task_of_each_part(tmp_path: Path) -> None:
    """``edgekit dataset check`` then says that the video is in both parts."""
    tasks(tmp_path, a="Train", b="Test", c="Train")
    for name in "abc":
        path = tmp_path / f"{name}.xml"
        path.write_text(path.read_text().replace(f"{name}.mp4", "gym.mp4"))
    with pytest.raises(AnnotationError, match=r"another file has the video 'gym\.mp4' too"):
        read_truth("cvat", tmp_path)
    (tmp_path / "c.xml").unlink()
    found = check_dataset(DatasetChoice(tmp_path)).faults
    assert "The video is in the training part and in the test part." in [one.what for one in found]


def test_tracks_of_other_shapes_are_left_out_and_counted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    skeleton = '<skeleton frame="0"><points label="nose" outside="0" points="5,5"/></skeleton>'
    mask = '<mask frame="0" outside="0" rle="4, 2" left="1" top="1" width="3" height="2"/>'
    shapes = ('<polygon frame="0" outside="0" points="1,1;9,1;9,9"/>', skeleton, mask)
    more = "".join(f'<track id="1" label="walk">{shape}</track>' for shape in shapes)
    (tmp_path / "a.xml").write_text(export(TRACKS + more))
    (video,) = read_truth("cvat", tmp_path).videos
    assert [tube.start for tube in video.tubes] == [4]
    assert "tracks that are no boxes (mask, polygon, skeleton): 3." in caplog.text
    faults = check_dataset(DatasetChoice(tmp_path)).faults
    assert sum("no boxes (mask, polygon, skeleton): 3." in fault.what for fault in faults) == 1


def test_the_points_of_a_skeleton_are_no_classes(tmp_path: Path) -> None:
    """CVAT lists them as labels, each with the label of its skeleton behind its name."""
    nose = "<label><name>nose</name><color/><attributes/><parent>jump</parent></label></labels>"
    (tmp_path / "a.xml").write_text(export(meta=META.replace("</labels>", nose)))
    assert read_truth("cvat", tmp_path).classes == ["walk", "jump"]


def test_several_boxes_of_a_track_in_a_frame_are_refused(tmp_path: Path) -> None:
    boxes = f'<box frame="3" {SIDES}/>' * 2
    (tmp_path / "a.xml").write_text(export(f'<track id="0" label="walk">{boxes}</track>'))
    assert len(read_truth("cvat", tmp_path).videos[0].tubes) == 1  # they are equal
    boxes += '<box frame="3" xtl="20" ytl="1" xbr="29" ybr="9"/>'
    (tmp_path / "a.xml").write_text(export(f'<track id="0" label="walk">{boxes}</track>'))
    with pytest.raises(AnnotationError, match="track 0: a track has several boxes in frame 3"):
        read_truth("cvat", tmp_path)


@pytest.mark.parametrize(("last", "frames"), [(25, 30), (20, 21)])
def test_a_step_may_end_before_the_video(
    tmp_path: Path, clip: Callable[..., Path], last: int, frames: int
) -> None:
    clip(tmp_path / "gym.mp4")
    meta = (
        META.replace("<size>30<", "<size>5<")
        .replace("<stop_frame>29<", f"<stop_frame>{last}<")
        .replace("<frame_filter></frame_filter>", "<frame_filter>step=5</frame_filter>")
    )
    (tmp_path / "a.xml").write_text(export(meta=meta))
    assert read_truth("cvat", tmp_path).videos[0].frames == frames


def test_frames_before_the_first_of_a_task_are_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    meta = META.replace("<start_frame>0<", "<start_frame>4<")
    (tmp_path / "a.xml").write_text(export(meta=meta))
    read_truth("cvat", tmp_path)
    assert "frames before 4, the first frame of its task" in caplog.text


def test_a_hidden_file_is_no_export(tmp_path: Path) -> None:
    (tmp_path / "gym.xml").write_text(export())
    (tmp_path / "._gym.xml").write_bytes(b"\0\5\26\7Mac OS X")
    assert [video.name for video in read_truth("cvat", tmp_path).videos] == ["gym.mp4"]
