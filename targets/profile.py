"""Reads the fastest setting of a bundle on this machine, for ``edgekit run``.

It is separate from ``edgekit.benchmarks.tune``, which finds the setting, so that a run does not
load the measuring code.
"""

from __future__ import annotations

import logging
from dataclasses import replace

import msgspec

from edgekit.bundle import Bundle
from edgekit.files.checksums import proven_file
from edgekit.files.schemas import schema_in
from edgekit.system.cores import most_threads
from edgekit.targets.base import SessionOptions
from edgekit.targets.choices import Arithmetic
from edgekit.targets.registry import runtimes_of, session_class

__all__ = ["PROFILE", "Profile", "read_profile", "tuned_options"]

_LOG = logging.getLogger(__name__)

PROFILE = "profile.json"
"""Name of the file beside the manifest; it belongs to the machine, not to the bundle."""

_SCHEMA = 1
_MOST_BYTES = 1 << 16

_MOST_THREADS_PER_CORE = 4
"""No tuning gains from more threads, and a bundle may come from somebody else."""


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
        machine. A profile with values that are not possible is ignored with a warning.
    """
    if options != SessionOptions(cache=options.cache):
        return options
    profile = read_profile(bundle)
    if profile is None:
        return options
    from edgekit.measuring.machine import describe_machine

    machine = describe_machine()
    made_for = (profile.bundle_sha256, profile.processor, profile.architecture, profile.cores)
    here = (bundle.sha256, machine.processor, machine.architecture, machine.cores)
    if made_for != here:
        return options
    fault = _fault(profile, bundle)
    if fault:
        _ignore(bundle, fault)
        return options
    return replace(
        options,
        runtime=profile.runtime,
        threads=profile.threads,
        arithmetic=profile.arithmetic,
    )


def read_profile(bundle: Bundle) -> Profile | None:
    """Returns the profile of a bundle, of any machine; None if there is none.

    A profile is measured again more easily than read by force, so one of a newer EdgeKit is ignored
    with a warning.
    """
    # Whoever runs a bundle may use the profile that its owner measured: all its values are checked.
    content = proven_file(bundle.path / PROFILE, bundle.sha256, most=_MOST_BYTES, own=False)
    if content is None:
        return None
    schema = schema_in(content)
    if schema != _SCHEMA:
        _ignore(bundle, f"expected schema {_SCHEMA}; found {schema}")
        return None
    try:
        return msgspec.json.decode(content, type=Profile)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None


def _ignore(bundle: Bundle, reason: str) -> None:
    _LOG.warning(
        "%s is ignored: %s. To measure again: edgekit bench %s --tune",
        bundle.path / PROFILE,
        reason,
        bundle.path,
    )


def _fault(profile: Profile, bundle: Bundle) -> str:
    """Returns which value of a profile is not possible here; empty if all are."""
    most = min(_MOST_THREADS_PER_CORE * profile.cores, most_threads())
    if not 0 <= profile.threads <= most:
        return f"expected threads from 0 to {most}; found {profile.threads}"
    target, allowed = bundle.manifest.target, runtimes_of(bundle)
    if profile.runtime not in allowed:
        return (
            f"expected the runtime of a bundle for {target} to be {' or '.join(allowed)}; found "
            f"{profile.runtime[:80]!r}"
        )
    if profile.arithmetic and "arithmetic" not in session_class(target, profile.runtime).takes:
        return f"{profile.runtime} has no choice of arithmetic; found {profile.arithmetic!r}"
    return ""
