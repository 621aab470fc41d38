"""Measures every form of deformable convolutions on every target that runs here.

Run it as ``python -m edgekit.benchmarks.suites.operators.forms [ARCH...]``. It exports networks
with random weights in each form that a target takes, verifies them as ``edgekit export`` does, and
measures the forms of a target in turn. The default is ``dla34``.
"""

from __future__ import annotations

import argparse
import tempfile
from dataclasses import replace
from pathlib import Path

from edgekit.benchmarks.suites.support.networks import random_weights
from edgekit.bundle import Bundle
from edgekit.calibration.store import Store, default_store
from edgekit.errors import EdgeKitError
from edgekit.measuring.timing import machine
from edgekit.targets.build import export_bundle, read_checkpoint
from edgekit.targets.dcn_choice import fastest_form, forms_to_time
from edgekit.targets.registry import TARGETS
from edgekit.targets.settings import ExportSettings

__all__ = ["main"]


def _measure(checkpoint: Path, target: str, settings: ExportSettings, folder: Path) -> None:
    loaded = read_checkpoint(checkpoint, settings)
    forms = forms_to_time(loaded.network, settings, target)
    if not forms:
        return

    def export(form: str) -> Bundle:
        chosen = replace(settings, dcn=form)
        out = folder / f"{target}-{form}"
        return export_bundle(checkpoint, target, settings=chosen, out=out, loaded=loaded)

    times = fastest_form(forms, export).manifest.provenance.lowerings
    assert times
    measured = ", ".join(f"{form} {ms:.2f} ms" for form, ms in times.ms.items())
    print(f"{checkpoint.stem}, {times.runtime}: {measured}; chosen {times.chosen}")
    for form, reason in times.refused.items():
        print(f"  {form}: {reason}")


def main() -> None:
    """Prints the times of all forms of each network on each target."""
    parser = argparse.ArgumentParser(description="Measures forms of deformable convolutions.")
    parser.add_argument("archs", nargs="*", default=["dla34"], metavar="ARCH")
    parser.add_argument("--side", type=int, default=256, help="side of the input")
    arguments = parser.parse_args()
    print(machine())
    # Random weights amplify rounding errors more than trained ones.
    settings = ExportSettings(input_size=(arguments.side, arguments.side), tolerance=1e-2)
    store = Store(default_store(option=""))
    try:
        with store.in_use():
            for arch in arguments.archs:
                checkpoint = random_weights(store, arch)
                for target in TARGETS:
                    with tempfile.TemporaryDirectory() as folder:
                        _measure(checkpoint, target, settings, Path(folder))
    except EdgeKitError as error:
        raise SystemExit(str(error)) from error


if __name__ == "__main__":
    main()
