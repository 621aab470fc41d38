/* What the fuzzers share: draws (xorshift, the same for one seed on every machine), memory, an end. */
#pragma once

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint64_t state;

static uint32_t draw(uint32_t below) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (uint32_t)(state >> 33) % below;
}

/* Filled with what is nobody's value. */
static inline void *memory(size_t count, size_t size) {
    const size_t bytes = count * size;
    void *block = malloc(bytes);
    if (!block && bytes > 0) abort();
    if (bytes > 0) memset(block, 0xa5, bytes);
    return block;
}

static inline void fail(const char *what, double by) {
    printf("%s (%g)\n", what, by);
    exit(1);
}
