"""Tests the NEON kernel of the cascade on emulated arm64 against numpy on this machine."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from edgekit.runtime import native, ssim
from edgekit.runtime.cascade import Cascade
from edgekit.runtime.native.structures import CascadePlan
from edgekit.runtime.ssim import SHIFTS

ROOT = Path(__file__).resolve().parents[2]
COMPILER, EMULATOR = "aarch64-linux-gnu-gcc", "qemu-aarch64-static"
MEAN, STD = (0.40789654, 0.44719302, 0.47026115), (0.28863828, 0.27408164, 0.27809835)


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    """A program that runs the kernels of the library, compiled as setup.py compiles them."""
    if not (shutil.which(COMPILER) and shutil.which(EMULATOR)):
        pytest.skip(f"{COMPILER} and {EMULATOR} are not both here")
    path = tmp_path_factory.mktemp("neon") / "neon"
    sources = ROOT / "edgekit" / "runtime" / "native"
    flags = ["-O3", "-std=c11", "-D_GNU_SOURCE", "-ffp-contract=off", "-Wno-psabi", "-static"]
    files = [*sorted(sources.glob("*.c")), ROOT / "tests" / "native" / "neon.c"]
    command = [COMPILER, *flags, '-DSOURCES=""', "-I", sources, *files, "-lm", "-o", path]
    subprocess.run(command, check=True)
    return path


def plan_of(size, candidates, dissimilarity):
    """The plan that Python gives the library for such pictures."""
    mean, std = np.array(MEAN), np.array(STD)
    plan = CascadePlan(*size, candidates, dissimilarity)
    plan.k1, plan.k2, plan.tie, plan.smallest = ssim.K1, ssim.K2, ssim.TIE, ssim.SMALLEST
    gain, bias = ssim.scale(mean, std)
    levels = ((np.arange(256)[:, None] / 255 - mean) / std).T.astype(np.float32)
    for field, values in (("shifts", SHIFTS), ("gain", gain), ("bias", bias), ("levels", levels)):
        np.ctypeslib.as_array(getattr(plan, field))[:] = values
    return plan


def pairs_of(size, rng):
    """Pairs of pictures that are noise, shifted copies, dark, flat, or black and white."""
    noise = rng.integers(0, 256, (*size, 3), dtype=np.uint8)
    yield noise, rng.integers(0, 256, (*size, 3), dtype=np.uint8)
    yield from ((np.roll(noise, shift, (0, 1)), noise) for shift in SHIFTS)
    yield noise // 100, noise // 90
    yield np.full_like(noise, 7), np.full_like(noise, 9)
    yield noise, (noise > 127).astype(np.uint8) * 255


@pytest.mark.parametrize("kind", ["ssim", "ssim-shifted", "dssim"])
@pytest.mark.parametrize("size", [(9, 9), (31, 45), (64, 32), (96, 120)])
def test_neon_equals_numpy_to_the_last_bit(program, monkeypatch, size, kind):
    monkeypatch.setenv(native.VARIABLE, native.NUMPY)
    cascade = Cascade(size, MEAN, STD, kind=kind)
    pairs = list(pairs_of(size, np.random.default_rng(size[1])))
    plan = plan_of(size, len(SHIFTS) - (kind == "ssim-shifted"), kind == "dssim")
    given = bytes(plan) + b"".join(picture.tobytes() for pair in pairs for picture in pair)
    done = subprocess.run([EMULATOR, program], input=given, stdout=subprocess.PIPE, check=True)
    result = np.dtype([("chosen", np.int32), ("tensor", np.float32, (6, *size))])
    found = np.frombuffer(done.stdout, result)
    assert len(found) == len(pairs)
    expected = np.empty((6, *size), np.float32)
    for pair, one in zip(pairs, found, strict=True):
        assert cascade._maker.stack(*pair, expected) == one["chosen"]
        np.testing.assert_array_equal(one["tensor"].view(np.uint32), expected.view(np.uint32))
