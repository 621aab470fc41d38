from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from edgekit import Detector, SessionOptions
from edgekit.assets import default_bundle
from edgekit.errors import BundleError, EdgeKitError, UsageError


@pytest.fixture(scope="module")
def detector():
    with Detector(default_bundle(), options=SessionOptions(threads=1)) as detector:
        yield detector


def pictures(seed, count=4):
    return np.random.default_rng(seed).integers(0, 255, (count, 120, 160, 3), np.uint8)


def test_the_shipped_bundle_has_a_name(detector):
    with Detector("shipped", options=SessionOptions(threads=1)) as named:
        assert named.bundle.sha256 == detector.bundle.sha256
    with pytest.raises(BundleError, match="shipped is not a bundle"):
        Detector("./shipped")


def test_detections_know_their_classes(detector):
    assert detector.detect(pictures(0)[0]).classes == detector.classes


def test_siblings_in_threads_find_what_each_finds_alone(detector):
    def found(seed):
        own = detector.sibling()
        return [own.detect(image) for image in pictures(seed)]

    alone = [found(seed) for seed in range(4)]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(found, range(4)))
    for one, other in zip(alone, together, strict=True):
        for expected, result in zip(one, other, strict=True):
            np.testing.assert_array_equal(result.boxes, expected.boxes)
            np.testing.assert_array_equal(result.scores, expected.scores)


def test_one_detector_may_be_called_by_threads(detector):
    image = pictures(1)[0]
    detector.reset()
    detector.detect(image)
    expected = detector.detect(image)  # whichever thread is next, the previous picture is this
    with ThreadPoolExecutor(4) as pool:
        for result in pool.map(lambda _: detector.detect(image), range(16)):
            np.testing.assert_array_equal(result.scores, expected.scores)


def test_a_buffer_that_the_caller_fills_again_changes_nothing(detector):
    images, buffer = pictures(2), np.empty((120, 160, 3), np.uint8)
    detector.reset()
    expected = [detector.detect(image) for image in images]
    detector.reset()
    for image, one in zip(images, expected, strict=True):
        buffer[:] = image
        np.testing.assert_array_equal(detector.detect(buffer).scores, one.scores)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((None,), "image to be a BGR picture, an array of uint8 .H, W, 3.; found None"),
        (("a.jpg",), "found 'a.jpg', of type str"),
        ((np.zeros((9, 9, 3)),), "found an array of float64"),
        ((np.zeros((9, 9), np.uint8),), "found an array of uint8"),
        ((np.zeros((0, 9, 3), np.uint8),), "found an array of uint8"),
        ((np.zeros((9, 9, 3), np.uint8), 0), "sample_aspect to be more than 0; found 0"),
        ((np.zeros((9, 9, 3), np.uint8), "1"), "sample_aspect to be a number; found '1'"),
    ],
)
def test_wrong_pictures_are_refused(detector, arguments, words):
    with pytest.raises(UsageError, match=words):
        detector.detect(*arguments)
    with pytest.raises(UsageError, match="earlier to be a picture of image's shape"):
        detector.prepare(pictures(0)[0], 1.0, pictures(0)[0][:-1])


def test_wrong_settings_are_refused():
    for bundle in (None, 3, "", b"bundle"):
        with pytest.raises(
            UsageError, match="bundle to be a path, as a string or a path object; found"
        ):
            Detector(bundle)
    with pytest.raises(BundleError):
        Detector("nowhere")
    with pytest.raises(UsageError, match=r"options to be edgekit\.SessionOptions; found 1"):
        Detector(default_bundle(), options=1)
    with pytest.raises(UsageError, match="top_k to be at least 1; found 0"):
        Detector(default_bundle(), top_k=0)


def test_a_model_that_decodes_gives_as_many_as_are_asked_for(checkpoint, export):
    heads, inside = export(checkpoint), export(checkpoint, cascade_in="graph", decode_in="graph")
    image = pictures(3)[0]
    for top_k in (3, 50):
        with Detector(heads, top_k=top_k) as one, Detector(inside, top_k=top_k) as other:
            counts = [np.count_nonzero(each.detect(image).scores) for each in (one, other)]
        assert counts[0] == counts[1] <= top_k
    with pytest.raises(UsageError, match="Expected top_k to be at most 50, because the model of"):
        Detector(inside, top_k=51)
    Detector(heads, top_k=51).close()


@pytest.mark.parametrize("name", ["hm", "wh", "reg"])
def test_outputs_of_another_shape_are_refused(detector, name):
    inputs, letterbox = detector.prepare(np.zeros((48, 64, 3), np.uint8))
    outputs = detector.infer(inputs)
    for wrong in (None, outputs[name][0], outputs[name][..., :-1], outputs[name].astype(float)):
        with pytest.raises(BundleError, match=f"does not match the manifest: it has {name} of"):
            detector.decode({**outputs, name: wrong}, letterbox)
    del outputs[name]
    with pytest.raises(BundleError, match=f"{name} of type NoneType, not float32"):
        detector.decode(outputs, letterbox)


def test_a_closed_detector_says_so():
    detector = Detector(default_bundle())
    detector.close()
    with pytest.raises(EdgeKitError, match="is closed; open it again"):
        detector.detect(pictures(0)[0])


def test_a_picture_of_another_size_is_compared_with_none(detector):
    before, other = pictures(5)[0], np.ascontiguousarray(pictures(6)[0][:90])
    detector.reset()
    expected = detector.detect(other)
    detector.detect(before)
    np.testing.assert_array_equal(detector.detect(other).scores, expected.scores)
