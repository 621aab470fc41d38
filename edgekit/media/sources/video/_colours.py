"""Chooses the colours with which FFmpeg's scaler converts pictures to BGR."""

from __future__ import annotations

import logging
from typing import Any

from edgekit.media.sources.headers.colours import MATRICES, PRIMARIES, TRANSFERS

__all__ = ["ColourChoice"]

_LOG = logging.getLogger(__name__)
_UNKNOWN = frozenset((0, 2, 3))
"""Codes of ITU-T H.273 for unspecified colours."""

_UNSPECIFIED = 2
_HDR = frozenset((16, 18))
_BT709 = 1
_SDR_GAMUTS = frozenset((1, 4, 5, 6, 7))
_CONVERTIBLE = {
    "color_primaries": ("primaries", PRIMARIES),
    "color_trc": ("transfer", TRANSFERS),
    "colorspace": ("matrix", MATRICES),
}
_COLOUR_VERSION = 17
"""First major PyAV version whose scaler handles transfer functions like OpenCV's FFmpeg."""


class ColourChoice:
    """Settings of FFmpeg's scaler for the declared colours of each frame.

    Args:
        name: Name of the source, for messages.

    Attributes:
        applies: Whether this PyAV's FFmpeg has such settings.
    """

    def __init__(self, name: str) -> None:
        import av

        self._name = name
        self._has_warned = False
        self.applies = int(av.__version__.partition(".")[0]) >= _COLOUR_VERSION

    def settings(self, frame: Any) -> dict[str, int]:
        """Returns the settings that FFmpeg's scaler uses for BGR by default.

        Colours of the frame that the scaler cannot convert become unspecified, with a warning.
        """
        if not self.applies:
            return {}
        self._make_convertible(frame)
        primaries, transfer = int(frame.color_primaries), int(frame.color_trc)
        if {primaries, transfer} <= _UNKNOWN:
            return {}
        known = transfer not in _UNKNOWN | _HDR
        return {
            "out_primaries": primaries if primaries in _SDR_GAMUTS else _BT709,
            "out_transfer": transfer if known else _BT709,
        }

    def _make_convertible(self, frame: Any) -> None:
        for attribute, (word, codes) in _CONVERTIBLE.items():
            code = int(getattr(frame, attribute))
            if code in codes:
                continue
            setattr(frame, attribute, _UNSPECIFIED)
            if not self._has_warned:
                self._has_warned = True
                _LOG.warning(
                    "%s declares colours that FFmpeg cannot convert: %s %d of ITU-T H.273. EdgeKit "
                    "converts them as unspecified ones, so its pictures may have wrong colours.",
                    self._name,
                    word,
                    code,
                )
