/* What the fuzzers draw their inputs from: xorshift, the same for one seed on every machine. */
#pragma once

#include <stdint.h>

static uint64_t state;

static uint32_t draw(uint32_t below) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (uint32_t)(state >> 33) % below;
}
