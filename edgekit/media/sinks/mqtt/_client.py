"""Makes clients of the library for MQTT, which is imported when the first one is needed."""

from __future__ import annotations

from typing import Any

from edgekit._parameters import parameter
from edgekit.errors import MissingDependencyError
from edgekit.media.sinks.mqtt.broker import Broker

__all__ = ["import_client", "make_client"]


def import_client() -> Any:
    """Imports and returns ``paho.mqtt.client``.

    Raises:
        MissingDependencyError: paho-mqtt is not installed.
    """
    try:
        from paho.mqtt import client
    except ImportError as error:
        raise MissingDependencyError.for_extra("paho.mqtt", "mqtt", parameter("mqtt")) from error
    return client


def make_client(broker: Broker, version: int, seconds: float) -> Any:
    """Returns a client for a broker that is not connected yet.

    Args:
        broker: Address and credentials of the broker.
        version: Version of MQTT, a constant of ``paho.mqtt.client``.
        seconds: Longest time to wait for a connection.
    """
    mqtt = import_client()
    client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, protocol=version)
    client.connect_timeout = seconds
    if broker.user is not None:
        client.username_pw_set(broker.user, broker.password)
    if broker.tls:
        client.tls_set(ca_certs=None if broker.ca is None else str(broker.ca))
    return client
