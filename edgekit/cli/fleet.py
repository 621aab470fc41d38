"""Defines the command ``edgekit fleet``."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgekit.cli.options.shared import FiniteRange, common_options, emit_json, stdout_console
from edgekit.cli.output.outcome import INTERRUPTED
from edgekit.errors import BadInputError

if TYPE_CHECKING:
    from edgekit.fleet.devices import Fleet
    from edgekit.fleet.listener import FleetListener

__all__ = ["command"]

_REFRESH = 0.5
_RETRY = 5.0


@click.command(name="fleet")
@click.argument("broker", envvar="EDGEKIT_MQTT")
@click.option(
    "--mqtt-ca",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="PEM file with the certificate to trust for mqtts://.",
)
@click.option(
    "--once",
    is_flag=True,
    help="Print one table and end. This is the default if the output is not a terminal.",
)
@click.option(
    "--wait",
    type=FiniteRange(0, 3600, min_open=True),
    default=3.0,
    show_default=True,
    metavar="SECONDS",
    help="Seconds to collect messages for with --once or --json. The broker sends the newest "
    "message of each device at once.",
)
@common_options
def command(
    broker: str, mqtt_ca: Path | None, once: bool, wait: float, as_json: bool
) -> int | None:
    """Show the state of all devices that report to an MQTT broker.

    BROKER is the address that the devices use in edgekit run --mqtt, with the part of the prefix
    that is the same for all: mqtt://HOST, mqtt://user:password@HOST:PORT/PREFIX, or mqtts:// for
    TLS. Without a prefix, all devices of the broker are shown. The variable EDGEKIT_MQTT may hold
    the address, so that other users of this machine do not see the password.

    The table is renewed until Ctrl-C. It marks devices that are degraded (!), have stopped
    reporting (?), or have lost the broker or failed (x), and says why.

    Example: edgekit fleet mqtt://broker.example.com/site --once
    """
    from edgekit.fleet.devices import Fleet
    from edgekit.fleet.listener import FleetListener
    from edgekit.media.sinks.mqtt.broker import Broker

    address = Broker.parse(broker, mqtt_ca, name="BROKER", prefix="")
    fleet = Fleet()
    with FleetListener(address, fleet) as listener:
        listener.connect()
        if not (once or as_json) and sys.stdout.isatty():
            return _watch(listener, fleet, address.place)
        listener.listen(wait)
    if as_json:
        reports = [report.to_json() for report in fleet.reports()]
        emit_json(
            {
                "broker": address.place,
                "prefix": address.prefix,
                "devices": reports,
                "ignored": fleet.foreign + fleet.surplus,
            }
        )
        return None
    from edgekit.cli.output.fleet_table import print_fleet

    print_fleet(stdout_console(), fleet, address.place)
    return None


def _watch(listener: FleetListener, fleet: Fleet, place: str) -> int:
    """Renews the table in place until Ctrl-C; reconnects after the connection was lost."""
    from rich.live import Live
    from rich.text import Text

    from edgekit.cli.output.fleet_table import fleet_text

    console = stdout_console()
    trouble = ""

    def table() -> Text:
        text = fleet_text(fleet, place, console.width, console.height - 1, trouble)
        return Text(text, no_wrap=True, overflow="crop")

    try:
        with Live(table(), console=console, auto_refresh=False) as live:
            while True:
                try:
                    if trouble:
                        listener.connect()
                    listener.listen(_REFRESH)
                    trouble = ""
                except BadInputError as error:
                    trouble = f"{error.message} EdgeKit tries again."
                    live.update(table(), refresh=True)
                    time.sleep(_RETRY)
                live.update(table(), refresh=True)
    except KeyboardInterrupt:
        return INTERRUPTED.status
