/* What the library says of itself. */
#include "cascade.h"
#include "linking.h"

#ifndef SOURCES
#define SOURCES ""
#endif

/* What the library was built from. */
const char *sources(void) { return SOURCES; }

/* The kernels that this processor can run, fastest first. */
const char *kernels(void) {
#if defined(__x86_64__)
    return __builtin_cpu_supports("avx2") ? "avx2 sse2 generic" : "sse2 generic";
#elif defined(__aarch64__)
    return "neon generic";
#else
    return "generic";
#endif
}

/* Tells a library of other sources from this one, by what it shares with Python. */
int32_t layout(int32_t which) {
    return which ? (int32_t)sizeof(linking) : (int32_t)sizeof(plan);
}

/* Adds one after the other, eight a turn and one a cycle: what it takes tells the clock. */
uint64_t count(uint64_t turns) {
    uint64_t sum = 0;
    for (uint64_t turn = 0; turn < turns; turn++)
        for (int step = 0; step < 8; step++) {
            sum++;
            __asm__ volatile("" : "+r"(sum));
        }
    return sum;
}
