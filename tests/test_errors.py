from __future__ import annotations

import pytest

from edgekit import errors
from edgekit.system.installation import install_line


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        (errors.EdgeKitError, 1),
        (errors.UsageError, 2),
        (errors.OutOfRangeError, 2),
        (errors.CheckpointError, 3),
        (errors.BundleError, 3),
        (errors.SignatureError, 3),
        (errors.MediaError, 3),
        (errors.AnnotationError, 3),
        (errors.CalibrationError, 3),
        (errors.OutputError, 3),
        (errors.MissingDependencyError, 4),
        (errors.BoundError, 5),
    ],
)
def test_every_error_has_its_exit_status(kind, status):
    assert kind("x").exit_status == status
    assert issubclass(kind, errors.EdgeKitError)


def test_the_tree_in_the_docstring_is_the_tree():
    tree = errors.__doc__.split("\n\n")[1]
    assert sorted(errors.__all__) == sorted(
        word for line in tree.splitlines() for word in line.split() if word.endswith("Error")
    )


def test_a_missing_extra_names_its_pip_line():
    error = errors.MissingDependencyError.for_extra("torch", "host", "Training")
    assert install_line("host") in str(error)


def test_a_package_that_is_there_and_cannot_be_imported_is_not_missing(tmp_path, monkeypatch):
    (tmp_path / "spot_package.py").write_text("raise ImportError('libGL.so.1: no such file')")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(errors.MissingDependencyError) as caught:
        errors.MissingDependencyError.unless("spot_package", "video", "Reading")
    assert "which is installed, but cannot be imported: libGL.so.1" in caught.value.message
    assert "pip" not in caught.value.hint
    with pytest.raises(errors.MissingDependencyError, match="not installed"):
        errors.MissingDependencyError.unless("other_package", "video", "Reading")
