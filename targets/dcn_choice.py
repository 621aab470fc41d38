"""Chooses the form of deformable convolutions by measuring each that a target takes."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from edgekit._parameters import parameter
from edgekit.bundle import Bundle, LoweringTimes
from edgekit.errors import BoundError, BundleError, ConversionError, EdgeKitError
from edgekit.measuring.timing import interleaved
from edgekit.runtime.types import Array
from edgekit.targets.base import Session, expected_inputs
from edgekit.targets.registry import TARGETS, exporter, open_session, session_class
from edgekit.targets.settings import ExportSettings

if TYPE_CHECKING:
    from torch import nn

__all__ = ["fastest", "fastest_form", "forms_to_time", "session_seconds"]

_LOG = logging.getLogger(__name__)

_MARGIN = 0.05
"""Share of the first form's time by which another form must be faster to be chosen."""

_REPEATS = 20


def forms_to_time(network: nn.Module, settings: ExportSettings, target: str) -> tuple[str, ...]:
    """Returns the forms of deformable convolutions to measure, the target's default first.

    Args:
        network: Network to export.
        settings: Settings of the export.
        target: Name in ``edgekit.targets.registry.TARGETS``.

    Returns:
        An empty tuple if there is nothing to choose: one form is named, the target takes only one,
        the network has no deformable convolutions, or the target's runtime is not on this machine.
    """
    from edgekit.models.dcn import DeformConv2d

    forms = exporter(target).lowerings
    deformable = any(isinstance(layer, DeformConv2d) for layer in network.modules())
    if settings.dcn != "auto" or len(forms) < 2 or not deformable:
        return ()
    runtime = TARGETS[target].runtimes[0]
    session = session_class(target, runtime)
    try:
        session.check_machine()
        if session.simulator:
            raise EdgeKitError(f"{session.simulator} computes in place of the hardware.")
    except EdgeKitError as error:
        _LOG.warning(
            "The forms of the deformable convolutions are not measured, because %s does not run "
            "here: %s EdgeKit takes %s. To compare them on the device, export a bundle for each "
            "form, for example with %s, and measure them: edgekit bench BUNDLE...",
            runtime,
            error.message,
            forms[0],
            parameter("dcn", forms[1]),
        )
        return ()
    return forms


def fastest_form(forms: Sequence[str], export: Callable[[str], Bundle]) -> Bundle:
    """Exports each form, measures all of them in turn, and returns the bundle of the fastest.

    The first form is the default: another one is taken only if it is faster by more than 5%.

    Args:
        forms: Names of the forms, at least one.
        export: Function that exports and verifies a form.

    Returns:
        The bundle, whose manifest has the measured times.

    Raises:
        EdgeKitError: No form can be used; this is the error of the first one.
    """
    bundles: dict[str, Bundle] = {}
    refused: dict[str, EdgeKitError] = {}
    for form in forms:
        _LOG.info("Exporting the deformable convolutions as %s", form)
        try:
            bundles[form] = export(form)
        except (
            BoundError,
            BundleError,
            ConversionError,
        ) as error:  # an older runtime may refuse it
            refused[form] = error
    if not bundles:
        raise refused[forms[0]]
    with ExitStack() as stack:
        sessions = {
            form: stack.enter_context(open_session(bundle)) for form, bundle in bundles.items()
        }
        seconds = session_seconds(sessions)
        described = next(iter(sessions.values())).describe()
    chosen = fastest(seconds)
    times = LoweringTimes(
        chosen=chosen,
        ms={form: round(1e3 * value, 2) for form, value in seconds.items()},
        refused={form: error.message for form, error in refused.items()},
        runtime=f"{described['runtime']} {described.get('version', '')}".strip(),
        device=described["device"],
    )
    best = bundles[chosen]
    provenance = msgspec.structs.replace(best.manifest.provenance, lowerings=times)
    manifest = msgspec.structs.replace(best.manifest, provenance=provenance)
    return Bundle(best.path, manifest, best.sha256)


def session_seconds(sessions: Mapping[str, Session]) -> dict[str, float]:
    """Returns the median seconds of an inference of each session on random inputs.

    Args:
        sessions: Open sessions by name.
    """
    ways: dict[str, Callable[[], object]] = {}
    for name, session in sessions.items():
        inputs = _random_inputs(session)
        ways[name] = lambda session=session, inputs=inputs: session.infer(inputs)  # type: ignore[misc]
    return interleaved(ways, repeats=_REPEATS, warm_up=3)


def fastest(seconds: Mapping[str, float]) -> str:
    """Returns the fastest name; the first one unless another is faster by more than 5%.

    Args:
        seconds: Seconds by name.
    """
    first = next(iter(seconds))
    found = min(seconds, key=lambda name: seconds[name])
    return found if seconds[found] < (1 - _MARGIN) * seconds[first] else first


def _random_inputs(session: Session) -> dict[str, Array]:
    random = np.random.default_rng(0)
    return {
        name: (
            random.integers(0, 256, shape, np.uint8)
            if dtype == "uint8"
            else random.standard_normal(shape).astype(np.float32)
        )
        for name, (shape, dtype) in expected_inputs(session.bundle.manifest).items()
    }
