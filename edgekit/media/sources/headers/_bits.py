"""Reads single bits and variable-length numbers from codec headers."""

from __future__ import annotations

__all__ = ["Bits"]


class Bits:
    """Reads bits, most significant first. Raises ``IndexError`` at the end."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._place = 0

    def take(self, count: int) -> int:
        """Reads an unsigned number of ``count`` bits."""
        value = 0
        for _ in range(count):
            byte = self._data[self._place >> 3]
            value = value << 1 | byte >> (7 - (self._place & 7)) & 1
            self._place += 1
        return value

    def golomb(self) -> int:
        """Reads an unsigned Exp-Golomb number, whose leading zeros give its length."""
        zeros = 0
        while not self.take(1):
            zeros += 1
        return (1 << zeros) - 1 + self.take(zeros)

    def signed(self) -> int:
        """Reads a signed Exp-Golomb number: 1, -1, 2, -2 and so on for 1, 2, 3, 4."""
        value = self.golomb()
        return (value + 1) // 2 if value % 2 else -(value // 2)
