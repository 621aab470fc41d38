"""The setting of a bundle that was the fastest on this machine, as ``edgekit run`` reads it.

Apart from ``edgekit.benchmarks.tune``, which finds it: a run should not load what measures.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Literal, TypeAlias

import msgspec

from edgekit._checksums import proven_file
from edgekit.bundle import Bundle
from edgekit.targets.base import SessionOptions

__all__ = ["PROFILE", "Arithmetic", "Profile", "tuned_options"]

PROFILE = "profile.json"
"""Beside the manifest; it belongs to the machine and not to the bundle."""

Arithmetic: TypeAlias = Literal["f32", "f16", "bf16"]

_SCHEMA = 1


class Profile(msgspec.Struct, kw_only=True):
    """What was found, and the bundle and machine that it was found for."""

    schema: int = _SCHEMA
    bundle_sha256: str
    processor: str
    architecture: str
    cores: int
    runtime: str
    threads: int
    arithmetic: Arithmetic | None


def tuned_options(bundle: Bundle, options: SessionOptions) -> SessionOptions:
    """The options of a bundle's profile, where it is of this machine and nothing was asked for.

    Args:
        bundle: What is going to run.
        options: What was asked for.

    Returns:
        ``options``, if it differs from the default, or there is no profile of this bundle and
        machine.
    """
    if options != SessionOptions(cache=options.cache):
        return options
    try:
        content = proven_file(bundle.path / PROFILE, bundle.sha256)
        profile = msgspec.json.decode(content or b"", type=Profile)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return options
    from edgekit.benchmarks.machine import describe_machine

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
