"""Parses the address and credentials of an MQTT broker from one URL."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote, urlsplit

from edgekit._parameters import parameter
from edgekit._printable import printable
from edgekit.errors import UsageError
from edgekit.media.serving.address import host_and_port

__all__ = ["Broker"]

_PORTS = {"mqtt": 1883, "mqtts": 8883}
_EXAMPLE = "mqtt://user:password@host:1883/edgekit/door"


@dataclass(frozen=True, slots=True)
class Broker:
    """Address and credentials of an MQTT broker.

    Attributes:
        host: Host name or IP address.
        port: TCP port. The default is 1883, or 8883 with TLS.
        user: User name; None if the broker needs none.
        password: Password, left out of ``repr``; None if the broker needs none.
        prefix: Prefix of all topics; empty for none.
        ca: PEM file of the certificates to trust with TLS; None for the system's.
        tls: Whether the connection uses TLS.
    """

    host: str
    port: int
    user: str | None
    password: str | None = field(repr=False)
    prefix: str
    ca: Path | None
    tls: bool

    @classmethod
    def parse(
        cls, url: str, ca: Path | None = None, *, name: str | None = None, prefix: str = "edgekit"
    ) -> Broker:
        """Reads ``mqtt://user:password@host:port/prefix``, or ``mqtts://`` for TLS.

        Args:
            url: Address of the broker.
            ca: PEM file of the certificates to trust with TLS; None for the system's.
            name: Name of the parameter for messages; the default is ``mqtt``.
            prefix: Prefix if the address has none.

        Raises:
            UsageError: The URL is not a valid broker address. The message does not quote the URL,
                which may contain a password.
        """
        hint = f"Write it like {_EXAMPLE if name else parameter('mqtt', _EXAMPLE)}"
        name = name or parameter("mqtt")
        try:
            parts = urlsplit(url)
            host, port = parts.hostname, parts.port
        except ValueError:
            raise UsageError(f"The host or port of {name} cannot be read.", hint=hint) from None
        if parts.scheme not in _PORTS or not host:
            raise UsageError(f"{name} is not the address of an MQTT broker.", hint=hint)
        prefix = unquote(parts.path).strip("/") or prefix
        if any(sign in url for sign in "#?") or any(sign in prefix for sign in "#+"):
            raise UsageError(
                f"The address of {name} contains # or ?, or + in its topic prefix.",
                hint="Remove these characters from the prefix: topics cannot contain # and +. In a "
                "user name or password, write # as %23 and ? as %3F.",
            )
        if printable(prefix) != prefix:
            raise UsageError(
                f"{name} has control characters in its prefix: {printable(prefix)}.", hint=hint
            )
        tls = parts.scheme == "mqtts"
        if ca is not None and not tls:
            raise UsageError(
                f"{parameter('mqtt_ca')} works only with TLS, and the broker's address begins with "
                "mqtt://.",
                hint=f"Write mqtts:// instead of mqtt://, or leave out {parameter('mqtt_ca')}.",
            )
        if ca is not None and not ca.is_file():
            raise UsageError(
                f"{parameter('mqtt_ca')}: there is no file {ca}.",
                hint="Give the path of a PEM file with the certificate of the broker's CA.",
            )
        if ca is not None:
            _check_certificates(ca)
        user, password = (
            None if text is None else unquote(text) for text in (parts.username, parts.password)
        )
        return cls(host, port or _PORTS[parts.scheme], user, password, prefix, ca, tls)

    @property
    def place(self) -> str:
        """Host and port, for messages."""
        return host_and_port(self.host, self.port)


def _check_certificates(path: Path) -> None:
    import ssl

    try:
        ssl.create_default_context(cafile=path)
    except (OSError, ssl.SSLError):
        raise UsageError(
            f"{parameter('mqtt_ca')}: {path} holds no certificate that can be read.",
            hint="Give the path of a PEM file with the certificate of the broker's CA.",
        ) from None
