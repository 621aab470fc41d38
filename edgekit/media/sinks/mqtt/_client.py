"""Makes clients of the library for MQTT, which is imported when the first one is needed."""

from __future__ import annotations

import contextlib
import ssl
import time
from typing import Any

from edgekit._parameters import parameter
from edgekit.errors import MissingDependencyError
from edgekit.media.sinks.mqtt.broker import Broker

__all__ = ["DENIED", "import_client", "is_denied", "make_client"]

DENIED = frozenset(("Bad user name or password", "Not authorized"))
"""Answers of a broker that refuses the user name or password."""

_TICK = 0.05


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


def is_denied(broker: Broker, seconds: float) -> bool:
    """Connects for a moment; returns whether the broker refuses the user name or password.

    Args:
        broker: Address and credentials of the broker.
        seconds: Longest time to wait. A broker that does not answer refuses nothing.
    """
    mqtt = import_client()
    answers: list[str] = []
    for version in (mqtt.MQTTv5, mqtt.MQTTv311):  # a broker may not know MQTT 5
        client = make_client(broker, version, seconds)
        client.on_connect = lambda _c, _d, _f, code, _p: answers.append(str(code))
        with contextlib.suppress(OSError, ValueError, ssl.SSLError):
            client.connect(broker.host, broker.port)
            end = time.monotonic() + seconds
            while not answers and time.monotonic() < end:
                if client.loop(_TICK) != mqtt.MQTT_ERR_SUCCESS:
                    break
            client.disconnect()
            client.loop(_TICK)
        if answers:
            break
    return bool(answers) and answers[0] in DENIED
