"""Defines the command ``edgekit doctor``."""

from __future__ import annotations

import logging
import sys
from pathlib import Path

import click

from edgekit.cli.options.shared import common_options, emit_json, stdout_console

__all__ = ["command"]

_LOG = logging.getLogger(__name__)


@click.command(name="doctor")
@common_options
def command(as_json: bool) -> None:
    """Show the packages, cameras and processors here, and how to install what is missing.

    Example: edgekit doctor
    """
    import edgekit
    from edgekit.cli.output.system_report import print_system_report
    from edgekit.doctor.system import examine_system
    from edgekit.system.installation import origin

    place = origin().place or "an index"
    _LOG.info("EdgeKit is %s, installed from %s.", Path(edgekit.__file__).parent, place)
    _LOG.info("Python is %s.", sys.executable)
    found = examine_system()
    for part in found.packages:
        _LOG.info(
            "%s %s. The command that installs it: %s",
            part.name,
            part.version,
            part.install or "none on this machine",
        )
    if as_json:
        emit_json(found)
        return
    print_system_report(stdout_console(), found)
