"""The bundle: a folder with all that a device needs to run a detector, and nothing else.

``manifest.json`` describes the model, its input, its output and its origin, and has the checksum of
every other file. Loading checks all of it.
"""

from edgekit.bundle.folder import ARTIFACTS, Bundle, date_of_today, load_bundle, save_bundle
from edgekit.bundle.manifest import (
    MANIFEST,
    SCHEMA,
    CascadeSpec,
    DecodeSpec,
    FileEntry,
    HeadCheck,
    InputSpec,
    LoweringTimes,
    Manifest,
    OutputSpec,
    Place,
    Provenance,
    Quantization,
    RoundingCheck,
    TubeCheck,
    Verification,
    check_choices,
)

__all__ = [
    "ARTIFACTS",
    "MANIFEST",
    "SCHEMA",
    "Bundle",
    "CascadeSpec",
    "DecodeSpec",
    "FileEntry",
    "HeadCheck",
    "InputSpec",
    "LoweringTimes",
    "Manifest",
    "OutputSpec",
    "Place",
    "Provenance",
    "Quantization",
    "RoundingCheck",
    "TubeCheck",
    "Verification",
    "check_choices",
    "date_of_today",
    "load_bundle",
    "save_bundle",
]
