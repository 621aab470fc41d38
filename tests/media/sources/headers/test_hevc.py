"""Tests sequence parameter sets of HEVC with parts that encoders seldom write."""

from __future__ import annotations

import random

import pytest

from edgekit.media.sources.headers._hevc import hevc_sequences

COLOURS = (9, 18, 14)


class Writer:
    """Writes bits, as the parser reads them."""

    def __init__(self):
        self.bits = ""

    def put(self, value, count=1):
        self.bits += f"{value:0{count}b}" if count else ""
        return value

    def golomb(self, *values):
        for value in values:
            number = f"{value + 1:b}"
            self.bits += "0" * (len(number) - 1) + number

    def unit(self):
        bits = self.bits + "1" + "0" * (-(len(self.bits) + 1) % 8)
        content, escaped = int(bits, 2).to_bytes(len(bits) // 8, "big"), b""
        for byte in content:
            if escaped[-2:] == b"\0\0" and byte <= 3:
                escaped += b"\3"
            escaped += bytes([byte])
        return b"\0\0\1\x42\1" + escaped


def parameters(chance):
    """Writes a set in which a random choice leaves out or puts in each part."""
    out = Writer()

    def flag():
        return out.put(chance.getrandbits(1))

    layers = chance.randrange(4)
    out.put(0, 4), out.put(layers, 3), out.put(1)
    # Main profile, level 3.1.
    out.put(0b00000001, 8), out.put(0x60000000, 32), out.put(0x900000000000, 48), out.put(93, 8)
    present = [(flag(), flag()) for _ in range(layers)]
    out.put(0, 2 * (8 - layers) if layers else 0)
    for profile, level in present:
        out.put(0, 88 * profile), out.put(93, 8 * level)
    out.golomb(0, 1, 64, 64)
    if flag():
        out.golomb(0, 1, 2, 3)
    out.golomb(0, 0, 4)
    for _ in range(layers + 1 if flag() else 1):
        out.golomb(4, 2, 0)
    out.golomb(0, 3, 0, 3, 1, 1)
    if flag() and flag():
        write_scaling_lists(out, flag)
    flag(), flag()
    if flag():
        out.put(0x77, 8), out.golomb(0, 1), flag()
    write_reference_sets(out, flag, chance)
    if flag():
        count = chance.randrange(4)
        out.golomb(count)
        out.put(0, 9 * count)
    flag(), flag()
    out.put(1)  # usability information
    if flag():
        wide = chance.getrandbits(1)
        out.put(255 if wide else 1, 8), out.put(0x00100009, 32 * wide)
    if flag():
        flag()
    out.put(1), out.put(5, 3), flag(), out.put(1)
    for code in COLOURS:
        out.put(code, 8)
    if flag():
        out.golomb(0, 2)
    out.put(0, 3)
    if flag():
        out.golomb(0, 1, 2, 3)
    out.put(1), out.put(1001, 32), out.put(60_000, 32)
    out.put(0, 8)
    return out.unit()


def write_scaling_lists(out, flag):
    for size in range(4):
        for _ in range(6 if size < 3 else 2):
            if flag():
                out.golomb(*([8] if size > 1 else []), *[0] * min(64, 16 << 2 * size))
            else:
                out.golomb(0)


def write_reference_sets(out, flag, chance):
    sets = chance.randrange(4)
    out.golomb(sets)
    count = 0
    for number in range(sets):
        if number and flag():
            flag(), out.golomb(0)
            choices = [flag() or flag() for _ in range(count + 1)]
            count = sum(choices)
        else:
            negative, positive = chance.randrange(3), chance.randrange(2)
            out.golomb(negative, positive)
            for _ in range(negative + positive):
                out.golomb(0)
                flag()
            count = negative + positive


def test_colours_and_clock_are_found_behind_any_other_parts():
    for seed in range(50):
        (found,) = hevc_sequences([parameters(random.Random(seed))])
        assert found == (COLOURS, pytest.approx(59.94, abs=0.001)), seed


def test_a_set_that_is_cut_is_left_out():
    unit = parameters(random.Random(1))
    for length in range(0, len(unit) - 3, 5):
        assert {found.ticks for found in hevc_sequences([unit[:length]])} <= {0.0}
