"""Tests the message when the system grants no more resources."""

from __future__ import annotations

import errno
import os

import numpy as np
import pytest

from edgekit.errors import BundleError, MissingDependencyError
from edgekit.system.shortage import shortage_of


def caused(error, cause):
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (MemoryError(), "memory"),
        (OSError(errno.ENOMEM, "Cannot allocate memory"), "memory"),
        (RuntimeError("std::bad_alloc"), "memory"),
        (
            caused(BundleError("no."), RuntimeError("Failed to allocate memory for buffer")),
            "memory",
        ),
        (ImportError("libx.so: failed to map segment: Cannot allocate memory"), "memory"),
        (ImportError("libx.so: failed to map segment from shared object"), "memory"),
        (
            caused(
                MissingDependencyError.for_extra("av", "video", "This reader"),
                ImportError("libx.so: failed to map segment from shared object"),
            ),
            "memory",
        ),
        (RuntimeError("can't start new thread"), "threads"),
        (OSError(errno.EMFILE, os.strerror(errno.EMFILE), "x"), "files"),
        (OSError(errno.ENFILE, os.strerror(errno.ENFILE)), "files"),
    ],
)
def test_a_want_is_known_wherever_it_comes_from(error, words):
    found = shortage_of(error)
    assert f"more {words}" in found.message
    assert found.hint
    assert (found.code, found.exit_status) == ("resource", 3)


@pytest.mark.parametrize(
    "text",
    [
        "CUDA out of memory. Tried to allocate 2.00 GiB.",
        "CUDA error: out of memory",
        "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`",
        "cuDNN error: CUDNN_STATUS_ALLOC_FAILED",
    ],
)
def test_a_want_of_the_gpu_is_told_from_one_of_the_machine(text):
    assert shortage_of(RuntimeError(text)).message == "The GPU has too little memory."
    library = ImportError(f"libcudart.so: cannot allocate memory ({text})")
    assert "could not allocate more memory" in shortage_of(library).message


def test_what_numpy_and_threads_really_raise_is_known():
    with pytest.raises(MemoryError) as caught:
        np.zeros(1 << 55, np.uint8)
    assert "memory" in shortage_of(caught.value).message


@pytest.mark.parametrize("error", [None, ValueError("x"), OSError(errno.ENOENT, "x"), KeyError(1)])
def test_other_errors_are_none(error):
    assert shortage_of(error) is None
