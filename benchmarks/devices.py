"""Measures the rows of a benchmark on other devices, over SSH, and adds them to a report."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from edgekit._progress import Progress
from edgekit.benchmarks.options import BenchOptions
from edgekit.benchmarks.report.checks import check_complete, short_notes
from edgekit.benchmarks.report.reading import parse_report
from edgekit.benchmarks.report.report import MeasuredDevice, Report
from edgekit.bundle import load_bundle
from edgekit.deploy.content import Content, bundle_content, input_content, send_content
from edgekit.deploy.deploy import Hosts
from edgekit.deploy.remote_edgekit import run_there
from edgekit.deploy.ssh import DeviceConnection
from edgekit.errors import BadInputError, EdgeKitError, HostError
from edgekit.files.reading import real_path

__all__ = ["add_devices"]


def add_devices(
    report: Report, options: BenchOptions, bundles: Sequence[Path], progress: Progress
) -> None:
    """Measures bundles on devices, all at a time, and adds their rows to a report.

    The EdgeKit that is installed on a device measures there. A device that fails adds its reason.

    Args:
        report: Report of this machine.
        options: Options of the benchmark; ``host`` names the devices.
        bundles: Folders of the bundles.
        progress: Display of the progress: one phase.

    Raises:
        HostError: Neither this machine nor any device measured a row.
    """
    contents = [bundle_content(load_bundle(path)) for path in bundles]
    inputs = _inputs(options)
    labels = {row.sha256: row.bundle for row in report.rows}
    progress.phase("Measuring on devices", len(options.host))

    def work(connection: DeviceConnection) -> Report:
        folders = [send_content(connection, each)[0] for each in contents]
        given = {
            name: f"{send_content(connection, each)[0]}/{place}"
            for name, (each, place) in inputs.items()
        }
        found = run_there(
            connection, ["bench", *folders], dict[str, object], {**_settings(options), **given}
        )
        progress.advance()
        return _converted(connection.host, found)

    hosts = Hosts(options.host)
    report.devices = []
    for host, found in zip(options.host, hosts.map(work), strict=True):
        if isinstance(found, EdgeKitError):
            report.devices.append(MeasuredDevice(host=host, error=str(found).replace("\n", " ")))
            continue
        about = MeasuredDevice(
            host=host, created=found.created, machine=found.machine, energy=found.energy
        )
        report.devices.append(about)
        for row in found.rows:
            row.host, row.bundle = host, labels.get(row.sha256, row.bundle)
            report.rows.append(row)
        report.notes += short_notes(found.notes, host)
    if not any(row.result for row in report.rows):
        raise _nothing_measured(report)


def _inputs(options: BenchOptions) -> dict[str, tuple[Content, str]]:
    """Returns the files that the devices need, by their option, and their names there."""
    paths = {"source": options.source, "annotations": options.annotations}
    return {
        name: (input_content(Path(path)), real_path(Path(path)).name)
        for name, path in paths.items()
        if path is not None
    }


def _settings(options: BenchOptions) -> dict[str, object]:
    """Returns the options that say how to measure, by the name of the parameter."""
    names = ("frames", "rounds", "runtime", "threads", "arithmetic", "accuracy", "under_load")
    return {name: getattr(options, name) for name in (*names, "energy")}


def _converted(host: str, found: dict[str, object]) -> Report:
    hint = f"Install the EdgeKit of this machine there: edgekit deploy {host} BUNDLE"
    try:
        report = parse_report(found, place=f"The report from {host}", hint=hint)
        check_complete(report)
    except (msgspec.ValidationError, ValueError) as error:
        raise BadInputError(
            f"Expected a report of edgekit bench from {host}; found another one: {error}.",
            hint=hint,
        ) from error
    return report


def _nothing_measured(report: Report) -> HostError:
    reasons = [f"{row.host or 'this machine'}: {row.error.message}"
               for row in report.rows if row.error]  # fmt: skip
    reasons += [f"{each.host}: {each.error}" for each in report.devices or () if each.error]
    return HostError(
        f"No bundle could be measured, neither here nor on a device. {' '.join(reasons)}"
    )
