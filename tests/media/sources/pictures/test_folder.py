"""Tests pictures: incomplete ones, several in a file, more than 8 bits."""

from __future__ import annotations

import itertools
import logging
import struct
import zlib

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekit.errors import MediaError
from edgekit.media.sources import open_source
from edgekit.media.sources.pictures._formats import is_whole_jpeg, jpeg_pictures, webp_delays
from edgekit.media.sources.pictures._tiff import tiff_pages
from edgekit.media.sources.pictures.folder import FramesSource, is_picture, natural_key

NOISE = np.random.default_rng(5).integers(0, 256, (48, 64, 3), np.uint8)


def encoded(ending, image=NOISE, *options):
    good, content = cv2.imencode(ending, image, list(options))
    assert good
    return content.tobytes()


def picture(tmp_path, name, content):
    path = tmp_path / name
    path.write_bytes(content)
    return path


def frames_of(path):
    with open_source(path) as source:
        return list(source)


def only(path):
    (frame,) = frames_of(path)
    return frame.image


JPEGS = {
    "baseline": encoded(".jpg"),
    "progressive": encoded(".jpg", NOISE, cv2.IMWRITE_JPEG_PROGRESSIVE, 1),
    "restarts": encoded(".jpg", NOISE, cv2.IMWRITE_JPEG_RST_INTERVAL, 1),
    "grey": encoded(".jpg", NOISE[..., 0]),
}


def with_thumbnail(jpeg):
    """A whole JPEG within a segment at the beginning, as EXIF has it."""
    inner = b"Exif\0\0" + encoded(".jpg", NOISE[:8, :8])
    return jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(inner) + 2) + inner + jpeg[2:]


def with_filling(jpeg):
    """FF may stand any number of times before a marker."""
    return jpeg[:2] + b"\xff\xff\xff" + jpeg[2:-2] + b"\xff\xff" + jpeg[-2:]


@pytest.mark.parametrize("kind", JPEGS)
@pytest.mark.parametrize("change", [lambda jpeg: jpeg, with_thumbnail, with_filling])
@pytest.mark.parametrize(
    "trailer",
    [
        b"",
        bytes(100),
        b"\0\0\0\x18ftypmp42" + b"\xff\xda\xff\xd8" * 50,
        b"\xff\xd8\xff\xda\0\x02no end",
        JPEGS["baseline"],
        np.random.default_rng(7).bytes(5000),
    ],
)
def test_a_jpeg_is_whole_by_its_own_end_whatever_follows(tmp_path, kind, change, trailer):
    jpeg = change(JPEGS[kind])
    assert is_whole_jpeg(jpeg + trailer)
    found = only(picture(tmp_path, "a.jpg", jpeg + trailer))
    expected = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
    assert np.array_equal(found, expected)


@given(st.binary(max_size=300))
def test_a_jpeg_stays_whole_whatever_follows(trailer):
    assert is_whole_jpeg(JPEGS["progressive"] + trailer)


@pytest.mark.parametrize("kind", JPEGS)
def test_a_jpeg_that_is_cut_anywhere_is_truncated(kind):
    jpeg = with_thumbnail(JPEGS[kind])
    assert not any(is_whole_jpeg(jpeg[:length]) for length in range(2, len(jpeg)))
    assert is_whole_jpeg(jpeg)


@pytest.mark.parametrize("kind", JPEGS)
@pytest.mark.parametrize("share", [0.5, 0.9])
def test_a_jpeg_that_is_cut_before_another_begins_is_truncated(kind, share):
    jpeg = JPEGS[kind]
    cut = jpeg[: int(share * len(jpeg))]
    assert not is_whole_jpeg(cut + JPEGS["baseline"])
    assert not is_whole_jpeg(cut + with_thumbnail(JPEGS["progressive"]) + b"more")


@pytest.mark.parametrize("ending", [".jpg", ".png", ".webp", ".tif", ".bmp", ".ppm", ".jp2"])
@pytest.mark.parametrize("share", [0.4, 0.9])
def test_a_picture_that_is_cut_is_one_error_and_nothing_else_is_printed(
    tmp_path, ending, share, capfd
):
    content = encoded(ending)
    path = picture(tmp_path, f"a{ending}", content[: int(share * len(content))])
    with pytest.raises(MediaError, match=r"a\.\w+ cannot be read as a picture: it is truncated"):
        open_source(path)
    assert capfd.readouterr() == ("", "")


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def test_a_png_that_libpng_warns_about_is_read_without_a_word(tmp_path, capfd):
    png = encoded(".png")
    profile = chunk(b"iCCP", b"x\0\0" + zlib.compress(b"no profile")) + chunk(b"sBIT", b"\x08")
    content = png[:33] + profile + png[33:] + b"anything"
    assert np.array_equal(only(picture(tmp_path, "a.png", content)), NOISE)
    assert capfd.readouterr() == ("", "")


def test_a_png_with_a_wrong_checksum_is_damaged(tmp_path, capfd):
    png = bytearray(encoded(".png"))
    png[len(png) // 2] ^= 1
    with pytest.raises(MediaError, match="it is damaged"):
        open_source(picture(tmp_path, "a.png", bytes(png)))
    assert capfd.readouterr() == ("", "")


FILM = [cv2.rectangle(np.full((48, 64, 3), 40, np.uint8), (n, 9), (n + 20, 30), (9, 200, 90), -1)
        for n in range(0, 40, 8)]  # fmt: skip


def animation(ending, delays=(100, 200, 40, 0, 100)):
    film = cv2.Animation()
    film.frames = FILM
    film.durations = list(delays)
    good, content = cv2.imencodeanimation(ending, film)
    assert good
    return content.tobytes()


needs_animation = pytest.mark.skipif(
    not hasattr(cv2, "imencodeanimation"), reason="this OpenCV writes no animation"
)


@needs_animation
@pytest.mark.parametrize("name", ["a.webp", "a.png", "a"])
def test_an_animated_webp_gives_all_its_frames_at_their_times(tmp_path, name, monkeypatch):
    content = animation(".webp")
    assert webp_delays(content) == [0.1, 0.2, 0.04, 0.0, 0.1]
    for room in (1 << 26, 1):  # together, and one at a time
        monkeypatch.setattr("edgekit.media.sources.pictures.pages._AT_ONCE", room)
        with open_source(picture(tmp_path, name, content)) as source:
            assert (source.frames, source.width, source.height) == (5, 64, 48)
            frames = list(source)
        assert [frame.index for frame in frames] == list(range(5))
        # Browsers show a frame of no length for a tenth of a second.
        assert [frame.time for frame in frames] == pytest.approx([0, 0.1, 0.3, 0.34, 0.44])
        for frame, image in zip(frames, FILM, strict=True):
            assert frame.image.shape == (48, 64, 3)
            assert np.abs(frame.image.astype(int) - image).mean() < 5


@needs_animation
def test_an_animated_webp_that_is_cut_is_truncated(tmp_path):
    content = animation(".webp")
    with pytest.raises(MediaError, match="it is truncated"):
        open_source(picture(tmp_path, "a.webp", content[:-20]))


@needs_animation
@pytest.mark.parametrize("name", ["a.png", "a.apng", "a.webp"])
def test_an_animated_png_gives_all_its_frames_whatever_its_name(tmp_path, name):
    path = picture(tmp_path, name, animation(".png", delays=[100] * 5))
    assert not is_picture(path)
    assert [frame.image.mean() for frame in frames_of(path)] == pytest.approx(
        [image.mean() for image in FILM], abs=1
    )


@pytest.mark.parametrize("name", ["a.tif", "a.TIFF", "scan"])
def test_a_tiff_gives_all_its_pages(tmp_path, name):
    good, content = cv2.imencodemulti(".tif", [*FILM, NOISE[:20, :30]])
    assert good
    frames = frames_of(picture(tmp_path, name, content.tobytes()))
    assert [frame.index for frame in frames] == list(range(6))
    for frame, image in zip(frames, [*FILM, NOISE[:20, :30]], strict=True):
        assert np.array_equal(frame.image, image)


def test_in_a_folder_the_first_of_several_pictures_is_read_and_a_line_says_so(tmp_path, caplog):
    for number in range(3):
        content = cv2.imencodemulti(".tif", FILM[number:])[1].tobytes()
        picture(tmp_path, f"{number}.tif", content)
    frames = frames_of(tmp_path)
    assert [int(frame.image[15, 30, 1]) for frame in frames] == [40, 40, 200]
    assert [record.message for record in caplog.records] == [
        f"EdgeKit reads only the first of the 5 pictures in {tmp_path / '0.tif'}. "
        "The same holds for other such files in this folder."
    ]


def multi_picture(order, kinds):
    """A JPEG that lists others behind itself, as cameras write stereo photos and previews."""
    images = [JPEGS["baseline"]] * len(kinds)
    mark = b"II*\0" if order == "<" else b"MM\0*"
    head = mark + struct.pack(f"{order}IH", 8, 2)
    head += struct.pack(f"{order}HHII", 0xB001, 4, 1, len(kinds))
    head += struct.pack(f"{order}HHIII", 0xB002, 7, 16 * len(kinds), 38, 0)
    head += b"".join(struct.pack(f"{order}IIIHH", kind, 0, 0, 0, 0) for kind in kinds)
    segment = b"MPF\0" + head
    first = images[0][:2] + b"\xff\xe2" + struct.pack(">H", len(segment) + 2) + segment
    return first + images[0][2:] + b"".join(images[1:])


@pytest.mark.parametrize("order", "<>")
def test_of_several_photos_in_a_jpeg_the_first_is_read_and_a_line_says_so(tmp_path, order, caplog):
    content = multi_picture(order, [0x030000, 0x020002, 0x010001])
    expected = cv2.imdecode(np.frombuffer(JPEGS["baseline"], np.uint8), cv2.IMREAD_COLOR)
    assert np.array_equal(only(picture(tmp_path, "a.jpg", content)), expected)
    assert [record.message for record in caplog.records] == [
        f"EdgeKit reads only the first of the 2 pictures in {tmp_path / 'a.jpg'}."
    ]


def test_previews_in_a_jpeg_are_no_pictures_of_their_own(tmp_path, caplog):
    only(picture(tmp_path, "a.jpg", multi_picture(">", [0x030000, 0x010001, 0x010002])))
    assert caplog.text == ""


@given(st.binary(max_size=60), st.sampled_from([b"II*\0", b"MM\0*"]))
def test_any_list_of_photos_comes_to_an_end(index, mark):
    segment = b"MPF\0" + mark + index
    head = b"\xff\xd8\xff\xe2" + struct.pack(">H", len(segment) + 2) + segment
    assert 1 <= jpeg_pictures(head + JPEGS["grey"][2:]) < 20


def tiff(order, big, pages):
    """A TIFF of directories alone: NewSubfileType, BitsPerSample, SampleFormat of each page."""
    mark = b"II" if order == "<" else b"MM"
    pointer, count = ("Q", "Q") if big else ("I", "H")
    head = mark + struct.pack(order + "H", 43 if big else 42)
    head += struct.pack(order + "HHQ", 8, 0, 16) if big else struct.pack(order + "I", 8)
    content = head
    for number, (kind, bits, form) in enumerate(pages):
        last = number == len(pages) - 1
        entries = [(254, 4, kind), (258, 3, bits), (339, 3, form)]
        size = struct.calcsize(order + count) + len(entries) * (20 if big else 12)
        after = 0 if last else len(content) + size + struct.calcsize(order + pointer)
        content += struct.pack(order + count, len(entries))
        for tag, width, value in entries:
            letter = {3: "H", 4: "I"}[width]
            content += struct.pack(f"{order}HH{pointer}", tag, width, 1)
            content += struct.pack(order + letter, value).ljust(8 if big else 4, b"\0")
        content += struct.pack(order + pointer, after)
    return content


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("big", [False, True])
def test_the_pages_of_a_tiff_are_distinguished_from_its_thumbnails(order, big):
    pages = tiff_pages(tiff(order, big, [(1, 8, 1), (0, 16, 1), (2, 32, 3), (4, 1, 1)]))
    assert [page[:4] for page in pages] == [
        (0, 8, False, True),
        (1, 16, False, False),
        (2, 32, True, False),
        (3, 1, False, True),
    ]


@given(st.binary(max_size=200), st.sampled_from([b"II*\0", b"MM\0*", b"II+\0"]))
def test_the_directories_of_any_bytes_come_to_an_end(content, mark):
    assert len(tiff_pages(mark + content)) < 300


def test_a_tiff_of_floats_is_named_as_such(tmp_path):
    path = picture(tmp_path, "float.tif", encoded(".tif", NOISE.astype(np.float32) / 255))
    with pytest.raises(MediaError, match="floating-point numbers of 32 bits") as caught:
        open_source(path)
    assert "truncated" not in str(caught.value)
    assert "8 or 16 bits" in caught.value.hint


RAMP = np.repeat(np.linspace(0, 1, 64, dtype=np.float32)[None], 48, axis=0)


def deep(bits):
    return np.round(RAMP * ((1 << bits) - 1)).astype(np.uint16)


@pytest.mark.parametrize("ending", [".png", ".tif"])
@pytest.mark.parametrize("bits", [10, 12, 14, 16])
def test_sixteen_bits_are_read_by_those_that_are_used_and_a_line_says_so(
    tmp_path, ending, bits, caplog
):
    path = picture(tmp_path, f"a{ending}", encoded(ending, deep(bits)))
    found = only(path)
    assert found.dtype == np.uint8
    assert np.abs(found[..., 1] - 255 * RAMP).max() <= 1.01
    said = [record.message for record in caplog.records]
    assert [f"its 16-bit pictures use only {bits} bits" in text for text in said] == (
        [True] if bits < 16 else []
    )


def test_pictures_of_all_sixteen_bits_are_read_as_opencv_does(tmp_path):
    content = encoded(".png", deep(16))
    found = only(picture(tmp_path, "a.png", content))
    assert np.array_equal(found, cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR))


def test_a_folder_is_as_bright_as_its_brightest_pictures_are(tmp_path, caplog):
    # The first is dark, and not to be read as if it were not.
    for number, share in enumerate((0.1, 1.0, 0.5)):
        picture(tmp_path, f"{number}.png", encoded(".png", (share * deep(12)).astype(np.uint16)))
    means = [frame.image.mean() for frame in frames_of(tmp_path)]
    assert means == pytest.approx([12.75, 127.5, 63.75], abs=1)
    assert len(caplog.records) == 1


def test_a_picture_that_is_deeper_than_those_before_is_read_whole(tmp_path, caplog):
    for number in range(40):
        bits = 16 if number == 31 else 12
        picture(tmp_path, f"{number}.png", encoded(".png", deep(bits)))
    means = [frame.image.mean() for frame in frames_of(tmp_path)]
    assert means[:32] == pytest.approx([127.5] * 32, abs=1)
    assert means[32:] == pytest.approx([127.5 / 16] * 8, abs=1)
    assert "from here on" in caplog.records[-1].message


@pytest.mark.parametrize("largest", [1, 15, 100, 255, 1023, 4095, 65535])
@pytest.mark.parametrize("comment", [b"", b"# of a camera\n"])
def test_a_pgm_is_as_bright_as_its_largest_value_says(tmp_path, largest, comment, caplog):
    values = np.round(0.4 * RAMP * largest).astype(">u2" if largest > 255 else np.uint8)
    content = b"P5\n" + comment + b"64 48\n%d\n" % largest + values.tobytes()
    found = only(picture(tmp_path, "a.pgm", content))
    assert np.abs(found[..., 0] - 255 * (values / largest)).max() <= 1.01
    assert caplog.records == []


@pytest.mark.parametrize(
    "content",
    [b"P5\n1 1\n" + b"9" * 5000 + b"\n0", b"P5" + b"#\n" * 10_000_000, b"P5" + b"\n" * 20_000_000],
)
def test_the_head_of_a_pgm_is_short(tmp_path, content, capfd):
    with pytest.raises(MediaError, match="truncated, damaged or not a picture"):
        only(picture(tmp_path, "a.pgm", content))


@pytest.mark.parametrize("filling", [b"\xff" * 4_000_000 + b"\0", b"\xff\x01" * 4_000_000])
def test_the_markers_of_a_jpeg_take_no_time(filling):
    content = encoded(".jpg")
    assert not is_whole_jpeg(content[:2] + filling + content[2:-2])


def test_after_many_damaged_pages_the_rest_is_left_out(tmp_path, caplog):
    content = b"RIFF" + struct.pack("<I", 4 + 8000) + b"WEBP" + b"ANMF\0\0\0\0" * 1000
    with pytest.raises(MediaError, match="None of the 1000 pictures"):
        only(picture(tmp_path, "a.webp", content))
    assert len(caplog.records) == 100


def test_long_numbers_in_names_are_sorted_by_value():
    names = ["a10", "a9", "a" + "1" * 5000, "a" + "0" * 5000 + "8", "a", "b1"]
    assert sorted(names, key=natural_key) == ["a", names[3], "a9", "a10", names[2], "b1"]


def test_black_pictures_stay_black(tmp_path, caplog):
    path = picture(tmp_path, "a.png", encoded(".png", np.zeros((8, 8), np.uint16)))
    assert not only(path).any()
    assert caplog.records == []


@pytest.mark.parametrize("kind", ["palette", "one bit", "alpha", "grey alpha"])
def test_other_pngs_are_read_as_opencv_does(tmp_path, kind):
    rows, colours, depth, extra = {
        "palette": (b"\0\0\1", 3, 8, chunk(b"PLTE", b"\0\0\0\xff\x80\x40")),
        "one bit": (b"\0\x40", 0, 1, b""),
        "alpha": (b"\0" + bytes([9, 90, 200, 0, 10, 20, 30, 255]), 6, 8, b""),
        "grey alpha": (b"\0" + bytes([9, 0, 200, 255]), 4, 8, b""),
    }[kind]
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 2, 1, depth, colours, 0, 0, 0))
    content = b"\x89PNG\r\n\x1a\n" + head + extra
    content += chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    expected = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
    assert np.array_equal(only(picture(tmp_path, "a.png", content)), expected)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_orientation_of_a_photo_is_followed_as_opencv_does(tmp_path, orientation):
    entry = struct.pack(">HHIHH", 0x0112, 3, 1, orientation, 0)
    exif = b"Exif\0\0MM\0*\0\0\0\x08\0\x01" + entry + bytes(4)
    jpeg = encoded(".jpg")
    content = jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + jpeg[2:]
    found = only(picture(tmp_path, "a.jpg", content + b"trailer\xff\xd8"))
    expected = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
    assert found.shape == ((48, 64, 3) if orientation < 5 else (64, 48, 3))
    assert np.array_equal(found, expected)


def test_a_jpeg_of_other_bits_says_so(tmp_path):
    jpeg = bytearray(JPEGS["baseline"])
    jpeg[jpeg.index(b"\xff\xc0") + 4] = 12
    with pytest.raises(MediaError, match="its values have 12 bits"):
        open_source(picture(tmp_path, "a.jpg", bytes(jpeg)))


def test_any_bytes_under_a_pictures_name_are_one_error(tmp_path):
    heads = [content[:20] for content in (JPEGS["grey"], encoded(".png"), encoded(".tif"))]
    heads += [b"RIFF\0\0\0\0WEBPVP8X", b"II*\0", b"P5\n99 99\n255\n", b"\0\0\0\x0cjP  ", b"text"]
    rest = [b"", bytes(9), np.random.default_rng(2).bytes(400)]
    for number, (head, tail) in enumerate(itertools.product(heads, rest)):
        with pytest.raises(MediaError, match=r"cannot be read as a picture|can be read"):
            open_source(picture(tmp_path, f"{number}.png", head + tail))


def test_the_source_of_frames_takes_one_picture_of_a_file(tmp_path, caplog):
    path = picture(tmp_path, "a.tif", cv2.imencodemulti(".tif", FILM)[1].tobytes())
    with FramesSource(path) as source, caplog.at_level(logging.WARNING):
        assert len(list(source)) == 1
    assert "only the first of the 5 pictures" in caplog.text


def test_pages_of_more_pixels_than_opencv_takes(tmp_path):
    path = tmp_path / "a.tif"
    cv2.imwritemulti(str(path), [np.zeros((8, 8, 3), np.uint8)] * 2)
    content = bytearray(path.read_bytes())
    (place,) = struct.unpack_from("<I", content, 4)
    while place:
        (count,) = struct.unpack_from("<H", content, place)
        for entry in range(place + 2, place + 2 + 12 * count, 12):
            if struct.unpack_from("<H", content, entry)[0] in (256, 257):  # width and height
                struct.pack_into("<HII", content, entry + 2, 4, 1, 60_000)
        (place,) = struct.unpack_from("<I", content, place + 2 + 12 * count)
    path.write_bytes(content)
    with pytest.raises(MediaError, match="None of the 2 pictures"):
        open_source(path)


def sixteen_bits(values, *, photometric=1, bits=16, form=1, compression=1, data=None):
    """A grey TIFF of one page, without an encoder."""
    data = values.tobytes() if data is None else data
    height, width = values.shape
    entries = {256: width, 257: height, 258: bits, 259: compression, 262: photometric}
    entries |= {273: 8, 277: 1, 278: height, 279: len(data), 339: form}
    rows = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in entries.items())
    head = b"II*\0" + struct.pack("<I", 8 + len(data)) + data
    return head + struct.pack("<H", len(entries)) + rows + bytes(4)


@pytest.mark.parametrize("bits", [10, 12, 16])
@pytest.mark.parametrize("pages", [1, 2])
def test_sixteen_bits_in_which_white_is_zero_are_no_negative(tmp_path, bits, pages):
    content = sixteen_bits(deep(bits), photometric=0)
    if pages == 2:  # a second page of the same data
        (place,) = struct.unpack_from("<I", content, 4)
        content = content[:-4] + struct.pack("<I", len(content)) + content[place:]
    for frame in frames_of(picture(tmp_path, "a.tif", content)):
        assert np.abs(frame.image[..., 1] - 255 * (1 - RAMP)).max() <= 1.01


SOUND_BUT_UNREADABLE = {
    "signed numbers of 16 bits": {"form": 2},
    "its values have 12 bits": {"bits": 12, "data": bytes(48 * 96)},
    "its values have 4 bits": {"bits": 4, "data": bytes(48 * 32)},
    "TIFF compression 50000": {"compression": 50000},
}


@pytest.mark.parametrize("words", SOUND_BUT_UNREADABLE)
def test_a_sound_tiff_that_cannot_be_read_is_not_called_damaged(tmp_path, words):
    content = sixteen_bits(deep(12), **SOUND_BUT_UNREADABLE[words])
    with pytest.raises(MediaError, match=words) as caught:
        open_source(picture(tmp_path, "a.tif", content))
    assert "damaged" not in caught.value.message
    assert "8" in caught.value.hint


@pytest.mark.parametrize("name", ["a.jpe", "a.jfif", "a.JFIF"])
def test_a_photo_under_its_rarer_names_is_a_photo(tmp_path, name, caplog):
    picture(tmp_path, name, JPEGS["baseline"])
    assert is_picture(tmp_path / name)
    assert np.array_equal(only(tmp_path), only(tmp_path / name))
    assert caplog.text == ""
