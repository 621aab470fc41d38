"""Defines every error that EdgeKit raises on purpose, as one tree.

    EdgeKitError                    1
    ├── UsageError                  2   an invalid option, argument or combination of them
    │   └── OutOfRangeError             a row that a result does not have
    ├── BadInputError               3   an invalid input
    │   ├── CheckpointError             a checkpoint
    │   ├── BundleError                 a bundle
    │   │   └── SignatureError          a signature of a bundle
    │   ├── MediaError                  a camera, video, picture or stream
    │   ├── AnnotationError             annotations or saved detections
    │   ├── CalibrationError            calibration data
    │   ├── OutputError                 a place to write to: unwritable, full, already there
    │   ├── HostError                   a device that is reached over SSH
    │   └── ResourceError               resources of this process: memory, threads, files
    │       └── LostWorkerError             a worker process that dies on an item of work
    ├── ConversionError             1   a converter failed, or cannot write the requested form
    ├── ClusterError                1   a cluster cannot be reached, is gone, or does not fit
    ├── PluginError                 1   a package that extends EdgeKit is broken, or clashes
    ├── MissingDependencyError      4   a runtime or an extra is not installed
    └── BoundError                  5   the result missed a stated bound

The number is the exit status of the command line. The ``code`` of a class names it where ``--json``
prints the error, and stays constant across versions. A message says what was expected and what was
found; ``hint`` is the command or step that solves the problem.
"""

from __future__ import annotations

import importlib
import sys

from edgekit.system.installation import install_line

__all__ = [
    "AnnotationError",
    "BadInputError",
    "BoundError",
    "BundleError",
    "CalibrationError",
    "CheckpointError",
    "ClusterError",
    "ConversionError",
    "EdgeKitError",
    "HostError",
    "LostWorkerError",
    "MediaError",
    "MissingDependencyError",
    "OutOfRangeError",
    "OutputError",
    "PluginError",
    "ResourceError",
    "SignatureError",
    "UsageError",
]


class EdgeKitError(Exception):
    """Base class of all errors of EdgeKit.

    Args:
        message: Description of what was expected and found, in one or a few sentences.
        hint: Advice for the user, shown on its own line.

    Attributes:
        code: Word for this kind of error that never changes, for programs.
        exit_status: Exit status of the command line.
    """

    code = "error"
    exit_status = 1

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n{self.hint}" if self.hint else self.message


class UsageError(EdgeKitError):
    """An option or argument has an invalid value, or two of them contradict each other."""

    code = "usage"
    exit_status = 2


class OutOfRangeError(UsageError, IndexError):
    """A result has no such row; an ``IndexError`` too, as Python's sequences expect."""


class BadInputError(EdgeKitError):
    """An input is not what was expected."""

    code = "bad_input"
    exit_status = 3


class CheckpointError(BadInputError):
    """A checkpoint is unreadable, unsafe, or of an unknown network."""

    code = "checkpoint"


class BundleError(BadInputError):
    """A bundle is missing, incomplete, edited, or of an unknown schema."""

    code = "bundle"


class SignatureError(BundleError):
    """A bundle is not signed, or not by an allowed key, or its signature is wrong or expired."""

    code = "signature"


class MediaError(BadInputError):
    """A camera, video, picture or folder of pictures cannot be read."""

    code = "media"


class AnnotationError(BadInputError):
    """Annotations or saved detections do not have the documented layout."""

    code = "annotation"


class CalibrationError(BadInputError):
    """Calibration data is missing, unreadable, too uniform, or makes a model overflow."""

    code = "calibration"


class OutputError(BadInputError):
    """A result cannot be written: the place is unwritable, full, or already taken."""

    code = "output"


class HostError(BadInputError):
    """A device cannot be reached over SSH, or does not fit, or a step on it failed."""

    code = "host"


class ResourceError(BadInputError):
    """The system gives this process no more memory, threads or open files."""

    code = "resource"


class LostWorkerError(ResourceError):
    """Worker processes died on one item of work, each time that it was tried."""


class ConversionError(EdgeKitError):
    """A converter failed, or cannot write the requested form; nothing was written."""

    code = "conversion"


class ClusterError(EdgeKitError):
    """A cluster cannot be reached, was lost, or has other versions or files than this machine."""

    code = "cluster"


class PluginError(EdgeKitError):
    """A part that an installed package adds to EdgeKit is broken, or has a name that is taken."""

    code = "plugin"


class MissingDependencyError(EdgeKitError):
    """A runtime or an extra is not installed."""

    code = "missing_dependency"
    exit_status = 4

    @classmethod
    def for_extra(
        cls, module: str, extra: str, purpose: str, error: ImportError | None = None
    ) -> MissingDependencyError:
        """Returns the error for a missing module, with the pip command for it.

        The error of its import says if the module is there, but broken.

        Args:
            module: Name of the module.
            extra: Extra that installs it; empty if every installation has it.
            purpose: What needs it, as the subject of a sentence.
            error: Error of the import; None for the one that is being handled.
        """
        broken = error or sys.exc_info()[1]
        if isinstance(broken, ImportError) and not isinstance(broken, ModuleNotFoundError):
            reason = " ".join(str(broken).split()).rstrip(".")
            return cls(
                f"{purpose} needs the package that provides '{module}', which is installed, but "
                f"cannot be imported: {reason}.",
                hint="Install that package again, or the system library that the message names.",
            )
        return cls(
            f"{purpose} needs the package that provides '{module}', which is not installed.",
            hint=f"Run: {install_line(*filter(None, [extra]))}",
        )

    @classmethod
    def unless(cls, module: str, extra: str, purpose: str) -> None:
        """Raises the error of ``for_extra`` unless the module can be imported."""
        try:
            importlib.import_module(module)
        except ImportError as error:
            raise cls.for_extra(module, extra, purpose) from error


class BoundError(EdgeKitError):
    """The result exists, but misses a requested bound."""

    code = "bound"
    exit_status = 5
