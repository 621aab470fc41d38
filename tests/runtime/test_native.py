from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgekit.cli import main as run
from edgekit.errors import MissingDependencyError, UsageError
from edgekit.runtime import native
from edgekit.runtime.cascade import Cascade
from edgekit.runtime.letterbox import Letterbox
from edgekit.runtime.native import library, structures
from edgekit.runtime.ssim import SHIFTS, TIE, ShiftedSsim

COMPILED = native.setting().available[:-1]
# numpy's way sums by OpenCV, which on ARM adds float32 in lanes. Equal scores must still tie.
SUMMED = 2e-9 if platform.machine() == "x86_64" else TIE / 2
MEAN, STD = (0.40789654, 0.44719302, 0.47026115), (0.28863828, 0.27408164, 0.27809835)

needs_library = pytest.mark.skipif(not COMPILED, reason="the compiled kernel was not built")


def made(kernel, size, mean=MEAN, std=STD, **options):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(native.VARIABLE, kernel)
        return Cascade(size, mean, std, **options)


@pytest.fixture
def fresh():
    """Lets a test look for the library anew, and puts things back."""
    library.load.cache_clear()
    yield
    library.load.cache_clear()


@st.composite
def pictures(draw):
    """Two pictures of one size, of the kinds that are hard: dark, flat, extreme, alike."""
    height, width = draw(st.integers(9, 60)), draw(st.integers(9, 80))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))

    def picture(like=None):
        kinds = ["noise", "flat", "dark", "extreme", "smooth", "black"]
        kind = draw(st.sampled_from([*kinds, "shifted"] if like is not None else kinds))
        shape = (height, width, 3)
        if kind == "shifted":
            return np.roll(like, draw(st.sampled_from(SHIFTS)), (0, 1))
        if kind == "smooth":
            return cv2.GaussianBlur(rng.integers(0, 256, shape, dtype=np.uint8), (7, 7), 2)
        low, high = {
            "noise": (0, 256),
            "flat": (level := draw(st.integers(0, 255)), level + 1),
            "dark": (0, 3),
            "extreme": (0, 2),
            "black": (0, 1),
        }[kind]
        drawn = rng.integers(low, high, shape, dtype=np.uint8)
        return drawn * 255 if kind == "extreme" else drawn

    current = picture()
    return picture(current), current


@needs_library
@settings(max_examples=150, deadline=None)
@given(
    pair=pictures(),
    mean=st.tuples(*[st.floats(0, 1)] * 3),
    std=st.tuples(*[st.floats(0.001, 2)] * 3),
    kind=st.sampled_from(["ssim", "ssim-shifted", "dssim"]),
)
def test_every_kernel_equals_numpy_to_the_last_bit(pair, mean, std, kind):
    size = pair[0].shape[:2]
    expected, out = np.empty((2, 6, *size), np.float32)
    shift = made("numpy", size, mean, std, kind=kind)._maker.stack(*pair, expected)
    planes = (np.ascontiguousarray(picture.transpose(2, 0, 1)) for picture in pair)
    candidates = len(SHIFTS) - (kind == "ssim-shifted")
    _, scores = ShiftedSsim(size, mean, std).best_shift(*planes, candidates)
    for kernel in COMPILED:
        maker = made(kernel, size, mean, std, kind=kind)._maker
        out.fill(np.nan)
        assert maker.stack(*pair, out) == shift
        np.testing.assert_array_equal(out, expected, err_msg=kernel)
        np.testing.assert_allclose(maker.scores, scores, rtol=0, atol=SUMMED)


@needs_library
@pytest.mark.shared
@pytest.mark.parametrize("kernel", COMPILED)
@pytest.mark.parametrize("side", [256, 288])
def test_real_frames_equal_numpy(shared, kernel, side):
    capture = cv2.VideoCapture(str(shared / "ucf24" / "v_Biking_g01_c01.mp4"))
    compiled, plain = made(kernel, (side, side)), made("numpy", (side, side))
    for _ in range(6):
        image = capture.read()[1]
        np.testing.assert_array_equal(compiled(image)[0], plain(image)[0])
    capture.release()


@needs_library
@pytest.mark.parametrize("kernel", COMPILED)
def test_a_score_stays_exact_over_thousands_of_rows(kernel):
    rng = np.random.default_rng(2)
    previous, current = rng.integers(90, 110, (2, 2600, 12, 3), dtype=np.uint8)
    expected = ShiftedSsim((2600, 12), MEAN, STD).best_shift(
        *(np.ascontiguousarray(picture.transpose(2, 0, 1)) for picture in (previous, current))
    )
    maker = made(kernel, (2600, 12))._maker
    assert maker.stack(previous, current, np.empty((6, 2600, 12), np.float32)) == expected[0]
    np.testing.assert_allclose(maker.scores, expected[1], rtol=0, atol=SUMMED)


@needs_library
def test_cascades_of_two_threads_do_not_meet():
    rng = np.random.default_rng(4)
    pairs = rng.integers(0, 256, (2, 2, 96, 96, 3), dtype=np.uint8)
    expected = [made(COMPILED[0], (96, 96)).stack(*pair) for pair in pairs]
    wrong = []

    def work(cascade, pair, tensor):
        if not all(np.array_equal(cascade.stack(*pair), tensor) for _ in range(50)):
            wrong.append(pair)

    cascades = [made(COMPILED[0], (96, 96)) for _ in pairs]
    threads = [
        threading.Thread(target=work, args=each)
        for each in zip(cascades, pairs, expected, strict=True)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


@needs_library
def test_pictures_that_lie_otherwise_in_memory_are_the_same_pictures():
    rng = np.random.default_rng(5)
    previous, current = rng.integers(0, 256, (2, 3, 40, 44), dtype=np.uint8)
    cascade = made(COMPILED[0], (40, 44))
    views = [planes.transpose(1, 2, 0) for planes in (previous, current)]
    expected = cascade.stack(*(view.copy() for view in views))
    np.testing.assert_array_equal(cascade.stack(*views), expected)


@needs_library
@pytest.mark.parametrize(
    "wrong",
    [
        {"previous": np.zeros((20, 21, 3), np.uint8)},
        {"current": np.zeros((20, 20, 4), np.uint8)},
        {"current": np.zeros((20, 20, 3), np.float32)},
        {"out": np.zeros((6, 20, 20))},
        {"out": np.zeros((3, 20, 20), np.float32)},
        {"out": np.zeros((6, 20, 40), np.float32)[..., ::2]},
    ],
)
def test_arrays_that_do_not_fit_never_reach_the_library(wrong):
    good = {
        "previous": np.zeros((20, 20, 3), np.uint8),
        "current": np.zeros((20, 20, 3), np.uint8),
        "out": np.zeros((6, 20, 20), np.float32),
    }
    maker = made(COMPILED[0], (20, 20))._maker
    maker.stack(**good)
    with pytest.raises(ValueError, match="expected"):
        maker.stack(**good | wrong)


@pytest.mark.parametrize("kernel", [*COMPILED, native.NUMPY])
def test_pictures_without_a_window_are_refused(kernel):
    with pytest.raises(ValueError, match="at least 9"):
        made(kernel, (8, 20))


@needs_library
def test_what_the_kernel_refuses_is_an_error():
    maker = made(COMPILED[0], (20, 20))._maker
    maker._scratch = maker._scratch[:1]
    picture = np.zeros((20, 20, 3), np.uint8)
    with pytest.raises(ValueError, match="the compiled kernel does not accept pictures of shape"):
        maker.stack(picture, picture, np.empty((6, 20, 20), np.float32))


@needs_library
def test_absurd_deviations_are_left_to_numpy():
    assert isinstance(made(COMPILED[0], (20, 20))._maker, native.NativeCascade)
    for std in ((1e-9, 1, 1), (1, 1, 1e9)):
        assert not isinstance(made(COMPILED[0], (20, 20), std=std)._maker, native.NativeCascade)


def test_the_variable_chooses(monkeypatch):
    for name in native.setting().available:
        monkeypatch.setenv(native.VARIABLE, name)
        assert native.setting().kernel == name
    monkeypatch.setenv(native.VARIABLE, " ")
    assert native.setting().kernel == native.setting().available[0]


@pytest.mark.parametrize("name", ["avx", "NUMPY", "sse2,numpy"])
def test_a_kernel_that_is_none_is_refused(monkeypatch, name):
    monkeypatch.setenv(native.VARIABLE, name)
    with pytest.raises(UsageError, match=rf"one of .*numpy on this machine; found '{name}'"):
        Cascade((20, 20), MEAN, STD)


@pytest.mark.parametrize("state", ["missing", "broken", "strange", "old", "stale"])
@pytest.mark.usefixtures("fresh")
def test_without_a_library_of_use_numpy_does_it(monkeypatch, tmp_path, capsys, state):
    if state == "old":
        if not COMPILED:
            pytest.skip("the compiled kernel was not built")
        monkeypatch.setattr(structures, "LAYOUTS", (structures.CascadePlan, structures.CascadePlan))
    else:
        path = tmp_path / "_kernels.so"
        monkeypatch.setattr(library, "_LIBRARY", path)
        if state == "stale":
            if not COMPILED:
                pytest.skip("the compiled kernel was not built")
            shutil.copy(Path(structures.__file__).with_name("_kernels.so"), path)
            (tmp_path / "changed.c").write_text("int32_t other(void) { return 1; }")
        if state == "broken":
            path.write_bytes(b"\x7fELF and no more")
        if state == "strange":
            # A library, but of something else.
            import _ctypes

            path.symlink_to(_ctypes.__file__)
    found = native.setting()
    assert found.available == (native.NUMPY,)
    assert found.kernel == native.NUMPY
    monkeypatch.delenv(native.VARIABLE, raising=False)
    Cascade((20, 20), MEAN, STD)
    assert run(["doctor"]) == 0
    assert found.problem in capsys.readouterr().out
    monkeypatch.setenv(native.VARIABLE, "avx2")
    with pytest.raises(MissingDependencyError, match="asks for the kernel avx2"):
        native.setting()


def test_doctor_says_which_kernel_is_in_use(monkeypatch, capsys):
    monkeypatch.setenv(native.VARIABLE, native.setting().available[0])
    assert run(["doctor"]) == 0
    assert f"Cascade  {native.setting().available[0]} (" in capsys.readouterr().out
    monkeypatch.setenv(native.VARIABLE, "abacus")
    assert run(["doctor"]) == 0
    assert "found 'abacus'" in " ".join(capsys.readouterr().out.split())
    assert run(["run", "--source", "."]) in (2, 3)


def test_the_letterboxed_frame_goes_through_any_kernel_alike():
    image = np.random.default_rng(9).integers(0, 256, (60, 100, 3), dtype=np.uint8)
    tensors = []
    for kernel in native.setting().available:
        cascade = made(kernel, (64, 64), first_frame="repeat", kind="dssim")
        tensor, letterbox = cascade(image)
        assert letterbox == Letterbox.fit((60, 100), (64, 64))
        tensors.append(tensor)
    for tensor in tensors[1:]:
        np.testing.assert_array_equal(tensor, tensors[0])


@pytest.mark.parametrize("compiler", ["there", "old", "missing"])
@pytest.mark.usefixtures("fresh")
def test_the_build_makes_a_library_or_goes_without(monkeypatch, tmp_path, compiler):
    pytest.importorskip("setuptools.command.bdist_wheel")
    known = shutil.which("cc") or shutil.which("gcc")
    if compiler != "missing" and not known:
        pytest.skip("no C compiler is here")
    old = tmp_path / "old-cc"
    old.write_text(f'#!/bin/sh\ncase "$*" in *-mavx512*) exit 1 ;; esac\nexec {known} "$@"\n')
    old.chmod(0o755)
    chosen = {"there": {}, "old": {"CC": str(old)}, "missing": {"CC": "false"}}[compiler]
    environment = os.environ | chosen
    environment.pop("EDGEKIT_NO_KERNEL", None)
    root = Path(__file__).parents[2]
    folders = [f"--build-lib={tmp_path}", f"--build-temp={tmp_path / 'objects'}"]
    done = subprocess.run(
        [sys.executable, "setup.py", "build_ext", *folders],
        cwd=root,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    built = tmp_path / "edgekit" / "runtime" / "native" / "_kernels.so"
    assert built.is_file() == (compiler != "missing")
    if compiler != "missing":
        monkeypatch.setattr(library, "_LIBRARY", built)
        available = native.setting().available
        assert available[-1] == native.NUMPY
        assert available[-2] in ("sse2", "neon")
        assert compiler == "there" or "avx512" not in available
        assert 1e6 < native.clock() < 1e11
