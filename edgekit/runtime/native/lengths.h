/* Checks that a caller's memory has the length that the call needs. */
#ifndef EDGEKIT_LENGTHS_H
#define EDGEKIT_LENGTHS_H

#include <stdint.h>

/* Whether length equals a times b times c, and none of these is negative. */
static inline int is_product(int64_t length, int64_t a, int64_t b, int64_t c) {
    int64_t product;
    if (a < 0 || b < 0 || c < 0) return 0;
    if (__builtin_mul_overflow(a, b, &product) || __builtin_mul_overflow(product, c, &product))
        return 0;
    return length == product;
}

#endif
