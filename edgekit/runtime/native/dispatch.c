/* Information about the library: its sources, its kernels and its structure sizes. */
#include "cascade.h"
#include "linking.h"

#ifndef SOURCES
#define SOURCES ""
#endif

/* Hash of the sources that the library was built from. */
const char *sources(void) { return SOURCES; }

/* The kernels that this processor can run, fastest first. */
const char *kernels(void) {
#if defined(__x86_64__)
    /* These also check that the operating system saves the registers. */
    if (!__builtin_cpu_supports("avx2")) return "sse2";
    const int all = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                    __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
    return has_avx512 && all ? "avx512 avx2 sse2" : "avx2 sse2";
#elif defined(__aarch64__)
    return "neon";
#else
    return "";
#endif
}

/* Sizes of the structures shared with Python, which reveal a library of other sources. */
int32_t layout(int32_t which) {
    return which ? (int32_t)sizeof(linking) : (int32_t)sizeof(plan);
}

/* Makes turns * 8 dependent additions of one cycle each; their duration shows the clock rate. */
uint64_t count(uint64_t turns) {
    uint64_t sum = 0;
    for (uint64_t turn = 0; turn < turns; turn++)
        for (int step = 0; step < 8; step++) {
            sum++;
            __asm__ volatile("" : "+r"(sum));
        }
    return sum;
}
