"""Receives the status messages of devices from an MQTT broker."""

from __future__ import annotations

import logging
import ssl
import time
from typing import Any

from edgekit._closing import Closing
from edgekit._printable import printable
from edgekit.errors import BadInputError
from edgekit.fleet.devices import Fleet
from edgekit.media.sinks.mqtt._client import DENIED, import_client, make_client
from edgekit.media.sinks.mqtt.broker import Broker

__all__ = ["FleetListener"]

_LOG = logging.getLogger(__name__)
_CONNECT_SECONDS = 5.0
_KEEPALIVE_SECONDS = 15
_TICK = 0.1
_LEVELS = 8
"""Largest number of levels of a topic below the prefix."""

_MOST_PACKET = 1 << 16
"""Largest packet that a broker with MQTT 5 may send, in bytes."""

_ENDING = "/status"


class FleetListener(Closing):
    """Subscribes to the topics ``PREFIX/…/status`` of a broker; a context manager.

    It uses MQTT 5 if the broker supports it, else 3.1.1.

    Args:
        broker: Address and credentials of the broker, and the prefix of the topics; an empty prefix
            stands for all topics.
        fleet: Devices, which get every message.

    Raises:
        MissingDependencyError: paho-mqtt is not installed.
    """

    def __init__(self, broker: Broker, fleet: Fleet) -> None:
        self._mqtt = import_client()
        self._broker = broker
        self._fleet = fleet
        self._client: Any = None
        self._answer: Any = None
        self._fault: str | None = None

    def connect(self) -> None:
        """Connects and subscribes.

        Raises:
            BadInputError: The broker is not there, refuses the user name or password, or does not
                let this user read the topics.
        """
        self.close()
        for version in (self._mqtt.MQTTv5, self._mqtt.MQTTv311):
            if self._connect(version):
                return
        raise self._error("It does not answer as an MQTT broker does.")

    def listen(self, seconds: float) -> None:
        """Receives messages for some seconds.

        Raises:
            BadInputError: The connection was lost.
        """
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if self._client.loop(_TICK) != self._mqtt.MQTT_ERR_SUCCESS:
                raise self._error("The connection was lost.")
            if self._fault is not None:
                raise self._error(self._fault)

    def close(self) -> None:
        """Disconnects."""
        if self._client is not None:
            client, self._client = self._client, None
            client.disconnect()

    def _connect(self, version: int) -> bool:
        """Connects with a version of MQTT; returns False if the broker may not know it."""
        try:
            client = make_client(self._broker, version, _CONNECT_SECONDS)
            self._answer = self._fault = None
            client.on_connect = self._on_connect
            client.on_subscribe = self._on_subscribe
            client.on_message = self._on_message
            options = self._limits() if version == self._mqtt.MQTTv5 else {}
            client.connect(self._broker.host, self._broker.port, _KEEPALIVE_SECONDS, **options)
        except (OSError, ValueError, ssl.SSLError) as error:
            reason = str(getattr(error, "strerror", None) or error)
            raise self._error(f"{printable(reason).rstrip('.')}.") from error
        end = time.monotonic() + _CONNECT_SECONDS
        while self._answer is None and time.monotonic() < end:
            if client.loop(_TICK) != self._mqtt.MQTT_ERR_SUCCESS:
                break
        if self._answer is None:
            return False
        if str(self._answer) in DENIED:
            raise self._error("It refuses the user name or password.")
        if self._answer.is_failure:
            return False
        self._client = client
        kind = "MQTT 5" if version == self._mqtt.MQTTv5 else "MQTT 3.1.1"
        _LOG.info("Connected to the MQTT broker %s by %s.", self._broker.place, kind)
        return True

    def _limits(self) -> dict[str, Any]:
        from paho.mqtt.packettypes import PacketTypes
        from paho.mqtt.properties import Properties

        properties: Any = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        properties.MaximumPacketSize = _MOST_PACKET
        return {"properties": properties}

    def _on_connect(self, client: Any, data: Any, flags: Any, code: Any, properties: Any) -> None:
        del data, flags, properties
        self._answer = code
        if not code.is_failure:
            prefix = f"{self._broker.prefix}/" if self._broker.prefix else ""
            least = 0 if prefix else 1
            levels = ("+/" * count for count in range(least, _LEVELS))
            client.subscribe([(f"{prefix}{level}status", 0) for level in levels])

    def _on_subscribe(self, client: Any, data: Any, mid: int, codes: Any, properties: Any) -> None:
        del client, data, mid, properties
        if all(code.is_failure for code in codes):
            self._fault = "It does not let this user read the status topics."

    def _on_message(self, client: Any, data: Any, message: Any) -> None:
        del client, data
        try:
            topic = message.topic
        except UnicodeDecodeError:
            topic = "?"
        prefix = f"{self._broker.prefix}/" if self._broker.prefix else ""
        name = topic.removeprefix(prefix)[: -len(_ENDING)]
        self._fleet.take(name, message.payload, retained=bool(message.retain))

    def _error(self, reason: str) -> BadInputError:
        return BadInputError(
            f"No status messages from the MQTT broker {self._broker.place}: {reason}",
            hint="Check the address, and the user name and password in it: "
            "mqtt://user:password@host:port/prefix",
        )
