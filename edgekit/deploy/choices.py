"""Lists the choices of a deployment; imports nothing, so that help loads fast."""

from __future__ import annotations

from typing import Literal, TypeAlias, get_args

__all__ = ["SERVICES", "ServiceKind"]

ServiceKind: TypeAlias = Literal["user", "system", "none"]
"""Way to run the service: by the user's systemd, by that of the system, or not at all."""

SERVICES = get_args(ServiceKind)
