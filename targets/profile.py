"""Reads the fastest setting of a bundle on this machine, for ``edgekit run``.

It is separate from ``edgekit.benchmarks.tune``, which finds the setting, so that a run does not
load the measuring code.
"""

from __future__ import annotations

from dataclasses import replace

import msgspec

from edgekit.bundle import Bundle
from edgekit.files.checksums import proven_file
from edgekit.targets.base import SessionOptions
from edgekit.targets.choices import Arithmetic

__all__ = ["PROFILE", "Profile", "tuned_options"]

PROFILE = "profile.json"
"""Name of the file beside the manifest; it belongs to the machine, not to the bundle."""

_SCHEMA = 1


class Profile(msgspec.Struct, kw_only=True):
    """The fastest setting, and the bundle and machine that it was found for."""

    schema: int = _SCHEMA
    bundle_sha256: str
    processor: str
    architecture: str
    cores: int
    runtime: str
    threads: int
    arithmetic: Arithmetic | None


def tuned_options(bundle: Bundle, options: SessionOptions) -> SessionOptions:
    """Returns the options of a bundle's profile, if it fits this machine and no options are given.

    Args:
        bundle: Bundle that is about to run.
        options: Options that the user gave.

    Returns:
        ``options`` if they differ from the default, or if there is no profile of this bundle and
        machine.
    """
    if options != SessionOptions(cache=options.cache):
        return options
    try:
        content = proven_file(bundle.path / PROFILE, bundle.sha256)
        profile = msgspec.json.decode(content or b"", type=Profile)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return options
    from edgekit.measuring.machine import describe_machine

    machine = describe_machine()
    made_for = (profile.bundle_sha256, profile.processor, profile.architecture, profile.cores)
    here = (bundle.sha256, machine.processor, machine.architecture, machine.cores)
    if profile.schema != _SCHEMA or made_for != here:
        return options
    return replace(
        options,
        runtime=profile.runtime,
        threads=profile.threads,
        arithmetic=profile.arithmetic,
    )
