"""Reads single bits and variable-length numbers from codec headers."""

from __future__ import annotations

__all__ = ["Bits"]


class Bits:
    """Reads bits, most significant first. Raises ``IndexError`` at the end."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._place = 0

    def take(self, count: int) -> int:
        value = 0
        for _ in range(count):
            byte = self._data[self._place >> 3]
            value = value << 1 | byte >> (7 - (self._place & 7)) & 1
            self._place += 1
        return value

    def golomb(self) -> int:
        zeros = 0
        while not self.take(1):
            zeros += 1
        return (1 << zeros) - 1 + self.take(zeros)

    def signed(self) -> int:
        value = self.golomb()
        return (value + 1) // 2 if value % 2 else -(value // 2)
